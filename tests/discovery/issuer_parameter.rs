//! I-1 to I-4: the `iss` of an authorization answer, judged by what the provider's own document promises.

use gauth::login::callback::{Callback, IssuerRule, Stray, parse};
use gauth::sandbox::{Config, Sandbox, Settings};
use gauth::{Http, Provider};
use oauth2::CsrfToken;
use url::form_urlencoded::byte_serialize;

fn provider(advertise_iss: bool) -> Provider {
    let settings = Settings { advertise_iss, ..Settings::default() };
    let sandbox = Sandbox::start(Config { settings, ..Config::default() }).expect("a sandbox");
    Provider::discover(sandbox.issuer(), &Http::default()).expect("a provider")
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Accepted,
    WrongIssuer,
    Pending,
}
use Outcome::{Accepted, Pending, WrongIssuer};

/// What becomes of an answer with these `iss` parameters; the same must hold for a code and for a refusal.
fn outcome(provider: &Provider, issuers: &[&str]) -> Outcome {
    let rule = IssuerRule { issuer: provider.issuer.clone(), is_promised: provider.sends_iss };
    let [code, refusal] = ["code=c", "error=access_denied"].map(|answer| {
        let mut target = format!("/?{answer}&state=s");
        for issuer in issuers {
            target += &format!("&iss={}", byte_serialize(issuer.as_bytes()).collect::<String>());
        }
        match parse(&target, "/", &CsrfToken::new("s".to_owned()), &rule) {
            Ok(Callback::Code(_)) if answer.starts_with("code") => Accepted,
            Ok(Callback::Refused(_)) if answer.starts_with("error") => Accepted,
            Ok(Callback::WrongIssuer(_)) => WrongIssuer,
            Err(Stray::NotOurs) => Pending,
            other => panic!("{target}: {other:?}"),
        }
    });
    assert_eq!(code, refusal, "{issuers:?}");
    code
}

#[test]
fn the_matrix_of_i_4() {
    for is_advertised in [true, false] {
        let provider = provider(is_advertised);
        assert_eq!(provider.sends_iss, is_advertised);
        let right = provider.issuer.as_str();
        let absent = if is_advertised { WrongIssuer } else { Accepted };
        for (issuers, expected) in [
            (&[][..], absent),
            (&[right][..], Accepted),
            (&[&*format!("{right}/")], WrongIssuer),
            (&[&*right.to_uppercase()], WrongIssuer),
            (&[&*right.replace("http", "https")], WrongIssuer),
            (&[right.trim_start_matches("http://")], WrongIssuer),
            (&["https://accounts.google.com"], WrongIssuer),
            (&[&*format!("{right} ")], WrongIssuer),
            (&[right, right], Pending),
            (&[right, "https://op.example"], Pending),
        ] {
            assert_eq!(outcome(&provider, issuers), expected, "advertised: {is_advertised}, {issuers:?}");
        }
    }
}

/// Google appends `iss` without advertising it, and only the long form counts here, unlike in ID tokens (G-41).
#[test]
fn at_google_the_parameter_may_be_absent_and_must_be_right() {
    let google = Provider::google();
    for (issuers, expected) in [
        (&[][..], Accepted),
        (&["https://accounts.google.com"][..], Accepted),
        (&["accounts.google.com"], WrongIssuer),
        (&["https://accounts.google.com/"], WrongIssuer),
        (&["https://evil.example"], WrongIssuer),
    ] {
        assert_eq!(outcome(&google, issuers), expected, "{issuers:?}");
    }
}

/// The document of another provider that sends people to Google's page (B-4): Google's answer is not for it.
#[test]
fn an_honest_answer_to_a_request_of_another_issuer_is_rejected() {
    assert_eq!(outcome(&provider(false), &["https://accounts.google.com"]), WrongIssuer);
}
