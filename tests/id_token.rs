//! ID tokens, right and forged, against every check of OpenID Connect Core section 3.1.3.7 (V-1 to V-17), with the
//! exact error of each. Every token is signed here, by ring; gauth checks with another library.

#![cfg(feature = "sandbox")]

#[path = "id_token/claims.rs"]
mod claims;
#[path = "id_token/compact.rs"]
mod compact;
#[path = "id_token/flow.rs"]
mod flow;
#[path = "id_token/forge.rs"]
mod forge;
#[path = "id_token/keys.rs"]
mod keys;
#[path = "id_token/signature.rs"]
mod signature;
#[path = "id_token/times.rs"]
mod times;
