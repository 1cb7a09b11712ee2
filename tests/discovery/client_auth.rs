//! T-3 and D-3: how the client proves itself follows from the document. The sandbox is the judge: it says which way it
//! saw, and whether the secret arrived whole.

use gauth::error::Error;
use gauth::sandbox::{ClientAuth, Config, Endpoint, Sandbox};
use gauth::{Client, ClientFile, Clock, Http, Provider, TokenEndpoint};
use oauth2::RefreshToken;
use serde_json::{Value, json};

use crate::server::Server;

/// A provider of the test whose token and revocation endpoints are the sandbox's, with these methods announced.
fn provider(sandbox: &Sandbox, methods: Value) -> Provider {
    let at = |path: &str| format!("{}{path}", sandbox.issuer());
    let server = Server::with_document(json!({
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "revocation_endpoint": at("/revoke"),
        "token_endpoint_auth_methods_supported": methods,
    }));
    server.discover().expect("a provider")
}

fn client(sandbox: &Sandbox, id: &str) -> Client {
    ClientFile::parse(&sandbox.client_secrets_json(id)).expect("a client file").client
}

/// A refresh with a made-up token: the client is let in, the token is not. Returns how the client was seen to come.
fn seen_way(sandbox: &Sandbox, provider: &Provider, client: &Client) -> ClientAuth {
    let (http, clock) = (Http::default(), Clock::system());
    let endpoint = TokenEndpoint { provider, client, http: &http, clock: &clock };
    let token = RefreshToken::new("made-up".to_owned());
    let refused = endpoint.refresh(&token, None).tokens.expect_err("a made-up token");
    assert!(matches!(refused, Error::GrantEnded { .. }), "the client itself was refused: {refused:?}");
    assert!(endpoint.revoke(&token).expect("RFC 7009 section 2.2"), "an unknown token counts as revoked");
    let seen = sandbox.seen();
    let way = |endpoint| seen.iter().rev().find(|seen| seen.endpoint == endpoint).expect("a request").client_auth;
    assert_eq!(way(Endpoint::Token), way(Endpoint::Revoke), "one way at both endpoints");
    way(Endpoint::Token)
}

#[test]
fn a_secret_goes_into_the_header_unless_the_body_is_announced() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    for (methods, expected) in [
        (Value::Null, ClientAuth::Basic),
        (json!(["client_secret_basic"]), ClientAuth::Basic),
        (json!(["client_secret_post"]), ClientAuth::Post),
        (json!(["client_secret_post", "none"]), ClientAuth::Post),
        (json!(["private_key_jwt", "client_secret_basic"]), ClientAuth::Basic),
    ] {
        let provider = provider(&sandbox, methods.clone());
        assert_eq!(seen_way(&sandbox, &provider, &client(&sandbox, "sandbox-installed")), expected, "{methods}");
    }
    let both = provider(&sandbox, json!(["client_secret_basic", "client_secret_post"]));
    let way = seen_way(&sandbox, &both, &client(&sandbox, "sandbox-installed"));
    assert!(matches!(way, ClientAuth::Basic | ClientAuth::Post), "exactly one of the two: {way:?}");
}

#[test]
fn a_client_without_a_secret_proves_nothing_whatever_is_announced() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    for methods in [Value::Null, json!(["none"]), json!(["client_secret_basic"]), json!(["client_secret_post"])] {
        let provider = provider(&sandbox, methods.clone());
        let way = seen_way(&sandbox, &provider, &client(&sandbox, "sandbox-public"));
        assert_eq!(way, ClientAuth::None, "{methods}");
    }
}

/// T-3: form-encoded, then base64; a `:`, `+` or `%` in the secret arrives as it is.
#[test]
fn a_secret_with_odd_characters_arrives_whole_either_way() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    for (number, secret) in ["a:b", "a+b c", "100%25", "ü€\u{1f511}", "\"&=?#/\\", " "].into_iter().enumerate() {
        let id = format!("client:{number} &");
        sandbox.register(gauth::sandbox::Client::new(&id, Some(secret)));
        for (methods, expected) in
            [(json!(["client_secret_basic"]), ClientAuth::Basic), (json!(["client_secret_post"]), ClientAuth::Post)]
        {
            let provider = provider(&sandbox, methods);
            assert_eq!(seen_way(&sandbox, &provider, &client(&sandbox, &id)), expected, "{secret}");
        }
    }
}

#[test]
fn at_the_sandbox_as_discovered_each_kind_of_client_is_let_in() {
    let sandbox = Sandbox::start(Config::default()).expect("a sandbox");
    let provider = Provider::discover(sandbox.issuer(), &Http::default()).expect("a provider");
    for (id, is_public) in [("sandbox-installed", false), ("sandbox-odd-secret", false), ("sandbox-public", true)] {
        let way = seen_way(&sandbox, &provider, &client(&sandbox, id));
        assert_eq!(way == ClientAuth::None, is_public, "{id}");
        assert_ne!(way, ClientAuth::Both, "{id}");
    }
}
