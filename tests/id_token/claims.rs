//! V-2 to V-5 and V-11 to V-16: what the token must say about who issued it, for whom, about whom, for which request.

use gauth::id_token::IdTokenError::{AccessTokenHash, Audience, AuthorizedParty, Issuer, Nonce, Subject};
use gauth::id_token::Unverified;
use gauth::token::IdToken;
use ring::signature as sig;
use serde_json::{Value, json};

use crate::forge::{
    CLIENT, Curve, ISSUER, Judge, NONCE, RS256, Verdict, claims_with, claims_without, compact, ed25519, judge, rs256,
    rsa_jwk, rsa_sign, with,
};

fn without(name: &str) -> Verdict {
    judge(&rs256(RS256, claims_without(name)))
}

#[test]
fn the_issuer_is_compared_to_the_letter() {
    for issuer in [
        json!("https://op.example/"),
        json!("https://OP.example"),
        json!("HTTPS://op.example"),
        json!("http://op.example"),
        json!("https://op.example:443"),
        json!("https://op.example.evil.example"),
        json!("https://op.exampl"),
        json!("op.example"),
        json!(" https://op.example"),
        json!(""),
        json!([ISSUER]),
        json!(1),
        Value::Null,
    ] {
        assert_eq!(judge(&with(json!({ "iss": issuer }))), Err(Issuer), "{issuer}");
    }
    assert_eq!(without("iss"), Err(Issuer));
}

/// G-41.
#[test]
fn of_google_two_literals_count_and_nothing_else() {
    let google = |iss: &str| {
        Judge { issuers: vec!["https://accounts.google.com", "accounts.google.com"], ..Judge::default() }
            .judge(&with(json!({ "iss": iss })))
    };
    for right in ["https://accounts.google.com", "accounts.google.com"] {
        assert_eq!(google(right).expect("one of the two").issuer, right);
    }
    for wrong in [
        "https://accounts.google.com/",
        "accounts.google.com/",
        "http://accounts.google.com",
        "Accounts.Google.com",
        "google.com",
        "accounts.google.com.evil.example",
        "https://accounts.google.co",
        "//accounts.google.com",
    ] {
        assert_eq!(google(wrong), Err(Issuer), "{wrong}");
    }
}

#[test]
fn the_audience_may_be_a_text_or_an_array_of_this_client_alone() {
    for aud in [json!(CLIENT), json!([CLIENT])] {
        assert!(judge(&with(json!({ "aud": aud }))).is_ok(), "{aud}");
    }
    for aud in [
        json!([CLIENT, "another"]),
        json!(["another", CLIENT]),
        json!([CLIENT, 7]),
        json!([CLIENT, null]),
        json!([[CLIENT]]),
        json!([]),
        json!("another"),
        json!("CLIENT-1"),
        json!("client-1 "),
        json!("client-10"),
        json!("client-"),
        json!(""),
        json!(1),
        json!(true),
        json!({ CLIENT: CLIENT }),
        Value::Null,
    ] {
        assert_eq!(judge(&with(json!({ "aud": aud }))), Err(Audience), "{aud}");
    }
    assert_eq!(without("aud"), Err(Audience));
}

/// V-5. A second audience is not excused by an `azp` that names this client.
#[test]
fn the_authorized_party_must_be_this_client_if_it_is_named() {
    assert!(judge(&with(json!({ "azp": CLIENT }))).is_ok());
    for azp in [json!("another"), json!("CLIENT-1"), json!(""), json!([CLIENT]), json!(1), Value::Null] {
        assert_eq!(judge(&with(json!({ "azp": azp }))), Err(AuthorizedParty), "{azp}");
    }
    assert_eq!(judge(&with(json!({ "aud": [CLIENT, "another"], "azp": CLIENT }))), Err(Audience));
}

#[test]
fn the_nonce_must_be_the_one_that_was_sent() {
    for nonce in [
        json!(""),
        json!("the-nonc"),
        json!("the-nonce "),
        json!("The-Nonce"),
        json!("the-noncf"),
        json!([NONCE]),
        json!(0),
        json!(true),
        Value::Null,
    ] {
        assert_eq!(judge(&with(json!({ "nonce": nonce }))), Err(Nonce), "{nonce}");
    }
    assert_eq!(without("nonce"), Err(Nonce));
}

#[test]
fn without_a_nonce_in_the_request_the_token_may_have_one_or_none() {
    let refresh = Judge { nonce: None, ..Judge::default() };
    assert!(refresh.judge(&with(json!({}))).is_ok());
    assert!(refresh.judge(&rs256(RS256, claims_without("nonce"))).is_ok());
}

const ACCESS_TOKEN: &str = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
const AT_HASH: &str = "77QmUPtjPfzWtF2AnpK9RQ";

/// The vector of V-14.
#[test]
fn the_hash_of_the_access_token_must_be_right_if_there_is_one() {
    let judge = Judge { access_token: Some(ACCESS_TOKEN), ..Judge::default() };
    assert!(judge.judge(&with(json!({ "at_hash": AT_HASH }))).is_ok());
    assert!(judge.judge(&with(json!({}))).is_ok(), "the code flow may leave it out");
    for at_hash in [
        json!("77QmUPtjPfzWtF2AnpK9RR"),
        json!("77QmUPtjPfzWtF2AnpK9RQ=="),
        json!("77QmUPtjPfzWtF2AnpK9R"),
        json!(AT_HASH.to_lowercase()),
        json!(""),
        json!(ACCESS_TOKEN),
        json!(77),
        json!([AT_HASH]),
        Value::Null,
    ] {
        assert_eq!(judge.judge(&with(json!({ "at_hash": at_hash }))), Err(AccessTokenHash), "{at_hash}");
    }
    let other = Judge { access_token: Some("another"), ..Judge::default() };
    assert_eq!(other.judge(&with(json!({ "at_hash": AT_HASH }))), Err(AccessTokenHash));
}

