//! The loopback listener: accepts whatever comes, lets exactly one callback through, answers it last.
//!
//! Written here and not left to a server crate: the listener is open to every web page and every program on the
//! machine, so heads, connections and time are bounded (L-11), which tiny_http does not do.

use std::collections::VecDeque;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use oauth2::CsrfToken;

use crate::client::LoopbackRedirect;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::login::bind::{V4, V6, bind, bind_both, bind_either, no_loopback, reachable};
use crate::login::callback::{self, Callback, IssuerRule, Stray};
use crate::login::head::{self, Head};
use crate::login::pages::{self, Page};
use crate::login::paste::PasteDoor;

/// Where to listen and where the browser is told to come back to.
#[derive(Clone, Debug, Default)]
pub struct ListenOptions {
    /// A fixed port; by default the system chooses a free one (N-4, L-1).
    pub port: Option<u16>,
    /// Another address to listen on than the redirect's, for containers. Then it is not only this machine
    /// that can connect; the `Host` check stays.
    pub bind: Option<IpAddr>,
    /// What the client's registration asks for.
    pub redirect: Option<LoopbackRedirect>,
}

/// A bound listener that serves nothing yet: connections wait in the system's queue.
#[derive(Debug)]
pub struct LoopbackServer {
    listeners: Vec<TcpListener>,
    authority: String,
    path: String,
}

impl LoopbackServer {
    /// Binds the port, so that the redirect URI exists before any URL is built from it (L-1).
    ///
    /// 127.0.0.1 first, then `[::1]` on a machine without IPv4 (N-5). The name `localhost`, for a web client that
    /// registered it, takes both families on one port or fails (L-2).
    ///
    /// # Errors
    /// [`Error::PortTaken`] or [`Error::NoLoopback`].
    pub fn bind(options: &ListenOptions) -> Result<LoopbackServer> {
        let registered = options.redirect.as_ref();
        let port = options.port.or(registered.and_then(|redirect| redirect.port)).unwrap_or(0);
        let (listeners, host) = match (options.bind, registered.map(|redirect| redirect.host.as_str())) {
            (address, Some("localhost")) => (bind_both(address.unwrap_or(V4), port)?, "localhost".to_owned()),
            (Some(address), host) => (vec![bind(address, port)?], host.unwrap_or("127.0.0.1").to_owned()),
            (None, Some("[::1]")) => (vec![bind(V6, port)?], "[::1]".to_owned()),
            (None, _) => bind_either(port)?,
        };
        let port = listeners[0].local_addr().map_err(no_loopback)?.port();
        let path = registered.map_or("/", |redirect| redirect.path.as_str()).to_owned();
        // Browsers leave the default port out of the Host header.
        let authority = if port == 80 { host } else { format!("{host}:{port}") };
        Ok(LoopbackServer { listeners, authority, path })
    }

    /// Where the provider is to send the browser: `http://127.0.0.1:PORT/` (N-2).
    pub fn redirect_uri(&self) -> String {
        format!("http://{}{}", self.authority, self.path)
    }

    /// Host and port of the redirect URI.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Settles which answer is the right one. Serves nothing yet.
    pub fn expect(self, state: &CsrfToken, rule: IssuerRule) -> Expectant {
        let (sender, arrivals) = mpsc::channel();
        let shared = Shared {
            authority: self.authority,
            path: self.path,
            state: state.clone(),
            rule,
            stage: Mutex::new(Stage::Pending(sender)),
            open: Mutex::default(),
            is_closed: AtomicBool::new(false),
        };
        Expectant { listeners: self.listeners, shared: Arc::new(shared), arrivals }
    }
}

/// A listener that knows which answer it waits for.
#[derive(Debug)]
pub struct Expectant {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    arrivals: Receiver<(Callback, Option<TcpStream>)>,
}

impl Expectant {
    /// Host and port of the redirect URI.
    pub fn authority(&self) -> &str {
        &self.shared.authority
    }

