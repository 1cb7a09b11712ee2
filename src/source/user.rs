//! The signed-in person: cache, lock, cache again, refresh, save. The hot path.

use oauth2::RefreshToken;

use crate::Scopes;
use crate::accounts::Profile;
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::http::{Http, bad_answer};
use crate::id_token::Unverified;
use crate::source::TokenRequest;
use crate::token::{FreshToken, TokenSet};
use crate::token_endpoint::{Refreshed, TokenEndpoint};
use crate::vault::Vault;

/// Tokens of a person who signed in earlier.
#[derive(Debug)]
pub struct StoredUser<'a> {
    vault: &'a Vault,
    http: &'a Http,
    name: &'a str,
}

/// A token, and what went wrong while a better one was sought.
#[derive(Debug)]
pub struct Served {
    /// Good for use.
    pub token: FreshToken,
    /// Why it has less life left than was asked for, if so.
    pub warning: Option<Error>,
}

/// What a look at the cache found.
#[derive(Debug)]
pub struct Glance {
    /// The token, if it will do as it is.
    pub will_do: Option<FreshToken>,
    /// The token, if it will not.
    found: Option<FreshToken>,
}

impl From<FreshToken> for Served {
    fn from(token: FreshToken) -> Served {
        Served { token, warning: None }
    }
}

