//! What can go wrong, as facts: codes, hosts and statuses; never a body, never a secret.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Scopes;
use crate::id_token::IdTokenError;
use crate::store::StoreError;

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure. Its `Display` is one fact without a full stop; server text in it is unfiltered and must be
/// made harmless before it reaches a terminal (L-16).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The client file cannot be used.
    #[error("the client file {} {problem}", path.display())]
    ClientFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: ClientFileProblem,
    },
    /// No client file and no issuer was named, and no profile remembers one.
    #[error("no OAuth client is configured")]
    NoClient,
    /// An issuer that cannot be one (RFC 8414 section 2).
    #[error("{issuer:?} cannot be an issuer: {problem}")]
    IssuerRefused {
        /// What was given.
        issuer: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// The discovery document cannot be used (D-1 to D-4).
    #[error("the discovery document of {issuer} cannot be used: {problem}")]
    Discovery {
        /// The issuer it was asked for.
        issuer: String,
        /// Which rule it breaks.
        problem: String,
    },
    /// An endpoint that must not be talked to: no https, or credentials or a fragment in it.
    #[error("the {name} {host} is refused: {problem}")]
    EndpointRefused {
        /// Which endpoint.
        name: &'static str,
        /// Its host.
        host: String,
        /// Which rule it breaks.
        problem: &'static str,
    },
    /// Endpoints that do not belong together (requirements, decision 5; G-2).
    #[error("the endpoints do not belong together: {problem}")]
    EndpointsDisagree {
        /// Which ones, by host.
        problem: String,
    },
    /// A profile name that is not allowed.
    #[error("{0:?} is not a profile name")]
    ProfileName(String),
    /// A scope that cannot be sent (RFC 6749 section 3.3).
    #[error("{0:?} is not a scope")]
    ScopeRefused(String),
    /// An option that cannot be used, such as an extra authorization parameter of gauth's own.
    #[error("{0}")]
    OptionRefused(String),
    /// TLS or the proxy is set up in a way that cannot work.
    #[error("{0}")]
    NetworkSetup(String),
    /// There is no home folder to put anything in.
    #[error("there is no home folder")]
    NoHome,
    /// The index of profiles cannot be used; it is left as it is.
    #[error("the profile index {} {problem}", path.display())]
    Index {
        /// Whether a newer gauth wrote it.
        is_newer: bool,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider does not accept this client.
    #[error("{host} refused this OAuth client: {refusal}")]
    ClientRefused {
        /// The provider.
        host: String,
        /// Its words.
        refusal: Refusal,
    },

    /// No such profile.
    #[error("there is no profile {profile:?}")]
    NoSuchProfile {
        /// The name.
        profile: String,
        /// Those that there are.
        others: Vec<String>,
    },
    /// The refresh token is not in the store, although the index has the profile.
    #[error("profile {profile:?} has no refresh token in the {store}")]
    NoStoredGrant {
        /// The profile.
        profile: String,
        /// The store that was asked.
        store: &'static str,
    },
    /// The grant is gone: `invalid_grant` and its kin.
    #[error("{host} no longer accepts the stored grant: {refusal}")]
    GrantEnded {
        /// The provider.
        host: String,
        /// Its words.
        refusal: Refusal,
    },
    /// The grant does not cover what was asked for.
    #[error("the grant does not cover {missing}")]
    ScopesNotGranted {
        /// What is missing.
        missing: Scopes,
    },

    /// The person, or the provider on its own, said no.
    #[error("the sign-in was refused: {0}")]
    Denied(Refusal),
    /// Nobody finished the sign-in.
    #[error("nobody finished the sign-in within {} s", .0.as_secs())]
    LoginTimedOut(Duration),
    /// Somebody else signed in.
    #[error("{actual} signed in, not {expected}")]
    WrongAccount {
        /// The account that was to sign in.
        expected: String,
        /// The account that did.
        actual: String,
    },
    /// The provider gave no refresh token.
    #[error("{host} gave no refresh token")]
    NoRefreshToken {
        /// The provider.
        host: String,
    },

    /// No answer: the network, DNS, TLS or a time limit.
    #[error("{host} cannot be reached: {problem}")]
    Unreachable {
        /// The host.
        host: String,
        /// What happened, without any address or body.
        problem: String,
    },
    /// The provider's certificate is not trusted here (L-21).
    #[error("the certificate of {host} is not trusted: {problem}")]
    CertificateRefused {
        /// The host.
        host: String,
        /// What is wrong with the certificate.
        problem: String,
    },
    /// The answer got lost after the request was sent: the provider may have acted on it.
    #[error("the answer of {host} got lost: {problem}")]
    AnswerLost {
        /// The host.
        host: String,
        /// What happened.
        problem: String,
    },
    /// The provider has trouble of its own.
    #[error("{host} answered with status {status}")]
    ServerFailed {
        /// The provider.
        host: String,
        /// HTTP status: 408, 429 or 5xx.
        status: u16,
        /// Its `Retry-After`, if it named seconds.
        retry_after: Option<Duration>,
    },
    /// The provider reports, by an OAuth error, that it has trouble of its own.
    #[error("{host} has trouble of its own: {refusal}")]
    ProviderTrouble {
        /// The provider.
        host: String,
        /// Its words.
        refusal: Refusal,
    },
    /// Another process holds the lock.
    #[error("another gauth process has held the lock for {} s", .0.as_secs())]
    LockBusy(Duration),

    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// An answer that breaks the protocol.
    #[error("the answer of {host} cannot be used: {problem}")]
    BadAnswer {
        /// The provider.
        host: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider refused a request for a reason of the protocol.
    #[error("{host} refused the request: {refusal}")]
    Refused {
        /// The provider.
        host: String,
        /// Its words.
        refusal: Refusal,
    },
    /// The ID token cannot be trusted.
    #[error("the ID token is not valid: {0}")]
    IdToken(#[from] IdTokenError),
    /// The callback came from another issuer than the one asked (RFC 9207 section 2.4).
    #[error("the browser came back from issuer {actual:?}, not {expected:?}")]
    IssuerMismatch {
        /// The issuer the request was sent to.
        expected: String,
        /// The `iss` parameter; empty if it was absent but announced.
        actual: String,
    },
    /// The account that a refresh is for has changed (V-16).
    #[error("{host} answered for another account than the one that signed in")]
    AccountChanged {
        /// The provider.
        host: String,
    },
    /// The port is not free.
    #[error("port {port} on {address} is not free")]
    PortTaken {
        /// The port.
        port: u16,
        /// The address.
        address: String,
    },
    /// No loopback address to listen on.
    #[error("no loopback address to listen on: {0}")]
    NoLoopback(String),
    /// A file or folder.
    #[error("cannot {action} {}: {cause}", path.display())]
    Io {
        /// A verb: read, write, create.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// Interrupted by a signal.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Whether the same request may well succeed later; nothing was lost by asking.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Error::Unreachable { .. }
                | Error::AnswerLost { .. }
                | Error::ServerFailed { .. }
                | Error::ProviderTrouble { .. }
                | Error::LockBusy(_)
        )
    }

    /// For `map_err` on file operations.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |cause| Error::Io { action, path: path.to_owned(), cause }
    }
}

/// What is wrong with a client file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientFileProblem {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It ends in the middle of its JSON.
    #[error("is cut off: its JSON ends too early")]
    Truncated,
    /// It is no JSON.
    #[error("is not JSON")]
    NotJson,
    /// It is another kind of credential file.
    #[error("is {0}, not an OAuth client")]
    OtherKind(&'static str),
    /// A member is missing or has the wrong type.
    #[error("has no usable member {0:?}")]
    Member(&'static str),
    /// It is for a web server and names no redirect URI on this machine.
    #[error("is for a web application without a loopback redirect URI")]
    WebWithoutLoopback,
}

/// A provider's refusal: the `error` code and what it adds (RFC 6749 sections 4.1.2.1 and 5.2).
///
/// Untrusted text: filter before display.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The code, such as `access_denied`.
    pub error: String,
    /// The provider's own sentence. Never compared: descriptions are undocumented (G-28).
    pub description: Option<String>,
    /// Google's `error_subtype`, such as `invalid_rapt`.
    pub subtype: Option<String>,
}

impl Refusal {
    /// Keeps at most 512 characters of each, which is more than any provider means to say (L-16).
    pub(crate) fn new(error: String, description: Option<String>, subtype: Option<String>) -> Refusal {
        let cut = |text: String| text.chars().take(512).collect::<String>();
        Refusal { error: cut(error), description: description.map(cut), subtype: subtype.map(cut) }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error)?;
        if let Some(subtype) = &self.subtype {
            write!(f, "/{subtype}")?;
        }
        match &self.description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}
