//! Every failure as a person reads it, held against `tests/failures.txt`: fact, cause, hint and exit code.

use std::io;
use std::time::Duration;

use gauth::error::{ClientFileProblem, Refusal};
use gauth::id_token::IdTokenError;
use gauth::store::{StoreError, Unavailable};
use gauth::{Error, Scopes, StoreKind};

use crate::failure::Failure;

fn host() -> String {
    "op.example".to_owned()
}

fn refusal(error: &str) -> Refusal {
    Refusal { error: error.to_owned(), description: Some("in their words".to_owned()), subtype: None }
}

fn client_files() -> Vec<Error> {
    use ClientFileProblem as Problem;
    let problems = [
        Problem::Unreadable("No such file or directory".to_owned()),
        Problem::Empty,
        Problem::Truncated,
        Problem::NotJson,
        Problem::OtherKind("a service-account key"),
        Problem::Member("client_id"),
        Problem::WebWithoutLoopback,
    ];
    let file = |problem| Error::ClientFile { path: "client_secrets.json".into(), problem };
    problems.into_iter().map(file).collect()
}

fn configuration() -> Vec<Error> {
    let index = |is_newer| Error::Index { is_newer, path: "profiles.toml".into(), problem: "is damaged".to_owned() };
    vec![
        Error::NoClient,
        Error::IssuerRefused { issuer: "http://op.example".to_owned(), problem: "is not https" },
        Error::Discovery { issuer: "https://op.example".to_owned(), problem: "there is no document".to_owned() },
        Error::EndpointRefused { name: "token endpoint", host: host(), problem: "is not https" },
        Error::EndpointsDisagree { problem: "its token_uri is another provider's".to_owned() },
        Error::ProfileName("../x".to_owned()),
        Error::ScopeRefused("a\"b".to_owned()),
        Error::OptionRefused("the parameter \"state\" is gauth's own".to_owned()),
        Error::NetworkSetup("the CA file ca.pem cannot be read".to_owned()),
        Error::NoHome,
        index(true),
        index(false),
        Error::ClientRefused { host: host(), refusal: refusal("invalid_client") },
        Error::CertificateRefused { host: host(), problem: "UnknownIssuer".to_owned() },
    ]
}

fn logins_needed() -> Vec<Error> {
    let no_such = |others: &[&str]| Error::NoSuchProfile {
        profile: "work".to_owned(),
        others: others.iter().map(ToString::to_string).collect(),
    };
    vec![
        no_such(&[]),
        no_such(&["default"]),
        no_such(&["a", "b"]),
        Error::NoStoredGrant { profile: "work".to_owned(), store: "keyring" },
        Error::GrantEnded { host: host(), refusal: refusal("invalid_grant") },
        Error::ScopesNotGranted { missing: Scopes::parse("https://www.googleapis.com/auth/drive") },
    ]
}

fn refusals() -> Vec<Error> {
    let denied = [
        "access_denied",
        "admin_policy_enforced",
        "org_internal",
        "access_not_configured",
        "invalid_request",
        "invalid_scope",
        "login_required",
    ];
    let mut all: Vec<Error> = denied.into_iter().map(|code| Error::Denied(refusal(code))).collect();
    all.extend([
        Error::LoginTimedOut(Duration::from_secs(300)),
        Error::WrongAccount { expected: "ann@example.com".to_owned(), actual: "bob@example.com".to_owned() },
        Error::NoRefreshToken { host: host() },
    ]);
    all
}

fn troubles() -> Vec<Error> {
    let failed = |seconds: Option<u64>| Error::ServerFailed {
        host: host(),
        status: 503,
        retry_after: seconds.map(Duration::from_secs),
    };
    vec![
        Error::Unreachable { host: host(), problem: "Connection refused".to_owned() },
        Error::AnswerLost { host: host(), problem: "the answer ended too early".to_owned() },
        failed(None),
        failed(Some(0)),
        failed(Some(120)),
        Error::ProviderTrouble { host: host(), refusal: refusal("temporarily_unavailable") },
        Error::LockBusy(Duration::from_secs(20)),
        Error::BadAnswer { host: host(), problem: "not JSON".to_owned() },
        Error::Refused { host: host(), refusal: refusal("invalid_request") },
        Error::IdToken(IdTokenError::Signature),
        Error::IssuerMismatch { expected: "https://op.example".to_owned(), actual: "https://evil.example".to_owned() },
        Error::AccountChanged { host: host() },
        Error::PortTaken { port: 8085, address: "127.0.0.1".to_owned() },
        Error::NoLoopback("Network is unreachable".to_owned()),
        Error::Io { action: "write", path: "profiles.toml".into(), cause: io::Error::other("No space left on device") },
        Error::Interrupted,
    ]
}

fn stores() -> Vec<Error> {
    let unavailable = |store, reason| Error::Store(StoreError::Unavailable { store, reason });
    vec![
        unavailable(StoreKind::Keyring, Unavailable::Locked),
        unavailable(StoreKind::Keyring, Unavailable::Absent),
        unavailable(StoreKind::Keyring, Unavailable::TimedOut),
        unavailable(StoreKind::File, Unavailable::Failed("the disk is full".to_owned())),
        Error::Store(StoreError::Corrupt { store: StoreKind::Keyring, problem: "not an item of gauth".to_owned() }),
    ]
}

fn all() -> Vec<Error> {
    [client_files(), configuration(), logins_needed(), refusals(), troubles(), stores()].into_iter().flatten().collect()
}

/// The name of a variant, from its `Debug`.
fn name(error: &Error) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

fn shown(error: &Error) -> String {
    let Failure { fact, causes, hints, code } = Failure::of(error, "work");
    let causes = causes.iter().map(|cause| format!("caused by: {cause}\n"));
    let hints = hints.iter().map(|hint| format!("hint: {hint}\n"));
    format!("{code:>3} error: {fact}\n{}", causes.chain(hints).map(|line| format!("    {line}")).collect::<String>())
}

/// After a change that is meant: the file is the text that the failed test shows.
#[cfg(target_os = "linux")]
#[test]
fn every_failure_is_as_it_was_read_and_agreed() {
    let text: String = all().iter().map(|error| shown(error) + "\n").collect();
    let agreed = include_str!("../../../tests/failures.txt");
    assert!(text == agreed, "tests/failures.txt should be:\n{text}");
}

#[test]
fn every_kind_of_failure_is_there_and_has_a_hint() {
    let source = include_str!("../../error.rs");
    let body =
        source.split_once("pub enum Error {").and_then(|(_, rest)| rest.split_once("\n}\n")).expect("the enum").0;
    let is_variant = |line: &&str| line.starts_with("    ") && line[4..].starts_with(|c: char| c.is_ascii_uppercase());
    let variants = body.lines().filter(is_variant);
    let variants: Vec<&str> = variants
        .map(|line| line.trim().split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default())
        .collect();
    let there: Vec<String> = all().iter().map(name).collect();
    let missing: Vec<_> = variants.iter().filter(|variant| !there.contains(&(**variant).to_owned())).collect();
    assert!(variants.len() > 30 && missing.is_empty(), "{missing:?} of {variants:?}");
    for error in all() {
        assert_eq!(Failure::of(&error, "work").hints.is_empty(), matches!(error, Error::Interrupted), "{error:?}");
    }
}
