//! Parameters of a query or a form, read strictly.

use super::message::{Refusal, Request};

/// Names and values in order. A parameter without a value counts as left out (RFC 6749 section 3.1).
#[derive(Clone, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Decodes `application/x-www-form-urlencoded` text; a broken escape or text that is not UTF-8 is refused
    /// instead of repaired.
    pub(super) fn parse(text: &str) -> Result<Params, Refusal> {
        let escapes_are_whole = text.split('%').skip(1).all(starts_with_two_hex_digits);
        let pairs: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        let is_utf8 = !pairs.iter().any(|(name, value)| format!("{name}{value}").contains('\u{FFFD}'));
        if escapes_are_whole && is_utf8 {
            Ok(Params(pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()))
        } else {
            Err(Refusal::invalid_request("the parameters are not well encoded"))
        }
    }

    /// The form of a request that must carry one: right media type, no query, no repetition
    /// (RFC 6749 section 3.2; secrets never travel in the URI, section 2.3.1).
    pub(super) fn of_form(request: &Request) -> Result<Params, Refusal> {
        let params = Params::of_page_form(request)?;
        if params.repeated().is_some() {
            return Err(Refusal::invalid_request("a parameter is repeated"));
        }
        Ok(params)
    }

    /// The same for the provider's own pages, whose checkboxes share one name.
    pub(super) fn of_page_form(request: &Request) -> Result<Params, Refusal> {
        if !request.is_form() {
            return Err(Refusal::invalid_request("the body must be application/x-www-form-urlencoded"));
        }
        if !request.query.is_empty() {
            return Err(Refusal::invalid_request("parameters belong in the body, not in the URI"));
        }
        let text = std::str::from_utf8(&request.body);
        Params::parse(text.map_err(|_| Refusal::invalid_request("the body is not UTF-8"))?)
    }

    /// The first value of that name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The value of that name, or `invalid_request` with the given description.
    pub(super) fn require(&self, name: &str, description: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal::invalid_request(description))
    }

    /// Every value of that name.
    pub(super) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A name that occurs more than once.
    pub(super) fn repeated(&self) -> Option<&str> {
        let repeats = |(at, (name, _)): (usize, &(String, String))| {
            let again = self.0[..at].iter().any(|(earlier, _)| earlier == name);
            again.then_some(at)
        };
        let at = self.0.iter().enumerate().find_map(repeats)?;
        Some(&self.0[at].0)
    }

    pub(super) fn is_repeated(&self, name: &str) -> bool {
        self.all(name).count() > 1
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.0
    }
}

fn starts_with_two_hex_digits(text: &str) -> bool {
    text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_vector_of_rfc_6749_appendix_b_is_decoded() {
        let params = Params::parse("v=+%25%26%2B%C2%A3%E2%82%AC").unwrap();
        assert_eq!(params.get("v"), Some(" %&+£€"));
    }

    #[test]
    fn a_broken_escape_is_refused_not_repaired() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert!(Params::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_empty_parameter_counts_as_left_out() {
        let params = Params::parse("state=&nonce=n").unwrap();
        assert_eq!((params.get("state"), params.get("nonce")), (None, Some("n")));
    }

    #[test]
    fn repetition_is_noticed() {
        assert_eq!(Params::parse("a=1&b=2&a=3").unwrap().repeated(), Some("a"));
        assert_eq!(Params::parse("a=1&b=2").unwrap().repeated(), None);
    }
}
