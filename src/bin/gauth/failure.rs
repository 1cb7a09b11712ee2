//! Failures as people meet them: the fact, its causes, the hint that works when followed literally, the exit code.

use std::io;

use gauth::error::{ClientFileProblem, Refusal};
use gauth::store::{StoreError, Unavailable};
use gauth::{Error, StoreKind};

/// What is shown, and what the script gets.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    pub fact: String,
    pub causes: Vec<String>,
    pub hints: Vec<String>,
    pub code: u8,
}

/// The exit codes: a contract with scripts.
pub mod exit {
    pub const FAILED: u8 = 1;
    pub const CONFIGURATION: u8 = 3;
    pub const LOGIN_NEEDED: u8 = 4;
    pub const REFUSED: u8 = 5;
    pub const TRY_LATER: u8 = 6;
    pub const STORE: u8 = 7;
    pub const INTERRUPTED: u8 = 130;
}

impl Failure {
    /// `profile` is the one the command worked on; hints name it where it is not the default.
    pub fn of(error: &Error, profile: &str) -> Failure {
        Failure::with_login(error, &login_line(profile))
    }

    /// `login` is the command line that signs in again, as hints are to show it.
    pub fn with_login(error: &Error, login: &str) -> Failure {
        let (fact, causes) = fact_and_causes(error);
        Failure { fact, causes, hints: hints(error, login), code: exit_code(error) }
    }

    pub fn of_stdout(error: &io::Error) -> Failure {
        Failure {
            fact: "the answer cannot be written to stdout".to_owned(),
            causes: vec![error.to_string()],
            hints: vec!["check where stdout is redirected to, and run the command again".to_owned()],
            code: exit::FAILED,
        }
    }
}

/// The error's own sentence; for those that wrap a cause, the cause goes on a line of its own.
fn fact_and_causes(error: &Error) -> (String, Vec<String>) {
    let split = |fact: &str, cause: String| (fact.to_owned(), vec![cause]);
    match error {
        Error::Unreachable { host, problem } => split(&format!("{host} cannot be reached"), problem.clone()),
        Error::CertificateRefused { host, problem } => {
            split(&format!("the certificate of {host} is not trusted"), problem.clone())
        }
        Error::GrantEnded { host, refusal } => {
            split(&format!("{host} no longer accepts the stored grant"), refusal.to_string())
        }
        Error::Denied(refusal) => split(denied(refusal), refusal.to_string()),
        Error::ClientRefused { host, refusal } => {
            split(&format!("{host} refused this OAuth client"), refusal.to_string())
        }
        Error::Refused { host, refusal } => split(&format!("{host} refused the request"), refusal.to_string()),
        Error::IdToken(cause) => split("the ID token is not valid", cause.to_string()),
        Error::Store(StoreError::Unavailable { store, reason }) => {
            split(&format!("the {} cannot be used", store.name()), reason.to_string())
        }
        other => (other.to_string(), Vec::new()),
    }
}

fn denied(refusal: &Refusal) -> &'static str {
    match refusal.error.as_str() {
        "access_denied" => "the sign-in was refused on the provider's page",
        _ => "the provider refused the sign-in",
    }
}

/// One line for each kind of failure. Nothing else in the program chooses a code.
fn exit_code(error: &Error) -> u8 {
    match error {
        Error::ClientFile { .. }
        | Error::NoClient
        | Error::IssuerRefused { .. }
        | Error::Discovery { .. }
        | Error::EndpointRefused { .. }
        | Error::EndpointsDisagree { .. }
        | Error::ProfileName(_)
        | Error::ScopeRefused(_)
        | Error::OptionRefused(_)
        | Error::Index { .. }
        | Error::ClientRefused { .. }
        | Error::CertificateRefused { .. } => exit::CONFIGURATION,
        Error::NoSuchProfile { .. }
        | Error::NoStoredGrant { .. }
        | Error::GrantEnded { .. }
        | Error::ScopesNotGranted { .. } => exit::LOGIN_NEEDED,
        Error::Denied(_) | Error::LoginTimedOut(_) | Error::WrongAccount { .. } | Error::NoRefreshToken { .. } => {
            exit::REFUSED
        }
        Error::Unreachable { .. } | Error::AnswerLost { .. } | Error::ServerFailed { .. } | Error::LockBusy(_) => {
            exit::TRY_LATER
        }
        Error::Store(_) => exit::STORE,
        Error::BadAnswer { .. }
        | Error::Refused { .. }
        | Error::IdToken(_)
        | Error::IssuerMismatch { .. }
        | Error::AccountChanged { .. }
        | Error::PortTaken { .. }
        | Error::NoLoopback(_)
        | Error::Io { .. } => exit::FAILED,
        Error::Interrupted => exit::INTERRUPTED,
    }
}

