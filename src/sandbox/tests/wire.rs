//! The provider on its port, with a client that knows only sockets.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;
use crate::sandbox::{Config, Endpoint, Fault, Sandbox};

const A_WHILE: Duration = Duration::from_secs(30);

fn sandbox() -> Sandbox {
    Sandbox::start(Config::default()).unwrap()
}

fn connect(sandbox: &Sandbox) -> TcpStream {
    TcpStream::connect(sandbox.issuer().strip_prefix("http://").unwrap()).unwrap()
}

/// Sends a request and reads to the end of the connection.
fn send(sandbox: &Sandbox, head: &str, body: &str) -> io::Result<String> {
    let mut stream = connect(sandbox);
    stream.set_read_timeout(Some(A_WHILE))?;
    write!(stream, "{head}\r\nHost: {}\r\n\r\n{body}", sandbox.issuer().strip_prefix("http://").unwrap())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn get(sandbox: &Sandbox, target: &str) -> String {
    send(sandbox, &format!("GET {target} HTTP/1.1"), "").unwrap()
}

#[test]
fn it_answers_on_a_loopback_port_and_stops_when_dropped() {
    let sandbox = sandbox();
    let answer = get(&sandbox, "/.well-known/openid-configuration");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(sandbox.issuer()));
    assert_eq!(sandbox.count(Endpoint::Discovery), 1);
    let address = sandbox.issuer().strip_prefix("http://").unwrap().to_owned();
    drop(sandbox);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_taken_port_is_an_error() {
    let sandbox = sandbox();
    let port = sandbox.issuer().rsplit(':').next().unwrap().parse().unwrap();
    let error = Sandbox::start(Config { port, ..Config::default() }).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn forms_are_read_and_the_doors_share_the_provider() {
    let sandbox = sandbox();
    let url = url_with(&[("client_id", "sandbox-public")]).replace(ISSUER, sandbox.issuer());
    let code = query_of(&sandbox.approve(&url, ALICE))["code"].clone();
    let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", BACK)];
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .extend_pairs([("code_verifier", VERIFIER), ("client_id", "sandbox-public")])
        .finish();
    let head = format!("POST /token HTTP/1.1\r\nContent-Type: {}\r\nContent-Length: {}", FORM, form.len());
    let answer = send(&sandbox, &head, &form).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{}", answer.lines().next().unwrap());
    assert!(sandbox.issued().iter().skip(1).all(|issued| answer.contains(&issued.value)));
}

const FORM: &str = "application/x-www-form-urlencoded";

#[test]
fn a_hanging_answer_holds_up_nobody_else_and_not_the_end() {
    let sandbox = sandbox();
    sandbox.inject(Fault::Hang(A_WHILE).at(Endpoint::Jwks));
    let begun = Instant::now();
    let mut hanging = connect(&sandbox);
    hanging.write_all(b"GET /jwks HTTP/1.1\r\n\r\n").unwrap();
    while sandbox.count(Endpoint::Jwks) == 0 {
        std::thread::yield_now();
    }
    assert!(get(&sandbox, "/jwks").starts_with("HTTP/1.1 200"));
    drop(sandbox);
    let mut rest = Vec::new();
    let _ = hanging.read_to_end(&mut rest);
    assert!(rest.is_empty() && begun.elapsed() < A_WHILE);
}

#[test]
fn a_silent_connection_does_not_delay_the_end() {
    let sandbox = sandbox();
    let _silent = connect(&sandbox);
    get(&sandbox, "/jwks");
    let begun = Instant::now();
    drop(sandbox);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_slow_answer_is_late_and_a_drip_is_whole() {
    let sandbox = sandbox();
    let whole = get(&sandbox, "/jwks");
    sandbox.inject(Fault::Slow(Duration::from_millis(200)).at(Endpoint::Jwks));
    let begun = Instant::now();
    assert_eq!(get(&sandbox, "/jwks"), whole);
    assert!(begun.elapsed() >= Duration::from_millis(200));
    sandbox.inject(Fault::Drip(Duration::from_micros(1)).at(Endpoint::Jwks));
    assert_eq!(get(&sandbox, "/jwks"), whole);
}

#[test]
fn a_truncated_answer_is_shorter_than_it_says_and_a_lost_one_is_nothing() {
    let sandbox = sandbox();
    let whole = get(&sandbox, "/jwks");
    sandbox.inject(Fault::Truncated.at(Endpoint::Jwks));
    let cut = get(&sandbox, "/jwks");
    assert!(cut.len() < whole.len() && whole.starts_with(&cut) && cut.contains("Content-Length: "));
    sandbox.inject(Fault::LostAfter.at(Endpoint::Jwks));
    assert_eq!(get(&sandbox, "/jwks"), "");
}

#[test]
fn oversized_and_broken_requests_are_refused_without_reading_them() {
    let sandbox = sandbox();
    for (head, status) in [
        ("POST /token HTTP/1.1\r\nContent-Length: 999999999999", "413"),
        ("POST /token HTTP/1.1\r\nTransfer-Encoding: chunked", "411"),
        ("nonsense", "400"),
        (&format!("GET /{} HTTP/1.1", "x".repeat(20 << 10)), "431"),
    ] {
        let answer = send(&sandbox, head, "").unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}");
    }
}
