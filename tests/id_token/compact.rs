//! V-1: the form. Three strict base64url parts, JSON objects, no repeated member; nothing is repaired.

use gauth::id_token::{IdTokenError, Unverified};
use gauth::token::IdToken;
use serde_json::json;

use crate::forge::{RS256, claims, compact, encode, good, is_malformed, judge, rs256, with};

#[test]
fn any_number_of_parts_but_three_is_refused_and_five_are_called_encrypted() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    for token in ["", ".", "..", "...", parts[0], &parts[..2].join("."), &format!("{good}.AAAA"), &format!("{good}...")]
    {
        assert!(is_malformed(&judge(token)), "{token}");
    }
    assert_eq!(judge(&format!("{good}.AAAA.AAAA")), Err(IdTokenError::Encrypted));
}

#[test]
fn no_part_may_be_empty() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    for empty in 0..3 {
        let mut parts = parts.clone();
        parts[empty] = "";
        assert!(is_malformed(&judge(&parts.join("."))), "part {empty}");
    }
}

#[test]
fn padding_whitespace_and_the_other_alphabet_are_refused_in_every_part() {
    let good = good();
    let parts: Vec<&str> = good.split('.').collect();
    for part in 0..3 {
        for junk in ["=", "==", "\n", " ", "\t", "\r\n", "\0", "+", "/", "%3D", "é"] {
            for spoiled in [format!("{}{junk}", parts[part]), format!("{junk}{}", parts[part])] {
                let mut parts = parts.clone();
                parts[part] = &spoiled;
                assert!(is_malformed(&judge(&parts.join("."))), "part {part}: {junk:?}");
            }
        }
    }
}

/// 256 bytes leave four unused bits in the last character: four spellings of one signature, of which one is right.
#[test]
fn a_signature_has_one_spelling_only() {
    let good = good();
    let spellings = spellings_of_last_character(&good);
    assert_eq!(spellings.len(), 15);
    for token in spellings {
        assert!(is_malformed(&judge(&token)), "{token}");
    }
}

#[test]
fn the_claims_have_one_spelling_only() {
    let claims = (0..3).map(|spaces| format!("{}{}", claims(), " ".repeat(spaces)));
    let claims = claims.into_iter().find(|claims| claims.len() % 3 == 1).expect("one in three");
    let token = rs256(RS256, claims);
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    for spelling in spellings_of_last_character(signed) {
        assert!(is_malformed(&judge(&format!("{spelling}.{signature}"))), "{spelling}");
    }
}

fn spellings_of_last_character(text: &str) -> Vec<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = text.split_at(text.len() - 1);
    let value = ALPHABET.find(last).expect("base64url");
    (1..16).map(|bits| value ^ bits).map(|value| format!("{rest}{}", &ALPHABET[value..=value])).collect()
}

/// Where a provider publishes no keys, and on refresh, reading is all that happens to the signature part.
#[test]
fn reading_alone_already_refuses_a_signature_part_that_is_empty_or_no_base64url() {
    let good = good();
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    for signature in [String::new(), format!("{signature}="), format!("{signature}\n"), "\u{1b}[31m".to_owned()] {
        let token = IdToken::new(format!("{signed}.{signature}"));
        assert!(matches!(Unverified::read(&token), Err(IdTokenError::Malformed(_))), "{signature:?}");
    }
}

#[test]
fn header_and_claims_must_be_json_objects_and_nothing_else() {
    for text in ["[]", "null", "1", "\"x\"", "true", "", "{", "{}x", "{} {}", "{'a':1}", "{\"a\":NaN}", "\u{feff}{}"] {
        assert!(is_malformed(&judge(&rs256(text, claims()))), "header {text}");
        assert!(is_malformed(&judge(&rs256(RS256, text))), "claims {text}");
    }
    assert!(is_malformed(&judge(&rs256(RS256, b"{\"sub\":\"\xff\"}"))), "not UTF-8");
    assert!(is_malformed(&judge(&rs256(RS256, r#"{"exp":1e400}"#))), "a number that no machine has");
}

#[test]
fn a_repeated_member_of_the_header_is_refused() {
    for header in [
        r#"{"alg":"RS256","kid":"rsa","alg":"none"}"#,
        r#"{"alg":"none","kid":"rsa","alg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"other","kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","kid":"rsa"}"#,
        r#"{"alg":"RS256","kid":"rsa","\u0061lg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"rsa","x":1,"x":1}"#,
    ] {
        assert!(is_malformed(&judge(&rs256(header, claims()))), "{header}");
    }
}

#[test]
fn a_repeated_claim_is_refused_even_if_both_say_the_same_or_one_is_escaped() {
    let claims = claims();
    let open = &claims[..claims.len() - 1];
    for again in [
        r#""sub":"mallory""#,
        r#""sub":"alice""#,
        r#""s\u0075b":"mallory""#,
        r#""aud":"client-1""#,
        r#""unknown":1,"unknown":2"#,
    ] {
        assert!(is_malformed(&judge(&rs256(RS256, format!("{open},{again}}}")))), "{again}");
    }
}

#[test]
fn deep_json_is_refused_without_harm() {
    for depth in [1_000, 100_000] {
        let deep = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let claims = format!(r#"{{"iss":{deep}}}"#);
        assert!(is_malformed(&judge(&rs256(RS256, &claims))), "claims {depth}");
        let header = format!(r#"{{"alg":"RS256","kid":"rsa","x":{deep}}}"#);
        assert!(is_malformed(&judge(&rs256(header, claims))), "header {depth}");
    }
}

#[test]
fn members_that_nobody_asked_for_do_no_harm() {
    let extra = json!({
        "acr": 7, "auth_time": "yesterday", "amr": {}, "jti": null, "": "", "address": { "country": ["x"] },
    });
    assert!(judge(&with(extra)).is_ok());
    let header = r#"{"alg":"RS256","kid":"rsa","typ":"JWT","cty":null,"b64":true,"zip":"DEF"}"#;
    assert!(judge(&rs256(header, claims())).is_ok());
}

#[test]
fn neither_an_error_nor_debug_holds_a_part_of_the_token() {
    let unsigned = compact(r#"{"alg":"none"}"#, claims(), |_| b"signature".to_vec());
    let repeated = rs256(RS256, r#"{"canary-claim":1,"canary-claim":2}"#);
    let canary =
        with(json!({ "iss": "canary-iss", "aud": "canary-aud", "nonce": "canary-nonce", "sub": "canary-sub" }));
    let spaced = format!("{canary} ");
    for token in [unsigned, repeated, canary, spaced, encode("{\"canary-header\":")] {
        let refusal = judge(&token).expect_err("a bad token");
        let shown = format!("{refusal} {refusal:?}");
        assert!(!shown.contains("canary"), "{shown}");
        let has_part = |text: &str| token.split('.').any(|part| part.len() > 8 && text.contains(part));
        assert!(!has_part(&shown), "{shown}");

        let whole = IdToken::new(token.clone());
        assert!(!has_part(&format!("{whole:?}")));
        let read = format!("{:?}", Unverified::read(&whole));
        assert!(!has_part(&read) && !read.contains("canary"), "{read}");
    }
}
