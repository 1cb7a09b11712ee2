//! L-21: whom the client believes, and that nobody else gets as much as a request line.

use std::io::{Read, Write};
use std::path::PathBuf;

use gauth::error::Error;
use gauth::{Client, Clock, Http, HttpOptions, Provider, TokenEndpoint};
use oauth2::{ClientId, ClientSecret, RefreshToken};
use rustls::version::{TLS12, TLS13};
use serde_json::Value;

use crate::authority::{Authority, Identity, expired, for_clients_only, not_yet_valid, pem, self_signed};
use crate::server::{Server, serve_tls};

fn get(http: &Http, server: &Server) -> gauth::Result<Option<Value>> {
    http.get_json(&server.https())
}

/// No request arrived, and it was not tried again: a certificate is not a matter of the moment.
fn is_refused(http: &Http, server: &Server, name: &str) {
    let refused = get(http, server).expect_err(name);
    assert!(matches!(refused, Error::CertificateRefused { .. }), "{name}: {refused:?}");
    assert!(!refused.is_transient(), "{name}");
    assert_eq!((server.seen().len(), server.connections()), (0, 1), "{name}");
}

#[test]
fn a_certificate_of_the_authority_in_the_file_is_trusted() {
    let authority = Authority::new();
    let http = authority.trusted();
    for identity in [authority.good("127.0.0.1"), authority.good_by_way_of_another("127.0.0.1", true)] {
        let server = Server::tls(&identity);
        assert!(get(&http, &server).is_ok_and(|answer| answer.is_some()));
        assert_eq!(server.seen().len(), 1);
    }
    let named = Server::tls(&authority.good("localhost"));
    let answer = http.get_json::<Value>(&named.url("https", "localhost"));
    assert!(answer.is_ok_and(|answer| answer.is_some()), "by name as well");
}

#[test]
fn tls_1_2_and_1_3_are_both_spoken() {
    let authority = Authority::new();
    let http = authority.trusted();
    for version in [&TLS12, &TLS13] {
        let config = authority.good("127.0.0.1").config(&[version]);
        let server = Server::start(move |stream, heads| serve_tls(stream, &config, heads));
        assert!(get(&http, &server).is_ok(), "{version:?}");
    }
}

#[test]
fn a_bad_certificate_is_refused_and_no_request_is_made() {
    let (authority, other) = (Authority::new(), Authority::new());
    let http = authority.trusted();
    let cases: [(&str, Identity); 8] = [
        ("self-signed", self_signed("127.0.0.1")),
        ("of another authority", other.good("127.0.0.1")),
        ("for another host", authority.good("op.example")),
        ("for another address", authority.good("127.0.0.2")),
        ("expired", authority.issue("127.0.0.1", expired)),
        ("not yet valid", authority.issue("127.0.0.1", not_yet_valid)),
        ("for clients only", authority.issue("127.0.0.1", for_clients_only)),
        ("by somebody who is no authority", authority.good_by_way_of_another("127.0.0.1", false)),
    ];
    for (name, identity) in cases {
        is_refused(&http, &Server::tls(&identity), name);
    }
}

#[test]
fn a_name_is_compared_whole() {
    let authority = Authority::new();
    let http = authority.trusted();
    for name in ["localhost.op.example", "local", "*.localhost", "xlocalhost"] {
        let server = Server::tls(&authority.good(name));
        let refused = http.get_json::<Value>(&server.url("https", "localhost"));
        assert!(matches!(refused, Err(Error::CertificateRefused { .. })), "{name}: {refused:?}");
        assert!(server.seen().is_empty(), "{name}");
    }
}

/// A machine without any roots cannot even set TLS up; either way nothing is sent.
#[test]
fn without_the_file_the_system_decides_and_does_not_know_the_authority() {
    let server = Server::tls(&Authority::new().good("127.0.0.1"));
    let refused = get(&Http::default(), &server).expect_err("an unknown authority");
    let has_roots = !matches!(refused, Error::NetworkSetup(_));
    assert!(!has_roots || matches!(refused, Error::CertificateRefused { .. }), "{refused:?}");
    assert!(server.seen().is_empty());
}

#[test]
fn the_file_takes_the_place_of_the_systems_roots_and_is_not_added_to_another() {
    let (one, two) = (Authority::new(), Authority::new());
    let server = Server::tls(&one.good("127.0.0.1"));
    is_refused(&two.trusted(), &server, "the other file");
}

