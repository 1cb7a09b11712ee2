//! A token answer as real servers send it, and what of it can be used (RFC 6749 section 5.1).

use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse};
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::Scopes;
use crate::error::Result;
use crate::http::bad_answer;
use crate::token::{IdToken, TokenSet};

/// oauth2's own type refuses `"expires_in": "3600"` (T-4).
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Answer {
    access_token: AccessToken,
    token_type: Kind,
    #[serde(default, deserialize_with = "lenient_seconds", skip_serializing)]
    expires_in: Option<u64>,
    refresh_token: Option<RefreshToken>,
    scope: Option<String>,
    #[serde(skip_serializing)]
    id_token: Option<IdToken>,
}

/// `token_type`, case-insensitive (RFC 6749 section 5.1).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Kind(String);

impl oauth2::TokenType for Kind {}

impl Answer {
    pub(crate) fn into_token_set(self, (issued_at, issued_uptime): (u64, Option<u64>), host: &str) -> Result<TokenSet> {
        if !self.token_type.0.eq_ignore_ascii_case("bearer") {
            return Err(bad_answer(host, "a token type other than Bearer"));
        }
        if self.access_token.secret().is_empty() {
            return Err(bad_answer(host, "an empty access token"));
        }
        check_printable("access token", self.access_token.secret(), host)?;
        self.refresh_token.iter().try_for_each(|token| check_printable("refresh token", token.secret(), host))?;
        let expires_in = self.expires_in.unwrap_or(ASSUMED_LIFE).min(LONGEST_LIFE);
        Ok(TokenSet {
            access_token: self.access_token,
            refresh_token: self.refresh_token.filter(|token| !token.secret().is_empty()),
            id_token: self.id_token.filter(|token| !token.secret().is_empty()),
            issued_at,
            issued_uptime,
            expires_at: issued_at + expires_in,
            scopes: self.scope.as_deref().map(|scope| Scopes::parse(scope).well_formed()),
        })
    }
}

impl TokenResponse for Answer {
    type TokenType = Kind;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &Kind {
        &self.token_type
    }
    fn expires_in(&self) -> Option<std::time::Duration> {
        self.expires_in.map(std::time::Duration::from_secs)
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None // read from `scope` by into_token_set
    }
}

/// The one member of an answer that is needed even if it is of no use otherwise.
///
/// Looked for with less care than oauth2 takes with the answer, so that none is taken for good whose refresh token is missed:
/// from the first brace on, past anything that the other members may be, and as far as it can be read.
pub(crate) fn new_refresh_token(body: &[u8]) -> Option<RefreshToken> {
    let begin = body.iter().position(|byte| *byte == b'{')?;
    let mut found = None;
    let _ = serde_json::Deserializer::from_slice(&body[begin..]).deserialize_map(Finder(&mut found));
    found.filter(|token| !token.is_empty() && is_printable(token)).map(RefreshToken::new)
}

struct Finder<'a>(&'a mut Option<String>);

