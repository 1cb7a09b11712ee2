//! Decision 5 and G-2: whose endpoints a client file may name, and that a file which mixes providers makes no request.

use gauth::error::Error;
use gauth::sandbox::{Config, Sandbox};
use gauth::{ClientFile, Http, Provider};
use serde_json::json;

use crate::server::{Server, answer};

fn file(auth_uri: &str, token_uri: &str) -> ClientFile {
    let text = json!({ "installed": { "client_id": "c", "auth_uri": auth_uri, "token_uri": token_uri } });
    ClientFile::parse(&text.to_string()).expect("a client file")
}

fn provider_of(file: &ClientFile) -> gauth::Result<Provider> {
    Provider::of_client_file(file, &Http::default())
}

const GOOGLE_AUTH: &str = "https://accounts.google.com/o/oauth2/auth";
const GOOGLE_TOKEN: &str = "https://oauth2.googleapis.com/token";

/// G-1: the console still writes old addresses; the built-in ones are used.
#[test]
fn a_google_file_old_or_new_means_google_as_built_in_and_makes_no_request() {
    for (auth_uri, token_uri) in [
        (GOOGLE_AUTH, GOOGLE_TOKEN),
        (GOOGLE_AUTH, "https://accounts.google.com/o/oauth2/token"),
        ("https://accounts.google.com/o/oauth2/v2/auth", "https://www.googleapis.com/oauth2/v4/token"),
        ("https://ACCOUNTS.google.com:443/o/oauth2/auth?x=1", GOOGLE_TOKEN),
    ] {
        let http = Http::default();
        let provider = Provider::of_client_file(&file(auth_uri, token_uri), &http).expect("Google");
        let built_in = Provider::google();
        assert!(provider.is_google());
        assert_eq!(provider.authorization_endpoint, built_in.authorization_endpoint, "not the file's word");
        assert_eq!(provider.token_endpoint, built_in.token_endpoint);
        assert!(!http.is_built());
    }
}

#[test]
fn a_file_with_googles_sign_in_page_and_another_token_endpoint_is_refused_and_makes_no_request() {
    let trap = Server::trap();
    let loopback = format!("{}/token", trap.base());
    for token_uri in [
        "https://evil.example/token",
        &loopback,
        "https://oauth2.googleapis.com.evil.example/token",
        "https://oauth2.googleapis.com@evil.example/token",
        "https://evil.example/oauth2.googleapis.com/token",
        "https://oauth2-googleapis.com/token",
        "https://googleapis.com/token",
        "https://evil.googleapis.com/token",
        "https://oauth2.googleapis.com:8443/token",
        "http://oauth2.googleapis.com/token",
    ] {
        let http = Http::default();
        let refused = Provider::of_client_file(&file(GOOGLE_AUTH, token_uri), &http);
        assert!(matches!(refused, Err(Error::EndpointsDisagree { .. })), "{token_uri}: {refused:?}");
        assert!(!http.is_built(), "{token_uri}");
    }
    assert!(trap.seen().is_empty());
}

/// A dot at the end makes no other host: the name service takes it for the same.
#[test]
fn googles_sign_in_page_is_known_by_any_spelling_of_its_host() {
    let trap = Server::trap();
    for auth_uri in [
        "https://accounts.GOOGLE.com/o/oauth2/auth",
        "https://accounts%2Egoogle%2Ecom/o/oauth2/auth",
        "https://accounts。google。com/o/oauth2/auth",
        "https://accounts.google.com:0443/o/oauth2/auth",
        "https://accounts.google.com./o/oauth2/auth",
    ] {
        let refused = provider_of(&file(auth_uri, &format!("{}/token", trap.base())));
        assert!(matches!(refused, Err(Error::EndpointsDisagree { .. })), "{auth_uri}: {refused:?}");
    }
    assert!(trap.seen().is_empty());
}

#[test]
fn a_file_that_mixes_google_with_anything_else_is_refused_whichever_way() {
    for (auth_uri, token_uri) in [
        ("https://evil.example/auth", GOOGLE_TOKEN),
        ("http://accounts.google.com/o/oauth2/auth", GOOGLE_TOKEN),
        ("https://accounts.google.com:8443/o/oauth2/auth", GOOGLE_TOKEN),
        ("http://accounts.google.com/o/oauth2/auth", "https://evil.example/token"),
    ] {
        let http = Http::default();
        let refused = Provider::of_client_file(&file(auth_uri, token_uri), &http);
        assert!(matches!(refused, Err(Error::EndpointsDisagree { .. })), "{auth_uri}: {refused:?}");
        assert!(!http.is_built(), "{auth_uri}");
    }
}