    /// Another way in for the same answer: see [`PasteDoor`].
    pub fn paste_door(&self) -> PasteDoor {
        PasteDoor::new(Arc::clone(&self.shared))
    }

    /// Waits for the one callback with the right state. Everything else is turned away meanwhile.
    ///
    /// # Errors
    /// [`Error::LoginTimedOut`] or [`Error::Interrupted`]; the port is closed by then.
    pub fn wait(self, timeout: Duration, interrupt: &Interrupt) -> Result<(Callback, Responder)> {
        let running = Running::start(self.listeners, &self.shared)?;
        let arrived = interrupt.receive(&self.arrivals, timeout)?;
        let (callback, stream) = arrived.ok_or(Error::LoginTimedOut(timeout))?;
        Ok((callback, Responder { stream, shared: self.shared, running }))
    }
}

/// Holds the browser's request open until the outcome is known, and then tells it (L-15).
#[derive(Debug)]
pub struct Responder {
    stream: Option<TcpStream>,
    shared: Arc<Shared>,
    running: Running,
}

impl Responder {
    /// Sends the browser to an address without the code (L-14, N-11), serves `page` there once, and closes the port.
    /// No browser waits if the answer was pasted.
    pub fn finish(mut self, page: Page) {
        if let Some(stream) = self.stream.take() {
            self.tell(stream, page);
        }
        self.running.stop();
    }

    fn tell(&self, mut stream: TcpStream, page: Page) {
        let path = format!("/signed-in/{}", BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()));
        let (sender, served) = mpsc::channel();
        *self.shared.stage() = Stage::Outcome { path: path.clone(), page, served: sender };
        if head::redirect(&mut stream, &path).is_ok() {
            // A browser follows at once; a client that does not must not hold up the command for long.
            let _ = served.recv_timeout(FOLLOW_PATIENCE);
        }
    }
}

#[derive(Debug)]
pub(super) struct Shared {
    authority: String,
    path: String,
    state: CsrfToken,
    rule: IssuerRule,
    stage: Mutex<Stage>,
    /// Connections that have not sent a whole head yet, oldest first.
    open: Mutex<VecDeque<(u64, Option<TcpStream>)>>,
    is_closed: AtomicBool,
}

/// Pending -> Claimed by the first valid callback -> Outcome (requirements section 4).
#[derive(Debug)]
enum Stage {
    Pending(Sender<(Callback, Option<TcpStream>)>),
    Claimed,
    Outcome { path: String, page: Page, served: Sender<()> },
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> MutexGuard<'_, VecDeque<(u64, Option<TcpStream>)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One connection, one request.
    fn serve(&self, id: u64, mut stream: TcpStream) {
        let head = head::read(&mut stream, &self.authority, Instant::now() + HEAD_TIMEOUT);
        // Hung up on to make room: its answer could not be sent, so it must not claim the login either.
        if !self.forget(id) {
            return;
        }
        let page = match head {
            Ok(head) => match self.judge(&head, stream) {
                Judged::Taken => return,
                Judged::Answer(page, kept) => {
                    stream = kept;
                    page
                }
            },
            Err(head::Refused::Silent) => return,
            Err(head::Refused::With(status)) => pages::notice(status),
        };
        self.remember(id, &stream); // answering takes a place too, until the other side hangs up
        let _ = head::respond(&mut stream, &page);
        self.forget(id);
        self.tell_served(&page);
    }

    fn judge(&self, head: &Head, stream: TcpStream) -> Judged {
        if let Stage::Outcome { path, page, .. } = &*self.stage()
            && *path == head.target
        {
            return Judged::Answer(page.clone(), stream);
        }
        match self.read(&head.target) {
            Err(Stray::NotFound) => Judged::Answer(pages::notice(404), stream),
            Err(Stray::NotOurs) => Judged::Answer(pages::notice(400), stream),
            Ok(callback) => match self.claim(callback, Some(stream)) {
                Some(late) => Judged::Answer(pages::notice(410), late),
                None => Judged::Taken,
            },
        }
    }

