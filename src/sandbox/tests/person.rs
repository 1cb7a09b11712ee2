//! The person's steps: sign-in, consent, refusal.

use super::*;
use crate::sandbox::{Endpoint, IssParameter};

const INTERACTION: &str = super::super::interaction::INTERACTION;

/// Opens the sign-in page and returns the id that its form carries.
fn opened(idp: &mut Idp, changes: &[(&str, &str)]) -> String {
    let url = url_with(changes);
    let page = idp.handle(&Request::get(url.strip_prefix(ISSUER).unwrap()), NOW);
    let id = page.interaction.clone().unwrap();
    assert!(String::from_utf8(page.body).unwrap().contains(&id), "the page must carry the id");
    id
}

fn post(idp: &mut Idp, form: &[(&str, &str)]) -> Response {
    idp.handle(&Request::post("/authorize", form), NOW)
}

#[test]
fn sign_in_then_consent_ends_with_a_303_that_carries_code_state_and_issuer() {
    let mut idp = idp();
    let id = opened(&mut idp, &[]);
    let consent = post(&mut idp, &[(INTERACTION, &id), ("account", ALICE), ("action", "continue")]);
    assert_eq!(consent.status, 200);
    let form = [(INTERACTION, id.as_str()), ("action", "approve"), ("scope", "openid"), ("scope", "email")];
    let answer = post(&mut idp, &form);
    assert_eq!((answer.status, answer.header("Referrer-Policy")), (303, Some("no-referrer")));
    let query = query_of(answer.header("Location").unwrap());
    assert!(query["code"].starts_with("sandbox-code-"));
    assert_eq!((query["state"].as_str(), query["iss"].as_str()), ("the-state", ISSUER));
}

#[test]
fn an_interaction_ends_with_its_answer_and_after_ten_minutes() {
    let mut idp = idp();
    let id = opened(&mut idp, &[]);
    let deny = [(INTERACTION, id.as_str()), ("action", "deny")];
    assert_eq!(post(&mut idp, &deny).status, 303);
    assert_eq!(post(&mut idp, &deny).status, 400);
    let id = opened(&mut idp, &[]);
    let late = Request::post("/authorize", &[(INTERACTION, &id), ("action", "deny")]);
    assert_eq!(idp.handle(&late, NOW + 600).status, 400);
}

#[test]
fn nobody_can_approve_without_the_id_or_before_signing_in() {
    let mut idp = idp();
    let id = opened(&mut idp, &[]);
    let approve = [(INTERACTION, id.as_str()), ("action", "approve"), ("scope", "openid")];
    assert_eq!(post(&mut idp, &approve).status, 400);
    assert_eq!(post(&mut idp, &[(INTERACTION, "guess"), ("action", "approve")]).status, 400);
}

#[test]
fn a_mistyped_account_is_refused_and_may_be_typed_again() {
    let mut idp = idp();
    let id = opened(&mut idp, &[]);
    for (account, status) in [("alice", 400), ("a b@c", 400), ("carol@elsewhere.test", 200)] {
        let form = [(INTERACTION, id.as_str()), ("account", account), ("action", "continue")];
        assert_eq!(post(&mut idp, &form).status, status, "{account}");
    }
}

#[test]
fn a_form_cannot_grant_what_was_not_asked_for() {
    let mut idp = idp();
    let id = opened(&mut idp, &[("scope", "openid")]);
    post(&mut idp, &[(INTERACTION, &id), ("account", ALICE), ("action", "continue")]);
    let form = [(INTERACTION, id.as_str()), ("action", "approve"), ("scope", "openid"), ("scope", "email")];
    assert_eq!(post(&mut idp, &form).status, 400);
}

#[test]
fn unticked_scopes_are_missing_from_the_grant_and_none_at_all_is_a_refusal() {
    let mut idp = idp();
    let back = idp.approve(&url_with(&[]), &Approval::only(ALICE, &["openid"]), NOW);
    let answer = redeem_with(&mut idp, &query_of(&back)["code"], &[]).value();
    assert_eq!(text(&answer, "scope"), "openid");
    let back = idp.approve(&url_with(&[]), &Approval::only(ALICE, &[]), NOW);
    assert_eq!(query_of(&back)["error"], "access_denied");
}

#[test]
fn the_hinted_account_comes_first() {
    let mut idp = idp();
    let url = url_with(&[("login_hint", "carol@elsewhere.test")]);
    let page = idp.handle(&Request::get(url.strip_prefix(ISSUER).unwrap()), NOW);
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.find("carol@elsewhere.test").unwrap() < html.find(ALICE).unwrap());
}

#[test]
fn denying_is_told_with_state_and_issuer() {
    let query = query_of(&idp().deny(&url_with(&[]), NOW));
    assert_eq!(query["error"], "access_denied");
    assert_eq!((query["state"].as_str(), query["iss"].as_str()), ("the-state", ISSUER));
}

#[test]
fn the_issuer_parameter_can_be_absent_or_wrong_and_unannounced() {
    let mut idp = idp();
    idp.set(Settings { iss: IssParameter::Absent, advertise_iss: false, ..Settings::default() });
    assert!(!query_of(&idp.deny(&url_with(&[]), NOW)).contains_key("iss"));
    let discovery = idp.handle(&Request::get("/.well-known/openid-configuration"), NOW).value();
    assert_eq!(discovery["authorization_response_iss_parameter_supported"], false);
    idp.set(Settings { iss: IssParameter::Wrong("https://evil.test".into()), ..Settings::default() });
    assert_eq!(query_of(&idp.deny(&url_with(&[]), NOW))["iss"], "https://evil.test");
}

#[test]
fn the_doors_take_the_same_steps_as_a_browser_and_say_so() {
    let mut idp = idp();
    code_for(&mut idp, &url_with(&[]));
    let methods: Vec<_> = idp.seen().iter().map(|seen| (seen.endpoint, seen.method.as_str())).collect();
    let steps = ["GET", "POST", "POST"].map(|method| (Endpoint::Authorize, method));
    assert_eq!(methods, steps);
    assert_eq!(idp.seen()[0].param("code_challenge"), Some(CHALLENGE));
    assert_eq!(idp.approve(&url_with(&[("client_id", "nobody")]), &Approval::of(ALICE), NOW), "");
}