impl<'de> Visitor<'de> for Finder<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> std::result::Result<(), M::Error> {
        while let Some(name) = members.next_key::<String>()? {
            match name.as_str() {
                "refresh_token" => *self.0 = members.next_value::<Option<String>>()?,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// The JSON that a body begins with, whatever comes after it, and whatever its text is encoded in.
pub(crate) fn first_value(body: &[u8]) -> Option<Value> {
    serde_json::Deserializer::from_str(&String::from_utf8_lossy(body)).into_iter().next()?.ok()
}

/// A token goes into headers, lines and files: `%x21-7E` only (L-17; RFC 6750 section 2.1 allows less still).
fn check_printable(name: &str, token: &str, host: &str) -> Result<()> {
    match is_printable(token) {
        true => Ok(()),
        false => Err(bad_answer(host, &format!("characters in its {name} that no token has"))),
    }
}

pub(crate) fn is_printable(token: &str) -> bool {
    token.bytes().all(|byte| (0x21..=0x7E).contains(&byte))
}

/// Seconds as a number or a numeric string; anything else that is no sensible life counts as absent, except that
/// zero and negative ones are zero: such a token is used once and never cached.
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    let seconds = match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    // A float to integer cast saturates: negative and NaN become 0, huge becomes the maximum.
    Ok(seconds.map(|seconds| seconds as u64))
}

/// Life of a token whose provider named none (RFC 6749 section 5.1 only recommends it): short, to be safe.
const ASSUMED_LIFE: u64 = 300;
/// No believable access token lives longer; keeps a nonsense answer out of the arithmetic.
const LONGEST_LIFE: u64 = 10 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn token_set(json: &str) -> Result<TokenSet> {
        serde_json::from_str::<Answer>(json).map_err(|_| bad_answer("op", "shape"))?.into_token_set((1000, None), "op")
    }

    fn life(expires_in: &str) -> u64 {
        let json = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{expires_in}}}"#);
        token_set(&json).expect("a token").expires_at - 1000
    }

    #[test]
    fn expires_in_may_be_a_number_a_string_absent_or_nonsense() {
        assert_eq!(life("3600"), 3600);
        assert_eq!(life("\"3600\""), 3600);
        assert_eq!(life("3599.5"), 3599);
        assert_eq!(life("-5"), 0);
        assert_eq!(life("1e18"), LONGEST_LIFE);
        for unusable in ["null", "\"soon\"", "[]"] {
            assert_eq!(life(unusable), ASSUMED_LIFE, "{unusable}");
        }
        let absent = token_set(r#"{"access_token":"a","token_type":"bearer"}"#).expect("a token");
        assert_eq!(absent.expires_at, 1000 + ASSUMED_LIFE);
    }

    #[test]
    fn only_bearer_in_any_case_is_understood() {
        for (token_type, understood) in
            [("\"Bearer\"", true), ("\"BEARER\"", true), ("\"DPoP\"", false), ("\"mac\"", false), ("null", false)]
        {
            let json = format!(r#"{{"access_token":"a","token_type":{token_type}}}"#);
            assert_eq!(token_set(&json).is_ok(), understood, "{token_type}");
        }
        assert!(token_set(r#"{"access_token":"a"}"#).is_err());
    }

    #[test]
    fn a_token_with_a_line_end_a_space_or_nothing_in_it_is_refused() {
        for bad in ["a\\nhost=evil", "a\\rb", "a b", "a\\u0000", "", "ä"] {
            let json = format!(r#"{{"access_token":"{bad}","token_type":"Bearer"}}"#);
            assert!(token_set(&json).is_err(), "{bad}");
        }
        assert!(token_set(r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r\ns"}"#).is_err());
    }

    #[test]
    fn unknown_members_are_ignored_and_a_missing_scope_is_told_from_an_empty_one() {
        let set = token_set(r#"{"access_token":"a","token_type":"Bearer","new":{"x":1},"scope":"openid  email"}"#);
        assert_eq!(set.expect("a token").scopes, Some(Scopes::parse("openid email")));
        assert_eq!(token_set(r#"{"access_token":"a","token_type":"Bearer"}"#).expect("a token").scopes, None);
    }

    #[test]
    fn the_new_refresh_token_is_found_in_whatever_else_is_wrong() {
        let found = |body: &str| new_refresh_token(body.as_bytes()).map(|token| token.secret().clone());
        for body in [
            r#"{"refresh_token":"new"}"#,
            r#"{"refresh_token":"new"}<!-- page -->"#,
            r#"{"error":"x","refresh_token":"new"}"#,
            r#"{"refresh_token":"new","refresh_token":"new","access_token":7}"#,
            r#"{"name":"\ud800","refresh_token":"new"}"#,
            r#"{"expires_in":1e400,"refresh_token":"new"}"#,
            r#"[{"refresh_token":"new"}]"#,
            ")]}'\n{\"refresh_token\":\"new\"}",
            "\u{feff}{\"refresh_token\":\"new\"}",
            r#"{"refresh_token":"new","access_tok"#,
        ] {
            assert_eq!(found(body).as_deref(), Some("new"), "{body}");
        }
        let nested = format!(r#"{{"deep":{}{},"refresh_token":"new"}}"#, "[".repeat(500), "]".repeat(500));
        assert_eq!(found(&nested).as_deref(), Some("new"));
        let latin = b"{\"name\":\"M\xfcller\",\"refresh_token\":\"new\"}";
        assert!(new_refresh_token(latin).is_some_and(|token| token.secret() == "new"));
        for body in ["", "[]", r#"{"refresh_token":7}"#, r#"{"refresh_token":""}"#, r#"{"refresh_token":"a b"}"#] {
            assert_eq!(found(body), None, "{body}");
        }
    }

    #[test]
    fn debug_of_an_answer_shows_no_token() {
        let json = r#"{"access_token":"canary","token_type":"Bearer","refresh_token":"canary","id_token":"canary"}"#;
        let set = token_set(json).expect("a token");
        assert!(!format!("{set:?}").contains("canary"));
    }
}
