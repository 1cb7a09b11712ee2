//! The judge judged: every rule, every fault. Most of it without a socket.

mod authorize;
mod faults;
mod google;
mod id_token;
mod person;
mod refresh;
mod resource;
mod token;
mod wire;

use std::collections::HashMap;

use serde_json::Value;

use super::message::Delivery;
use super::{Approval, Idp, Request, Response, Settings};

pub(super) const ISSUER: &str = "http://127.0.0.1:8090";
pub(super) const NOW: u64 = 1_750_000_000;
pub(super) const ALICE: &str = "alice@example.test";
pub(super) const BACK: &str = "http://127.0.0.1:4711/callback";
pub(super) const SECRET: &str = "sandbox-secret-not-confidential";
// RFC 7636 appendix B.
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub(super) fn idp() -> Idp {
    Idp::new(ISSUER, Settings::default()).unwrap()
}

/// A good authorization URL with some parameters replaced; an empty value leaves one out.
pub(super) fn url_with(changes: &[(&str, &str)]) -> String {
    let mut params = vec![
        ("client_id", "sandbox-installed"),
        ("redirect_uri", BACK),
        ("response_type", "code"),
        ("scope", "openid email profile"),
        ("state", "the-state"),
        ("nonce", "the-nonce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
    ];
    for (name, value) in changes {
        params.retain(|(key, _)| key != name);
        params.push((name, value));
    }
    params.retain(|(_, value)| !value.is_empty());
    url::Url::parse_with_params(&format!("{ISSUER}/authorize"), params).unwrap().into()
}

pub(super) fn query_of(location: &str) -> HashMap<String, String> {
    url::Url::parse(location).unwrap().query_pairs().into_owned().collect()
}

/// Signs in with that URL and returns the code.
pub(super) fn code_for(idp: &mut Idp, url: &str) -> String {
    query_of(&idp.approve(url, &Approval::of(ALICE), NOW))["code"].clone()
}

/// A good code request with some parameters replaced; an empty value leaves one out.
pub(super) fn redeem_with(idp: &mut Idp, code: &str, changes: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", BACK),
        ("code_verifier", VERIFIER),
        ("client_id", "sandbox-installed"),
        ("client_secret", SECRET),
    ];
    for (name, value) in changes {
        form.retain(|(key, _)| key != name);
        form.push((name, value));
    }
    form.retain(|(_, value)| !value.is_empty());
    idp.handle(&Request::post("/token", &form), NOW)
}

/// The whole flow with the default client.
pub(super) fn tokens(idp: &mut Idp) -> Value {
    let code = code_for(idp, &url_with(&[]));
    redeem_with(idp, &code, &[]).value()
}

pub(super) fn refresh_with(idp: &mut Idp, refresh_token: &str, more: &[(&str, &str)]) -> Response {
    let mut form = vec![
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token),
        ("client_id", "sandbox-installed"),
        ("client_secret", SECRET),
    ];
    form.extend(more);
    idp.handle(&Request::post("/token", &form), NOW)
}

pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("no text {member} in {value}"))
}

#[track_caller]
pub(super) fn assert_error(response: &Response, status: u16, error: &str) {
    assert_eq!((response.status, response.value()["error"].as_str()), (status, Some(error)));
    assert_eq!(response.header("Cache-Control"), Some("no-store"));
    assert_eq!(response.delivery, Delivery::Whole);
}
