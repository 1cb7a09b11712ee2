//! Requests that are no navigation of a browser to our address: each is turned away by its head, within limits, and the
//! login goes on waiting (L-4, L-5, L-10, L-11).
#![cfg(feature = "cli")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use gauth::sandbox::{Endpoint, Sandbox};
use support::{ALICE, Answer, Running, TestEnv, http, sandbox};

struct Waiting {
    _env: TestEnv,
    sandbox: Sandbox,
    login: Running,
}

impl Waiting {
    fn new() -> Waiting {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let login = env.login(&sandbox, &[]);
        Waiting { _env: env, sandbox, login }
    }

    /// HOST, PORT and STATE stand for the right ones.
    fn filled(&self, request: &str) -> String {
        let port = self.login.address().port().to_string();
        let request = request.replace("HOST", &self.login.authority()).replace("PORT", &port);
        request.replace("STATE", &self.login.state())
    }

    /// Sends a request head with the right state in its target, which must be refused with this status.
    fn refuses(&self, request: &str, status: u16) -> Answer {
        let answer = http::answer_to(self.login.address(), self.filled(request).as_bytes());
        assert_eq!(answer.status, status, "{request:.200}");
        answer.assert_strict_headers();
        assert!(!answer.body.contains(&self.login.state()));
        answer
    }

    fn connect(&self) -> TcpStream {
        http::connect(self.login.address()).expect("a connection")
    }

    /// The state was not used up by anything before.
    fn ends_well(self) {
        assert_eq!(self.sandbox.count(Endpoint::Token), 0);
        let redirect = self.sandbox.approve(self.login.url(), ALICE);
        self.login.visit(&redirect).assert_signed_in(ALICE);
        self.login.wait().succeeded();
    }
}

const TARGET: &str = "/?code=c&state=STATE";

/// L-4: DNS rebinding leads other people's pages here, under their own name.
#[test]
fn a_host_that_is_not_exactly_ours_is_turned_away() {
    let waiting = Waiting::new();
    for host in [
        "Host: evil.example",
        "Host: evil.example:PORT",
        "Host: localhost:PORT",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        "Host: [::1]:PORT",
        "Host: HOST.evil.example",
        "Host: evil@HOST",
        "Host: HOST\r\nHost: HOST",
        "Host: HOST\r\nHost: evil.example",
        "Host: ",
        "X: y",
    ] {
        waiting.refuses(&format!("GET {TARGET} HTTP/1.1\r\n{host}\r\n\r\n"), 421);
        waiting.refuses(&format!("GET {TARGET} HTTP/1.0\r\n{host}\r\n\r\n"), 421);
    }
    waiting.ends_well();
}

#[test]
fn a_target_in_another_form_is_turned_away() {
    let waiting = Waiting::new();
    for target in ["http://HOST/?code=c&state=STATE", "http://evil.example/", "*", "evil", "/\u{e4}?code=c&state=STATE"]
    {
        waiting.refuses(&format!("GET {target} HTTP/1.1\r\nHost: HOST\r\n\r\n"), 400);
    }
    waiting.ends_well();
}

/// L-5: pictures, scripts, frames and speculation are no sign-in.
#[test]
fn what_a_browser_does_not_call_a_navigation_is_turned_away() {
    let waiting = Waiting::new();
    for line in [
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Mode: websocket",
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-Dest: iframe",
        "Sec-Fetch-Dest: empty",
        "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: frame",
        "Sec-Purpose: prefetch",
        "Sec-Purpose: prefetch;prerender",
        "Purpose: prefetch",
    ] {
        waiting.refuses(&format!("GET {TARGET} HTTP/1.1\r\nHost: HOST\r\n{line}\r\n\r\n"), 403);
    }
    waiting.ends_well();
}

/// A browser that says nothing about what a request is for is judged by the state alone.
#[test]
fn a_browser_without_fetch_metadata_can_sign_in() {
    let waiting = Waiting::new();
    let redirect = url::Url::parse(&waiting.sandbox.approve(waiting.login.url(), ALICE)).expect("a redirect");
    let request = format!("GET /?{} HTTP/1.1\r\nhOST: HOST\r\n\r\n", redirect.query().expect("a query"));
    let answer = http::answer_to(waiting.login.address(), waiting.filled(&request).as_bytes());
    assert_eq!(answer.status, 303);
    waiting.login.wait().succeeded();
}

/// L-10.
#[test]
fn only_get_is_allowed_and_no_other_method_uses_up_the_state() {
    let waiting = Waiting::new();
    for method in ["HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get", "BREW"] {
        let answer = waiting.refuses(&format!("{method} {TARGET} HTTP/1.1\r\nHost: HOST\r\n\r\n"), 405);
        assert_eq!(answer.header("Allow"), Some("GET"), "{method}");
    }
    waiting.refuses("CONNECT HOST HTTP/1.1\r\nHost: HOST\r\n\r\n", 400);
    waiting.ends_well();
}

/// L-10: bodies, upgrades and further requests on the same connection.
#[test]
fn a_body_or_an_upgrade_is_turned_away_unread() {
    let waiting = Waiting::new();
    for lines in [
        "Content-Length: 5\r\n\r\nhello",
        "Content-Length: 99999999999\r\n\r\n",
        "Content-Length: 99999999999999999999999\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        waiting.refuses(&format!("GET {TARGET} HTTP/1.1\r\nHost: HOST\r\n{lines}"), 400);
        waiting.refuses(&format!("POST {TARGET} HTTP/1.1\r\nHost: HOST\r\n{lines}"), 405);
    }
    waiting.ends_well();
}

