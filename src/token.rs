//! Tokens and time: what a token endpoint gave, when it ends, and the clock that says what time it is.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use oauth2::{AccessToken, RefreshToken};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::Scopes;

/// What a token endpoint answered (RFC 6749 section 5.1), with its relative time made absolute.
#[derive(Debug)]
pub struct TokenSet {
    /// The bearer token.
    pub access_token: AccessToken,
    /// Present only if the provider gave a new one; then the old one must be discarded (RFC 6749 section 6).
    pub refresh_token: Option<RefreshToken>,
    /// Present if `openid` was granted.
    pub id_token: Option<IdToken>,
    /// Unix seconds at which the request was sent, so that the lifetime is never overestimated.
    pub issued_at: u64,
    /// Unix seconds; the provider's `expires_in` counted from `issued_at`.
    pub expires_at: u64,
    /// What was granted; absent means identical to what was asked (RFC 6749 section 5.1).
    pub scopes: Option<Scopes>,
}

/// An ID token in its compact form. `Debug` does not show it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct IdToken(String);

impl IdToken {
    /// Wraps the compact serialisation.
    pub fn new(token: String) -> IdToken {
        IdToken(token)
    }

    /// The token itself: whoever has it can show it to a service that accepts its audience.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdToken([redacted])")
    }
}

impl Drop for IdToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// An access token with its life and scopes: what is cached, printed and served.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FreshToken {
    /// The bearer token.
    pub access_token: AccessToken,
    /// Unix seconds at which it was asked for.
    pub issued_at: u64,
    /// Unix seconds at which it ends.
    pub expires_at: u64,
    /// What it is good for.
    pub scopes: Scopes,
}

impl FreshToken {
    /// Whether the token lives at least `min_ttl` seconds more.
    ///
    /// A token from the future (the clock was stepped back by more than five minutes since)
    /// is not usable, since its end cannot be trusted (L-28).
    pub fn is_usable(&self, now: u64, min_ttl: u64) -> bool {
        let from_the_future = now + CLOCK_STEP < self.issued_at;
        !from_the_future && self.expires_at > now.saturating_add(min_ttl)
    }

    /// Seconds of life left at `now`.
    pub fn expires_in(&self, now: u64) -> u64 {
        self.expires_at.saturating_sub(now)
    }
}

/// Tells the wall-clock time in Unix seconds. A value, so that tests can choose it.
///
/// Wall clock, not monotonic: tokens outlive processes, and a monotonic clock stops while a laptop sleeps.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock::new(system_seconds)
    }

    /// A clock of one's own: `now` gives Unix seconds.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// A clock that stands still.
    pub fn fixed(unix_seconds: u64) -> Clock {
        Clock::new(move || unix_seconds)
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
fn system_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// How far a clock may have been stepped back before a cached token is taken for one from the future.
const CLOCK_STEP: u64 = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(issued_at: u64, expires_at: u64) -> FreshToken {
        FreshToken {
            access_token: AccessToken::new("canary".to_owned()),
            issued_at,
            expires_at,
            scopes: Scopes::default(),
        }
    }

    #[test]
    fn a_token_is_usable_only_while_more_than_the_asked_life_is_left() {
        let token = token(1000, 4600);
        assert!(token.is_usable(1000, 3599));
        assert!(!token.is_usable(1000, 3600));
        assert!(!token.is_usable(4600, 0));
        assert_eq!(token.expires_in(4000), 600);
        assert_eq!(token.expires_in(9000), 0);
    }

    #[test]
    fn a_token_from_the_future_is_not_usable_and_a_small_step_back_does_no_harm() {
        assert!(!token(10_000, 13_600).is_usable(9_699, 0));
        assert!(token(10_000, 13_600).is_usable(9_700, 0));
    }

    #[test]
    fn a_huge_asked_life_is_never_met_and_does_not_overflow() {
        assert!(!token(0, u64::MAX).is_usable(1, u64::MAX));
    }

    #[test]
    fn debug_of_tokens_shows_no_secret() {
        let shown = format!("{:?} {:?}", token(1, 2), IdToken::new("canary".to_owned()));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
