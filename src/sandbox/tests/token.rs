//! The token endpoint with a code.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::sandbox::{ClientAuth, IssuedKind};

#[test]
fn a_code_becomes_tokens() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    let response = redeem_with(&mut idp, &code, &[]);
    assert_eq!((response.status, response.header("Cache-Control")), (200, Some("no-store")));
    let answer = response.value();
    assert!(text(&answer, "access_token").starts_with("sandbox-at-"));
    assert!(text(&answer, "refresh_token").starts_with("sandbox-rt-"));
    assert_eq!((text(&answer, "token_type"), text(&answer, "scope")), ("Bearer", "openid email profile"));
    assert_eq!(answer["expires_in"], 3600);
    assert!(answer["id_token"].is_string());
}

#[test]
fn a_code_works_once_and_a_second_try_revokes_what_the_first_one_gave() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    let answer = redeem_with(&mut idp, &code, &[]).value();
    assert!(idp.is_active(text(&answer, "access_token"), NOW));
    assert_error(&redeem_with(&mut idp, &code, &[]), 400, "invalid_grant");
    assert!(!idp.is_active(text(&answer, "access_token"), NOW));
    assert!(!idp.is_active(text(&answer, "refresh_token"), NOW));
}

#[test]
fn a_code_lives_for_a_minute() {
    let mut idp = idp();
    for (age, status) in [(59, 200), (60, 400)] {
        let back = idp.approve(&url_with(&[]), &Approval::of(ALICE), NOW - age);
        assert_eq!(redeem_with(&mut idp, &query_of(&back)["code"], &[]).status, status, "{age} s");
    }
}

#[test]
fn every_detail_of_the_exchange_has_to_fit() {
    let other = "x".repeat(43);
    for (name, value, error) in [
        ("code", "", "invalid_request"),
        ("code", "guess", "invalid_grant"),
        ("redirect_uri", "", "invalid_request"),
        ("redirect_uri", "http://127.0.0.1:4711/callback/", "invalid_grant"),
        ("code_verifier", "", "invalid_request"),
        ("code_verifier", "short", "invalid_request"),
        ("code_verifier", other.as_str(), "invalid_grant"),
        ("grant_type", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
    ] {
        let mut idp = idp();
        let code = code_for(&mut idp, &url_with(&[]));
        assert_error(&redeem_with(&mut idp, &code, &[(name, value)]), 400, error);
    }
}

#[test]
fn a_wrong_verifier_burns_the_code() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    redeem_with(&mut idp, &code, &[("code_verifier", &"x".repeat(43))]);
    assert_error(&redeem_with(&mut idp, &code, &[]), 400, "invalid_grant");
}

#[test]
fn another_client_can_neither_use_nor_burn_a_code() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    let thief = [("client_id", "sandbox-public"), ("client_secret", "")];
    assert_error(&redeem_with(&mut idp, &code, &thief), 400, "invalid_grant");
    assert_eq!(redeem_with(&mut idp, &code, &[]).status, 200);
}

#[test]
fn the_wrong_secret_no_secret_and_a_secret_too_many_are_refused() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    for changes in [
        &[("client_secret", "wrong")][..],
        &[("client_secret", "")],
        &[("client_id", "nobody")],
        &[("client_id", ""), ("client_secret", "")],
        &[("client_id", "sandbox-public")],
    ] {
        let response = redeem_with(&mut idp, &code, changes);
        assert_error(&response, 401, "invalid_client");
        assert!(response.header("WWW-Authenticate").unwrap().starts_with("Basic "));
    }
    assert_eq!(redeem_with(&mut idp, &code, &[]).status, 200, "a refused client burns nothing");
}

#[test]
fn a_public_client_needs_no_secret() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[("client_id", "sandbox-public")]));
    let public = [("client_id", "sandbox-public"), ("client_secret", "")];
    assert_eq!(redeem_with(&mut idp, &code, &public).status, 200);
    assert_eq!(idp.seen().last().unwrap().client_auth, ClientAuth::None);
}

