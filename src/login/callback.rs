//! The callback: whether a request target is the answer to our authorization request. Pure.

use oauth2::CsrfToken;
use subtle::ConstantTimeEq;
use url::form_urlencoded;

use crate::error::Refusal;

/// What an answer with the right state says: it ends the wait.
#[derive(Debug, PartialEq, Eq)]
pub enum Callback {
    /// The person consented.
    Code(Code),
    /// The person or the provider refused (RFC 6749 section 4.1.2.1).
    Refused(Refusal),
    /// The answer names another issuer, or none where one was promised (RFC 9207 section 2.4).
    WrongIssuer(String),
}

/// An authorization code. `Debug` does not show it.
#[derive(PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// The code itself, for the token request.
    pub fn into_secret(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code([redacted])")
    }
}

/// A request that is no answer to ours: it is turned away and the wait goes on (L-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Another path.
    NotFound,
    /// Our path, but no, a wrong or a repeated state, or no answer in it.
    NotOurs,
}

/// Which issuer may answer, and whether it must say who it is (I-1 to I-4).
#[derive(Clone, Debug)]
pub struct IssuerRule {
    /// The issuer that the request was sent to.
    pub issuer: String,
    /// Whether its metadata promises `iss` in every answer.
    pub is_promised: bool,
}

/// Reads a request target (path and query) as an answer.
///
/// The state is compared first and in constant time (L-8); `error` counts only with the right state. Unknown
/// parameters are ignored; a repeated `code`, `state`, `iss` or `error` makes it no answer.
///
/// # Errors
/// [`Stray`]: the wait goes on.
pub fn parse(target: &str, path: &str, state: &CsrfToken, rule: &IssuerRule) -> Result<Callback, Stray> {
    let (target_path, query) = target.split_once('?').unwrap_or((target, ""));
    if target_path != path {
        return Err(Stray::NotFound);
    }
    let answer = Answer::read(query)?;
    if !answer.has_state(state) {
        return Err(Stray::NotOurs);
    }
    let callback = answer.outcome?;
    Ok(wrong_issuer(answer.issuer, rule).map_or(callback, Callback::WrongIssuer))
}

struct Answer {
    state: String,
    issuer: Option<String>,
    outcome: Result<Callback, Stray>,
}

impl Answer {
    fn read(query: &str) -> Result<Answer, Stray> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let once = |name: &str| once(&pairs, name);
        let (code, error) = (once("code")?, once("error")?);
        let outcome = match (code, error) {
            (Some(code), None) => Ok(Callback::Code(Code(code))),
            (None, Some(error)) => Ok(Callback::Refused(Refusal::new(
                error,
                once("error_description").unwrap_or_default(),
                once("error_subtype").unwrap_or_default(),
            ))),
            _ => Err(Stray::NotOurs),
        };
        Ok(Answer { state: once("state")?.ok_or(Stray::NotOurs)?, issuer: once("iss")?, outcome })
    }

    fn has_state(&self, state: &CsrfToken) -> bool {
        self.state.as_bytes().ct_eq(state.secret().as_bytes()).into()
    }
}

/// The value of a parameter that must not be there twice; an empty one counts as absent.
fn once(pairs: &[(String, String)], name: &str) -> Result<Option<String>, Stray> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (_, Some(_)) => Err(Stray::NotOurs),
        (value, None) => Ok(value.filter(|value| !value.is_empty()).cloned()),
    }
}