impl<'a> StoredUser<'a> {
    /// The person signed in as profile `name`. Reads nothing yet.
    pub fn new(vault: &'a Vault, http: &'a Http, name: &'a str) -> StoredUser<'a> {
        StoredUser { vault, http, name }
    }

    /// The cached token if it will do, or else a fresh one: one refresh across all processes (B-7), saved before it is
    /// handed out (T-8).
    ///
    /// # Errors
    /// Those of [`StoredUser::glance`] and [`StoredUser::renew`].
    pub fn token(&self, request: &TokenRequest) -> Result<Served> {
        let glance = self.glance(request)?;
        match glance.will_do {
            Some(token) => Ok(token.into()),
            None => self.renew(request, glance),
        }
    }

    /// The warm path. Reads two small files (where there is no runtime folder: the index and the store); takes no lock,
    /// starts no thread, builds no client, writes nothing.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`], [`Error::Index`], [`Error::ScopesNotGranted`]; without a runtime folder those of the store.
    pub fn glance(&self, request: &TokenRequest) -> Result<Glance> {
        self.glance_as(&self.vault.profile(self.name)?, request)
    }

    /// The same for a profile that was just read.
    ///
    /// # Errors
    /// As there.
    pub fn glance_as(&self, profile: &Profile, request: &TokenRequest) -> Result<Glance> {
        let wanted = Wanted::new(profile, request)?;
        let found = match self.vault.cache.is_on() {
            true => self.vault.cache.get(&wanted.key).filter(|token| is_newest(token, profile)),
            false => Credential::load(&*self.vault.store(profile.store), profile)?
                .and_then(|found| wanted.kept_in(found, profile)),
        };
        let (will_do, found) = match found {
            Some(token) if !request.force && self.will_do(&token, request) => (Some(token), None),
            found => (None, found),
        };
        Ok(Glance { will_do, found })
    }

    /// The cold path, after a glance that found nothing that will do. While the provider cannot be reached, a token that
    /// still lives is served with a warning.
    ///
    /// # Errors
    /// [`Error::GrantEnded`] and [`Error::NoStoredGrant`] (a login is needed), those of the store, of the token
    /// endpoint, [`Error::LockBusy`] and [`Error::Interrupted`].
    pub fn renew(&self, request: &TokenRequest, glance: Glance) -> Result<Served> {
        let before = glance.found;
        let error = match self.locked(request, before.as_ref()) {
            Err(error) if error.is_transient() && !request.force => error,
            done => return done.map(Served::from),
        };
        match before.filter(|token| token.is_usable(&self.vault.clock, 0)) {
            Some(token) => Ok(Served { token, warning: Some(error) }),
            None => Err(error),
        }
    }

    fn locked(&self, request: &TokenRequest, before: Option<&FreshToken>) -> Result<FreshToken> {
        let _lock = self.vault.lock(self.name)?;
        match self.attempt(request, before)? {
            Attempt::Done(token) if self.has_ended(&token) => self.attempt(request, before)?.or(|| Ok(token)),
            Attempt::Done(token) => Ok(token),
            Attempt::Overtaken(error) => self.attempt(request, before)?.or(|| Err(error)),
        }
    }

    /// Whether a token had a life and it is over: a machine can be asleep between the request and here.
    fn has_ended(&self, token: &FreshToken) -> bool {
        token.life() > 0 && !token.is_usable(&self.vault.clock, 0)
    }

    /// Everything is read here and not before: what counts is what index and store say now. The lock keeps others away,
    /// but where a process has another lock folder, a login or logout may still come between (storage 3.4).
    fn attempt(&self, request: &TokenRequest, before: Option<&FreshToken>) -> Result<Attempt> {
        let profile = self.vault.profile(self.name)?;
        let wanted = Wanted::new(&profile, request)?;
        let cached = self.vault.cache.get(&wanted.key).filter(|token| is_newest(token, &profile));
        if let Some(token) = cached.filter(|token| self.adopts(token, before, request)) {
            return Ok(Attempt::Done(token));
        }
        let credential = self.credential(&profile)?;
        let kept = wanted.kept_in(credential.clone(), &profile);
        if let Some(token) = kept.filter(|token| self.adopts_kept(token, before, request)) {
            let _ = self.vault.cache.put(&wanted.key, &token);
            return Ok(Attempt::Done(token));
        }
        self.vault.store(profile.store).check_space(&profile.item, ITEM_BYTES)?;
        match self.refresh(&profile, &credential, &wanted) {
            Err(error @ Error::GrantEnded { .. }) => self.ended(&profile, &credential, error),
            refreshed => refreshed,
        }
    }

    /// A refused token that is no longer the stored one was only overtaken. Otherwise nothing is deleted: the reason is
    /// noted for `status`, and the cached token, dead as well, is dropped.
    fn ended(&self, profile: &Profile, refused: &Credential, error: Error) -> Result<Attempt> {
        let now = self.vault.profile(self.name)?;
        if self.credential(&now)?.refresh_token.secret() != refused.refresh_token.secret() {
            return Ok(Attempt::Overtaken(error));
        }
        let _ = self.vault.cache.forget(&profile.generation);
        if let Error::GrantEnded { refusal, .. } = &error {
            let _ = self.vault.note(self.name, profile, |entry| {
                entry.needs_login = Some(refusal.to_string());
                entry.kept_until = None;
            });
        }
        Err(error)
    }

    /// Whether a token found under the lock will do: it has the asked life, or another process has just got it.
    fn adopts(&self, token: &FreshToken, before: Option<&FreshToken>, request: &TokenRequest) -> bool {
        let is_new = before.is_none_or(|before| before.access_token.secret() != token.access_token.secret());
        let is_alive = token.is_usable(&self.vault.clock, 0);
        (is_new && is_alive) || (!request.force && self.will_do(token, request))
    }

    /// The same for one in the store. Beside a cache it is there only because that could not be written, and may be old.
    fn adopts_kept(&self, token: &FreshToken, before: Option<&FreshToken>, request: &TokenRequest) -> bool {
        match self.vault.cache.is_on() {
            true => !request.force && self.will_do(token, request),
            false => self.adopts(token, before, request),
        }
    }

    fn will_do(&self, token: &FreshToken, request: &TokenRequest) -> bool {
        let min_ttl = request.min_ttl.unwrap_or(DEFAULT_MIN_TTL.min(token.life() / 2));
        token.is_usable(&self.vault.clock, min_ttl)
    }

    fn credential(&self, profile: &Profile) -> Result<Credential> {
        let absent = || Error::NoStoredGrant { profile: self.name.to_owned(), store: profile.store.name() };
        self.vault.credential(profile)?.ok_or_else(absent)
    }

    fn refresh(&self, profile: &Profile, credential: &Credential, wanted: &Wanted) -> Result<Attempt> {
        let client = credential.client(profile);
        let endpoint =
            TokenEndpoint { provider: &profile.provider, client: &client, http: self.http, clock: &self.vault.clock };
        let Refreshed { rotated, tokens } = endpoint.refresh(&credential.refresh_token, wanted.narrow.as_ref());
        let tokens = tokens.and_then(|tokens| check_account(profile, tokens));
        if let Err(error @ Error::AccountChanged { .. }) = tokens {
            return Err(error); // nor does its refresh token belong here (V-16)
        }
        let now = self.vault.profile(self.name)?;
        if now.generation != profile.generation {
            return Ok(Attempt::Overtaken(Error::NoSuchProfile { profile: self.name.to_owned(), others: Vec::new() }));
        }
        let fresh = tokens.and_then(|tokens| wanted.fresh(tokens, profile)).map_err(|error| wanted.as_scopes(error));
        self.save(profile, credential, wanted, rotated, fresh.as_ref().ok())?;
        fresh.map(Attempt::Done)
    }

    /// A new refresh token first, since the old one is spent (T-8), even if the answer is of no use otherwise; then the
    /// cache and the index, whose loss is no loss.
    fn save(
        &self,
        profile: &Profile,
        credential: &Credential,
        wanted: &Wanted,
        rotated: Option<RefreshToken>,
        fresh: Option<&FreshToken>,
    ) -> Result<()> {
        let whole = fresh.filter(|_| wanted.narrow.is_none());
        let mut kept = whole.filter(|_| !self.vault.cache.is_on());
        let is_rotated = rotated.is_some();
        // An older access token has no business there beside a newer one.
        let older = credential.fresh.clone().filter(|_| whole.is_none());
        let is_outdated = credential.fresh.is_some() && older.is_none();
        let mut renewed = Credential {
            refresh_token: rotated.unwrap_or_else(|| credential.refresh_token.clone()),
            fresh: kept.cloned().or(older),
            ..credential.clone()
        };
        if is_rotated || kept.is_some() || is_outdated {
            self.vault.store_renewed(profile, &renewed)?;
        }
        let Some(fresh) = fresh else { return Ok(()) };
        if self.vault.cache.put(&wanted.key, fresh).is_err() && whole.is_some() {
            // A runtime folder that takes nothing is as good as none: without this every process would refresh.
            renewed.fresh = Some(fresh.clone());
            kept = self.vault.store_renewed(profile, &renewed).is_ok().then_some(fresh);
        }
        let kept_until = match whole {
            Some(_) => kept.map(|fresh| fresh.expires_at),
            None => profile.kept_until,
        };
        if profile.needs_login.is_some() || kept_until != profile.kept_until {
            let _ = self.vault.note(self.name, profile, |entry| {
                entry.needs_login = None;
                entry.kept_until = kept_until;
            });
        }
        Ok(())
    }
}

/// Whether a cached token is the newest one, as far as the index knows: a runtime folder that could not be written still has
/// an older one, perhaps of a grant that has ended.
fn is_newest(token: &FreshToken, profile: &Profile) -> bool {
    profile.needs_login.is_none() && profile.kept_until.is_none_or(|until| token.expires_at >= until)
}

/// How one try under the lock went.
enum Attempt {
    Done(FreshToken),
    /// Index or store changed meanwhile: the outcome is not of the present login. Worth one more try.
    Overtaken(Error),
}

impl Attempt {
    fn or(self, otherwise: impl FnOnce() -> Result<FreshToken>) -> Result<FreshToken> {
        match self {
            Attempt::Done(token) => Ok(token),
            Attempt::Overtaken(_) => otherwise(),
        }
    }
}

/// What is asked for, in the terms of one grant.
struct Wanted {
    narrow: Option<Scopes>,
    key: String,
}

impl Wanted {
    fn new(profile: &Profile, request: &TokenRequest) -> Result<Wanted> {
        let asked = request.scopes.as_ref();
        if let Some(missing) =
            asked.map(|asked| asked.missing_from(&profile.scopes)).filter(|missing| !missing.is_empty())
        {
            return Err(Error::ScopesNotGranted { missing });
        }
        let narrow = asked.filter(|asked| **asked != profile.scopes).cloned();
        let key = profile.cache_key(narrow.as_ref().unwrap_or(&profile.scopes));
        Ok(Wanted { narrow, key })
    }

