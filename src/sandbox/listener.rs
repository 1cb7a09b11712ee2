//! The listener: a thread that accepts, a thread for each connection, and an end for all of them.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{SystemTime, UNIX_EPOCH};

use super::http::{self, Incoming};
use super::idp::Idp;
use super::stop::Stop;

/// The provider as the threads share it.
pub(super) type Shared = Arc<Mutex<Idp>>;

/// Accepts until it is dropped.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    stop: Arc<Stop>,
    accepting: Option<JoinHandle<()>>,
}

impl Listener {
    pub(super) fn start(listener: TcpListener, idp: Shared) -> io::Result<Listener> {
        let address = listener.local_addr()?;
        let stop = Arc::new(Stop::default());
        let stop_of_thread = Arc::clone(&stop);
        let accept = move || accept(&listener, &idp, &stop_of_thread);
        let accepting = thread::Builder::new().name("sandbox".into()).spawn(accept)?;
        Ok(Listener { address, stop, accepting: Some(accepting) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.set();
        // The accepting thread looks at the flag when it has accepted something.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Binds 127.0.0.1, or `[::1]` on a machine without IPv4.
pub(super) fn bind(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == ErrorKind::AddrNotAvailable => TcpListener::bind((Ipv6Addr::LOCALHOST, port)),
        bound => bound,
    }
}

struct Connection {
    stream: TcpStream,
    thread: JoinHandle<()>,
}

fn accept(listener: &TcpListener, idp: &Shared, stop: &Arc<Stop>) {
    let mut connections: Vec<Connection> = Vec::new();
    for stream in listener.incoming() {
        if stop.is_set() {
            break;
        }
        connections.retain(|connection| !connection.thread.is_finished());
        // Out of file descriptors or threads: this one goes without an answer.
        connections.extend(stream.and_then(|stream| serve(stream, idp, stop)).ok());
    }
    for connection in connections {
        let _ = connection.stream.shutdown(Shutdown::Both);
        let _ = connection.thread.join();
    }
}

fn serve(stream: TcpStream, idp: &Shared, stop: &Arc<Stop>) -> io::Result<Connection> {
    let (own, idp, stop) = (stream.try_clone()?, Arc::clone(idp), Arc::clone(stop));
    let thread = thread::Builder::new().name("sandbox connection".into()).spawn(move || {
        // Whether the other side still listens is its own affair.
        let _ = converse(&own, &idp, &stop);
        let _ = own.shutdown(Shutdown::Both);
    })?;
    Ok(Connection { stream, thread })
}

/// The lock is held for the thinking, not for the reading, waiting and writing.
fn converse(stream: &TcpStream, idp: &Shared, stop: &Stop) -> io::Result<()> {
    let response = match http::read(stream) {
        Incoming::Complete(request) => lock(idp).handle(&request, now()),
        Incoming::Broken(request, status) => lock(idp).refuse_unread(&request, status),
        Incoming::Silent => return Ok(()),
    };
    http::write(stream, &response, stop)
}

/// A thread that panicked with the lock leaves state that is as good as any.
pub(super) fn lock(idp: &Mutex<Idp>) -> MutexGuard<'_, Idp> {
    idp.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The one place where the sandbox reads the clock; not the client's, whom it judges.
#[allow(clippy::disallowed_methods, reason = "the provider has a clock of its own")]
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
