//! A server that speaks TLS, or anything else, on every connection to a loopback port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use url::Url;

use crate::authority::Identity;

/// Heads of requests that arrived.
pub type Heads = Arc<Mutex<Vec<String>>>;

/// Runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    heads: Heads,
    connections: Arc<AtomicUsize>,
    is_closed: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// `serve` talks on each connection and notes the requests that it got.
    pub fn start(serve: impl Fn(TcpStream, &Heads) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (heads, is_closed) = (Heads::default(), Arc::new(AtomicBool::new(false)));
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, end, count) = (Arc::clone(&heads), Arc::clone(&is_closed), Arc::clone(&connections));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if end.load(Ordering::SeqCst) {
                    return;
                }
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                serve(stream, &log);
            }
        });
        Server { address, heads, connections, is_closed, acceptor: Some(acceptor) }
    }

    /// Answers every request with `{}`, over TLS 1.2 or 1.3.
    pub fn tls(identity: &Identity) -> Server {
        let config = identity.config(&[&TLS12, &TLS13]);
        Server::start(move |stream, heads| serve_tls(stream, &config, heads))
    }

    /// Answers every request with `{}`, over plain HTTP.
    pub fn plain() -> Server {
        Server::start(serve_http)
    }

    pub fn url(&self, scheme: &str, host: &str) -> Url {
        Url::parse(&format!("{scheme}://{host}:{}/path", self.address.port())).expect("a URL")
    }

    /// `https://127.0.0.1:PORT/path`
    pub fn https(&self) -> Url {
        self.url("https", "127.0.0.1")
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The heads of the requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.heads.lock().expect("the log").clone()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

pub fn serve_tls(stream: TcpStream, config: &Arc<ServerConfig>, heads: &Heads) {
    let connection = ServerConnection::new(Arc::clone(config)).expect("a connection");
    let mut stream = StreamOwned::new(connection, stream);
    serve_http(&mut stream, heads);
    stream.conn.send_close_notify();
    let _ = stream.flush();
}

pub fn serve_http(mut stream: impl Read + Write, heads: &Heads) {
    let Some(head) = read_head(&mut stream) else { return };
    heads.lock().expect("the log").push(head);
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close";
    let _ = write!(stream, "{head}\r\n\r\n{{}}");
}

/// A request's head up to its empty line; none if the connection ended before.
pub fn read_head(stream: &mut impl Read) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
