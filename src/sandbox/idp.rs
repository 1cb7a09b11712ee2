//! The strict provider as a state machine: a request and the time go in, an answer comes out.

use std::collections::HashMap;
use std::fmt;
use std::io;

use serde_json::{Value, json};

use super::accounts::SCOPES;
use super::clients::Client;
use super::faults::{Faults, Injection};
use super::grants::Grants;
use super::interaction::Interaction;
use super::jwt::Keys;
use super::log::{Endpoint, Issued, Log, Seen};
use super::message::{Refusal, Request, Response};
use super::settings::Settings;

/// A strict OpenID provider without a socket and without a clock.
///
/// It refuses whatever the standards let a provider refuse, so that a client that gets along with it gets along
/// with others.
pub struct Idp {
    pub(super) issuer: String,
    pub(super) settings: Settings,
    pub(super) clients: Vec<Client>,
    pub(super) keys: Keys,
    pub(super) interactions: HashMap<String, Interaction>,
    pub(super) grants: Grants,
    pub(super) faults: Faults,
    pub(super) log: Log,
}

impl Idp {
    /// A provider with the default clients and a fresh signing key.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness for the key.
    pub fn new(issuer: &str, settings: Settings) -> io::Result<Idp> {
        Ok(Idp {
            issuer: issuer.to_owned(),
            settings,
            clients: Client::defaults(),
            keys: Keys::generate()?,
            interactions: HashMap::new(),
            grants: Grants::default(),
            faults: Faults::default(),
            log: Log::default(),
        })
    }

    /// Answers a request; `now` is in seconds since 1970.
    pub fn handle(&mut self, request: &Request, now: u64) -> Response {
        let endpoint = Endpoint::of(&request.path);
        let fault = self.faults.for_answer(endpoint);
        let mut response = match fault.as_ref().and_then(|fault| fault.instead_of_work()) {
            Some(response) => response,
            None => self.work(endpoint, request, now),
        };
        if let Some(fault) = fault {
            fault.spoil(&mut response);
        }
        self.log.see(Seen::new(endpoint, request, response.status));
        response
    }

    fn work(&mut self, endpoint: Endpoint, request: &Request, now: u64) -> Response {
        if !self.is_for_us(request) {
            return Response::new(421, "text/plain", "This is not the provider of that name.");
        }
        let is_get = request.method == "GET";
        if !endpoint.methods().split(", ").any(|method| method == request.method) {
            let response = Response::new(405, "text/plain", "Method not allowed.");
            return response.with("Allow", endpoint.methods());
        }
        match endpoint {
            Endpoint::Discovery => cacheable(&self.discovery()),
            Endpoint::Jwks => cacheable(&self.keys.jwks()),
            Endpoint::Authorize if is_get => self.begin_interaction(request, now),
            Endpoint::Authorize => self.continue_interaction(request, now),
            Endpoint::Token => self.token(request, now),
            Endpoint::Revoke => self.revoke(request, now),
            Endpoint::Introspect => self.introspect(request, now),
            Endpoint::UserInfo => self.user_info(request, now),
            Endpoint::Unknown => Response::new(404, "text/plain", "Not found."),
        }
    }

    /// A page elsewhere that had its own name resolve to this machine must not get an answer.
    fn is_for_us(&self, request: &Request) -> bool {
        let authority = self.issuer.split_once("://").map(|(_, authority)| authority);
        request.headers_named("Host").all(|host| Some(host) == authority)
    }

    /// OpenID Connect Discovery section 3, RFC 8414 section 2.
    fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": at("/authorize"),
            "token_endpoint": at("/token"),
            "jwks_uri": at("/jwks"),
            "revocation_endpoint": at("/revoke"),
            "introspection_endpoint": at("/introspect"),
            "userinfo_endpoint": at("/userinfo"),
            "scopes_supported": SCOPES,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": AUTH_METHODS,
            "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
            "introspection_endpoint_auth_methods_supported": AUTH_METHODS,
            "claims_supported": CLAIMS,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": self.settings.advertise_iss,
            "request_uri_parameter_supported": false,
        })
    }

    /// Makes a client known, in place of one with the same id.
    pub fn register(&mut self, client: Client) {
        self.clients.retain(|known| known.id != client.id);
        self.clients.push(client);
    }

    /// The client file of a client, in the shape Google gives it (`installed`). For an id that nobody registered
    /// it is a file that the provider will refuse.
    pub fn client_secrets_json(&self, client_id: &str) -> String {
        let client = self.clients.iter().find(|client| client.id == client_id);
        let mut installed = json!({
            "client_id": client_id,
            "project_id": "sandbox",
            "auth_uri": format!("{}/authorize", self.issuer),
            "token_uri": format!("{}/token", self.issuer),
            "auth_provider_x509_cert_url": format!("{}/jwks", self.issuer),
            "redirect_uris": ["http://localhost"],
        });
        if let Some(secret) = client.and_then(|client| client.secret.as_ref()) {
            installed["client_secret"] = secret.as_str().into();
        }
        format!("{:#}\n", json!({ "installed": installed }))
    }

    /// The behaviour, to look at.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the behaviour from the next request on.
    pub fn set(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Queues a fault.
    pub fn inject(&mut self, fault: impl Into<Injection>) {
        self.faults.push(fault.into());
    }

    /// Signs with a new key from now on; the one before stays published.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness for the key.
    pub fn rotate_signing_key(&mut self) -> io::Result<()> {
        self.keys.rotate()
    }

    /// Ends every grant, as if each person had withdrawn it.
    pub fn revoke_grants(&mut self) {
        self.grants.end_all();
    }

    /// Whether an access or refresh token works now.
    pub fn is_active(&self, token: &str, now: u64) -> bool {
        self.grants.access(token, now).is_some() || self.grants.active_refresh(token).is_some()
    }

    /// Every request so far, oldest first.
    pub fn seen(&self) -> &[Seen] {
        &self.log.seen
    }

    /// Every secret handed out so far, oldest first.
    pub fn issued(&self) -> &[Issued] {
        &self.log.issued
    }

    /// The answer to a request that was too broken to be one; it is logged like any other.
    pub(super) fn refuse_unread(&mut self, request: &Request, status: u16) -> Response {
        let refusal = Refusal { status, ..Refusal::invalid_request("the request cannot be read") };
        self.log.see(Seen::new(Endpoint::of(&request.path), request, status));
        refusal.into()
    }
}

/// Clients, grants and keys are secrets.
impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Idp");
        debug.field("issuer", &self.issuer).field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn cacheable(value: &Value) -> Response {
    Response::json(200, value).with("Cache-Control", "public, max-age=300")
}

const AUTH_METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];
const CLAIMS: [&str; 11] =
    ["iss", "aud", "azp", "sub", "iat", "exp", "nonce", "at_hash", "email", "email_verified", "name"];
