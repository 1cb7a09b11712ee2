//! A whole login at the sandbox with a bad ID token: nothing is handed to be saved, and an unknown key has the
//! provider's keys fetched once more, not more often (V-8, B-3).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use gauth::error::{Error, Result};
use gauth::id_token::IdTokenError::{self, AccessTokenHash, AlgorithmRefused, CriticalHeader, Expired, NotYetValid};
use gauth::login::{InstalledAppFlow, LoginOptions};
use gauth::sandbox::{Config, Endpoint, Fault, IdTokenFault, Sandbox};
use gauth::{ClientFile, Clock, Http, Provider, TokenEndpoint};
use serde_json::json;
use url::Url;

fn sandbox() -> Sandbox {
    Sandbox::start(Config::default()).expect("a sandbox")
}

/// Signs alice in and says who came out and whether anything was offered for saving.
fn login(sandbox: &Sandbox) -> (Result<String>, bool) {
    let file = ClientFile::parse(&sandbox.client_secrets_json("sandbox-installed")).expect("a client file");
    let (http, clock) = (Http::default(), Clock::system());
    let provider = Provider::of_client_file(&file, &http).expect("a provider");
    let endpoint = TokenEndpoint { provider: &provider, client: &file.client, http: &http, clock: &clock };
    let flow = InstalledAppFlow::bind(endpoint, LoginOptions::default()).expect("a flow");
    let callback = sandbox.approve(flow.url().as_str(), "alice@example.test");
    let browser = thread::spawn(move || visit(&callback));
    let mut is_saved = false;
    let outcome = flow.complete("the test", |signed_in| {
        is_saved = true;
        Ok(signed_in.claims.subject)
    });
    browser.join().expect("a browser");
    (outcome, is_saved)
}

/// Follows redirects on the same host, as a browser does, so that the page counts as fetched.
fn visit(url: &str) {
    let url = Url::parse(url).expect("a callback");
    let address = (url.host_str().expect("a host").to_owned(), url.port().expect("a port"));
    let mut target = format!("{}?{}", url.path(), url.query().unwrap_or_default());
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).expect("the loopback server");
        write!(stream, "GET {target} HTTP/1.1\r\nHost: {}:{}\r\n\r\n", address.0, address.1).expect("a request");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        let Some(location) = location else { return };
        target = location.trim().to_owned();
    }
}

#[test]
fn a_good_login_fetches_the_keys_once() {
    let sandbox = sandbox();
    let (outcome, is_saved) = login(&sandbox);
    assert!(outcome.is_ok() && is_saved, "{outcome:?}");
    assert_eq!(sandbox.count(Endpoint::Jwks), 1);
}

#[test]
fn an_unknown_key_has_the_keys_fetched_once_more_and_then_fails() {
    let sandbox = sandbox();
    sandbox.inject(Fault::IdToken(IdTokenFault::UnknownKid));
    let (outcome, is_saved) = login(&sandbox);
    assert!(matches!(outcome, Err(Error::IdToken(IdTokenError::UnknownKey))), "{outcome:?}");
    assert!(!is_saved);
    assert_eq!(sandbox.count(Endpoint::Jwks), 2);
}

/// The key set that the first fetch gave was an old one, of some cache on the way.
#[test]
fn a_rotated_key_is_found_by_the_second_fetch() {
    let sandbox = sandbox();
    sandbox.inject(Fault::Patch(json!({ "keys": [] })).at(Endpoint::Jwks));
    let (outcome, is_saved) = login(&sandbox);
    assert!(outcome.is_ok() && is_saved, "{outcome:?}");
    assert_eq!(sandbox.count(Endpoint::Jwks), 2);
}

#[test]
fn no_bad_token_gets_as_far_as_being_saved() {
    let claims = |patch| IdTokenFault::Claims(patch);
    let cases = [
        (IdTokenFault::Hs256WithPublicKey, AlgorithmRefused),
        (IdTokenFault::FlippedSignatureBit, IdTokenError::Signature),
        (IdTokenFault::Crit, CriticalHeader),
        (IdTokenFault::WrongAtHash, AccessTokenHash),
        (claims(json!({ "nonce": null })), IdTokenError::Nonce),
        (claims(json!({ "nonce": "of another request" })), IdTokenError::Nonce),
        (claims(json!({ "iss": "https://op.example" })), IdTokenError::Issuer),
        (claims(json!({ "aud": "another" })), IdTokenError::Audience),
        (claims(json!({ "azp": "another" })), IdTokenError::AuthorizedParty),
        (claims(json!({ "exp": 1_000_000_000 })), Expired),
        (claims(json!({ "exp": "4000000000" })), IdTokenError::ClaimType("exp")),
        (claims(json!({ "iat": 4_000_000_000_u64 })), NotYetValid),
        (claims(json!({ "sub": "" })), IdTokenError::Subject),
    ];
    for (fault, expected) in cases {
        let sandbox = sandbox();
        let name = format!("{fault:?}");
        sandbox.inject(Fault::IdToken(fault));
        let (outcome, is_saved) = login(&sandbox);
        assert!(!is_saved, "{name}");
        match outcome {
            Err(Error::IdToken(actual)) => assert_eq!(actual, expected, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Refused for its empty third part or for its algorithm, whichever is looked at first.
#[test]
fn an_unsigned_token_gets_no_further_either() {
    let sandbox = sandbox();
    sandbox.inject(Fault::IdToken(IdTokenFault::AlgNone));
    let (outcome, is_saved) = login(&sandbox);
    assert!(matches!(outcome, Err(Error::IdToken(AlgorithmRefused | IdTokenError::Malformed(_)))), "{outcome:?}");
    assert!(!is_saved);
}

/// G-41 is about Google alone: the short form of another issuer is none.
#[test]
fn the_issuer_without_its_scheme_is_refused_from_every_provider_but_google() {
    let sandbox = sandbox();
    let short = sandbox.issuer().trim_start_matches("http://").to_owned();
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "iss": short }))));
    let (outcome, is_saved) = login(&sandbox);
    assert!(matches!(outcome, Err(Error::IdToken(IdTokenError::Issuer))), "{outcome:?}");
    assert!(!is_saved);
}
