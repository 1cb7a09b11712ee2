//! How a provider is found and what of its discovery document is believed (D-1 to D-3), against small servers of the
//! test and against the sandbox.

#![cfg(feature = "sandbox")]

#[path = "discovery/answers.rs"]
mod answers;
#[path = "discovery/client_auth.rs"]
mod client_auth;
#[path = "discovery/client_file.rs"]
mod client_file;
#[path = "discovery/document.rs"]
mod document;
#[path = "discovery/issuer_parameter.rs"]
mod issuer_parameter;
#[path = "discovery/place.rs"]
mod place;
#[path = "discovery/server.rs"]
mod server;
