//! L-24: the proxy is for https requests to other machines; it sees where they go and nothing more; its password is
//! for it alone; the environment is not read.

use std::process::Command;
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use gauth::error::Error;
use gauth::{Http, HttpOptions};
use oauth2::AccessToken;
use serde_json::Value;
use url::Url;

use crate::authority::Authority;
use crate::proxy::Proxy;
use crate::server::Server;

fn through(proxy: &str) -> HttpOptions {
    HttpOptions { proxy: Some(proxy.to_owned()), ..HttpOptions::default() }
}

fn url(text: &str) -> Url {
    Url::parse(text).expect("a URL")
}

fn first_line(head: &str) -> &str {
    head.lines().next().unwrap_or_default()
}

#[test]
fn a_request_to_another_machine_goes_through_and_the_proxy_sees_only_the_host_and_the_port() {
    let authority = Authority::new();
    let proxy = Proxy::to(&authority.good("op.example"));
    for named in [format!("http://{}", proxy.authority()), format!("http://{}/", proxy.authority()), proxy.authority()]
    {
        let before = proxy.seen().len();
        let http = authority.trusted_with(through(&named));
        let token = AccessToken::new("canary".to_owned());
        let answer = http.get_json_as::<Value>(&url("https://op.example/canary?canary"), Some(&token));
        assert!(answer.as_ref().is_ok_and(Option::is_some), "{named}: {answer:?}");
        assert!(http.get_json::<Value>(&url("https://op.example:8443/x")).is_ok());
        let seen = proxy.seen().split_off(before);
        let lines: Vec<&str> = seen.iter().map(|head| first_line(head)).collect();
        assert_eq!(lines, ["CONNECT op.example:443 HTTP/1.1", "CONNECT op.example:8443 HTTP/1.1"]);
        assert!(!seen.concat().contains("canary"), "{seen:?}");
        assert!(proxy.inside()[before].contains("GET /canary?canary "), "the request itself is inside");
    }
}

#[test]
fn this_machine_is_never_reached_through_the_proxy() {
    let authority = Authority::new();
    let proxy = Proxy::to(&authority.good("op.example"));
    let http = authority.trusted_with(through(&proxy.authority()));
    let plain = Server::plain();
    for host in ["127.0.0.1", "localhost"] {
        assert!(http.get_json::<Value>(&plain.url("http", host)).is_ok(), "{host}");
        let secure = Server::tls(&authority.good(host));
        assert!(http.get_json::<Value>(&secure.url("https", host)).is_ok(), "{host}");
    }
    // nobody is there: each is tried three times, so all at once
    thread::scope(|scope| {
        for address in ["http://127.8.9.10:9/", "https://127.8.9.10:9/", "http://[::1]:9/", "https://[::1]:9/"] {
            let http = &http;
            scope.spawn(move || assert!(http.get_json::<Value>(&url(address)).is_err(), "{address}"));
        }
    });
    assert_eq!(plain.seen().len(), 2);
    assert_eq!(proxy.connections(), 0, "{:?}", proxy.seen());
}

