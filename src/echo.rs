//! Echoes: a provider that repeats what was sent to it must not get our secrets onto a screen or into a file (L-18).

use base64::prelude::{BASE64_STANDARD, Engine as _};
use oauth2::HttpRequest;
use oauth2::http::header;
use url::form_urlencoded;

/// The secrets of one request to the token or revocation endpoint, in every form in which they were sent.
pub(crate) struct Sent(Vec<String>);

impl Sent {
    /// Reads them from the request, so that none is forgotten: the secret members of the form, and Basic authentication.
    pub(crate) fn in_request(request: &HttpRequest) -> Sent {
        let form = form_urlencoded::parse(request.body()).filter(|(name, _)| SECRET.contains(&name.as_ref()));
        let mut secrets: Vec<String> = form.map(|(_, value)| value.into_owned()).collect();
        secrets.extend(basic(request).into_iter().flatten());
        let encoded = secrets.iter().map(|secret| form_urlencoded::byte_serialize(secret.as_bytes()).collect());
        let encoded: Vec<String> = encoded.collect();
        secrets.extend(encoded);
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len())); // a part must not hide the whole
        Sent(secrets)
    }

    /// The text without them.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[redacted]"))
    }
}

/// The header's value, and the client's secret in it (RFC 6749 section 2.3.1).
fn basic(request: &HttpRequest) -> Option<[String; 2]> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    let (_, encoded) = pair.split_once(':')?;
    let secret = form_urlencoded::parse(encoded.as_bytes()).next()?.0.into_owned();
    Some([value.to_owned(), secret])
}

const SECRET: [&str; 5] = ["code", "code_verifier", "refresh_token", "client_secret", "token"];
/// Shorter ones protect nothing, and would be found in every word.
const SHORTEST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(body: &str, authorization: Option<&str>) -> Sent {
        let mut request = oauth2::http::Request::post("https://op.example/token");
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        Sent::in_request(&request.body(body.as_bytes().to_vec()).expect("a request"))
    }

    #[test]
    fn what_was_sent_is_taken_out_in_every_form_and_nothing_else_is() {
        let body = "grant_type=refresh_token&client_id=client&refresh_token=r%2Fcanary&client_secret=s+canary";
        let sent = sent(body, None);
        for echo in [body, "token r/canary is over", "r%2Fcanary", "s+canary and s canary"] {
            assert!(!sent.taken_out_of(echo).contains("canary"), "{echo}");
        }
        assert_eq!(sent.taken_out_of("grant_type refresh_token of client"), "grant_type refresh_token of client");
    }

    #[test]
    fn basic_authentication_is_taken_out_whole_and_in_part() {
        let value = BASE64_STANDARD.encode("client:s%2Fcanary");
        let sent = sent("code=c0de&code_verifier=verifier", Some(&format!("Basic {value}")));
        let echo = format!("Basic {value} s/canary s%2Fcanary c0de verifier");
        assert_eq!(sent.taken_out_of(&echo), "Basic [redacted] [redacted] [redacted] [redacted] [redacted]");
    }

    #[test]
    fn a_secret_of_a_few_letters_takes_no_word_apart() {
        assert_eq!(sent("client_secret=s", None).taken_out_of("some sense"), "some sense");
    }
}
