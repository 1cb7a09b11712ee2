//! V-9 and V-10: exp, iat and nbf are JSON numbers, judged by the client's clock with 60 seconds to spare (L-28).

use gauth::id_token::IdTokenError::{ClaimType, Expired, NotYetValid};
use serde_json::{Value, json};

use crate::forge::{Judge, NOW, RS256, Verdict, claims, claims_without, is_malformed, judge, rs256, with};

fn with_exp(exp: Value) -> Verdict {
    judge(&with(json!({ "exp": exp })))
}

/// Minutes of tolerance would be minutes of extra life (L-28); OpenID Connect says "before exp" (unlike X-43).
#[test]
fn a_token_is_expired_a_minute_after_its_end_and_not_a_second_earlier() {
    for (exp, expected) in [
        (NOW + 1, true),
        (NOW, true),
        (NOW - 59, true),
        (NOW - 60, false),
        (NOW - 61, false),
        (NOW - 86_400, false),
        (0, false),
    ] {
        let verdict = with_exp(json!(exp));
        assert_eq!(verdict.is_ok(), expected, "{exp}: {verdict:?}");
        assert!(expected || verdict == Err(Expired), "{exp}: {verdict:?}");
    }
}

#[test]
fn a_token_that_was_issued_more_than_a_minute_ahead_is_from_the_future() {
    for name in ["iat", "nbf"] {
        for (time, is_ok) in [(NOW - 86_400, true), (NOW, true), (NOW + 60, true), (NOW + 61, false)] {
            let verdict = judge(&with(json!({ name: time })));
            assert_eq!(verdict.is_ok(), is_ok, "{name} {time}: {verdict:?}");
            assert!(is_ok || verdict == Err(NotYetValid), "{name} {time}: {verdict:?}");
        }
    }
}

/// L-28: a clock that is ten minutes off refuses either way, and the text mentions the clock.
#[test]
fn a_wrong_clock_is_named_as_the_likely_reason() {
    let fresh = with(json!({ "exp": NOW + 300 }));
    let fast = Judge { now: NOW + 600, ..Judge::default() }.judge(&fresh).expect_err("expired");
    let slow = Judge { now: NOW - 600, ..Judge::default() }.judge(&fresh).expect_err("not yet valid");
    assert_eq!((&fast, &slow), (&Expired, &NotYetValid));
    assert!(fast.to_string().contains("clock") && slow.to_string().contains("clock"));
}

/// CVE-2026-25537: a library took a wrong type for an absent claim, and an absent claim for no check.
#[test]
fn a_time_of_the_wrong_type_is_an_error_and_not_an_absent_claim() {
    for wrong in [
        json!((NOW + 10).to_string()),
        json!("soon"),
        json!(""),
        json!(true),
        json!([NOW + 10]),
        json!({ "seconds": NOW }),
        Value::Null,
    ] {
        for name in ["exp", "iat", "nbf"] {
            assert_eq!(judge(&with(json!({ name: wrong }))), Err(ClaimType(name)), "{name} {wrong}");
        }
    }
}

#[test]
fn exp_and_iat_are_required_and_nbf_is_not() {
    for name in ["exp", "iat"] {
        assert_eq!(judge(&rs256(RS256, claims_without(name))), Err(ClaimType(name)));
    }
    assert!(judge(&rs256(RS256, claims_without("nbf"))).is_ok());
}

#[test]
fn a_time_may_have_a_fraction() {
    let claims = judge(&with(json!({ "exp": NOW as f64 + 10.9, "iat": NOW as f64 - 0.5 }))).expect("a good token");
    assert_eq!(claims.expires_at, NOW + 10, "and is never rounded up");
    assert_eq!(with_exp(json!(NOW as f64 - 59.5)), Err(Expired), "rounded down: the careful side");
    assert!(judge(&with(json!({ "iat": 1.7e9 }))).is_ok(), "an exponent is only another spelling");
}

#[test]
fn a_negative_or_huge_time_is_refused_without_an_overflow() {
    for odd in [
        json!(-1),
        json!(-0.5),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(i64::MAX),
        json!(9_007_199_254_740_993_u64),
        json!(1e18),
        json!(1e308),
    ] {
        for name in ["exp", "iat", "nbf"] {
            let verdict = judge(&with(json!({ name: odd })));
            assert_eq!(verdict, Err(ClaimType(name)), "{name} {odd}");
        }
    }
    for digits in ["1e999", "-1e999", "99999999999999999999999999999999"] {
        let claims = claims().replace(&(NOW + 3600).to_string(), digits);
        let verdict = judge(&rs256(RS256, claims));
        assert!(is_malformed(&verdict) || verdict == Err(ClaimType("exp")), "{digits}: {verdict:?}");
    }
}

#[test]
fn a_clock_at_either_end_of_time_is_no_crash() {
    for now in [0, u64::MAX] {
        assert!(Judge { now, ..Judge::default() }.judge(&with(json!({}))).is_err());
    }
}