fn hints(error: &Error, login: &str) -> Vec<String> {
    let one = |hint: &str| vec![hint.to_owned()];
    match error {
        Error::ClientFile { problem, .. } => one(client_file_hint(problem)),
        Error::NoClient | Error::NoSuchProfile { .. } => vec![
            format!("{login} --client-secrets client_secrets.json"),
            "gauth demo, to see it work with nothing to configure".to_owned(),
        ],
        Error::IssuerRefused { .. } => one("write the issuer as the provider does, for example https://login.example.com"),
        Error::Discovery { issuer, .. } => vec![
            format!("open {}/.well-known/openid-configuration in a browser and use the issuer that it names", issuer.trim_end_matches('/')),
            "use a client file with auth_uri and token_uri: --client-secrets FILE".to_owned(),
        ],
        Error::EndpointRefused { .. } => one("use the provider's https addresses, as its documentation gives them"),
        Error::EndpointsDisagree { .. } => one("download the client file again from the provider that you sign in to"),
        Error::ProfileName(_) => one("use letters, digits, '.', '_', '-' and '@', starting with a letter or digit, for example --profile work"),
        Error::ScopeRefused(_) => one("repeat the option for each scope: --scope drive.readonly --scope calendar"),
        Error::OptionRefused(_) => one("gauth --help"),
        Error::Index { path, .. } => vec![
            format!("move {} away and sign in again; the refresh tokens stay in their store", path.display()),
            "if a newer gauth wrote it, use that one".to_owned(),
        ],
        Error::ClientRefused { .. } => one("check in the provider's console that the client exists and is enabled, download its file again, and run gauth login --client-secrets FILE"),
        Error::CertificateRefused { .. } => vec![
            "behind a proxy that inspects TLS: SSL_CERT_FILE=FILE with the proxy's root certificates in PEM form".to_owned(),
            "check this machine's clock".to_owned(),
        ],
        Error::NoStoredGrant { .. } | Error::GrantEnded { .. } => vec![login.to_owned()],
        Error::ScopesNotGranted { missing } => {
            let adds: Vec<String> = missing.iter().map(|scope| format!("--add-scope {scope}")).collect();
            vec![format!("{login} {}", adds.join(" "))]
        }
        Error::Denied(refusal) => denied_hints(refusal, login),
        Error::LoginTimedOut(_) => vec![
            login.to_owned(),
            "finish in the browser this time; --timeout 15m waits longer".to_owned(),
            "if the provider's page showed an error such as redirect_uri_mismatch or invalid_client, the client is at fault: it must be of type Desktop app".to_owned(),
        ],
        Error::WrongAccount { .. } => vec![
            format!("choose the other account on the provider's page: {login} --prompt select_account"),
            "keep this account apart, under a profile of its own: gauth login --profile NAME --client-secrets FILE".to_owned(),
        ],
        Error::NoRefreshToken { .. } => vec![
            format!("{login} --prompt consent --scope offline_access"),
            "allow the client refresh tokens (offline access) in the provider's console".to_owned(),
        ],
        Error::Unreachable { .. } | Error::ServerFailed { .. } => one("check the connection (HTTPS_PROXY, if there is one) and run the command again; nothing was lost"),
        Error::AnswerLost { .. } => vec![
            "run the command again".to_owned(),
            format!("if the provider had already replaced the refresh token, the next try says so; then: {login}"),
        ],
        Error::LockBusy(_) => one("run the command again; if it stays so, end the other gauth process"),
        Error::Store(error) => store_hints(error, login),
        Error::BadAnswer { .. } | Error::Refused { .. } => one("try again; if it stays so, the provider or something between is at fault: check the issuer and the proxy"),
        Error::IdToken(_) => one("check this machine's clock and that the client belongs to this provider, then sign in again"),
        Error::IssuerMismatch { .. } => one("sign in again, and close other sign-in pages first; if it stays so, check the issuer in the client's settings"),
        Error::AccountChanged { .. } => vec![login.to_owned()],
        Error::PortTaken { port, .. } => vec![
            "leave out --port, and a free one is chosen".to_owned(),
            format!("end the program that listens on port {port}"),
        ],
        Error::NoLoopback(_) => one("bring the loopback interface up: ip link set lo up"),
        Error::Io { path, .. } => vec![format!("check the folder of {} (its owner, its mode, free space) and run the command again", path.display())],
        Error::Interrupted => Vec::new(),
    }
}