#[test]
fn http_to_another_machine_is_refused_and_does_not_go_to_the_proxy_either() {
    let proxy = Proxy::refusing("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    let http = Http::new(through(&format!("http://{}", proxy.authority())));
    let refused = http.get_json::<Value>(&url("http://op.example/"));
    assert!(matches!(refused, Err(Error::EndpointRefused { .. })), "{refused:?}");
    assert_eq!(proxy.connections(), 0);
}

/// A proxy that opens the envelope is not trusted unless the person says so with a CA file.
#[test]
fn a_proxy_that_answers_for_the_other_machine_needs_a_certificate_that_is_trusted() {
    let (authority, other) = (Authority::new(), Authority::new());
    for identity in [other.good("op.example"), authority.good("proxy.example")] {
        let proxy = Proxy::to(&identity);
        let http = authority.trusted_with(through(&format!("http://{}", proxy.authority())));
        let refused = http.get_json::<Value>(&url("https://op.example/"));
        assert!(matches!(refused, Err(Error::CertificateRefused { .. })), "{refused:?}");
        assert_eq!((proxy.seen().len(), proxy.inside().len()), (1, 0));
    }
}

#[test]
fn a_host_on_the_list_of_exceptions_is_not_reached_through_the_proxy() {
    let authority = Authority::new();
    let proxy = Proxy::to(&authority.good("op.example"));
    let exceptions = "intern.example, 0.0.0.0";
    let options = HttpOptions { no_proxy: Some(exceptions.to_owned()), ..through(&proxy.authority()) };
    let http = authority.trusted_with(options);
    // not a loopback address by name, and yet no other machine: nothing of the test leaves this one
    let direct = http.get_json::<Value>(&url("https://0.0.0.0:9/"));
    assert!(matches!(direct, Err(Error::Unreachable { .. })), "{direct:?}");
    assert_eq!(proxy.connections(), 0);
    assert!(http.get_json::<Value>(&url("https://op.example/")).is_ok(), "the others are");
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn the_password_of_the_proxy_goes_to_the_proxy_and_to_nobody_else() {
    let authority = Authority::new();
    let proxy = Proxy::to(&authority.good("op.example"));
    let http = authority.trusted_with(through(&format!("http://user:c%40nary@{}", proxy.authority())));
    assert!(http.get_json::<Value>(&url("https://op.example/")).is_ok());
    let basic = BASE64_STANDARD.encode("user:c@nary");
    assert!(proxy.seen()[0].to_lowercase().contains("proxy-authorization: basic "), "{:?}", proxy.seen());
    assert!(proxy.seen()[0].contains(&basic), "decoded before it is sent");
    assert!(!proxy.inside()[0].to_lowercase().contains("proxy-authorization"), "{:?}", proxy.inside());
}

#[test]
fn the_password_of_the_proxy_is_in_no_error() {
    let dead = Server::plain().authority();
    let refusals = [
        "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        "garbage\r\n\r\n",
        "",
    ];
    let proxies: Vec<Proxy> = refusals.into_iter().map(Proxy::refusing).collect();
    let addresses = proxies.iter().map(Proxy::authority).chain([dead]);
    // each is tried three times, so all at once
    thread::scope(|scope| {
        addresses.for_each(|address| drop(scope.spawn(move || the_error_through(&address))));
    });
}

fn the_error_through(address: &str) {
    let (authority, options) = (Authority::new(), through(&format!("http://user:canary@{address}")));
    let http = authority.trusted_with(options.clone());
    let failed = http.get_json::<Value>(&url("https://op.example/")).expect_err("no tunnel");
    assert!(matches!(failed, Error::Unreachable { .. }), "{failed:?}");
    let shown = format!("{failed} {failed:?} {http:?} {options:?}");
    let encoded = BASE64_STANDARD.encode("user:canary");
    assert!(!shown.contains("canary") && !shown.contains(&encoded), "{shown}");
}

#[test]
fn a_proxy_that_is_no_url_is_an_error_without_its_text() {
    for bad in ["http://user:canary@", "http://user:canary@[::1", "://canary", "http://user:canary@127.0.0.1:99999"] {
        is_unusable(bad);
    }
}

/// The request would else go out directly, past what the person put there for a reason; `ALL_PROXY=socks5://` is common.
#[test]
fn a_proxy_of_a_kind_that_is_not_supported_is_an_error_and_is_not_left_out() {
    for bad in ["canary://user:canary@127.0.0.1:9", "socks5://user:canary@127.0.0.1:9", "socks5h://127.0.0.1:9"] {
        is_unusable(bad);
    }
}

fn is_unusable(proxy: &str) {
    let (authority, direct) = (Authority::new(), Server::plain());
    let http = authority.trusted_with(through(proxy));
    let refused = http.get_json::<Value>(&direct.url("https", "0.0.0.0")).expect_err("no proxy");
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    assert_eq!(direct.connections(), 0, "{proxy} was left out");
    assert!(matches!(refused, Error::NetworkSetup(_)), "{proxy}: {refused:?}");
}

/// Run by the next test once more, with proxies in its environment.
#[test]
fn requests_with_proxies_in_the_environment() {
    let (authority, plain) = (Authority::new(), Server::plain());
    let http = authority.trusted();
    let direct = http.get_json::<Value>(&url("https://0.0.0.0:9/"));
    assert!(matches!(direct, Err(Error::Unreachable { .. })), "{direct:?}");
    assert!(http.get_json::<Value>(&plain.url("http", "127.0.0.1")).is_ok());
}

/// The program reads HTTPS_PROXY and hands it over; the library looks for nothing itself (and so is no httpoxy).
#[test]
fn the_environment_is_not_looked_at() {
    let proxy = Proxy::refusing("HTTP/1.1 502 X\r\nContent-Length: 0\r\n\r\n");
    let mut child = Command::new(std::env::current_exe().expect("this test"));
    child.args(["--exact", "proxies::requests_with_proxies_in_the_environment"]);
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://{}", proxy.authority()));
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert_eq!(proxy.connections(), 0, "{:?}", proxy.seen());
}
