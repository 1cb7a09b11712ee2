//! V-6 to V-8: the signature is always checked, by an algorithm that the provider announced, with a key of the
//! provider's; nothing that the token says about itself changes that.

use gauth::id_token::IdTokenError::{AlgorithmRefused, CriticalHeader, Signature, UnknownKey};
use ring::{hmac, signature as sig};
use serde_json::{Value, json};

use crate::forge::{
    Curve, Judge, RS256, claims, claims_with, compact, ed25519, encode, good, headed, is_malformed, judge, rs256,
    rsa_jwk, rsa_public_der, rsa_sign,
};

#[test]
fn a_token_without_a_signature_is_refused_however_none_is_written() {
    let generous = Judge { announced: vec!["none", "None", "", "RS256"], ..Judge::default() };
    for alg in [json!("none"), json!("None"), json!("NONE"), json!("nOnE"), json!(""), Value::Null, json!(0), json!([])]
    {
        for signature in ["x", "signature"] {
            let token = compact(json!({ "alg": alg, "kid": "rsa" }).to_string(), claims(), |_| signature.into());
            assert_eq!(generous.judge(&token), Err(AlgorithmRefused), "{alg}");
        }
        let unsigned = compact(json!({ "alg": alg }).to_string(), claims(), |_| Vec::new());
        assert!(generous.judge(&unsigned).is_err(), "{alg} and an empty signature");
    }
    assert_eq!(judge(&rs256(r#"{"kid":"rsa"}"#, claims())), Err(AlgorithmRefused), "no alg at all");
}

/// RFC 8725 section 2.1: the public key taken for a shared secret, in every form that libraries have fed to HMAC.
#[test]
fn a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() {
    let der = rsa_public_der();
    let pem = format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", encode(&der));
    let jwk = rsa_jwk(json!({}));
    let modulus = jwk["n"].as_str().expect("a modulus").as_bytes().to_vec();
    let generous = Judge { announced: vec!["HS256", "HS384", "HS512", "RS256"], ..Judge::default() };
    for secret in [der, pem.into_bytes(), jwk.to_string().into_bytes(), modulus, Vec::new()] {
        for (alg, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let key = hmac::Key::new(algorithm, &secret);
            let header = json!({ "alg": alg, "kid": "rsa" }).to_string();
            let token = compact(header, claims(), |signed| hmac::sign(&key, signed).as_ref().to_vec());
            assert_eq!(generous.judge(&token), Err(AlgorithmRefused), "{alg}");
        }
    }
}

#[test]
fn the_name_of_an_algorithm_is_compared_to_the_letter() {
    for alg in ["rs256", "RS256 ", "RS2566", "RS25", "Rs256", "RSA-SHA256", "HS256", "ES256K", "RSA1_5", "dir"] {
        assert_eq!(judge(&headed(json!({ "alg": alg, "kid": "rsa" }))), Err(AlgorithmRefused), "{alg}");
    }
}

#[test]
fn every_single_flipped_bit_of_a_signature_byte_is_seen() {
    for bit in 0..8 {
        for byte in [0, 100, 255] {
            let token = compact(RS256, claims(), |signed| {
                let mut signature = rsa_sign(&sig::RSA_PKCS1_SHA256, signed);
                signature[byte] ^= 1 << bit;
                signature
            });
            assert_eq!(judge(&token), Err(Signature), "byte {byte} bit {bit}");
        }
    }
}

#[test]
fn a_signature_that_is_cut_extended_or_of_something_else_is_refused() {
    type Spoil = fn(Vec<u8>) -> Vec<u8>;
    let spoils: [Spoil; 6] = [
        |signature| signature[..255].to_vec(),
        |signature| signature[..1].to_vec(),
        |signature| [signature, vec![0]].concat(),
        |signature| [vec![0], signature].concat(),
        |_| vec![0; 256],
        |_| vec![255; 4096],
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let token = compact(RS256, claims(), |signed| spoil(rsa_sign(&sig::RSA_PKCS1_SHA256, signed)));
        assert_eq!(judge(&token), Err(Signature), "spoil {number}");
    }
    let other = rsa_sign(&sig::RSA_PKCS1_SHA256, b"something else");
    assert_eq!(judge(&compact(RS256, claims(), |_| other.clone())), Err(Signature));
}

#[test]
fn claims_swapped_under_a_good_signature_are_refused() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    let mallory = encode(claims_with(json!({ "sub": "mallory" })));
    assert_eq!(judge(&[parts[0], &mallory, parts[2]].join(".")), Err(Signature));
    let header = encode(r#"{"kid":"rsa","alg":"RS256"}"#);
    assert_eq!(judge(&[&header, parts[1], parts[2]].join(".")), Err(Signature));
}

#[test]
fn an_elliptic_signature_of_zeros_or_in_the_other_encoding_is_refused() {
    let curve = Curve::p256();
    let judge = Judge::with_keys(vec![curve.jwk("ec")]);
    let header = r#"{"alg":"ES256","kid":"ec"}"#;
    assert!(judge.judge(&compact(header, claims(), |signed| curve.sign(signed))).is_ok());
    // CVE-2022-21449 in Java: r = s = 0 fitted everything
    assert_eq!(judge.judge(&compact(header, claims(), |_| vec![0; 64])), Err(Signature));
    let der = |signed: &[u8]| [&[0x30, 0x44, 0x02, 0x20], &curve.sign(signed)[..32], &[0x02, 0x20], &[1; 32]].concat();
    assert_eq!(judge.judge(&compact(header, claims(), der)), Err(Signature));
    assert_eq!(judge.judge(&compact(header, claims(), |signed| curve.sign(signed)[..63].to_vec())), Err(Signature));
}

/// V-7: RS256 is the default; the others only where the provider announces them.
#[test]
fn each_announced_algorithm_works_and_is_refused_where_it_is_not_announced() {
    let (p256, p384, (ed, ed_jwk)) = (Curve::p256(), Curve::p384(), ed25519("ed"));
    let keys = vec![rsa_jwk(json!({})), p256.jwk("p256"), p384.jwk("p384"), ed_jwk];
    let sign = |alg: &str, signed: &[u8]| match alg {
        "RS256" => rsa_sign(&sig::RSA_PKCS1_SHA256, signed),
        "RS384" => rsa_sign(&sig::RSA_PKCS1_SHA384, signed),
        "RS512" => rsa_sign(&sig::RSA_PKCS1_SHA512, signed),
        "PS256" => rsa_sign(&sig::RSA_PSS_SHA256, signed),
        "PS384" => rsa_sign(&sig::RSA_PSS_SHA384, signed),
        "PS512" => rsa_sign(&sig::RSA_PSS_SHA512, signed),
        "ES256" => p256.sign(signed),
        "ES384" => p384.sign(signed),
        _ => ed.sign(signed).as_ref().to_vec(),
    };
    let all = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];
    for alg in all {
        let kid = if alg == "ES256" {
            "p256"
        } else if alg == "ES384" {
            "p384"
        } else {
            "rsa"
        };
        let kid = if alg == "EdDSA" { "ed" } else { kid };
        let token = compact(json!({ "alg": alg, "kid": kid }).to_string(), claims(), |signed| sign(alg, signed));
        let judge = |announced| Judge { keys: keys.clone(), announced, ..Judge::default() }.judge(&token);
        assert!(judge(vec![alg]).is_ok(), "{alg} announced");
        let others = all.into_iter().filter(|other| *other != alg).collect();
        assert_eq!(judge(others), Err(AlgorithmRefused), "{alg} not announced");
        let by_default = judge(Vec::new());
        assert_eq!(by_default.is_ok(), alg == "RS256", "{alg} where nothing is announced");
    }
}

#[test]
fn a_signature_of_one_scheme_does_not_pass_for_another_of_the_same_key() {
    let judge = Judge { announced: vec!["RS256", "RS512", "PS256"], ..Judge::default() };
    for alg in ["RS512", "PS256"] {
        assert_eq!(judge.judge(&headed(json!({ "alg": alg, "kid": "rsa" }))), Err(Signature), "{alg}");
    }
}

/// RFC 7515 section 4.1.11; CVE-2026-32597 was a library that ignored it.
#[test]
fn any_critical_header_is_refused() {
    for crit in [json!(["exp"]), json!(["b64"]), json!(["unheard-of"]), json!([]), json!("b64"), Value::Null] {
        let header = json!({ "alg": "RS256", "kid": "rsa", "crit": crit, "b64": true, "unheard-of": 1 });
        assert_eq!(judge(&headed(header)), Err(CriticalHeader), "{crit}");
    }
}

#[test]
fn a_key_that_the_token_brings_along_is_ignored() {
    let mallory = Curve::p256();
    let brought = |kid: &str| {
        json!({
            "alg": "ES256", "kid": kid, "jwk": mallory.jwk(kid), "jku": "https://evil.example/jwks",
            "x5u": "https://evil.example/cert", "x5c": ["MIIB"], "x5t": "AAAA",
        })
    };
    let forged = |kid| compact(brought(kid).to_string(), claims(), |signed| mallory.sign(signed));
    let honest = Curve::p256();
    let judge = Judge::with_keys(vec![honest.jwk("ec")]);
    assert_eq!(judge.judge(&forged("ec")), Err(Signature), "the provider's key counts");
    assert_eq!(judge.judge(&forged("mallory")), Err(UnknownKey));
    let right = compact(brought("ec").to_string(), claims(), |signed| honest.sign(signed));
    assert!(judge.judge(&right).is_ok(), "such headers do no harm to a good token either");
}

#[test]
fn a_key_id_that_is_no_string_is_refused() {
    for kid in [json!(1), Value::Null, json!(["rsa"]), json!({ "kid": "rsa" }), json!(true)] {
        assert!(is_malformed(&judge(&headed(json!({ "alg": "RS256", "kid": kid })))), "{kid}");
    }
}