/// The command that signs in again as this profile.
pub fn login_line(profile: &str) -> String {
    if profile == "default" { "gauth login".to_owned() } else { format!("gauth login --profile {profile}") }
}

fn client_file_hint(problem: &ClientFileProblem) -> &'static str {
    match problem {
        ClientFileProblem::Unreadable(_) => "name the downloaded file: --client-secrets FILE",
        ClientFileProblem::Empty | ClientFileProblem::Truncated | ClientFileProblem::NotJson => {
            "download it again: console.cloud.google.com, APIs & Services, Credentials, OAuth 2.0 Client IDs, Download JSON"
        }
        ClientFileProblem::OtherKind(_) => {
            "create one for people: console.cloud.google.com, APIs & Services, Credentials, Create credentials, OAuth client ID, Desktop app, Download JSON"
        }
        ClientFileProblem::Member(_) => "compare it with client_secrets.example.json, or download it again",
        ClientFileProblem::WebWithoutLoopback => {
            "create a client of type Desktop app, or register http://127.0.0.1:8085/ as a redirect URI of this one and download it again"
        }
    }
}

fn denied_hints(refusal: &Refusal, login: &str) -> Vec<String> {
    let one = |hint: &str| vec![hint.to_owned()];
    match refusal.error.as_str() {
        "admin_policy_enforced" => {
            one("ask the Workspace administrator to allow this app: admin.google.com, Security, API controls")
        }
        "org_internal" => one("sign in with an account of the organization that owns the client"),
        "access_not_configured" => {
            one("enable the API in the client's project: console.cloud.google.com, APIs & Services")
        }
        _ => vec![
            format!("allow the access on the page this time: {login}"),
            "if the page does not offer it, ask whoever runs the client to add you as a test user".to_owned(),
        ],
    }
}

fn store_hints(error: &StoreError, login: &str) -> Vec<String> {
    let file = format!("keep the refresh token as plain text, in a file that only you can read: {login} --store file");
    match error {
        StoreError::Unavailable { store: StoreKind::Keyring, reason } => vec![unlock_hint(reason).to_owned(), file],
        StoreError::Unavailable { .. } => vec!["check the config folder (its owner, its mode, free space)".to_owned()],
        StoreError::Corrupt { .. } => vec![login.to_owned()],
    }
}

fn unlock_hint(reason: &Unavailable) -> &'static str {
    if cfg!(target_os = "macos") {
        return "unlock the keychain and run the command again: security unlock-keychain";
    }
    match reason {
        Unavailable::Absent => {
            "start and unlock a keyring in this session: dbus-run-session -- sh -c 'gnome-keyring-daemon --unlock --components=secrets && exec $SHELL'"
        }
        _ => {
            "unlock the keyring (sign in to the desktop, open its keyring program, or gnome-keyring-daemon --unlock) and run the command again"
        }
    }
}

#[cfg(test)]
mod tests {
    use gauth::Scopes;

    use super::*;

    #[test]
    fn the_hint_names_the_profile_unless_it_is_the_default_one() {
        let ended = || Error::GrantEnded { host: "op".to_owned(), refusal: Refusal::default() };
        assert_eq!(Failure::of(&ended(), "default").hints, ["gauth login"]);
        assert_eq!(Failure::of(&ended(), "work").hints, ["gauth login --profile work"]);
    }

    #[test]
    fn a_missing_scope_gives_the_exact_line_that_adds_it() {
        let error = Error::ScopesNotGranted { missing: Scopes::parse("a b") };
        let failure = Failure::of(&error, "work");
        assert_eq!(failure.code, exit::LOGIN_NEEDED);
        assert_eq!(failure.hints, ["gauth login --profile work --add-scope a --add-scope b"]);
    }

    #[test]
    fn a_keyring_that_cannot_be_used_names_both_ways_out() {
        for reason in [Unavailable::Locked, Unavailable::Absent, Unavailable::TimedOut] {
            let error = Error::Store(StoreError::Unavailable { store: StoreKind::Keyring, reason });
            let failure = Failure::of(&error, "default");
            assert_eq!(failure.code, exit::STORE);
            assert!(failure.hints[0].contains("unlock") && failure.hints[1].contains("--store file"));
        }
    }
}