#[test]
fn a_second_request_on_the_same_connection_is_not_answered() {
    let waiting = Waiting::new();
    let second = http::navigation("HOST", TARGET);
    let answer = waiting.refuses(&format!("GET /favicon.ico HTTP/1.1\r\nHost: HOST\r\n\r\n{second}"), 404);
    assert_eq!(answer.body.matches("<html").count(), 1);
    waiting.ends_well();
}

/// L-11: malformed on purpose.
#[test]
fn a_head_that_is_no_head_is_turned_away() {
    let waiting = Waiting::new();
    for head in [
        "GET /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\nX: a\r\n folded\r\n\r\n",
        "GET /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\nno colon\r\n\r\n",
        "GET /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\nX: a\0b\r\n\r\n",
        "GET /?code=c&state=STATE\0 HTTP/1.1\r\nHost: HOST\r\n\r\n",
        "GET /?code=c&state=STATE HTTP/9.9\r\nHost: HOST\r\n\r\n",
        "GET /?code=c&state=STATE\r\n\r\n",
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\r\n\r\n",
        "GET  /?code=c&state=STATE HTTP/1.1\r\nHost: HOST\r\n\r\n",
    ] {
        waiting.refuses(head, 400);
    }
    waiting.ends_well();
}

#[test]
fn too_many_headers_are_turned_away() {
    let waiting = Waiting::new();
    waiting.refuses(&format!("GET {TARGET} HTTP/1.1\r\nHost: HOST\r\n{}\r\n", "X: y\r\n".repeat(80)), 431);
    waiting.ends_well();
}

/// L-11: a line of a MiB is refused after 16 KiB of it. The answer may be lost to a sender that does not stop sending.
#[test]
fn a_request_line_of_a_mebibyte_is_turned_away() {
    let waiting = Waiting::new();
    let line = waiting.filled(&format!("GET {TARGET}&x={} HTTP/1.1\r\nHost: HOST\r\n\r\n", "x".repeat(1 << 20)));
    if let Some(answer) = http::send(waiting.login.address(), line.as_bytes()).expect("a connection") {
        assert!([414, 431].contains(&answer.status), "{answer:?}");
    }
    let long = format!("GET {TARGET}&x={} HTTP/1.1\r\nHost: HOST\r\n\r\n", "x".repeat(16 * 1024));
    waiting.refuses(&long, 431);
    waiting.ends_well();
}

/// L-11: other providers' codes are far longer than Google's.
#[test]
fn a_code_of_eight_kibibytes_is_read_whole() {
    let waiting = Waiting::new();
    let query = [("code", "c".repeat(8 * 1024)), ("state", waiting.login.state())];
    let iss = ("iss", waiting.sandbox.issuer().to_owned());
    let base = waiting.login.redirect_uri();
    let url = url::Url::parse_with_params(base.as_str(), query.iter().cloned().chain([iss])).expect("a URL");
    waiting.login.visit(url.as_str()).assert_not_signed_in();
    waiting.login.wait().failed_with(1).said("invalid_grant");
    let seen = waiting.sandbox.seen();
    let exchange = seen.iter().find(|seen| seen.endpoint == Endpoint::Token).expect("an exchange");
    assert_eq!(exchange.param("code").map(str::len), Some(8 * 1024));
}

/// L-11: the sender ends, not the memory.
#[test]
fn a_head_without_an_end_is_cut_off_and_costs_no_memory() {
    let waiting = Waiting::new();
    for part in ["x".repeat(64 * 1024), "X: y\r\n".repeat(8 * 1024)] {
        let mut stream = waiting.connect();
        let begin = waiting.filled("GET / HTTP/1.1\r\nHost: HOST\r\nX: ");
        let mut sent = stream.write_all(begin.as_bytes());
        let mut count = 0_usize;
        while sent.is_ok() && count < 64 << 20 {
            sent = stream.write_all(part.as_bytes());
            count += part.len();
        }
        assert!(sent.is_err(), "it hung up long before 64 MiB");
    }
    #[cfg(target_os = "linux")]
    assert!(peak_memory(waiting.login.id()) < 64 << 20);
    waiting.ends_well();
}

/// The most memory that a process ever held, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a live process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    let kilobytes = line.split_whitespace().nth(1).expect("a number").parse::<u64>();
    kilobytes.expect("a number") * 1024
}

/// L-11: two hundred connections that drip their heads byte by byte.
#[test]
fn two_hundred_dripping_connections_do_not_keep_the_right_one_out() {
    let waiting = Waiting::new();
    let mut dripping: Vec<TcpStream> = (0..200).map(|_| waiting.connect()).collect();
    for byte in b"GET /?code=" {
        for stream in &mut dripping {
            // Those that were hung up on cannot be written to any more.
            let _ = stream.write_all(&[*byte]);
        }
    }
    waiting.ends_well();
    drop(dripping);
}

/// L-11: connections are bounded, and room is made by hanging up on the oldest. That the later ones are still answered
/// tells this from the time limit, which ends all of them together.
#[test]
fn the_oldest_silent_connection_is_hung_up_on_when_there_are_too_many() {
    let waiting = Waiting::new();
    let mut oldest = waiting.connect();
    let mut others: Vec<TcpStream> = (0..40).map(|_| waiting.connect()).collect();
    assert_eq!(oldest.read(&mut [0; 1]).unwrap_or(0), 0, "hung up");
    let request = waiting.filled(&http::navigation("HOST", "/favicon.ico"));
    for stream in &mut others[10..] {
        stream.write_all(request.as_bytes()).expect("an open connection");
        assert_eq!(http::read_answer(stream).map(|answer| answer.status), Some(404));
    }
    waiting.ends_well();
}
