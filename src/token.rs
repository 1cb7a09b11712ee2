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
    /// The same by [`Clock::uptime`].
    pub issued_uptime: Option<u64>,
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
    /// The same by [`Clock::uptime`], if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_uptime: Option<u64>,
    /// Unix seconds at which it ends.
    pub expires_at: u64,
    /// What it is good for.
    pub scopes: Scopes,
}

impl FreshToken {
    /// Whether the token lives at least `min_ttl` seconds more, by the wall clock and by the uptime (L-28): the one can be
    /// set, the other begins anew when the machine does.
    ///
    /// A token from the future (the clock was stepped back by more than five minutes since)
    /// is not usable, since its end cannot be trusted.
    pub fn is_usable(&self, clock: &Clock, min_ttl: u64) -> bool {
        let now = clock.now();
        let from_the_future = now + CLOCK_STEP < self.issued_at;
        let is_old = self.age(clock).is_some_and(|age| self.life() <= age.saturating_add(min_ttl));
        !from_the_future && !is_old && self.expires_at > now.saturating_add(min_ttl)
    }

    /// Seconds that it lived when it was new.
    pub fn life(&self) -> u64 {
        self.expires_at.saturating_sub(self.issued_at)
    }

    /// Seconds since it was asked for, by the uptime; `None` after a restart of the machine.
    fn age(&self, clock: &Clock) -> Option<u64> {
        clock.uptime()?.checked_sub(self.issued_uptime?)
    }

    /// Seconds of life left at `now`.
    pub fn expires_in(&self, now: u64) -> u64 {
        self.expires_at.saturating_sub(now)
    }
}

/// Tells the wall-clock time in Unix seconds, and the uptime. A value, so that tests can choose it.
///
/// Wall clock, not monotonic: tokens outlive processes, and a monotonic clock stops while a laptop sleeps.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> u64 + Send + Sync>,
    uptime: fn() -> Option<u64>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Clock {
        Clock { uptime: system_uptime, ..Clock::new(system_seconds) }
    }

    /// A clock of one's own, without an uptime: `now` gives Unix seconds.
    pub fn new(now: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        Clock { now: Arc::new(now), uptime: || None }
    }

    /// A clock that stands still.
    pub fn fixed(unix_seconds: u64) -> Clock {
        Clock::new(move || unix_seconds)
    }

    /// Unix seconds.
    pub fn now(&self) -> u64 {
        (self.now)()
    }

    /// Seconds since this machine was started, sleep included; it cannot be set. `None` where the system has none such.
    pub fn uptime(&self) -> Option<u64> {
        (self.uptime)()
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

#[cfg(target_os = "linux")]
fn system_uptime() -> Option<u64> {
    use rustix::time::{ClockId, clock_gettime};
    u64::try_from(clock_gettime(ClockId::Boottime).tv_sec).ok()
}

/// Elsewhere the wall clock alone has to do.
#[cfg(not(target_os = "linux"))]
fn system_uptime() -> Option<u64> {
    None
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
            issued_uptime: None,
            expires_at,
            scopes: Scopes::default(),
        }
    }

    fn at(now: u64) -> Clock {
        Clock::fixed(now)
    }

    #[test]
    fn a_token_is_usable_only_while_more_than_the_asked_life_is_left() {
        let token = token(1000, 4600);
        assert!(token.is_usable(&at(1000), 3599));
        assert!(!token.is_usable(&at(1000), 3600));
        assert!(!token.is_usable(&at(4600), 0));
        assert_eq!(token.expires_in(4000), 600);
        assert_eq!(token.expires_in(9000), 0);
    }

    #[test]
    fn a_token_from_the_future_is_not_usable_and_a_small_step_back_does_no_harm() {
        assert!(!token(10_000, 13_600).is_usable(&at(9_699), 0));
        assert!(token(10_000, 13_600).is_usable(&at(9_700), 0));
    }

    #[test]
    fn a_clock_that_is_stepped_back_does_not_bring_a_dead_token_back_to_life() {
        let with_uptime = |issued| FreshToken { issued_uptime: issued, ..token(10_000, 13_600) };
        let later = Clock { uptime: || Some(5_000), ..at(10_000) };
        assert!(with_uptime(Some(1_401)).is_usable(&later, 0), "a second is left");
        assert!(!with_uptime(Some(1_400)).is_usable(&later, 0), "an hour has passed, whatever the wall clock says");
        assert!(!with_uptime(Some(1_500)).is_usable(&later, 100));
        assert!(
            with_uptime(Some(6_000)).is_usable(&later, 3_000),
            "the machine was started anew: the wall clock decides"
        );
        assert!(with_uptime(None).is_usable(&later, 3_000));
    }

    #[test]
    fn a_huge_asked_life_is_never_met_and_does_not_overflow() {
        assert!(!token(0, u64::MAX).is_usable(&at(1), u64::MAX));
    }

    #[test]
    fn debug_of_tokens_shows_no_secret() {
        let shown = format!("{:?} {:?}", token(1, 2), IdToken::new("canary".to_owned()));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
