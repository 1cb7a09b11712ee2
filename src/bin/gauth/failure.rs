//! Failures as people meet them: the fact, its causes, the hint that works when followed literally, the exit code.

use std::io;

use gauth::error::{ClientFileProblem, Refusal};
use gauth::store::{StoreError, Unavailable};
use gauth::{Error, StoreKind};

use crate::environment::{line, quoted};

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
        Error::ProviderTrouble { host, refusal } => {
            split(&format!("{host} has trouble of its own"), refusal.to_string())
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
        | Error::NetworkSetup(_)
        | Error::NoHome
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
        Error::Unreachable { .. }
        | Error::AnswerLost { .. }
        | Error::ServerFailed { .. }
        | Error::ProviderTrouble { .. }
        | Error::LockBusy(_) => exit::TRY_LATER,
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
    let all = |hints: &[&str]| hints.iter().map(|hint| (*hint).to_owned()).collect();
    match error {
        Error::ClientFile { problem, .. } => vec![client_file_hint(problem).to_owned()],
        Error::NoClient => first_login(login),
        Error::NoSuchProfile { others, .. } => no_such_profile(login, others),
        Error::IssuerRefused { .. } => {
            all(&["write the issuer as the provider does, for example https://login.example.com"])
        }
        Error::Discovery { issuer, .. } => vec![
            format!(
                "open {}/.well-known/openid-configuration in a browser and use the issuer that it names",
                issuer.trim_end_matches('/')
            ),
            "use a client file with auth_uri and token_uri: --client-secrets FILE".to_owned(),
        ],
        Error::EndpointRefused { .. } => all(&["use the provider's https addresses, as its documentation gives them"]),
        Error::EndpointsDisagree { .. } => {
            all(&["download the client file again from the provider that you sign in to"])
        }
        Error::ProfileName(_) => all(&[
            "use at most 64 letters, digits, '.', '_', '-' and '@', starting with a letter or digit, for example --profile work",
        ]),
        Error::ScopeRefused(_) => all(&["repeat the option for each scope: --scope drive.readonly --scope calendar"]),
        Error::OptionRefused(_) => all(&["gauth login --help"]),
        Error::NetworkSetup(_) => all(&["check the variables SSL_CERT_FILE, HTTPS_PROXY and ALL_PROXY, or unset them"]),
        Error::NoHome => all(&["name a folder: GAUTH_CONFIG_DIR=FOLDER"]),
        Error::Index { is_newer: true, .. } => vec![
            "use the newer gauth that wrote it: it was not changed, and nothing is lost".to_owned(),
            "leave it alone, and sign in in a folder of its own: gauth login --config-dir FOLDER".to_owned(),
        ],
        Error::Index { path, .. } => vec![
            format!("put an older copy of {} back", path.display()),
            format!(
                "move it away and sign in again, which replaces the stored refresh tokens: mv {0} {0}.damaged",
                quoted(&path.to_string_lossy())
            ),
        ],
        Error::ClientRefused { .. } => all(&[
            "check in the provider's console that the client exists and is enabled, and download its file again: gauth login --client-secrets FILE",
            "if the client has a secret, --client-id is not enough: put both into a file, in the form of Google's client_secrets.json",
        ]),
        Error::CertificateRefused { .. } => all(&[
            "behind a proxy that inspects TLS, set SSL_CERT_FILE to a PEM file with the roots to trust; it takes the place of the system's",
            "check this machine's clock",
        ]),
        Error::NoStoredGrant { .. } | Error::GrantEnded { .. } | Error::AccountChanged { .. } => all(&[login]),
        Error::ScopesNotGranted { missing } => {
            let adds: Vec<String> = missing.iter().map(|scope| format!("--add-scope {}", quoted(scope))).collect();
            vec![format!("{login} {}", adds.join(" "))]
        }
        Error::Denied(refusal) => denied_hints(refusal, login),
        Error::LoginTimedOut(_) => {
            all(&[login, "finish in the browser this time; --timeout 15m waits longer", PAGE_ERRORS])
        }
        Error::WrongAccount { expected, .. } => vec![
            format!("{login} --prompt select_account"),
            format!(
                "choose {expected} on the provider's page, or keep the other account under a profile of its own: --profile NAME"
            ),
        ],
        Error::NoRefreshToken { .. } => vec![
            format!("{login} --prompt consent --scope offline_access"),
            "allow the client refresh tokens (offline access) in the provider's console".to_owned(),
        ],
        Error::ProviderTrouble { .. } => all(&["run the command again in a while; nothing was lost"]),
        Error::ServerFailed { retry_after: Some(wait), .. } if !wait.is_zero() => {
            vec![format!("run the command again in {} s, as the provider asks; nothing was lost", wait.as_secs())]
        }
        Error::ServerFailed { .. } => all(&["run the command again in a while; nothing was lost"]),
        Error::Unreachable { .. } => {
            all(&["check the connection (HTTPS_PROXY, if there is one) and run the command again; nothing was lost"])
        }
        Error::AnswerLost { .. } => vec![
            "run the command again".to_owned(),
            format!("if the provider had already replaced the refresh token, the next try says so; then: {login}"),
        ],
        Error::LockBusy(_) => all(&["run the command again; if it stays so, end the other gauth process"]),
        Error::Store(error) => store_hints(error, login),
        Error::BadAnswer { .. } | Error::Refused { .. } => vec![
            "try again; if it stays so, check the issuer and the proxy".to_owned(),
            format!("sign in again: {login}"),
        ],
        Error::IdToken(_) => {
            all(&["check this machine's clock and that the client belongs to this provider, then sign in again"])
        }
        Error::IssuerMismatch { .. } => all(&[
            "sign in again, and close other sign-in pages first; if it stays so, check the issuer in the client's settings",
        ]),
        Error::PortTaken { port, .. } => vec![
            "leave out --port, and a free one is chosen".to_owned(),
            format!("end the program that listens on port {port}"),
        ],
        Error::NoLoopback(_) => all(&["bring the loopback interface up: ip link set lo up"]),
        Error::Io { path, .. } => {
            vec![format!("check {} and its folder (owner, mode, free space) and run the command again", path.display())]
        }
        Error::Interrupted => Vec::new(),
    }
}

