//! A web server of a few lines for these tests: it answers as a closure says and remembers what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use gauth::{Http, HttpOptions, Provider};
use serde_json::{Value, json};

/// Runs until it is dropped. Every connection serves one request.
pub struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    is_closed: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` gets the server's own base URL and the path, and writes whatever it likes.
    pub fn start(answer: impl Fn(&str, &str, &mut TcpStream) + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (seen, is_closed) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (log, end, base) = (Arc::clone(&seen), Arc::clone(&is_closed), format!("http://{address}"));
        let acceptor = thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                if end.load(Ordering::SeqCst) {
                    return;
                }
                let line = read_head(&stream);
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                log.lock().expect("the log").push(line);
                answer(&base, &path, &mut stream);
            }
        });
        Server { address, seen, is_closed, acceptor: Some(acceptor) }
    }

    /// Answers every path with this text.
    pub fn saying(status: u16, content_type: &'static str, body: impl Into<String>) -> Server {
        let body = body.into();
        Server::start(move |_, _, stream| answer(stream, status, content_type, &body))
    }

    /// Serves a discovery document that fits its own address but for these members; `null` removes one.
    pub fn with_document(patch: Value) -> Server {
        Server::start(move |base, path, stream| match path {
            OPENID => answer(stream, 200, "application/json", &document(base, &patch)),
            _ => answer(stream, 404, "text/plain", "no"),
        })
    }

    /// A server that nobody must come to.
    pub fn trap() -> Server {
        Server::saying(200, "application/json", "{}")
    }

    /// `http://127.0.0.1:PORT`
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The request lines so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("the log").clone()
    }

    pub fn discover(&self) -> gauth::Result<Provider> {
        Provider::discover(&self.base(), &Http::new(HttpOptions::default()))
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

/// The request line; the rest of the head is read and forgotten.
fn read_head(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    lines.for_each(drop);
    first
}

pub fn answer(stream: &mut TcpStream, status: u16, content_type: &str, body: &str) {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {}", body.len());
    let _ = write!(stream, "{head}\r\nConnection: close\r\n\r\n{body}");
}

/// A document whose issuer is `base`; its endpoints are elsewhere, as some providers have them.
pub fn document(base: &str, patch: &Value) -> String {
    let mut document = json!({
        "issuer": base,
        "authorization_endpoint": "https://op.example/authorize",
        "token_endpoint": "https://op.example/token",
        "jwks_uri": "https://op.example/jwks",
    });
    for (name, value) in patch.as_object().expect("an object") {
        match value {
            Value::Null => drop(document.as_object_mut().expect("an object").remove(name)),
            value => document[name] = value.clone(),
        }
    }
    document.to_string()
}

pub const OPENID: &str = "/.well-known/openid-configuration";
pub const OAUTH: &str = "/.well-known/oauth-authorization-server";
