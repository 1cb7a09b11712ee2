//! D-3: the members of the document. An endpoint must be one that may be talked to; what is missing has its default.

use gauth::error::Error;
use serde_json::{Value, json};

use crate::server::Server;

const ENDPOINTS: [&str; 5] =
    ["authorization_endpoint", "token_endpoint", "jwks_uri", "revocation_endpoint", "userinfo_endpoint"];

#[test]
fn an_endpoint_without_https_is_refused_whichever_it_is() {
    for name in ENDPOINTS {
        for url in [
            "http://op.example/x",
            "http://192.168.0.1/x",
            "http://127.0.0.1.op.example/x",
            "http://localhost.op.example/x",
            "http://[2001:db8::1]/x",
            "ws://127.0.0.1/x",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "data:text/html,x",
        ] {
            is_refused(name, url);
        }
    }
}

#[test]
fn an_endpoint_with_credentials_or_a_fragment_is_refused_whichever_it_is() {
    for name in ENDPOINTS {
        for url in [
            "https://user@op.example/x",
            "https://user:canary@op.example/x",
            "https://:canary@op.example/x",
            "https://accounts.google.com@op.example/x",
            "https://op.example/x#fragment",
            "https://op.example/x#",
            "http://user:canary@127.0.0.1/x",
        ] {
            is_refused(name, url);
        }
    }
}

fn is_refused(name: &str, url: &str) {
    let server = Server::with_document(json!({ name: url }));
    let refused = server.discover().expect_err("must be refused");
    assert!(matches!(refused, Error::EndpointRefused { .. }), "{name} {url}: {refused:?}");
    assert!(!format!("{refused} {refused:?}").contains("canary"), "{refused:?}");
    assert_eq!(server.seen().len(), 1, "{name} {url}");
}

#[test]
fn http_is_allowed_on_this_machine_by_a_literal_address_or_as_localhost() {
    for url in ["http://127.0.0.1:1/x", "http://127.8.9.10/x", "http://[::1]:1/x", "http://localhost:1/x"] {
        let server = Server::with_document(json!({ "token_endpoint": url }));
        assert_eq!(server.discover().expect("a provider").token_endpoint.as_str(), url);
    }
}

/// T-1: "which MUST be retained when adding additional query parameters".
#[test]
fn the_query_of_an_endpoint_is_kept() {
    let server = Server::with_document(json!({ "token_endpoint": "https://op.example/token?tenant=a%20b" }));
    assert_eq!(server.discover().expect("a provider").token_endpoint.query(), Some("tenant=a%20b"));
}

#[test]
fn a_document_without_a_required_member_or_with_one_of_another_type_is_refused() {
    for name in ["issuer", "authorization_endpoint", "token_endpoint"] {
        for value in [Value::Null, json!(1), json!([]), json!({}), json!(false)] {
            let refused = Server::with_document(json!({ name: value })).discover();
            assert!(matches!(refused, Err(Error::Discovery { .. })), "{name} {value}: {refused:?}");
        }
    }
    for patch in [
        json!({ "token_endpoint": "not a URL" }),
        json!({ "jwks_uri": 7 }),
        json!({ "code_challenge_methods_supported": "S256" }),
        json!({ "token_endpoint_auth_methods_supported": { "a": 1 } }),
        json!({ "id_token_signing_alg_values_supported": [256] }),
        json!({ "authorization_response_iss_parameter_supported": "true" }),
    ] {
        let refused = Server::with_document(patch.clone()).discover();
        assert!(matches!(refused, Err(Error::Discovery { .. })), "{patch}: {refused:?}");
    }
}

#[test]
fn what_a_document_may_leave_out_has_the_defaults_of_the_standards() {
    let provider = Server::with_document(json!({ "jwks_uri": null })).discover().expect("a provider");
    assert!(provider.revocation_endpoint.is_none() && provider.userinfo_endpoint.is_none());
    assert!(!provider.has_keys() && !provider.sends_iss && !provider.is_google());
    assert!(provider.basic_auth, "client_secret_basic, by OpenID Connect Discovery section 3");
    assert!(provider.id_token_algorithms.is_empty());
    assert_eq!(provider.supports_s256, None);
}

#[test]
fn members_that_nobody_asked_for_do_no_harm() {
    let extra =
        json!({ "": 1, "claims_supported": 7, "op_policy_uri": { "x": [] }, "device_authorization_endpoint": "" });
    assert!(Server::with_document(extra).discover().is_ok());
}

/// P-3: S256 or nothing.
#[test]
fn a_provider_that_supports_pkce_without_s256_is_refused() {
    for methods in [json!(["plain"]), json!([]), json!(["s256"]), json!(["plain", "S512"])] {
        let refused = Server::with_document(json!({ "code_challenge_methods_supported": methods })).discover();
        assert!(matches!(refused, Err(Error::Discovery { .. })), "{methods}: {refused:?}");
    }
    let both = Server::with_document(json!({ "code_challenge_methods_supported": ["plain", "S256"] })).discover();
    assert_eq!(both.expect("a provider").supports_s256, Some(true));
}

#[test]
fn whether_the_provider_promises_iss_is_taken_from_its_document() {
    for promised in [true, false] {
        let patch = json!({ "authorization_response_iss_parameter_supported": promised });
        assert_eq!(Server::with_document(patch).discover().expect("a provider").sends_iss, promised);
    }
}
