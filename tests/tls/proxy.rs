//! A proxy that opens tunnels to nowhere: it plays the other machine itself.

use std::io::Write;
use std::sync::{Arc, Mutex};

use rustls::version::TLS13;

use crate::authority::Identity;
use crate::server::{Heads, Server, read_head, serve_tls};

/// What the proxy saw in the clear, and what came through its tunnels.
pub struct Proxy {
    server: Server,
    inside: Heads,
}

impl Proxy {
    /// Answers every `CONNECT` and is, in the tunnel, the server of that identity.
    pub fn to(identity: &Identity) -> Proxy {
        let inside = Heads::default();
        let (config, log) = (identity.config(&[&TLS13]), Arc::clone(&inside));
        let server = Server::start(move |mut stream, heads| {
            let Some(head) = read_head(&mut stream) else { return };
            heads.lock().expect("the log").push(head);
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
            serve_tls(stream, &config, &log);
        });
        Proxy { server, inside }
    }

    /// Answers every request like this.
    pub fn refusing(answer: &'static str) -> Proxy {
        let server = Server::start(move |mut stream, heads| {
            let Some(head) = read_head(&mut stream) else { return };
            heads.lock().expect("the log").push(head);
            let _ = stream.write_all(answer.as_bytes());
        });
        Proxy { server, inside: Arc::new(Mutex::new(Vec::new())) }
    }

    /// `HOST:PORT`
    pub fn authority(&self) -> String {
        self.server.authority()
    }

    /// The heads that the proxy itself got.
    pub fn seen(&self) -> Vec<String> {
        self.server.seen()
    }

    /// Connections, whether or not anything was said on them.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// The heads that came through tunnels.
    pub fn inside(&self) -> Vec<String> {
        self.inside.lock().expect("the log").clone()
    }
}
