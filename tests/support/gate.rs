//! A gate before the token endpoint: answers come through only when the test opens it, so that what happens between a
//! request and its answer needs no luck with time.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use gauth::sandbox::Sandbox;

use crate::kept::change_index;
use crate::support::TestEnv;
use crate::support::process::{DEADLINE, Running};

/// Closed until it is opened; then it stays open.
#[derive(Debug)]
pub struct Gate {
    held: Receiver<()>,
    opening: Arc<Opening>,
}

#[derive(Debug, Default)]
struct Opening {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    /// Sets a gate before the token endpoint of every profile of this environment.
    pub fn before(env: &TestEnv, sandbox: &Sandbox) -> Gate {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let own = listener.local_addr().expect("an address").to_string();
        let provider = sandbox.issuer().trim_start_matches("http://").to_owned();
        let (from, to) = (format!("http://{provider}/token"), format!("http://{own}/token"));
        change_index(env, |text| text.replace(&from, &to));

        let (sender, held) = mpsc::channel();
        let opening = Arc::new(Opening::default());
        let gate = Gate { held, opening: Arc::clone(&opening) };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (sender, opening) = (sender.clone(), Arc::clone(&opening));
                let (own, provider) = (own.clone(), provider.clone());
                thread::spawn(move || {
                    let answer = ask(&provider, &request(&stream).replace(&own, &provider));
                    let _ = sender.send(());
                    opening.wait();
                    let _ = (&stream).write_all(&answer); // who asked may be gone
                });
            }
        });
        gate
    }

    /// A forced refresh of the default profile, whose answer is held back here.
    pub fn hold_refresh(env: &TestEnv, sandbox: &Sandbox) -> (Running, Gate) {
        let gate = Gate::before(env, sandbox);
        let running = Running::start(env.gauth(&["token", "--force-refresh"]));
        gate.held.recv_timeout(DEADLINE).expect("an answer to hold");
        (running, gate)
    }

    /// Lets through what is held and what is to come.
    pub fn open(&self) {
        *self.opening.is_open.lock().expect("a lock") = true;
        self.opening.opened.notify_all();
    }
}

impl Opening {
    fn wait(&self) {
        let is_open = self.is_open.lock().expect("a lock");
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).expect("a lock"));
    }
}

/// One whole form post, which is text.
fn request(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.split_once("\r\n\r\n").is_some_and(|(head, body)| body.len() >= content_length(head)) {
            return text;
        }
        let count = stream.read(&mut chunk).expect("a request");
        assert!(count > 0, "half a request: {text:?}");
        bytes.extend_from_slice(&chunk[..count]);
    }
}

fn content_length(head: &str) -> usize {
    let lengths = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = lengths.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().map_or(0, |(_, length)| length.trim().parse().expect("a length"))
}

fn ask(provider: &str, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(provider).expect("a provider");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}
