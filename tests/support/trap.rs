//! Listeners that are no provider: one that nobody may connect to, and one that never stops answering.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

/// A listener that nobody may connect to.
#[derive(Debug)]
pub struct Trap(TcpListener);

impl Trap {
    pub fn set() -> Trap {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a listener that can be looked at");
        Trap(listener)
    }

    pub fn url(&self) -> String {
        format!("http://{}/token", self.0.local_addr().expect("an address"))
    }

    /// A connection waits in the queue even after the other side has gone.
    pub fn assert_untouched(&self) {
        let arrived = self.0.accept().expect_err("a connection came");
        assert_eq!(arrived.kind(), ErrorKind::WouldBlock);
    }
}

/// Answers one request with a body that has no end, and counts how much of it was taken.
pub fn endless(start: &'static str) -> (String, JoinHandle<u64>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = format!("http://{}/token", listener.local_addr().expect("an address"));
    let taken = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _ = stream.read(&mut [0; 4096]).expect("a request");
        pour(&mut stream, start)
    });
    (url, taken)
}

fn pour(stream: &mut TcpStream, start: &str) -> u64 {
    let mut taken = 0;
    let mut next = start.as_bytes();
    while let Ok(count) = stream.write(next) {
        taken += count as u64;
        if taken > LIMIT {
            break;
        }
        next = &[b' '; 8192];
    }
    taken
}

/// More than any answer and all buffers on the way to it.
pub const LIMIT: u64 = 256 << 20;
