//! Refreshing, rotation and the reuse of what was rotated away.

use super::*;

#[test]
fn a_refresh_brings_new_tokens_and_retires_the_old_refresh_token() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    let second = refresh_with(&mut idp, text(&first, "refresh_token"), &[]).value();
    assert_ne!(text(&second, "access_token"), text(&first, "access_token"));
    assert_ne!(text(&second, "refresh_token"), text(&first, "refresh_token"));
    assert!(!idp.is_active(text(&first, "refresh_token"), NOW));
    assert!(idp.is_active(text(&second, "refresh_token"), NOW));
}

#[test]
fn using_a_retired_refresh_token_ends_the_whole_family() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    let second = refresh_with(&mut idp, text(&first, "refresh_token"), &[]).value();
    assert_error(&refresh_with(&mut idp, text(&first, "refresh_token"), &[]), 400, "invalid_grant");
    assert_error(&refresh_with(&mut idp, text(&second, "refresh_token"), &[]), 400, "invalid_grant");
    assert!(!idp.is_active(text(&second, "access_token"), NOW));
}

#[test]
fn one_family_does_not_end_another() {
    let mut idp = idp();
    let (first, other) = (tokens(&mut idp), tokens(&mut idp));
    refresh_with(&mut idp, text(&first, "refresh_token"), &[]);
    refresh_with(&mut idp, text(&first, "refresh_token"), &[]);
    assert_eq!(refresh_with(&mut idp, text(&other, "refresh_token"), &[]).status, 200);
}

#[test]
fn without_rotation_the_refresh_token_stays_and_none_is_sent() {
    let mut idp = idp();
    idp.set(Settings { rotate_refresh_tokens: false, ..Settings::default() });
    let first = tokens(&mut idp);
    for _ in 0..2 {
        let response = refresh_with(&mut idp, text(&first, "refresh_token"), &[]);
        assert_eq!(response.status, 200);
        assert!(response.value().get("refresh_token").is_none());
    }
}

#[test]
fn a_refresh_may_ask_for_less_but_not_for_more() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    let wider = refresh_with(&mut idp, text(&first, "refresh_token"), &[("scope", "openid https://x.test/y")]);
    assert_error(&wider, 400, "invalid_scope");
    let narrow = refresh_with(&mut idp, text(&first, "refresh_token"), &[("scope", "email")]).value();
    assert_eq!(text(&narrow, "scope"), "email");
    assert!(narrow.get("id_token").is_none());
    let full = refresh_with(&mut idp, text(&narrow, "refresh_token"), &[]).value();
    assert_eq!(text(&full, "scope"), "openid email profile", "the grant itself stays as wide as it was");
}

#[test]
fn another_clients_refresh_token_is_refused_and_lives_on() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&first, "refresh_token")),
        ("client_id", "sandbox-public"),
    ];
    assert_error(&idp.handle(&Request::post("/token", &form), NOW), 400, "invalid_grant");
    assert!(idp.is_active(text(&first, "refresh_token"), NOW));
}

#[test]
fn withdrawn_consent_ends_everything() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    idp.revoke_grants();
    assert_error(&refresh_with(&mut idp, text(&first, "refresh_token"), &[]), 400, "invalid_grant");
    assert!(!idp.is_active(text(&first, "access_token"), NOW));
}

#[test]
fn access_tokens_live_as_long_as_the_settings_say() {
    let mut idp = idp();
    idp.set(Settings { token_ttl: 5, ..Settings::default() });
    let answer = tokens(&mut idp);
    assert_eq!(answer["expires_in"], 5);
    assert!(idp.is_active(text(&answer, "access_token"), NOW + 4));
    assert!(!idp.is_active(text(&answer, "access_token"), NOW + 5));
}