    /// The access token in a credential, where there is no runtime folder. Only whole grants are kept there, and with a
    /// grant that has ended its token is dead as well.
    fn kept_in(&self, credential: Credential, profile: &Profile) -> Option<FreshToken> {
        credential.fresh.filter(|_| self.narrow.is_none() && profile.needs_login.is_none())
    }

    /// A provider that refuses these scopes says in its own way that the grant does not cover them.
    fn as_scopes(&self, error: Error) -> Error {
        match (error, &self.narrow) {
            (Error::Refused { refusal, .. }, Some(narrow)) if refusal.error == "invalid_scope" => {
                Error::ScopesNotGranted { missing: narrow.clone() }
            }
            (other, _) => other,
        }
    }

    /// The answer as a token of these scopes: never wider than asked, and the person is told if it is narrower.
    fn fresh(&self, tokens: TokenSet, profile: &Profile) -> Result<FreshToken> {
        let asked = self.narrow.as_ref().unwrap_or(&profile.scopes);
        let scopes = tokens.scopes.unwrap_or_else(|| asked.clone());
        if self.narrow.is_some() && !asked.covers(&scopes) {
            return Err(bad_answer(&profile.provider.host(), "a token for more than was asked"));
        }
        match asked.missing_from(&scopes) {
            missing if self.narrow.is_some() && !missing.is_empty() => Err(Error::ScopesNotGranted { missing }),
            _ => Ok(FreshToken {
                access_token: tokens.access_token,
                issued_at: tokens.issued_at,
                issued_uptime: tokens.issued_uptime,
                expires_at: tokens.expires_at,
                scopes,
            }),
        }
    }
}

/// V-16: the same person at the same client, or nothing is handed out.
fn check_account(profile: &Profile, tokens: TokenSet) -> Result<TokenSet> {
    let Some(id_token) = &tokens.id_token else { return Ok(tokens) };
    let (issuers, token) = (profile.provider.id_token_issuers(), Unverified::read(id_token)?);
    if token.is_about(&issuers, &profile.client_id, &profile.subject) {
        return Ok(tokens);
    }
    Err(Error::AccountChanged { host: profile.provider.host() })
}

/// Google's client libraries refetch a token with less than 300 s left (storage 3.5).
const DEFAULT_MIN_TTL: u64 = 300;
/// As much as an item may need: the longest tokens of G-27 with room.
const ITEM_BYTES: usize = 8 * 1024;