/// The request that would carry a client secret and a refresh token.
#[test]
fn a_token_endpoint_with_a_bad_certificate_gets_no_secret() {
    let authority = Authority::new();
    let server = Server::tls(&self_signed("127.0.0.1"));
    let revocation_endpoint = Some(server.https());
    let provider = Provider { token_endpoint: server.https(), revocation_endpoint, ..Provider::google() };
    let client = Client { id: ClientId::new("c".into()), secret: Some(ClientSecret::new("canary".into())) };
    let (http, clock, token) = (authority.trusted(), Clock::system(), RefreshToken::new("canary".into()));
    let endpoint = TokenEndpoint { provider: &provider, client: &client, http: &http, clock: &clock };
    for refused in
        [endpoint.refresh(&token, None).tokens.expect_err("no trust"), endpoint.revoke(&token).expect_err("no trust")]
    {
        assert!(matches!(refused, Error::CertificateRefused { .. }), "{refused:?}");
        assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    }
    assert!(server.seen().is_empty());
}

/// RFC 8996. The server answers the greeting of TLS 1.2 and later with version 1.0 or 1.1, as an old one would.
#[test]
fn tls_1_0_and_1_1_are_not_spoken() {
    let authority = Authority::new();
    let http = authority.trusted();
    for minor in [1, 2] {
        let server = Server::start(move |mut stream, heads| {
            let _ = stream.read(&mut [0; 4096]);
            let mut hello = vec![3, minor];
            hello.extend([7; 32]); // random
            hello.extend([0, 0xc0, 0x13, 0]); // no session, ECDHE-RSA-AES128-CBC-SHA, no compression
            let handshake = [&[2, 0, 0, hello.len() as u8], &hello[..]].concat();
            let record = [&[22, 3, minor, 0, handshake.len() as u8], &handshake[..]].concat();
            let _ = stream.write_all(&record);
            // an alert (21), and nothing of a handshake that would go on
            let mut answer = [0; 5];
            if stream.read_exact(&mut answer).is_ok() && answer[0] != 21 {
                heads.lock().expect("the log").push(format!("{answer:?}"));
            }
        });
        let failed = get(&http, &server).expect_err("an old version");
        assert!(matches!(failed, Error::Unreachable { .. }), "1.{}: {failed:?}", minor - 1);
        assert!(server.connections() > 0 && server.seen().is_empty(), "{:?}", server.seen());
    }
}

/// As a plain HTTP server answers a greeting that it takes for a broken request.
#[test]
fn a_server_that_speaks_no_tls_gets_no_request() {
    let authority = Authority::new();
    let server = Server::start(|mut stream, heads| {
        let mut greeting = [0; 4096];
        let length = stream.read(&mut greeting).unwrap_or(0);
        if greeting[..length].windows(3).any(|word| word == b"GET") {
            heads.lock().expect("the log").push("a request in the clear".to_owned());
        }
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}");
    });
    let failed = get(&authority.trusted(), &server).expect_err("no TLS");
    assert!(matches!(failed, Error::Unreachable { .. }), "{failed:?}");
    assert!(server.connections() > 0 && server.seen().is_empty());
}

#[test]
fn http_is_spoken_with_this_machine_only() {
    let server = Server::plain();
    let http = Http::default();
    assert!(http.get_json::<Value>(&server.url("http", "127.0.0.1")).is_ok());
    for host in
        ["0.0.0.0", "op.example", "127.0.0.1.op.example", "10.0.0.1", "[::ffff:10.0.0.1]", "localhost.op.example"]
    {
        let refused = http.get_json::<Value>(&server.url("http", host));
        assert!(matches!(refused, Err(Error::EndpointRefused { .. })), "{host}: {refused:?}");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn a_ca_file_that_cannot_be_used_is_named_and_nothing_else_is_trusted_in_its_place() {
    let server = Server::tls(&Authority::new().good("127.0.0.1"));
    let folder = tempfile::tempdir().expect("a folder");
    let with_text = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a written file");
        path
    };
    let broken = pem("CERTIFICATE", b"no certificate");
    let files: [PathBuf; 6] = [
        folder.path().join("missing.pem"),
        folder.path().to_owned(),
        with_text("empty.pem", ""),
        with_text("text.pem", "hello"),
        with_text("key.pem", &pem("PRIVATE KEY", b"x")),
        with_text("broken.pem", &broken),
    ];
    for file in files {
        let http = Http::new(HttpOptions { ca_file: Some(file.clone()), ..HttpOptions::default() });
        let refused = get(&http, &server).expect_err("no usable file");
        assert!(matches!(refused, Error::NetworkSetup(_)), "{}: {refused:?}", file.display());
        assert!(refused.to_string().contains(&file.display().to_string()), "{refused}");
    }
    assert_eq!(server.connections(), 0);
}
