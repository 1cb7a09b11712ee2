//! Google's manners, when asked for.

use super::*;

fn google() -> Idp {
    Idp::new(ISSUER, Settings { google_shaped: true, rotate_refresh_tokens: false, ..Settings::default() }).unwrap()
}

const EMAIL: &str = "https://www.googleapis.com/auth/userinfo.email";
const PROFILE: &str = "https://www.googleapis.com/auth/userinfo.profile";

#[test]
fn the_callback_lists_both_names_of_the_scopes_and_more_parameters() {
    let query = query_of(&google().approve(&url_with(&[]), &Approval::of(ALICE), NOW));
    assert_eq!(query["scope"], format!("openid email profile {EMAIL} {PROFILE}"));
    assert_eq!((query["authuser"].as_str(), query["hd"].as_str()), ("0", "example.test"));
    assert_eq!(query["prompt"], "consent");
    assert!(query["code"].contains('/'), "the slash has to survive one decoding");
}

#[test]
fn the_answers_name_the_scopes_by_url_and_take_either_name() {
    let mut idp = google();
    let first = tokens(&mut idp);
    assert_eq!(text(&first, "scope"), format!("openid {EMAIL} {PROFILE}"));
    let narrow = refresh_with(&mut idp, text(&first, "refresh_token"), &[("scope", EMAIL)]).value();
    assert_eq!(text(&narrow, "scope"), EMAIL);
}

#[test]
fn a_missing_secret_is_an_invalid_request() {
    let mut idp = google();
    let code = code_for(&mut idp, &url_with(&[]));
    let response = redeem_with(&mut idp, &code, &[("client_secret", "")]);
    assert_error(&response, 400, "invalid_request");
    assert_eq!(text(&response.value(), "error_description"), "client_secret is missing.");
}

#[test]
fn revocation_needs_no_client_takes_everything_and_refuses_a_second_time() {
    let mut idp = google();
    let answer = tokens(&mut idp);
    let request = Request::post("/revoke", &[("token", text(&answer, "access_token"))]);
    assert_eq!(idp.handle(&request, NOW).status, 200);
    assert!(!idp.is_active(text(&answer, "refresh_token"), NOW));
    assert_error(&idp.handle(&request, NOW), 400, "invalid_token");
}