    /// Reads a request target as the answer that is waited for.
    pub(super) fn read(&self, target: &str) -> std::result::Result<Callback, Stray> {
        callback::parse(target, &self.path, &self.state, &self.rule)
    }

    /// Host and port, and the path.
    pub(super) fn place(&self) -> (&str, &str) {
        (&self.authority, &self.path)
    }

    /// Hands over the answer if it is the first one. Otherwise gives the connection back.
    pub(super) fn claim(&self, callback: Callback, stream: Option<TcpStream>) -> Option<TcpStream> {
        let mut stage = self.stage();
        match std::mem::replace(&mut *stage, Stage::Claimed) {
            Stage::Pending(sender) => {
                let _ = sender.send((callback, stream));
                None
            }
            taken => {
                *stage = taken;
                stream
            }
        }
    }

    /// The outcome is served once: whoever asks again gets "not found".
    fn tell_served(&self, page: &Page) {
        let mut stage = self.stage();
        if matches!(&*stage, Stage::Outcome { page: outcome, .. } if outcome == page)
            && let Stage::Outcome { served, .. } = std::mem::replace(&mut *stage, Stage::Claimed)
        {
            let _ = served.send(());
        }
    }

    /// Makes room by hanging up on the connection that has been silent for longest (L-11).
    fn remember(&self, id: u64, stream: &TcpStream) {
        let mut open = self.open();
        if open.len() >= MAX_CONNECTIONS
            && let Some((_, oldest)) = open.pop_front()
        {
            hang_up(oldest);
        }
        open.push_back((id, stream.try_clone().ok()));
    }

    /// Whether the connection was still wanted.
    fn forget(&self, id: u64) -> bool {
        let mut open = self.open();
        let before = open.len();
        open.retain(|(other, _)| *other != id);
        open.len() < before
    }
}

enum Judged {
    Taken,
    Answer(Page, TcpStream),
}

/// The accepting threads. Stopping, also by being dropped, closes the port before it returns (N-6).
#[derive(Debug)]
struct Running {
    shared: Arc<Shared>,
    acceptors: Vec<(SocketAddr, JoinHandle<()>)>,
}

impl Running {
    fn start(listeners: Vec<TcpListener>, shared: &Arc<Shared>) -> Result<Running> {
        let mut running = Running { shared: Arc::clone(shared), acceptors: Vec::new() };
        for listener in listeners {
            let address = listener.local_addr().map_err(no_loopback)?;
            let shared = Arc::clone(shared);
            let acceptor = thread::Builder::new().spawn(move || accept(&listener, &shared)).map_err(no_loopback)?;
            running.acceptors.push((address, acceptor));
        }
        Ok(running)
    }

    fn stop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        for (address, acceptor) in self.acceptors.drain(..) {
            // accept() has no time limit: a connection of our own ends it.
            let woken = TcpStream::connect_timeout(&reachable(address), Duration::from_secs(1));
            if woken.is_ok() {
                let _ = acceptor.join();
            }
        }
        self.shared.open().drain(..).for_each(|(_, stream)| hang_up(stream));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

fn hang_up(stream: Option<TcpStream>) {
    if let Some(stream) = stream {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for id in 0.. {
        let accepted = listener.accept();
        if shared.is_closed.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok((stream, _)) => {
                shared.remember(id, &stream);
                let shared = Arc::clone(shared);
                let spawned = thread::Builder::new().spawn(move || shared.serve(id, stream));
                drop(spawned); // out of threads: the connection is closed, the next one may do better
            }
            // Out of file descriptors and the like: let the others finish.
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A browser opens a few; the rest is somebody else.
const MAX_CONNECTIONS: usize = 32;
/// From the connection to the end of its head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the result page waits to be fetched.
const FOLLOW_PATIENCE: Duration = Duration::from_secs(2);
