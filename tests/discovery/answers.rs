//! L-22, L-23: answers that are no document. None is followed, none is read without end, and a failure of the moment
//! is tried again a bounded number of times.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gauth::error::Error;
use gauth::sandbox::{Config, Endpoint, Fault, Sandbox};
use gauth::{Client, Clock, Http, Provider, TokenEndpoint};
use oauth2::RefreshToken;
use serde_json::{Value, json};
use url::Url;

use crate::server::{Server, answer, document};

#[test]
fn an_answer_that_is_no_json_object_of_that_shape_is_refused() {
    for body in
        ["", " ", "<!DOCTYPE html><title>Sign in</title>", "{", "[]", "null", "\"x\"", "{}", "{}{}", "\u{feff}{}"]
    {
        for content_type in ["application/json", "text/html"] {
            let refused = Server::saying(200, content_type, body).discover();
            assert!(matches!(refused, Err(Error::Discovery { .. })), "{body:?}: {refused:?}");
        }
    }
}

/// Captive portals and proxies answer so; nothing of their page gets into the error.
#[test]
fn no_part_of_a_body_is_in_the_error() {
    for body in ["canary", "{\"issuer\":\"x\",\"authorization_endpoint\":\"canary\"}", "{\"canary\":"] {
        let refused = Server::saying(200, "text/html", body).discover().expect_err("no document");
        assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    }
}

#[test]
fn a_status_other_than_200_and_404_ends_the_search() {
    for status in [201, 204, 400, 401, 403, 410, 418, 501] {
        let server = Server::saying(status, "application/json", "{}");
        let refused = server.discover();
        assert!(matches!(refused, Err(Error::Discovery { .. })), "{status}: {refused:?}");
        assert_eq!(server.seen().len(), 1, "{status}");
    }
}

#[test]
fn a_redirect_is_an_error_and_nobody_is_visited() {
    for status in [301, 302, 303, 307, 308] {
        let trap = Server::trap();
        let location = format!("{}/.well-known/openid-configuration", trap.base());
        let server = Server::start(move |_, _, stream| {
            let _ = write!(stream, "HTTP/1.1 {status} X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        });
        let refused = server.discover();
        assert!(matches!(refused, Err(Error::Discovery { .. })), "{status}: {refused:?}");
        assert_eq!((server.seen().len(), trap.seen().len()), (1, 0), "{status}");
    }
}

/// The same at the endpoints that get secrets: a 307 would carry them along.
#[test]
fn no_redirect_is_followed_at_the_token_revocation_key_and_userinfo_endpoints_either() {
    let (sandbox, trap) = (Sandbox::start(Config::default()).expect("a sandbox"), Server::trap());
    for endpoint in [Endpoint::Token, Endpoint::Revoke, Endpoint::Jwks, Endpoint::UserInfo] {
        sandbox.inject(Fault::Redirect(trap.base()).at(endpoint));
    }
    let (http, clock, client) = (Http::default(), Clock::system(), Client::public("sandbox-public"));
    let provider = Provider::discover(sandbox.issuer(), &http).expect("a provider");
    let at = TokenEndpoint { provider: &provider, client: &client, http: &http, clock: &clock };
    let token = RefreshToken::new("canary".to_owned());
    let refused = |error: Error| assert!(matches!(error, Error::BadAnswer { .. }), "{error:?}");
    refused(at.refresh(&token, None).tokens.expect_err("a redirect"));
    refused(at.revoke(&token).expect_err("a redirect"));
    for url in [&provider.jwks_uri, &provider.userinfo_endpoint] {
        refused(http.get_json::<Value>(url.as_ref().expect("an endpoint")).expect_err("a redirect"));
    }
    assert!(trap.seen().is_empty());
}

#[test]
fn a_document_may_have_512_kib_and_not_a_byte_more() {
    let padded = |bytes: usize| {
        Server::start(move |base, _, stream| {
            let short = document(base, &json!({ "padding": "" }));
            let body = document(base, &json!({ "padding": "x".repeat(bytes - short.len()) }));
            assert_eq!(body.len(), bytes);
            answer(stream, 200, "application/json", &body);
        })
    };
    assert!(padded(512 * 1024).discover().is_ok());
    let refused = padded(512 * 1024 + 1).discover();
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let server = Server::start(move |_, _, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        while count.load(Ordering::SeqCst) < 1 << 28 && stream.write_all(chunk.as_bytes()).is_ok() {
            count.fetch_add(0x10000, Ordering::SeqCst);
        }
    });
    let refused = server.discover();
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
    drop(server);
    assert!(sent.load(Ordering::SeqCst) < 1 << 26, "what the buffers between hold, not all 256 MiB");
}

/// Nobody asked for compression, so a bomb is only a document that is no JSON.
#[test]
fn a_compressed_bomb_is_not_unpacked() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    sandbox.inject(Fault::GzipBomb.at(Endpoint::Discovery));
    let refused = Provider::discover(sandbox.issuer(), &Http::default());
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
    assert!(sandbox.seen()[0].header("Accept-Encoding").is_none_or(|accepted| !accepted.contains("gzip")));
}

#[test]
fn deep_json_is_refused_without_harm() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let refused = Server::saying(200, "application/json", deep).discover();
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
}

#[test]
fn an_answer_that_is_cut_is_tried_again_and_then_unreachable() {
    let server = Server::start(|base, _, stream| {
        let body = document(base, &json!({}));
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.len(), &body[..body.len() / 2]);
    });
    let failed = server.discover();
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn trouble_of_the_moment_is_tried_again_three_times_in_all() {
    let (sandbox, http) = (Sandbox::start(Config::default()).expect("a sandbox"), Http::default());
    let busy = |status| Fault::RetryAfter { status, seconds: 0 }.at(Endpoint::Discovery);
    sandbox.inject(busy(503).times(2));
    assert!(Provider::discover(sandbox.issuer(), &http).is_ok());
    assert_eq!(sandbox.count(Endpoint::Discovery), 3);
    for status in [408, 429, 500, 502, 503, 504] {
        let before = sandbox.count(Endpoint::Discovery);
        sandbox.inject(busy(status).times(3));
        let failed = Provider::discover(sandbox.issuer(), &http).expect_err("busy");
        assert!(matches!(failed, Error::ServerFailed { status: seen, .. } if seen == status), "{failed:?}");
        assert!(failed.is_transient());
        assert_eq!(sandbox.count(Endpoint::Discovery), before + 3);
    }
}

#[test]
fn a_provider_that_asks_for_an_hour_is_not_waited_for() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    sandbox.inject(Fault::RetryAfter { status: 503, seconds: 3600 }.at(Endpoint::Discovery));
    let failed = Provider::discover(sandbox.issuer(), &Http::default()).expect_err("busy");
    let hour = Duration::from_secs(3600);
    assert!(matches!(failed, Error::ServerFailed { retry_after: Some(asked), .. } if asked == hour), "{failed:?}");
    assert_eq!(sandbox.count(Endpoint::Discovery), 1);
}

#[test]
fn an_answer_byte_by_byte_ends_by_the_clock_and_is_not_asked_for_again() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    sandbox.inject(Fault::Drip(Duration::from_millis(500)).at(Endpoint::Discovery).times(3));
    let failed = Provider::discover(sandbox.issuer(), &Http::default());
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
    assert_eq!(sandbox.count(Endpoint::Discovery), 1, "a person has waited long enough");
}

#[test]
fn a_port_where_nobody_listens_is_unreachable() {
    let base = Server::trap().base();
    let failed = Http::default().get_json::<Value>(&Url::parse(&base).expect("a URL"));
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}