#[test]
fn a_file_whose_endpoints_must_not_be_talked_to_is_refused_and_makes_no_request() {
    let good = "https://op.example/x";
    for bad in [
        "http://op.example/x",
        "https://user:canary@op.example/x",
        "https://accounts.google.com@op.example/x",
        "https://op.example/x#y",
        "javascript:alert(1)",
        "file:///x",
    ] {
        for (auth_uri, token_uri) in [(bad, good), (good, bad)] {
            let http = Http::default();
            let refused = Provider::of_client_file(&file(auth_uri, token_uri), &http).expect_err("must be refused");
            assert!(matches!(refused, Error::EndpointRefused { .. }), "{bad}: {refused:?}");
            assert!(!http.is_built() && !format!("{refused:?}").contains("canary"), "{bad}");
        }
    }
}

#[test]
fn a_file_whose_endpoints_are_those_of_one_discovered_issuer_gets_all_of_its_document() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    let file = ClientFile::parse(&sandbox.client_secrets_json("sandbox-public")).expect("a client file");
    let provider = provider_of(&file).expect("a provider");
    assert_eq!(provider.issuer, sandbox.issuer());
    assert!(provider.has_keys() && provider.sends_iss && provider.revocation_endpoint.is_some());
}

/// Decision 5: such a pair is shown by host at login; nothing of a document that does not fit is believed.
#[test]
fn endpoints_that_no_document_vouches_for_stand_alone() {
    let of_issuer = |patch| Server::with_document(patch);
    for (name, server) in [
        ("no document", Server::saying(404, "text/plain", "no")),
        ("no JSON", Server::saying(200, "text/html", "<h1>hello</h1>")),
        ("forbidden", Server::saying(403, "text/plain", "no")),
        ("a document for another issuer", of_issuer(json!({ "issuer": "https://op.example" }))),
        ("a document with other endpoints", of_issuer(json!({}))),
    ] {
        let (auth_uri, token_uri) = (format!("{}/auth", server.base()), format!("{}/token?x=1", server.base()));
        let provider = provider_of(&file(&auth_uri, &token_uri)).expect("a provider");
        assert_eq!(provider.issuer, server.base(), "{name}");
        assert_eq!(provider.authorization_endpoint.as_str(), auth_uri, "{name}");
        assert_eq!(provider.token_endpoint.as_str(), token_uri, "{name}");
        assert!(!provider.has_keys() && !provider.is_google() && provider.basic_auth, "{name}");
        assert!(provider.revocation_endpoint.is_none() && provider.userinfo_endpoint.is_none(), "{name}");
    }
}

#[test]
fn a_redirect_on_the_way_to_the_document_is_not_followed_for_a_file_either() {
    let trap = Server::trap();
    let location = trap.base();
    let server = Server::start(move |_, _, stream| {
        use std::io::Write;
        let _ = write!(stream, "HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
    });
    let provider = provider_of(&file(&format!("{}/auth", server.base()), &format!("{}/token", server.base())));
    assert!(!provider.expect("the endpoints alone").has_keys());
    assert!(trap.seen().is_empty());
}

/// Else whoever disturbs the network for a moment could take the keys and the issuer out of a login.
#[test]
fn trouble_of_the_moment_does_not_turn_a_discovered_provider_into_bare_endpoints() {
    let busy = Server::start(|_, _, stream| {
        use std::io::Write;
        let _ = stream.write_all(b"HTTP/1.1 503 X\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n");
    });
    let failed = provider_of(&file(&format!("{}/auth", busy.base()), &format!("{}/token", busy.base())));
    assert!(matches!(failed, Err(Error::ServerFailed { .. })), "{failed:?}");

    let gone = Server::start(|_, _, stream| answer(stream, 200, "text/plain", "")).base();
    let failed = provider_of(&file(&format!("{gone}/auth"), &format!("{gone}/token")));
    assert!(matches!(failed, Err(Error::Unreachable { .. })), "{failed:?}");
}

#[test]
fn a_document_that_names_a_forbidden_endpoint_is_an_error_for_a_file_as_well() {
    let server = Server::with_document(json!({ "jwks_uri": "http://op.example/jwks" }));
    let refused = provider_of(&file(&format!("{}/auth", server.base()), &format!("{}/token", server.base())));
    assert!(matches!(refused, Err(Error::EndpointRefused { .. })), "{refused:?}");
}

#[test]
fn a_file_beside_an_issuer_must_belong_to_it() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    let provider = Provider::discover(sandbox.issuer(), &Http::default()).expect("a provider");
    let own = ClientFile::parse(&sandbox.client_secrets_json("sandbox-public")).expect("a client file");
    assert!(provider.check_client_file(&own).is_ok());
    let google = file(GOOGLE_AUTH, GOOGLE_TOKEN);
    assert!(matches!(provider.check_client_file(&google), Err(Error::EndpointsDisagree { .. })));
    assert!(Provider::google().check_client_file(&google).is_ok());
    assert!(matches!(Provider::google().check_client_file(&own), Err(Error::EndpointsDisagree { .. })));
    let half = file(own.auth_uri.as_str(), "https://evil.example/token");
    assert!(matches!(provider.check_client_file(&half), Err(Error::EndpointsDisagree { .. })));
}