fn first_login(login: &str) -> Vec<String> {
    vec![
        format!("{login} --client-secrets client_secrets.json"),
        "see it work with nothing to configure: gauth demo".to_owned(),
    ]
}

fn no_such_profile(login: &str, others: &[String]) -> Vec<String> {
    match others {
        [] => first_login(login),
        [one] => vec![
            format!("{login} --client-secrets client_secrets.json"),
            format!("use the one that there is: {} {one}", line("use", "default")),
        ],
        _ => {
            vec![
                format!("{login} --client-secrets client_secrets.json"),
                "see which there are: ".to_owned() + &line("list", "default"),
            ]
        }
    }
}

/// The command that signs in again as this profile.
pub fn login_line(profile: &str) -> String {
    line("login", profile)
}

fn client_file_hint(problem: &ClientFileProblem) -> &'static str {
    match problem {
        ClientFileProblem::Unreadable(_) => "name the downloaded file: --client-secrets FILE",
        ClientFileProblem::Empty | ClientFileProblem::Truncated | ClientFileProblem::NotJson => {
            "download it again: console.cloud.google.com, APIs & Services, Credentials, OAuth 2.0 Client IDs, Download JSON; if the console no longer offers the secret, add a new one to the client"
        }
        ClientFileProblem::OtherKind(_) => {
            "create one for people: console.cloud.google.com, APIs & Services, Credentials, Create credentials, OAuth client ID, Desktop app, Download JSON"
        }
        ClientFileProblem::Member(_) => {
            "it needs client_id, auth_uri and token_uri as text, in an object named installed or web; compare it with client_secrets.example.json, or download it again"
        }
        ClientFileProblem::WebWithoutLoopback => {
            "create a client of type Desktop app, or register http://127.0.0.1:8085/ as a redirect URI of this one and download it again"
        }
    }
}

/// What Google shows only on its own page, so that nothing comes back here (G-22).
const PAGE_ERRORS: &str = "if the provider's page showed an error: redirect_uri_mismatch or invalid_request, the client is not of type Desktop app; invalid_client or deleted_client, create it anew; access_denied or 403, add the account under Audience, Test users; org_internal, use an account of the organization; admin_policy_enforced, ask its administrator; disallowed_useragent, open the address in an ordinary browser; access_not_configured, enable the API. All of it is at console.cloud.google.com, Google Auth Platform";

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
        "invalid_request" => one("the provider does not take this request: check --prompt and --auth-param"),
        "invalid_scope" => one("check the names of the scopes: the provider does not know one of them, or not for this client"),
        "login_required" | "interaction_required" | "consent_required" | "account_selection_required" => {
            one("the provider has to show its page: leave out --prompt none")
        }
        _ => vec![
            login.to_owned(),
            "allow the access on the page this time; if the page does not offer it, ask whoever runs the client to add you as a test user".to_owned(),
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
        // Without printf the daemon would take the line end as part of the password.
        Unavailable::Absent => {
            "start and unlock a keyring for a shell, and run the command there: dbus-run-session -- bash -c 'read -rsp \"Keyring password: \" p && printf %s \"$p\" | gnome-keyring-daemon --unlock --components=secrets && exec bash'"
        }
        _ => {
            "unlock the keyring (sign in to the desktop, or open its keyring program) and run the command again; without a desktop: read -rsp 'Keyring password: ' p; printf %s \"$p\" | gnome-keyring-daemon --replace --unlock --components=secrets"
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
