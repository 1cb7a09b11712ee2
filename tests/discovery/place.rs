//! D-1 and D-2: where the document is looked for, and for which issuer it counts.

use gauth::error::Error;
use gauth::sandbox::{Config, Endpoint, Sandbox};
use gauth::{Http, Provider};
use serde_json::json;

use crate::server::{OAUTH, OPENID, Server, answer, document};

/// Serves a document for its own address with `suffix` at `place`, and nothing elsewhere.
fn serving_at(place: &str, suffix: &'static str) -> Server {
    let place = place.to_owned();
    Server::start(move |base, path, stream| match path == place {
        true => answer(stream, 200, "application/json", &document(&format!("{base}{suffix}"), &json!({}))),
        false => answer(stream, 404, "text/plain", "no"),
    })
}

fn discover(issuer: &str) -> gauth::Result<Provider> {
    Provider::discover(issuer, &Http::default())
}

#[test]
fn the_document_is_found_where_openid_connect_puts_it() {
    let server = serving_at(OPENID, "");
    let provider = server.discover().expect("a provider");
    assert_eq!(provider.issuer, server.base());
    assert_eq!(provider.token_endpoint.as_str(), "https://op.example/token");
    assert_eq!(server.seen(), [format!("GET {OPENID} HTTP/1.1")]);
}

#[test]
fn else_the_document_is_found_where_rfc_8414_puts_it() {
    let server = serving_at(OAUTH, "");
    assert!(server.discover().is_ok());
    assert_eq!(server.seen(), [format!("GET {OPENID} HTTP/1.1"), format!("GET {OAUTH} HTTP/1.1")]);
}

#[test]
fn an_issuer_with_a_path_is_asked_for_after_the_path_and_then_before_it() {
    let first = serving_at(&format!("/tenant/1{OPENID}"), "/tenant/1");
    assert!(discover(&format!("{}/tenant/1", first.base())).is_ok());
    let second = serving_at(&format!("{OAUTH}/tenant/1"), "/tenant/1");
    assert!(discover(&format!("{}/tenant/1", second.base())).is_ok());
    assert_eq!(second.seen().len(), 2);
}

/// The slash is left out of the address, and stays a part of the issuer.
#[test]
fn an_issuer_with_a_slash_at_its_end_keeps_it_as_its_name() {
    let server = serving_at(&format!("/tenant{OPENID}"), "/tenant/");
    let provider = discover(&format!("{}/tenant/", server.base())).expect("a provider");
    assert!(provider.issuer.ends_with("/tenant/"));
    let without = discover(&format!("{}/tenant", server.base()));
    assert!(matches!(without, Err(Error::Discovery { .. })), "{without:?}");
}

#[test]
fn a_provider_without_a_document_in_either_place_is_not_usable() {
    let server = Server::saying(404, "text/html", "<h1>no</h1>");
    let refused = server.discover();
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
    assert_eq!(server.seen().len(), 2);
}

#[test]
fn a_document_for_another_issuer_is_not_used_even_if_only_a_slash_or_the_case_differs() {
    for issuer in ["BASE/", "BASE/tenant", "BASE?", "base", "https://op.example", "https://accounts.google.com", ""] {
        let server = Server::start(move |base, path, stream| match path {
            OPENID => {
                let issuer = issuer.replace("BASE", base).replace("base", &base.to_uppercase());
                answer(stream, 200, "application/json", &document(&issuer, &json!({})));
            }
            _ => answer(stream, 404, "text/plain", "no"),
        });
        let refused = server.discover();
        assert!(matches!(refused, Err(Error::Discovery { .. })), "{issuer}: {refused:?}");
        assert_eq!(server.seen().len(), 1, "a wrong document is no reason to look for another one");
    }
}

#[test]
fn an_issuer_that_was_typed_in_another_case_is_not_the_one_of_the_document() {
    let server = serving_at(OPENID, "");
    let refused = discover(&server.base().replace("http://", "HTTP://"));
    assert!(matches!(refused, Err(Error::Discovery { .. })), "{refused:?}");
}

#[test]
fn what_cannot_be_an_issuer_is_refused_before_any_request() {
    for bad in [
        "",
        "op.example",
        "//op.example",
        "http://op.example",
        "http://10.0.0.1",
        "http://127.0.0.1.op.example",
        "http://127.0.0.1@op.example",
        "https://op.example?x=1",
        "https://op.example/?",
        "https://op.example#x",
        "https://user@op.example",
        "https://user:canary@op.example",
        "https://:canary@op.example",
        "ftp://op.example",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:application/json,{}",
    ] {
        let http = Http::default();
        let refused = Provider::discover(bad, &http);
        assert!(matches!(refused, Err(Error::IssuerRefused { .. })), "{bad}: {refused:?}");
        assert!(!http.is_built(), "{bad}");
        assert!(!format!("{refused:?}").contains("canary"), "{refused:?}");
    }
}

/// D-4: Google's discovery document is built in.
#[test]
fn google_is_known_without_a_request() {
    for issuer in ["https://accounts.google.com", "https://accounts.google.com/"] {
        let http = Http::default();
        let provider = Provider::discover(issuer, &http).expect("Google");
        assert!(provider.is_google() && provider.has_keys());
        assert_eq!(provider.issuer, "https://accounts.google.com");
        assert_eq!(provider.token_endpoint.as_str(), "https://oauth2.googleapis.com/token");
        assert!(!http.is_built());
    }
}

#[test]
fn the_sandbox_is_found_with_one_request() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    let provider = discover(sandbox.issuer()).expect("a provider");
    assert_eq!(provider.issuer, sandbox.issuer());
    assert_eq!(provider.authorization_endpoint.as_str(), format!("{}/authorize", sandbox.issuer()));
    assert_eq!(provider.revocation_endpoint.expect("one").as_str(), format!("{}/revoke", sandbox.issuer()));
    assert_eq!(provider.userinfo_endpoint.expect("one").as_str(), format!("{}/userinfo", sandbox.issuer()));
    assert_eq!(provider.id_token_algorithms, ["ES256"]);
    assert_eq!(provider.supports_s256, Some(true));
    assert_eq!((sandbox.count(Endpoint::Discovery), sandbox.seen().len()), (1, 1));
}