/// Compared as text (RFC 3986 section 6.2.1): no slash is added, no case folded.
fn wrong_issuer(issuer: Option<String>, rule: &IssuerRule) -> Option<String> {
    match issuer {
        Some(issuer) => (issuer != rule.issuer).then_some(issuer),
        None => rule.is_promised.then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATE: &str = "the-right-state";

    fn read(target: &str) -> Result<Callback, Stray> {
        read_with(target, false)
    }

    fn read_with(target: &str, is_promised: bool) -> Result<Callback, Stray> {
        let rule = IssuerRule { issuer: "https://op.example".to_owned(), is_promised };
        parse(target, "/", &CsrfToken::new(STATE.to_owned()), &rule)
    }

    fn code(value: &str) -> Result<Callback, Stray> {
        Ok(Callback::Code(Code(value.to_owned())))
    }

    #[test]
    fn googles_answer_with_its_extra_parameters_gives_the_code_decoded_once() {
        let target = "/?state=the-right-state&iss=https%3A%2F%2Fop.example&code=4%2F0Aci98E_x%2526&scope=email+openid&authuser=0&prompt=none";
        assert_eq!(read(target), code("4/0Aci98E_x%26"));
    }

    #[test]
    fn another_path_is_not_found() {
        for target in [
            "/favicon.ico",
            "/x?code=c&state=the-right-state",
            "//?code=c&state=the-right-state",
            "",
            "?code=c&state=the-right-state",
        ] {
            assert_eq!(read(target), Err(Stray::NotFound), "{target}");
        }
    }

    #[test]
    fn a_wrong_missing_empty_or_repeated_state_is_not_ours_with_a_code_and_with_an_error() {
        for rest in ["code=c", "error=access_denied"] {
            for state in [
                "",
                "state=",
                "state=wrong",
                "state=the-right-stat",
                "state=the-right-state&state=the-right-state",
                "state=the-right-state&state=x",
            ] {
                assert_eq!(read(&format!("/?{rest}&{state}")), Err(Stray::NotOurs), "{rest} {state}");
            }
        }
    }

    #[test]
    fn repeated_parameters_both_outcomes_and_none_are_not_ours() {
        for query in [
            "code=a&code=b",
            "error=a&error=b",
            "code=a&error=b",
            "",
            "code=",
            "code=a&iss=https%3A%2F%2Fop.example&iss=x",
        ] {
            assert_eq!(read(&format!("/?state={STATE}&{query}")), Err(Stray::NotOurs), "{query}");
        }
    }

    #[test]
    fn an_error_with_the_right_state_is_a_refusal_and_unknown_codes_pass_through() {
        let Ok(Callback::Refused(refusal)) =
            read(&format!("/?error=brand_new&error_description=Not+today&state={STATE}"))
        else {
            panic!("no refusal")
        };
        assert_eq!((refusal.error.as_str(), refusal.description.as_deref()), ("brand_new", Some("Not today")));
    }

    #[test]
    fn the_issuer_matrix_of_rfc_9207() {
        for outcome in ["code=c", "error=access_denied"] {
            for (issuer, is_promised, is_right) in [
                ("", false, true),
                ("", true, false),
                ("&iss=https%3A%2F%2Fop.example", false, true),
                ("&iss=https%3A%2F%2Fop.example", true, true),
                ("&iss=https%3A%2F%2Fop.example%2F", false, false),
                ("&iss=https%3A%2F%2FOP.example", true, false),
                ("&iss=op.example", false, false),
                ("&iss=https%3A%2F%2Fevil.example", true, false),
            ] {
                let read = read_with(&format!("/?{outcome}&state={STATE}{issuer}"), is_promised);
                assert_eq!(!matches!(read, Ok(Callback::WrongIssuer(_))), is_right, "{outcome} {issuer} {is_promised}");
            }
        }
    }

    #[test]
    fn debug_does_not_show_the_code() {
        assert!(!format!("{:?}", code("canary")).contains("canary"));
    }

    proptest! {
        #[test]
        fn nothing_without_the_state_is_ever_an_answer(target in "/?\\??[ -~]{0,200}") {
            prop_assume!(!target.contains(STATE));
            prop_assert!(read(&target).is_err());
        }

        #[test]
        fn any_code_survives_encoding(value in "[ -~]{1,100}") {
            let query: String = form_urlencoded::Serializer::new(String::new())
                .append_pair("code", &value).append_pair("state", STATE).finish();
            prop_assert_eq!(read(&format!("/?{query}")), code(&value));
        }

        #[test]
        fn bytes_of_any_kind_do_no_harm(target in "\\PC{0,300}") {
            let _ = read(&target);
        }
    }
}
