//! ID tokens, right and wrong.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::json;

use super::*;
use crate::sandbox::{Fault, IdTokenFault};

fn id_token_with(idp: &mut Idp, fault: IdTokenFault) -> String {
    idp.inject(Fault::IdToken(fault));
    text(&tokens(idp), "id_token").to_owned()
}

fn part(token: &str, at: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()
}

fn header(token: &str) -> Value {
    serde_json::from_slice(&part(token, 0)).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&part(token, 1)).unwrap()
}

/// The published point of a key, as the signature check wants it.
fn public_key(idp: &mut Idp, at: usize) -> Vec<u8> {
    let jwks = idp.handle(&Request::get("/jwks"), NOW).value();
    let coordinate = |name| URL_SAFE_NO_PAD.decode(jwks["keys"][at][name].as_str().unwrap()).unwrap();
    [vec![4], coordinate("x"), coordinate("y")].concat()
}

fn verifies(idp: &mut Idp, key: usize, token: &str) -> bool {
    let signed = token.rsplit_once('.').unwrap().0;
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public_key(idp, key));
    key.verify(signed.as_bytes(), &part(token, 2)).is_ok()
}

#[test]
fn it_says_who_signed_in_for_whom_and_is_signed_by_the_published_key() {
    let mut idp = idp();
    let answer = tokens(&mut idp);
    let token = text(&answer, "id_token");
    assert!(verifies(&mut idp, 0, token));
    assert_eq!(header(token)["alg"], "ES256");
    assert_eq!(header(token)["kid"], idp.handle(&Request::get("/jwks"), NOW).value()["keys"][0]["kid"]);
    let claims = claims(token);
    assert_eq!((text(&claims, "iss"), text(&claims, "nonce")), (ISSUER, "the-nonce"));
    assert_eq!((text(&claims, "aud"), text(&claims, "azp")), ("sandbox-installed", "sandbox-installed"));
    assert_eq!((text(&claims, "email"), text(&claims, "name")), (ALICE, "Alice Example"));
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW), Some(NOW + 3600)));
    assert_eq!(text(&claims, "at_hash"), super::super::jwt::at_hash(text(&answer, "access_token")));
    assert_eq!(claims["email_verified"], true);
}

#[test]
fn it_names_no_address_and_no_name_without_their_scopes() {
    let mut idp = idp();
    let code = code_for(&mut idp, &url_with(&[("scope", "openid")]));
    let claims = claims(text(&redeem_with(&mut idp, &code, &[]).value(), "id_token"));
    assert!(claims.get("email").is_none() && claims.get("name").is_none() && claims["sub"].is_string());
}

#[test]
fn after_a_refresh_it_is_the_same_person_and_has_no_nonce() {
    let mut idp = idp();
    let first = tokens(&mut idp);
    let second = refresh_with(&mut idp, text(&first, "refresh_token"), &[]).value();
    let (first, second) = (claims(text(&first, "id_token")), claims(text(&second, "id_token")));
    assert!(second.get("nonce").is_none());
    assert_eq!(second["sub"], first["sub"]);
}

#[test]
fn a_skewed_clock_shows_in_its_times() {
    let mut idp = idp();
    idp.set(Settings { clock_skew: -7200, ..Settings::default() });
    let claims = claims(text(&tokens(&mut idp), "id_token"));
    assert_eq!((claims["iat"].as_u64(), claims["exp"].as_u64()), (Some(NOW - 7200), Some(NOW - 3600)));
}

#[test]
fn a_rotated_key_signs_the_next_one_and_the_old_one_still_verifies() {
    let mut idp = idp();
    let old = text(&tokens(&mut idp), "id_token").to_owned();
    idp.rotate_signing_key().unwrap();
    let new = text(&tokens(&mut idp), "id_token").to_owned();
    assert!(verifies(&mut idp, 0, &new) && verifies(&mut idp, 1, &old));
    assert!(!verifies(&mut idp, 0, &old));
}

#[test]
fn alg_none_has_no_signature() {
    let token = id_token_with(&mut idp(), IdTokenFault::AlgNone);
    assert!(header(&token)["alg"] == "none" && token.ends_with('.'));
}

#[test]
fn hs256_is_keyed_with_the_public_key() {
    let mut idp = idp();
    let token = id_token_with(&mut idp, IdTokenFault::Hs256WithPublicKey);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &public_key(&mut idp, 0));
    assert_eq!(header(&token)["alg"], "HS256");
    assert!(hmac::verify(&key, token.rsplit_once('.').unwrap().0.as_bytes(), &part(&token, 2)).is_ok());
}

#[test]
fn a_flipped_bit_breaks_the_signature() {
    let mut idp = idp();
    let token = id_token_with(&mut idp, IdTokenFault::FlippedSignatureBit);
    assert!(!verifies(&mut idp, 0, &token));
}

#[test]
fn header_faults_are_signed_rightly() {
    let mut idp = idp();
    for (fault, member, value) in [
        (IdTokenFault::UnknownKid, "kid", json!("no-such-key")),
        (IdTokenFault::MissingKid, "kid", Value::Null),
        (IdTokenFault::Crit, "crit", json!(["sandbox-unheard-of"])),
    ] {
        let token = id_token_with(&mut idp, fault);
        assert_eq!(header(&token)[member], value);
        assert!(verifies(&mut idp, 0, &token));
    }
}

#[test]
fn any_claim_can_be_overwritten_or_removed_under_a_right_signature() {
    let mut idp = idp();
    let patch = json!({ "aud": ["a", "b"], "exp": "soon", "nonce": null });
    let token = id_token_with(&mut idp, IdTokenFault::Claims(patch));
    let claims = claims(&token);
    assert_eq!((&claims["aud"], &claims["exp"]), (&json!(["a", "b"]), &json!("soon")));
    assert!(claims.get("nonce").is_none() && verifies(&mut idp, 0, &token));
}

#[test]
fn a_duplicate_member_is_signed_rightly() {
    let mut idp = idp();
    let token = id_token_with(&mut idp, IdTokenFault::DuplicateMember);
    assert_eq!(String::from_utf8(part(&token, 1)).unwrap().matches("\"sub\"").count(), 2);
    assert!(verifies(&mut idp, 0, &token));
}

#[test]
fn padding_and_a_fourth_segment_are_added() {
    assert!(id_token_with(&mut idp(), IdTokenFault::Padding).ends_with("=="));
    assert_eq!(id_token_with(&mut idp(), IdTokenFault::FourSegments).split('.').count(), 4);
}

#[test]
fn a_wrong_at_hash_fits_no_access_token_of_the_answer() {
    let mut idp = idp();
    idp.inject(Fault::IdToken(IdTokenFault::WrongAtHash));
    let answer = tokens(&mut idp);
    let wrong = claims(text(&answer, "id_token"));
    assert_ne!(text(&wrong, "at_hash"), super::super::jwt::at_hash(text(&answer, "access_token")));
}