/// Redeems as the client with the odd secret, by the given Authorization header.
fn redeem_by_header(header: &str, more: &[(&str, &str)]) -> (Response, ClientAuth) {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[("client_id", "sandbox-odd-secret")]));
    let mut form = vec![("grant_type", "authorization_code"), ("code", code.as_str())];
    form.extend([("redirect_uri", BACK), ("code_verifier", VERIFIER)]);
    form.extend(more);
    let response = idp.handle(&Request::post("/token", &form).with_header("Authorization", header), NOW);
    (response, idp.seen().last().unwrap().client_auth)
}

#[test]
fn a_secret_in_the_header_must_be_form_encoded() {
    let encoded = "sandbox-odd-secret:a%2Bb%2Fc%3Dd%26e%2541%3Ff%23g%3Ah+i";
    let (response, auth) = redeem_by_header(&format!("Basic {}", STANDARD.encode(encoded)), &[]);
    assert_eq!((response.status, auth), (200, ClientAuth::Basic));
    let raw = "sandbox-odd-secret:a+b/c=d&e%41?f#g:h i";
    let (response, _) = redeem_by_header(&format!("Basic {}", STANDARD.encode(raw)), &[]);
    assert_error(&response, 401, "invalid_client");
}

#[test]
fn two_ways_of_authentication_at_once_are_refused() {
    let header = format!("Basic {}", STANDARD.encode("sandbox-odd-secret:x"));
    let (response, auth) = redeem_by_header(&header, &[("client_secret", "x")]);
    assert_error(&response, 400, "invalid_request");
    assert_eq!(auth, ClientAuth::Both);
    let (response, _) = redeem_by_header(&header, &[("client_id", "sandbox-public")]);
    assert_error(&response, 400, "invalid_request");
    let (response, _) = redeem_by_header("Bearer x", &[]);
    assert_error(&response, 401, "invalid_client");
}

#[test]
fn parameters_belong_in_a_form_once_and_never_in_the_uri() {
    let mut idp = idp();
    let good = Request::post("/token", &[("grant_type", "x"), ("client_id", "sandbox-public")]);
    assert_error(&idp.handle(&good, NOW), 400, "unsupported_grant_type");
    let in_query = Request { query: "grant_type=x".into(), ..good.clone() };
    let twice = [("a", "1"), ("a", "1"), ("grant_type", "x"), ("client_id", "sandbox-public")];
    let repeated = Request::post("/token", &twice);
    let not_a_form = Request { headers: Vec::new(), ..good.clone() }.with_header("Content-Type", "text/plain");
    let not_utf8 = Request { body: vec![0xFF], ..good };
    for request in [in_query, repeated, not_a_form, not_utf8] {
        assert_error(&idp.handle(&request, NOW), 400, "invalid_request");
    }
}

#[test]
fn a_refresh_token_comes_only_if_asked_for_and_allowed() {
    let mut idp = idp();
    let online = ("access_type", "");
    for (changes, given) in [
        (&[online][..], false),
        (&[online, ("scope", "openid offline_access")], true),
        (&[("access_type", "offline")], true),
    ] {
        let code = code_for(&mut idp, &url_with(changes));
        let answer = redeem_with(&mut idp, &code, &[]).value();
        assert_eq!(answer.get("refresh_token").is_some(), given, "{changes:?}");
    }
    let code = code_for(&mut idp, &url_with(&[("client_id", "sandbox-no-refresh")]));
    let client = [("client_id", "sandbox-no-refresh"), ("client_secret", "sandbox-secret-two")];
    assert!(redeem_with(&mut idp, &code, &client).value().get("refresh_token").is_none());
}

#[test]
fn everything_handed_out_is_listed_and_never_shown() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    let kinds: Vec<_> = idp.issued().iter().map(|issued| issued.kind).collect();
    use IssuedKind::{AccessToken, Code, IdToken, RefreshToken};
    assert_eq!(kinds, [Code, AccessToken, IdToken, RefreshToken]);
    let shown = format!("{:?} {:?} {:?} {:?}", idp, idp.issued(), idp.seen(), Request::get("/authorize?code=x"));
    for issued in idp.issued() {
        assert!(!shown.contains(&issued.value), "{:?}", issued.kind);
    }
    assert!(!shown.contains(VERIFIER) && !shown.contains(SECRET) && answer.is_object());
}
