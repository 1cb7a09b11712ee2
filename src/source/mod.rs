//! Where fresh tokens come from, and what a caller can ask of them.

pub mod user;

use crate::Scopes;

/// What the caller needs.
#[derive(Clone, Debug, Default)]
pub struct TokenRequest {
    /// Only these scopes, narrower than the grant (RFC 6749 section 6); by default all that was granted.
    pub scopes: Option<Scopes>,
    /// Seconds of life that the token must have left; by default five minutes, or half the life of a
    /// token that never lives so long.
    pub min_ttl: Option<u64>,
    /// Whether only a token newer than the call will do.
    pub force: bool,
}
