//! Echoes: a provider that repeats what was sent to it must not get our secrets onto a screen or into a file (L-18).

use std::cell::OnceCell;
use std::collections::HashSet;

use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, Engine as _};
use oauth2::HttpRequest;
use oauth2::http::header;
use url::form_urlencoded;

/// The secrets of one request to the token or revocation endpoint.
pub(crate) struct Sent {
    secrets: Vec<String>,
    /// Built once: an answer can have thousands of words, and a provider can have given a long refresh token.
    runs: OnceCell<HashSet<Run>>,
}

/// What stands for a secret wherever a piece of it does.
type Run = [u8; RUN];

impl Sent {
    /// Reads them from the request, so that none is forgotten: the secret members of the form, and Basic authentication.
    pub(crate) fn in_request(request: &HttpRequest) -> Sent {
        let form = form_urlencoded::parse(request.body()).filter(|(name, _)| SECRET.contains(&name.as_ref()));
        let mut secrets: Vec<String> = form.map(|(_, value)| value.into_owned()).collect();
        secrets.extend(basic(request).into_iter().flatten());
        secrets.retain(|secret| secret.len() >= SHORTEST);
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len())); // a part must not hide the whole
        Sent { secrets, runs: OnceCell::new() }
    }

    /// The text without them: without the secrets themselves, and without each word that has a part of one, however it is
    /// encoded.
    pub(crate) fn taken_out_of(&self, text: &str) -> String {
        let text = self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, REDACTED));
        let runs = self.runs.get_or_init(|| self.secrets.iter().flat_map(|secret| all_runs(secret)).collect());
        let words = text.split_inclusive(char::is_whitespace);
        words
            .map(|word| match decodings(word).iter().any(|word| has_one(word, runs)) {
                true => REDACTED.to_owned() + &word[word.trim_end().len()..],
                false => word.to_owned(),
            })
            .collect()
    }

    /// The same for an error code, which decides what comes next: a client's secret may well be a word of it.
    pub(crate) fn taken_out_of_code(&self, code: &str) -> String {
        let long = self.secrets.iter().filter(|secret| secret.len() >= LONGEST_WORD);
        match has_one(code, &long.flat_map(|secret| all_runs(secret)).collect()) {
            true => REDACTED.to_owned(),
            false => code.to_owned(),
        }
    }
}

fn has_one(text: &str, runs: &HashSet<Run>) -> bool {
    runs_of(text).any(|run| runs.contains(&run))
}

fn runs_of(text: &str) -> impl Iterator<Item = Run> {
    text.as_bytes().windows(RUN).filter_map(|run| run.try_into().ok())
}

/// All runs of a dozen bytes, also of its base64 wherever it begins there, in both alphabets.
fn all_runs(secret: &str) -> Vec<Run> {
    let mut texts = vec![secret.to_owned()];
    for before in 0..3 {
        let text = BASE64_STANDARD_NO_PAD.encode([&vec![0; before], secret.as_bytes()].concat());
        let inner = text[before + usize::from(before > 0)..text.len() - 1].to_owned();
        texts.extend([inner.replace('+', "-").replace('/', "_"), inner]);
    }
    texts.iter().flat_map(|text| runs_of(text)).collect()
}

/// A word as it stands, and with its percent escapes undone, twice.
fn decodings(word: &str) -> [String; 3] {
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let once = decode(word);
    [word.to_owned(), once.clone(), decode(&once)]
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
/// Longer than the words that codes are made of.
const LONGEST_WORD: usize = 16;
const RUN: usize = 12;
const REDACTED: &str = "[redacted]";

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
        for echo in ["token r/canary is over", "the secret is s canary"] {
            assert!(!sent.taken_out_of(echo).contains("canary"), "{echo}");
        }
        assert_eq!(sent.taken_out_of("grant_type refresh_token of client"), "grant_type refresh_token of client");
    }

    #[test]
    fn a_part_of_one_is_found_however_it_is_encoded() {
        let secret = "1//0g/Long+Refresh~Token_0123456789abcdef";
        let sent =
            sent(&form_urlencoded::Serializer::new(String::new()).append_pair("refresh_token", secret).finish(), None);
        let percent = |text: &str| text.replace('/', "%2f").replace('+', "%2b").replace('~', "%7e");
        for echo in [
            secret.to_owned(),
            secret[..20].to_owned(),
            format!("refresh_token={}&x=y", percent(secret)),
            percent(&percent(secret)).replace('%', "%25"),
            BASE64_STANDARD.encode(format!("client:{secret}")),
            BASE64_STANDARD.encode(secret).replace('+', "-").replace('/', "_"),
        ] {
            let shown = sent.taken_out_of(&format!("the token {echo} is over"));
            assert_eq!(shown, "the token [redacted] is over", "{echo}");
        }
        let page = "see https://developers.example.com/identity/protocols/oauth2#expiration for refresh tokens";
        assert_eq!(sent.taken_out_of(page), page);
    }

    #[test]
    fn a_long_answer_of_many_words_is_gone_through_once_for_all_of_them() {
        let secret = "0123456789abcdef".repeat(512);
        let sent = sent(&format!("refresh_token={secret}"), None);
        let scopes: Vec<String> = (0..30_000).map(|number| format!("s{number}")).collect();
        assert!(scopes.iter().all(|scope| sent.taken_out_of(scope) == *scope));
        assert_eq!(sent.taken_out_of("x456789abcdef0123x"), REDACTED);
    }

    #[test]
    fn an_error_code_stays_one_whatever_the_secret_is() {
        for secret in ["grant", "invalid", "client"] {
            let sent = sent(&format!("client_secret={secret}"), None);
            assert_eq!(sent.taken_out_of_code("invalid_grant"), "invalid_grant");
        }
        let sent = sent("refresh_token=0123456789abcdef0123", None);
        assert_eq!(sent.taken_out_of_code("bad_0123456789abcdef0123"), "[redacted]");
    }

    #[test]
    fn basic_authentication_is_taken_out_whole_and_in_part() {
        let value = BASE64_STANDARD.encode("client:s%2Fcanary");
        let sent = sent("code=c0de&code_verifier=verifier", Some(&format!("Basic {value}")));
        let echo = format!("Basic {value} s/canary c0de verifier");
        assert_eq!(sent.taken_out_of(&echo), "Basic [redacted] [redacted] [redacted] [redacted]");
    }

    #[test]
    fn a_secret_of_a_few_letters_takes_no_word_apart() {
        assert_eq!(sent("client_secret=s", None).taken_out_of("some sense"), "some sense");
    }
}
