//! Signs a person in to Google, or any OpenID provider, from their own machine; keeps the refresh token in the operating
//! system's keyring; hands out fresh access tokens.
//!
//! The promise: authorization code with PKCE through a loopback redirect (RFC 8252), always with state, nonce and S256;
//! the browser is told the outcome only when it is known; secrets are types whose `Debug` shows nothing; the library
//! prints nothing and reads no environment; errors carry codes, hosts and statuses, never bodies.
//!
//! The shortest program is the example of [`login::InstalledAppFlow`]. To keep the login and to get tokens later, see
//! [`Vault`] and [`source::user::StoredUser`].
//!
//! # The map
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | words | [`error`], [`scopes`], [`token`], `token_answer`, [`interrupt`], [`login::callback`] | plain values and pure functions |
//! | facts | [`client`], [`provider`], `discovery`, [`id_token`], `key_set` | who asks, who is asked, what a token says |
//! | edges | [`http`], `retry`, `echo`, `tls`, [`store`], [`cache`], [`lock`], `files`, [`login::loopback`], [`login::browser`] | one outside thing each |
//! | work | [`token_endpoint`], [`login`], [`accounts`], [`credential`], [`rescue`], [`vault`], [`source`] | the flow, and what is kept of it |
//! | judge | `sandbox` | a strict provider of its own, for demos and tests; shares no code with the client |
//! | person | `src/bin/gauth` | the command line; uses only what is public here |
//!
//! `login` knows no store, `store` and `accounts` know no HTTP; [`source::user`] is where store and HTTP meet.

pub mod accounts;
pub mod cache;
pub mod client;
pub mod credential;
mod discovery;
mod echo;
pub mod error;
mod files;
pub mod http;
pub mod id_token;
pub mod interrupt;
mod key_set;
pub mod lock;
pub mod login;
pub mod provider;
pub mod rescue;
mod retry;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod scopes;
pub mod source;
pub mod store;
mod tls;
pub mod token;
mod token_answer;
pub mod token_endpoint;
pub mod vault;

pub use accounts::Accounts;
pub use cache::Cache;
pub use client::{Client, ClientFile};
pub use error::{Error, Result};
pub use http::{Http, HttpOptions};
pub use interrupt::Interrupt;
pub use login::Browser;
pub use provider::Provider;
pub use scopes::Scopes;
pub use source::TokenRequest;
pub use source::user::StoredUser;
pub use store::StoreKind;
pub use token::{Clock, FreshToken};
pub use token_endpoint::TokenEndpoint;
pub use vault::Vault;
