//! Faults that need no socket to be seen.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::sandbox::{Endpoint, Fault};

/// The token endpoint's answer to a good request under a fault.
fn under(fault: Fault) -> (Response, Idp) {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    idp.inject(fault);
    (redeem_with(&mut idp, &code, &[]), idp)
}

fn gave_tokens(idp: &Idp) -> bool {
    idp.issued().len() > 1
}

#[test]
fn an_error_takes_the_place_of_the_work_once() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[]));
    idp.inject(Fault::error(400, "invalid_grant", "Bad Request"));
    let response = redeem_with(&mut idp, &code, &[]);
    assert_eq!((response.status, text(&response.value(), "error")), (400, "invalid_grant"));
    assert_eq!(redeem_with(&mut idp, &code, &[]).status, 200, "the code is still good");
}

#[test]
fn a_status_carries_any_body_type_and_headers() {
    let headers = vec![("X-Test".to_owned(), "1".to_owned())];
    let (body, content_type) = ("[]".to_owned(), "application/json".to_owned());
    let (response, _) = under(Fault::Status { status: 418, body, content_type, headers });
    assert_eq!((response.status, response.header("X-Test")), (418, Some("1")));
    assert_eq!(response.body, b"[]");
}

#[test]
fn answers_instead_of_work_do_no_work() {
    let (response, idp) = under(Fault::RetryAfter { status: 503, seconds: 7 });
    assert_eq!((response.status, response.header("Retry-After")), (503, Some("7")));
    assert!(!gave_tokens(&idp));
    let (response, _) = under(Fault::Html502);
    assert_eq!((response.status, response.header("Content-Type")), (502, Some("text/html")));
    let (response, _) = under(Fault::Empty);
    assert_eq!((response.status, response.body.len()), (200, 0));
    let (response, _) = under(Fault::Redirect("http://127.0.0.1:1/".into()));
    assert_eq!((response.status, response.header("Location")), (307, Some("http://127.0.0.1:1/")));
    let (response, idp) = under(Fault::Hang(Duration::from_secs(1)));
    assert_eq!(response.delivery, Delivery::Hang(Duration::from_secs(1)));
    assert!(!gave_tokens(&idp));
}

#[test]
fn big_answers_are_big_in_their_own_ways() {
    let (response, _) = under(Fault::Huge(1 << 20));
    assert!(response.body.len() > 1 << 20 && response.value().is_object());
    let (response, _) = under(Fault::GzipBomb);
    assert_eq!(response.header("Content-Encoding"), Some("gzip"));
    assert!(response.body.len() < 1 << 20);
}

#[test]
fn faults_on_the_way_back_happen_after_the_work() {
    let wait = Duration::from_millis(1);
    for (fault, delivery) in [
        (Fault::Truncated, Delivery::Truncated),
        (Fault::Slow(wait), Delivery::Slow(wait)),
        (Fault::Drip(wait), Delivery::Drip(wait)),
        (Fault::LostAfter, Delivery::Lost),
    ] {
        let (response, idp) = under(fault);
        assert_eq!((response.status, response.delivery), (200, delivery));
        assert!(gave_tokens(&idp));
    }
}

#[test]
fn a_lost_answer_has_rotated_the_refresh_token() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    idp.inject(Fault::LostAfter);
    refresh_with(&mut idp, text(&first, "refresh_token"), &[]);
    assert!(!idp.is_active(text(&first, "refresh_token"), NOW));
}

#[test]
fn a_patch_overwrites_and_removes_members_of_any_json_answer() {
    let (response, _) = under(Fault::Patch(json!({ "expires_in": "3600", "id_token": null })));
    let answer = response.value();
    assert!(answer["expires_in"] == "3600" && answer.get("id_token").is_none());
    let mut idp = idp();
    idp.inject(Fault::Patch(json!({ "issuer": "https://evil.test" })).at(Endpoint::Discovery));
    idp.inject(Fault::Patch(json!({ "keys": [] })).at(Endpoint::Jwks));
    let discovery = idp.handle(&Request::get("/.well-known/openid-configuration"), NOW).value();
    assert_eq!(text(&discovery, "issuer"), "https://evil.test");
    assert_eq!(idp.handle(&Request::get("/jwks"), NOW).value(), json!({ "keys": [] }));
}

#[test]
fn faults_wait_for_their_endpoint_and_count_down() {
    let mut idp = idp();
    idp.inject(Fault::Html502.at(Endpoint::Jwks).times(2));
    assert_eq!(tokens(&mut idp)["token_type"], "Bearer");
    let statuses = [(); 3].map(|()| idp.handle(&Request::get("/jwks"), NOW).status);
    assert_eq!(statuses, [502, 502, 200]);
}

#[test]
fn faults_of_one_endpoint_come_in_their_order() {
    let mut idp = idp();
    idp.inject(Fault::RetryAfter { status: 503, seconds: 0 }.times(2));
    idp.inject(Fault::error(400, "invalid_grant", "Bad Request"));
    let statuses = [(); 4].map(|()| refresh_with(&mut idp, "x", &[]).status);
    assert_eq!(statuses, [503, 503, 400, 400]);
}

#[test]
fn a_redirect_can_be_tampered_with_errors_included() {
    let mut idp = idp();
    idp.inject(Fault::callback_with("state", "forged"));
    assert_eq!(query_of(&idp.deny(&url_with(&[]), NOW))["state"], "forged");
    idp.inject(Fault::callback_without("iss"));
    assert!(!query_of(&idp.deny(&url_with(&[]), NOW)).contains_key("iss"));
    idp.inject(Fault::callback_repeating("code"));
    let location = idp.approve(&url_with(&[]), &Approval::of(ALICE), NOW);
    assert_eq!(location.matches("code=").count(), 2);
    assert_eq!(idp.deny(&url_with(&[]), NOW).matches("state=").count(), 1, "only once");
}
