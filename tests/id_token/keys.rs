//! V-8 and V-17: which of the provider's published keys may check a token, and which entries of the set count at all.

use gauth::id_token::IdTokenError::{Signature, UnknownKey};
use gauth::id_token::KeySet;
use serde_json::{Value, json};

use crate::forge::{
    Curve, Judge, RS256, Verdict, claims, compact, ed25519, encode, good, headed, judge, key_set, rs256, rsa_jwk,
};

fn judge_with(keys: Vec<Value>, token: &str) -> Verdict {
    Judge::with_keys(keys).judge(token)
}

/// The verdict on a good token when its key is published with these members.
fn published_with(patch: Value) -> Verdict {
    judge_with(vec![rsa_jwk(patch)], &good())
}

#[test]
fn a_key_id_that_is_not_published_is_an_unknown_key() {
    for kid in ["other", "RSA", "rsa ", "rs", ""] {
        assert_eq!(judge(&headed(json!({ "alg": "RS256", "kid": kid }))), Err(UnknownKey), "{kid:?}");
    }
    assert_eq!(judge_with(Vec::new(), &good()), Err(UnknownKey), "no keys at all");
    assert_eq!(published_with(json!({ "kid": null })), Err(UnknownKey), "a key without an id fits no named one");
}

/// gauth's rule, stricter than google-auth's, which tries every key (X-44).
#[test]
fn without_a_key_id_one_candidate_is_used_and_of_two_none() {
    let unnamed = rs256(r#"{"alg":"RS256"}"#, claims());
    let (one, two) = (rsa_jwk(json!({})), rsa_jwk(json!({ "kid": "rsa-2" })));
    assert!(judge_with(vec![one.clone()], &unnamed).is_ok());
    assert_eq!(judge_with(vec![one.clone(), two], &unnamed), Err(UnknownKey));

    let others = vec![Curve::p256().jwk("ec"), rsa_jwk(json!({ "kid": "e", "use": "enc" })), one];
    assert!(judge_with(others, &unnamed).is_ok(), "keys of another kind or use are no candidates");
}

#[test]
fn two_keys_of_one_id_are_told_apart_by_their_kind() {
    let curve = Curve::p256();
    let keys = vec![curve.jwk("same"), rsa_jwk(json!({ "kid": "same" }))];
    assert!(judge_with(keys.clone(), &headed(json!({ "alg": "RS256", "kid": "same" }))).is_ok());
    let elliptic = compact(r#"{"alg":"ES256","kid":"same"}"#, claims(), |signed| curve.sign(signed));
    assert!(judge_with(keys, &elliptic).is_ok());
}

/// RFC 8725 section 3.1: the key decides which algorithms it is for.
#[test]
fn a_key_of_another_kind_than_the_algorithm_is_no_key_for_it() {
    let rs256_with = |key: Value| judge_with(vec![key], &good());
    assert_eq!(rs256_with(Curve::p256().jwk("rsa")), Err(UnknownKey));
    assert_eq!(rs256_with(ed25519("rsa").1), Err(UnknownKey));

    let curve = Curve::p256();
    let es256 = compact(r#"{"alg":"ES256","kid":"rsa"}"#, claims(), |signed| curve.sign(signed));
    assert_eq!(judge_with(vec![rsa_jwk(json!({}))], &es256), Err(UnknownKey));
    assert_eq!(judge_with(vec![Curve::p384().jwk("rsa")], &es256), Err(UnknownKey), "another curve");
}

#[test]
fn a_key_published_for_one_algorithm_serves_no_other() {
    assert!(published_with(json!({ "alg": "RS256" })).is_ok());
    for alg in ["RS384", "RS512", "PS256", "ES256", "HS256", "none", "RSA-OAEP", "rs256", "unheard-of"] {
        assert_eq!(published_with(json!({ "alg": alg })), Err(UnknownKey), "{alg}");
    }
}

#[test]
fn a_key_for_another_use_is_skipped() {
    assert!(published_with(json!({ "use": "sig" })).is_ok());
    for other in ["enc", "SIG", "unheard-of"] {
        assert_eq!(published_with(json!({ "use": other })), Err(UnknownKey), "{other}");
    }
}

#[test]
fn a_private_or_symmetric_key_in_the_set_is_ignored() {
    assert_eq!(published_with(json!({ "d": "AQAB" })), Err(UnknownKey), "RSA private");
    let curve = Curve::p256();
    let token = compact(r#"{"alg":"ES256","kid":"ec"}"#, claims(), |signed| curve.sign(signed));
    let mut private = curve.jwk("ec");
    private["d"] = json!("AQAB");
    assert_eq!(judge_with(vec![private], &token), Err(UnknownKey), "EC private");

    let symmetric = json!({ "kty": "oct", "kid": "rsa", "k": encode("secret") });
    assert_eq!(judge_with(vec![symmetric.clone()], &good()), Err(UnknownKey));
    assert!(judge_with(vec![symmetric, rsa_jwk(json!({}))], &good()).is_ok(), "the good key beside it counts");
}

#[test]
fn entries_that_nobody_understands_are_skipped_and_the_good_key_beside_them_counts() {
    for odd in [
        json!({ "kty": "unheard-of", "kid": "rsa" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "rsa", "pub": "AAAA" }),
        json!({ "kty": "EC", "crv": "secp256k1", "kid": "rsa", "x": "AA", "y": "AA" }),
        json!({ "kty": "RSA", "kid": "rsa" }),
        json!({ "kty": "RSA", "kid": "rsa", "n": 7, "e": [] }),
        json!({ "kty": "RSA", "kid": "rsa", "n": "not base64!", "e": "AQAB" }),
        json!({ "kty": "RSA", "kid": 7, "n": "AQAB", "e": "AQAB" }),
        json!({ "kid": "rsa" }),
        json!({}),
        json!([]),
        json!("rsa"),
        json!(null),
        json!(7),
    ] {
        assert!(judge_with(vec![odd.clone(), rsa_jwk(json!({}))], &good()).is_ok(), "{odd}");
        assert_eq!(judge_with(vec![odd.clone()], &good()), Err(UnknownKey), "{odd} alone");
    }
}

/// RFC 7518 section 3.3. The fixture's signature is right: only the length of its key is wrong.
#[test]
fn an_rsa_key_of_1024_bits_is_refused() {
    let keys: Value = serde_json::from_str(include_str!("../fixtures/rsa1024.jwks.json")).expect("a key set");
    let token = include_str!("../fixtures/rsa1024.token");
    assert_eq!(judge_with(vec![keys["keys"][0].clone()], token), Err(UnknownKey));

    let mut padded = keys["keys"][0].clone();
    let modulus = padded["n"].as_str().expect("a modulus").to_owned();
    padded["n"] = json!(format!("{}{modulus}", "A".repeat(172))); // leading zeros make it no longer
    assert_eq!(judge_with(vec![padded], token), Err(UnknownKey));
}

/// Whoever controls the key set controls the provider, but a broken one must not bring the program down.
#[test]
fn a_broken_key_is_refused_without_harm() {
    for patch in [
        json!({ "e": "" }),
        json!({ "e": "AA" }),
        json!({ "e": "AQ" }),
        json!({ "e": "Ag" }),
        json!({ "e": "not base64!" }),
        json!({ "e": encode([255; 300]) }),
        json!({ "n": encode([255; 4096]) }),
        json!({ "n": encode([254; 256]) }),
    ] {
        assert!(published_with(patch.clone()).is_err(), "{patch}");
    }
    let curve = Curve::p256();
    let token = compact(r#"{"alg":"ES256","kid":"ec"}"#, claims(), |signed| curve.sign(signed));
    for (x, y) in [("", ""), ("AA", "AA"), ("!", "!"), (&*encode([255; 32]), &*encode([255; 32]))] {
        let mut jwk = curve.jwk("ec");
        (jwk["x"], jwk["y"]) = (json!(x), json!(y));
        assert!(matches!(judge_with(vec![jwk], &token), Err(UnknownKey | Signature)), "{x} {y}");
    }
}

/// The verdict on a good Ed25519 token when its key is published as this curve, with this point.
fn published_as(crv: &str, point: impl Fn(&str) -> String) -> Verdict {
    let (pair, mut jwk) = ed25519("ed");
    let token = compact(r#"{"alg":"EdDSA","kid":"ed"}"#, claims(), |signed| pair.sign(signed).as_ref().to_vec());
    let x = point(jwk["x"].as_str().expect("a point"));
    (jwk["crv"], jwk["x"]) = (json!(crv), json!(x));
    Judge { keys: vec![jwk], announced: vec!["EdDSA"], ..Judge::default() }.judge(&token)
}

#[test]
fn an_edwards_key_that_is_too_short_is_refused_without_harm() {
    assert!(published_as("Ed25519", str::to_owned).is_ok());
    for short in ["", "!", "AA"] {
        assert!(matches!(published_as("Ed25519", |_| short.to_owned()), Err(UnknownKey | Signature)), "{short:?}");
    }
}

/// RFC 8037 section 2: one kind of key, four curves, of which one signs what gauth can check.
#[test]
fn an_edwards_key_that_is_too_long_or_of_another_curve_is_no_ed25519_key() {
    let long = |point: &str| format!("{point}AAAA");
    for (crv, verdict) in [
        ("Ed448", published_as("Ed448", long)),
        ("X25519", published_as("X25519", str::to_owned)),
        ("Ed25519 with more bytes", published_as("Ed25519", long)),
    ] {
        assert!(matches!(verdict, Err(UnknownKey | Signature)), "{crv}: {verdict:?}");
    }
}

#[test]
fn a_key_set_is_an_object_with_an_array_of_keys() {
    for jwks in [json!({}), json!([]), json!({ "keys": {} }), json!({ "keys": null }), json!(null), json!("keys")] {
        assert!(serde_json::from_value::<KeySet>(jwks.clone()).is_err(), "{jwks}");
    }
    let extra = json!({ "keys": [rsa_jwk(json!({ "x5c": ["MIIB"], "unheard-of": {} }))], "unheard-of": 1 });
    let shown = format!("{:?}", key_set(&extra));
    assert!(shown.contains("rsa"), "public keys may be shown: {shown}");
    assert!(judge(&rs256(RS256, claims())).is_ok());
}
