//! What the provider saw and what it handed out, for tests to judge by.

use std::fmt;

use super::clients::ClientAuth;
use super::message::Request;
use super::params::Params;

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/authorize`, the pages and their forms
    Authorize,
    /// `/token`
    Token,
    /// `/jwks`
    Jwks,
    /// `/revoke` (RFC 7009)
    Revoke,
    /// `/introspect` (RFC 7662)
    Introspect,
    /// `/userinfo` (OpenID Connect Core section 5.3)
    UserInfo,
    /// Any other path.
    Unknown,
}

impl Endpoint {
    pub(super) fn of(path: &str) -> Endpoint {
        match path {
            "/.well-known/openid-configuration" => Endpoint::Discovery,
            "/authorize" => Endpoint::Authorize,
            "/token" => Endpoint::Token,
            "/jwks" => Endpoint::Jwks,
            "/revoke" => Endpoint::Revoke,
            "/introspect" => Endpoint::Introspect,
            "/userinfo" => Endpoint::UserInfo,
            _ => Endpoint::Unknown,
        }
    }

    /// The methods it answers, as the `Allow` header lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Endpoint::Discovery | Endpoint::Jwks | Endpoint::Unknown => "GET",
            Endpoint::Authorize | Endpoint::UserInfo => "GET, POST",
            Endpoint::Token | Endpoint::Revoke | Endpoint::Introspect => "POST",
        }
    }
}

/// One request that reached the provider. `Debug` shows names only: the values are secrets.
#[derive(Clone)]
pub struct Seen {
    /// Where it went.
    pub endpoint: Endpoint,
    /// Its method.
    pub method: String,
    /// The parameters of the query, then those of the form, decoded.
    pub params: Vec<(String, String)>,
    /// How the client said who it is.
    pub client_auth: ClientAuth,
    /// Every header.
    pub headers: Vec<(String, String)>,
    /// The status of the answer, even if a fault kept it from arriving.
    pub status: u16,
}

impl Seen {
    pub(super) fn new(endpoint: Endpoint, request: &Request, status: u16) -> Seen {
        let query = Params::parse(&request.query).unwrap_or_default();
        let form = match request.is_form() {
            true => Params::parse(&String::from_utf8_lossy(&request.body)).unwrap_or_default(),
            false => Params::default(),
        };
        let client_auth = ClientAuth::of(request, &form);
        let params = query.into_pairs().into_iter().chain(form.into_pairs()).collect();
        let (method, headers) = (request.method.clone(), request.headers.clone());
        Seen { endpoint, method, params, client_auth, headers, status }
    }

    /// The first parameter of that name.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.params.iter().map(|(name, _)| name).collect();
        f.debug_struct("Seen")
            .field("endpoint", &self.endpoint)
            .field("method", &self.method)
            .field("params", &names)
            .field("client_auth", &self.client_auth)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// One secret that the provider handed out, to be looked for where it must not be.
#[derive(Clone)]
pub struct Issued {
    /// What it is.
    pub kind: IssuedKind,
    /// The secret itself.
    pub value: String,
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Kinds of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IssuedKind {
    /// An authorization code.
    Code,
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
    /// An ID token, as it was sent.
    IdToken,
}

/// Both lists, oldest first.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) seen: Vec<Seen>,
    pub(super) issued: Vec<Issued>,
}

impl Log {
    pub(super) fn see(&mut self, seen: Seen) {
        self.seen.push(seen);
        keep_newest(&mut self.seen);
    }

    pub(super) fn issued(&mut self, kind: IssuedKind, value: &str) {
        self.issued.push(Issued { kind, value: value.to_owned() });
        keep_newest(&mut self.issued);
    }
}

/// A sandbox may run for days with nobody looking: the oldest half goes when it gets long.
fn keep_newest<T>(entries: &mut Vec<T>) {
    if entries.len() > MOST_ENTRIES {
        entries.drain(..MOST_ENTRIES / 2);
    }
}

const MOST_ENTRIES: usize = 8_000;
