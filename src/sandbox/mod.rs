//! The sandbox: a strict OpenID provider of our own, for demos and as the judge in tests.
//!
//! It shares no code with the client, or it would agree with the client's mistakes. [`Idp`] is the provider: pure,
//! with the time passed in. [`Sandbox`] puts it on a loopback port. Both keep to RFC 6749, RFC 7636, RFC 9207,
//! RFC 9700 and OpenID Connect Core wherever these let a provider be strict, and do wrong only on request
//! ([`Fault`]).
//!
//! | File | Owns |
//! |---|---|
//! | `idp` | the provider: dispatch, discovery, the doors for tests |
//! | `authorize`, `interaction`, `pages` | which requests get a page; the person's steps; the HTML |
//! | `token`, `resource` | the token endpoint; userinfo, introspection, revocation |
//! | `clients`, `accounts`, `grants` | who asks, who grants what, what was given |
//! | `jwt` | the signing key and ID tokens, right and wrong |
//! | `faults`, `deflate`, `settings`, `log` | what tests choose, and what they look at |
//! | `message`, `params` | requests, answers, parameters |
//! | `listener`, `http`, `stop` | sockets and threads |
//! | `person` | plays the browser in process |
//!
//! ```
//! use gauth::sandbox::{Config, Endpoint, Sandbox};
//!
//! let sandbox = Sandbox::start(Config::default())?;
//! assert!(sandbox.issuer().starts_with("http://127.0.0.1:"));
//! assert_eq!(sandbox.count(Endpoint::Token), 0);
//! # Ok::<(), std::io::Error>(())
//! ```

mod accounts;
mod authorize;
mod clients;
mod deflate;
mod faults;
mod grants;
mod http;
mod idp;
mod interaction;
mod jwt;
mod listener;
mod log;
mod message;
mod pages;
mod params;
mod person;
mod resource;
mod settings;
mod stop;
mod token;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use listener::{Listener, Shared};

pub use clients::{Client, ClientAuth};
pub use faults::{Fault, IdTokenFault, Injection};
pub use idp::Idp;
pub use log::{Endpoint, Issued, IssuedKind, Seen};
pub use message::{Delivery, Request, Response};
pub use person::Approval;
pub use settings::{Config, IssParameter, Settings};

/// A provider on 127.0.0.1 that runs until it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    issuer: String,
    idp: Shared,
    /// Dropped last of all, it ends every thread.
    _listener: Listener,
}

impl Sandbox {
    /// Binds the port and starts answering.
    ///
    /// # Errors
    ///
    /// If the port is taken, or the system gives no thread or no randomness.
    pub fn start(config: Config) -> io::Result<Sandbox> {
        let socket = listener::bind(config.port)?;
        let issuer = format!("http://{}", socket.local_addr()?);
        let idp = Arc::new(Mutex::new(Idp::new(&issuer, config.settings)?));
        let listener = Listener::start(socket, Arc::clone(&idp))?;
        Ok(Sandbox { issuer, idp, _listener: listener })
    }

    /// The issuer, `http://127.0.0.1:PORT`, or `http://[::1]:PORT` on a machine without IPv4.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The Google-shaped client file (`installed`) of a client: `sandbox-installed`, `sandbox-public`,
    /// `sandbox-odd-secret`, `sandbox-no-refresh`, or one that was registered. For any other id it is a file that the
    /// provider will refuse.
    pub fn client_secrets_json(&self, client_id: &str) -> String {
        self.idp().client_secrets_json(client_id)
    }

    /// Makes a client known, in place of one with the same id.
    pub fn register(&self, client: Client) {
        self.idp().register(client);
    }

    /// Plays the person in the browser, in process: opens the URL, signs in, grants every scope. Returns the URL that
    /// the browser would be sent to; empty if the provider shows a page instead (RFC 6749 section 4.1.2.1).
    pub fn approve(&self, authorization_url: &str, account: &str) -> String {
        self.approve_with(authorization_url, Approval::of(account))
    }

    /// The same with a choice of scopes.
    pub fn approve_with(&self, authorization_url: &str, approval: Approval) -> String {
        self.idp().approve(authorization_url, &approval, listener::now())
    }

    /// The same, but the person says no.
    pub fn deny(&self, authorization_url: &str) -> String {
        self.idp().deny(authorization_url, listener::now())
    }

    /// Every request so far, oldest first, the steps of [`Sandbox::approve`] included.
    pub fn seen(&self) -> Vec<Seen> {
        self.idp().seen().to_vec()
    }

    /// How many requests an endpoint has seen.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.idp().seen().iter().filter(|seen| seen.endpoint == endpoint).count()
    }

    /// Every code and token handed out so far, to be looked for where none may be.
    pub fn issued(&self) -> Vec<Issued> {
        self.idp().issued().to_vec()
    }

    /// The person withdraws every consent: refresh tokens are dead, access tokens as well.
    pub fn revoke_grants(&self) {
        self.idp().revoke_grants();
    }

    /// Whether an access or refresh token works now.
    pub fn is_active(&self, token: &str) -> bool {
        self.idp().is_active(token, listener::now())
    }

    /// The behaviour now, to change a part of it and [`Sandbox::set`] it.
    pub fn settings(&self) -> Settings {
        self.idp().settings().clone()
    }

    /// Changes the behaviour from the next request on.
    pub fn set(&self, settings: Settings) {
        self.idp().set(settings);
    }

    /// Signs with a new key from now on; the one before stays published.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness for the key.
    pub fn rotate_signing_key(&self) -> io::Result<()> {
        self.idp().rotate_signing_key()
    }

    /// Queues a fault: a plain [`Fault`] happens once, at the token endpoint (a tampered redirect at the
    /// authorization endpoint); [`Fault::at`] and [`Fault::times`] say otherwise.
    pub fn inject(&self, fault: impl Into<Injection>) {
        self.idp().inject(fault);
    }

    fn idp(&self) -> MutexGuard<'_, Idp> {
        listener::lock(&self.idp)
    }
}
