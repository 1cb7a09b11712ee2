//! The storm: bad requests and dripping connections at once, and then the one right answer, which gets through at once
//! (L-5, L-9, L-11).
#![cfg(feature = "cli")]

mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use gauth::sandbox::Endpoint;
use support::{ALICE, Running, TestEnv, figure, http, sandbox};

const BAD_REQUESTS: usize = 1000;
const DRIPPING: usize = 200;

/// Everything that is no answer to the login; STATE is the right one, which alone is not enough.
fn bad_requests(login: &Running) -> Vec<Vec<u8>> {
    let navigation = |target: &str| http::navigation("HOST", target);
    let with = |line: &str| format!("GET /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\n{line}\r\n\r\n");
    let texts = [
        navigation("/?code=c&state=guess"),
        navigation("/?code=c"),
        navigation("/?error=access_denied"),
        navigation("/?error=access_denied&state=guess"),
        navigation("/?code=c&state=STATE&state=STATE"),
        navigation("/?code=c&error=e&state=STATE"),
        navigation("/favicon.ico"),
        navigation("/elsewhere?code=c&state=STATE"),
        http::navigation("evil.example", "/?code=c&state=STATE"),
        http::navigation("localhost", "/?code=c&state=STATE"),
        "POST /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HEAD /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\n\r\n".to_owned(),
        with("Sec-Fetch-Mode: no-cors"),
        with("Sec-Fetch-Dest: image"),
        with("Sec-Purpose: prefetch"),
        with("Content-Length: 7"),
        "GET /?code=c&state=STATE HTTP/1.1\r\n\r\n".to_owned(),
        "GET /?code=c&state=STATE\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ];
    texts.map(|text| text.replace("HOST", &login.authority()).replace("STATE", &login.state()).into_bytes()).into()
}

/// Keeps this many connections open, and sends a byte of a head on each of them again and again until it is told to stop.
/// Those that were hung up on are opened anew.
fn drip(address: SocketAddr, is_over: &AtomicBool, opened: &AtomicBool) {
    let mut streams: Vec<TcpStream> = Vec::new();
    for byte in b"GET /?code=".iter().cycle() {
        while streams.len() < DRIPPING {
            match http::connect(address) {
                Ok(stream) => streams.push(stream),
                Err(_) => return, // the login is over, and its port closed
            }
        }
        opened.store(true, Ordering::SeqCst);
        streams.retain_mut(|stream| stream.write_all(&[*byte]).is_ok());
        if is_over.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// Ends the dripping, also when an assertion fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn after_a_thousand_bad_requests_and_among_two_hundred_dripping_connections_the_right_answer_takes_less_than_a_second()
{
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let mut login = env.login(&sandbox, &["--json"]);
    let (requests, is_over, opened) = (bad_requests(&login), AtomicBool::new(false), AtomicBool::new(false));
    let address = login.address();
    let took = thread::scope(|scope| {
        let stop = Stop(&is_over);
        let dripping = scope.spawn(|| drip(address, &is_over, &opened));
        support::until("two hundred dripping connections", || opened.load(Ordering::SeqCst));
        let mut turned_away = 0;
        for request in requests.iter().cycle().take(BAD_REQUESTS) {
            // A connection that was hung up on to make room is turned away as well.
            if let Some(answer) = http::send(address, request).expect("a connection") {
                assert!((400..500).contains(&answer.status), "{answer:?}");
                turned_away += 1;
            }
        }
        assert!(turned_away > BAD_REQUESTS / 2, "most were answered: {turned_away}");
        assert!(login.is_running() && sandbox.count(Endpoint::Token) == 0, "the login still waits");

        let redirect = sandbox.approve(login.url(), ALICE);
        let begun = Instant::now();
        login.visit(&redirect).assert_signed_in(ALICE);
        let took = begun.elapsed();
        drop(stop);
        dripping.join().expect("an end");
        took
    });
    assert_eq!(login.wait().succeeded().json()["email"], ALICE);
    assert_eq!(sandbox.count(Endpoint::Token), 1, "one exchange");
    // What is promised to a person who waits, and no measure of speed: it takes a few milliseconds.
    assert!(took < Duration::from_secs(1), "{took:?}");
    figure("bad requests survived by a login", BAD_REQUESTS);
    figure("dripping connections survived by a login", DRIPPING);
}