/// OpenID Connect Core section 3.1.3.6: the hash is that of the signature's algorithm. Values by another tool:
/// `printf %s TOKEN | openssl dgst -sha384 -binary | head -c 24 | basenc --base64url`, and 512 with 32.
#[test]
fn the_hash_is_the_one_of_the_signature_algorithm() {
    const SHA384: &str = "jtAeDp945y1dDqU3nkIVGNZP1HjH_MFs";
    const SHA512: &str = "q7nS86GgvvFaZkzALLWqJYaJIKw2wCDAVfCAsm5CrBM";
    let (p384, (ed, ed_jwk)) = (Curve::p384(), ed25519("ed"));
    let keys = vec![rsa_jwk(json!({})), p384.jwk("p384"), ed_jwk];
    let judge = |alg: &'static str, kid: &str, at_hash: &str| {
        let sign = |signed: &[u8]| match alg {
            "RS512" => rsa_sign(&sig::RSA_PKCS1_SHA512, signed),
            "PS256" => rsa_sign(&sig::RSA_PSS_SHA256, signed),
            "ES384" => p384.sign(signed),
            _ => ed.sign(signed).as_ref().to_vec(),
        };
        let header = json!({ "alg": alg, "kid": kid }).to_string();
        let token = compact(header, claims_with(json!({ "at_hash": at_hash })), sign);
        let access_token = Some(ACCESS_TOKEN);
        Judge { keys: keys.clone(), announced: vec![alg], access_token, ..Judge::default() }.judge(&token)
    };
    for (alg, kid, at_hash) in
        [("PS256", "rsa", AT_HASH), ("ES384", "p384", SHA384), ("RS512", "rsa", SHA512), ("EdDSA", "ed", SHA512)]
    {
        assert!(judge(alg, kid, at_hash).is_ok(), "{alg}");
        let other = if at_hash == AT_HASH { SHA384 } else { AT_HASH };
        assert_eq!(judge(alg, kid, other), Err(AccessTokenHash), "{alg}");
    }
}

#[test]
fn the_subject_is_1_to_255_ascii_characters() {
    for sub in ["a", "110169484474386276334", &"x".repeat(255)] {
        assert_eq!(judge(&with(json!({ "sub": sub }))).expect("a subject").subject, sub);
    }
    for sub in [json!(""), json!("x".repeat(256)), json!("Zoë"), json!("用户"), json!(1), json!(["alice"]), Value::Null]
    {
        assert_eq!(judge(&with(json!({ "sub": sub }))), Err(Subject), "{sub}");
    }
    assert_eq!(without("sub"), Err(Subject));
}

/// G-40: for people to read; a wrong type is no address, and no reason to fail.
#[test]
fn the_address_and_the_domain_are_read_if_they_are_texts() {
    for verified in [json!(true), json!("true")] {
        let claims = judge(&with(json!({ "email": "a@x.example", "hd": "x.example", "email_verified": verified })));
        let claims = claims.expect("a good token");
        assert_eq!(
            (claims.email.as_deref(), claims.hosted_domain.as_deref()),
            (Some("a@x.example"), Some("x.example"))
        );
    }
    let claims = judge(&with(json!({ "email": ["a@x.example"], "hd": 7 }))).expect("a good token");
    assert_eq!((claims.email, claims.hosted_domain), (None, None));
}

/// V-16, as `source::user` asks it of every refresh.
#[test]
fn a_token_of_a_refresh_must_be_about_the_same_person_at_the_same_client_and_issuer() {
    let is_about_alice = |claims: String| {
        let token = IdToken::new(rs256(RS256, claims));
        Unverified::read(&token).expect("a readable token").is_about(&[ISSUER], CLIENT, "alice")
    };
    assert!(is_about_alice(claims_with(json!({}))));
    assert!(is_about_alice(claims_without("nonce")), "normally absent on refresh");
    for (name, wrongs) in [
        ("sub", [json!("bob"), json!("Alice"), json!("alice "), json!(["alice"])]),
        ("iss", [json!("https://op.example/"), json!("https://other.example"), json!([ISSUER]), json!("")]),
        ("aud", [json!("another"), json!([CLIENT, "another"]), json!([]), json!(1)]),
        ("azp", [json!("another"), json!(""), json!([CLIENT]), json!(1)]),
    ] {
        for wrong in wrongs {
            assert!(!is_about_alice(claims_with(json!({ name: wrong }))), "{name} {wrong}");
        }
    }
    for name in ["sub", "iss", "aud"] {
        assert!(!is_about_alice(claims_without(name)), "{name}");
    }
}

/// google-auth, the peer, takes no array at all and checks neither nonce, azp nor at_hash.
#[test]
fn where_gauth_is_stricter_or_more_lenient_than_google_auth_it_is_on_purpose() {
    assert!(judge(&with(json!({ "aud": [CLIENT] }))).is_ok());
    assert_eq!(judge(&with(json!({ "azp": "another" }))), Err(AuthorizedParty));
    assert_eq!(without("iss"), Err(Issuer), "a missing issuer is a refusal, not a crash (X-42)");
}
