//! The vault: index, stores, cache and lock together; what keeping and ending a login means for each of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::accounts::{Accounts, Profile, new_generation, other_item};
use crate::cache::Cache;
use crate::client::{Client, LoopbackRedirect};
use crate::credential::Credential;
use crate::error::{Error, Result};
use crate::files;
use crate::http::bad_answer;
use crate::interrupt::Interrupt;
use crate::lock::Lock;
use crate::login::SignedIn;
use crate::provider::Provider;
use crate::rescue::{self, RescueKey};
use crate::store::file::FileStore;
use crate::store::keyring::KeyringStore;
use crate::store::memory::MemoryStore;
use crate::store::{SecretBytes, SecretStore, StoreError, StoreKind};
use crate::token::{Clock, FreshToken};

/// Everything that remembers, for one configuration folder.
#[derive(Clone, Debug)]
pub struct Vault {
    /// The index.
    pub accounts: Accounts,
    /// The access tokens.
    pub cache: Cache,
    /// The time.
    pub clock: Clock,
    /// Ends waits for the lock.
    pub interrupt: Interrupt,
    /// What `StoreKind::Keyring` means: one connection to it for all calls of this process.
    pub keyring: KeyringStore,
    /// What `StoreKind::Memory` means in this process.
    pub memory: Arc<MemoryStore>,
}

/// A login to keep.
#[derive(Debug)]
pub struct NewLogin<'a> {
    /// Where.
    pub provider: &'a Provider,
    /// With which client.
    pub client: &'a Client,
    /// Google's project of the client.
    pub project_id: Option<String>,
    /// Where the client file is, if the client came from one.
    pub client_file: Option<PathBuf>,
    /// What the client's registration asks of the redirect URI.
    pub redirect: Option<LoopbackRedirect>,
    /// Into which store.
    pub store: StoreKind,
}

/// A login that was kept, and the one that it replaced.
#[derive(Debug)]
pub struct Kept {
    /// As it stands in the index now.
    pub profile: Profile,
    /// The old grant: still good at the provider until it is revoked.
    pub replaced: Option<(Profile, Credential)>,
    /// Why the old grant could not be read, and so is still in its store.
    pub left_behind: Option<Error>,
}

impl Vault {
    /// The store of a kind. Opening it does nothing yet.
    pub fn store(&self, kind: StoreKind) -> Arc<dyn SecretStore> {
        match kind {
            StoreKind::Keyring => Arc::new(self.keyring.clone()),
            StoreKind::File => Arc::new(FileStore::new(self.accounts.secrets_dir())),
            StoreKind::Memory => Arc::clone(&self.memory) as Arc<dyn SecretStore>,
        }
    }

    /// The profile of that name.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`] or [`Error::Index`].
    pub fn profile(&self, name: &str) -> Result<Profile> {
        self.named_profile(Some(name)).map(|(_, profile)| profile)
    }

    /// The profile of that name, or of the default one's, with its name: by one look at the index.
    ///
    /// # Errors
    /// [`Error::NoSuchProfile`] or [`Error::Index`].
    pub fn named_profile(&self, name: Option<&str>) -> Result<(String, Profile)> {
        let mut index = self.accounts.load()?;
        let name = name.map(str::to_owned).or(index.default.take()).unwrap_or_else(|| "default".to_owned());
        match index.profiles.remove(&name) {
            Some(profile) => Ok((name, profile)),
            None => Err(Error::NoSuchProfile { profile: name, others: index.profiles.into_keys().collect() }),
        }
    }

    /// Proves that the store and the index can be written, before anyone is asked for consent.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Index`] or [`Error::Io`].
    pub fn check_writable(&self, name: &str, kind: StoreKind) -> Result<()> {
        self.accounts.check_writable()?;
        let _lock = self.lock(name)?;
        self.probe(name, kind, "write-test")
    }

    /// The same for the store alone, without the lock, and so with an item of its own: a login beside it is not disturbed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn check_store(&self, name: &str, kind: StoreKind) -> Result<()> {
        self.probe(name, kind, "look-test")
    }

    /// Proves that the store takes an item and gives it back.
    fn probe(&self, name: &str, kind: StoreKind, purpose: &str) -> Result<()> {
        let (store, item) = (self.store(kind), format!("{}.{purpose}", self.accounts.unique_name(name)));
        let probe = new_generation().into_bytes();
        store.set(&item, &SecretBytes::new(probe.clone()))?;
        let read = store.get(&item)?;
        store.delete(&item)?;
        match read {
            Some(bytes) if bytes.secret() == probe => Ok(()),
            _ => Err(Error::Store(StoreError::Corrupt {
                store: kind,
                problem: "it does not give back what was written".to_owned(),
            })),
        }
    }

    /// The lock that refresh, login and logout of a profile take in turn.
    ///
    /// # Errors
    /// Those of [`Lock::acquire`].
    pub fn lock(&self, name: &str) -> Result<Lock> {
        Lock::acquire(&self.accounts.locks_dir(), name, LOCK_PATIENCE, &self.interrupt)
    }

    /// Keeps a login: credential, then index, then cache, so that a crash leaves the old login or the new one.
    ///
    /// # Errors
    /// [`Error::NoRefreshToken`], [`Error::Store`], [`Error::Index`], [`Error::Io`], [`Error::LockBusy`].
    pub fn keep(&self, name: &str, login: &NewLogin<'_>, signed_in: SignedIn) -> Result<Kept> {
        let refresh_token = signed_in.tokens.refresh_token.clone();
        let refresh_token = refresh_token.ok_or_else(|| Error::NoRefreshToken { host: login.provider.host() })?;
        let _lock = self.lock(name)?;
        let old = self.accounts.load()?.profiles.remove(name);
        let profile = self.new_profile(name, login, &signed_in, old.as_ref());
        check_size(&profile)?;
        let fresh = FreshToken {
            access_token: signed_in.tokens.access_token.clone(),
            issued_at: signed_in.tokens.issued_at,
            issued_uptime: signed_in.tokens.issued_uptime,
            expires_at: signed_in.tokens.expires_at,
            scopes: signed_in.granted.clone(),
        };
        let credential = Credential {
            generation: profile.generation.clone(),
            refresh_token,
            client_secret: login.client.secret.clone(),
            fresh: (!self.cache.is_on()).then(|| fresh.clone()),
            rescue_key: RescueKey::new(),
            binding: profile.binding(),
        };
        credential.save(&*self.store(login.store), &profile.item)?;
        let read = old.as_ref().map(|old| self.credential(old)).transpose();
        if let Err(error) = self.enter(name, &profile) {
            let _ = self.store(login.store).delete(&profile.item); // a failed login leaves nothing behind
            return Err(error);
        }
        let _ = self.cache.put(&profile.cache_key(&profile.scopes), &fresh); // the login is good without it
        if let Some(old) = &old {
            self.clear(old);
        }
        Ok(match read {
            Ok(credential) => Kept { profile, replaced: old.zip(credential.flatten()), left_behind: None },
            Err(error) => Kept { profile, replaced: None, left_behind: Some(error) },
        })
    }

    fn new_profile(&self, name: &str, login: &NewLogin<'_>, signed_in: &SignedIn, old: Option<&Profile>) -> Profile {
        let in_use = old.filter(|old| old.store == login.store).map(|old| old.item.as_str());
        Profile {
            provider: login.provider.clone(),
            client_id: login.client.id.to_string(),
            subject: signed_in.claims.subject.clone(),
            email: signed_in.claims.email.clone(),
            scopes: signed_in.granted.clone(),
            store: login.store,
            item: self.accounts.next_item(name, in_use),
            generation: new_generation(),
            created_at: self.clock.now(),
            project_id: login.project_id.clone(),
            // The index is text: a path that is not cannot be remembered.
            client_file: login.client_file.clone().filter(|path| path.to_str().is_some()),
            redirect: login.redirect.clone(),
            kept_until: (!self.cache.is_on()).then_some(signed_in.tokens.expires_at),
            shares_grants: old.is_some_and(|old| old.shares_grants && old.provider.issuer == login.provider.issuer),
            needs_login: None,
        }
    }

    fn enter(&self, name: &str, profile: &Profile) -> Result<()> {
        self.accounts.update(|index| {
            index.profiles.insert(name.to_owned(), profile.clone());
            Ok(())
        })
    }

    /// What the store has for a profile, without its lock: only to be looked at.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn stored(&self, profile: &Profile) -> Result<Option<Credential>> {
        Credential::load(&*self.store(profile.store), profile)
    }

    /// The credential of a login, under its lock. A refresh token that was set aside earlier is the newer one, and goes
    /// back into the store first.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn credential(&self, profile: &Profile) -> Result<Option<Credential>> {
        let store = self.store(profile.store);
        let Some(mut credential) = Credential::load(&*store, profile)? else { return Ok(None) };
        let find = |path: &PathBuf| rescue::find(path, &credential.rescue_key, &profile.generation);
        if let Some(rescued) = self.rescue_paths(profile).iter().find_map(find) {
            credential.refresh_token = rescued;
            credential.save(&*store, &profile.item)?;
            self.remove_rescued(profile)?;
        }
        Ok(Some(credential))
    }

    /// The lasting place first; where the disk is full there is still the runtime folder.
    fn rescue_paths(&self, profile: &Profile) -> Vec<PathBuf> {
        let name = format!("{}.sealed", profile.item);
        let dirs = std::iter::once(self.accounts.rescue_dir()).chain(self.cache.dir().map(PathBuf::from));
        dirs.map(|dir| dir.join(&name)).collect()
    }

    fn remove_rescued(&self, profile: &Profile) -> Result<()> {
        let remove = |path: &PathBuf| files::remove(path).map_err(Error::io("remove", path));
        self.rescue_paths(profile).iter().try_for_each(remove)
    }

    /// Stores a renewed credential. If the store will not take it, the refresh token is set aside, sealed, so that the
    /// next command finds it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn store_renewed(&self, profile: &Profile, renewed: &Credential) -> Result<()> {
        let stored = renewed.save(&*self.store(profile.store), &profile.item);
        if stored.is_err() {
            let set_aside = |path: &PathBuf| {
                rescue::set_aside(path, &renewed.rescue_key, &profile.generation, &renewed.refresh_token).is_ok()
            };
            self.rescue_paths(profile).iter().any(set_aside);
        }
        stored
    }

    /// Changes the index entry of this very login; a later one is left alone.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Io`].
    pub fn note(&self, name: &str, profile: &Profile, change: impl FnOnce(&mut Profile)) -> Result<()> {
        self.accounts.update(|index| {
            let same = |entry: &&mut Profile| entry.generation == profile.generation;
            if let Some(entry) = index.profiles.get_mut(name).filter(same) {
                change(entry);
            }
            Ok(())
        })
    }

    /// Removes what a replaced login left: its item and its cached token. Neither is ever read again.
    fn clear(&self, old: &Profile) {
        let _ = self.store(old.store).delete(&old.item);
        let _ = self.cache.forget(&old.generation);
        let _ = self.remove_rescued(old);
    }

    /// Forgets a profile: cached token, credential, then the index entry, so that a crash leaves something to repeat.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Index`] or [`Error::Io`].
    pub fn forget(&self, name: &str, profile: &Profile) -> Result<()> {
        self.cache.forget(&profile.generation)?;
        self.remove_rescued(profile)?;
        let store = self.store(profile.store);
        store.delete(&profile.item)?;
        store.delete(&other_item(&profile.item))?;
        self.forget_entry(name)
    }

    /// Forgets the index entry alone.
    ///
    /// # Errors
    /// [`Error::Index`] or [`Error::Io`].
    pub fn forget_entry(&self, name: &str) -> Result<()> {
        self.accounts.update(|index| {
            index.profiles.remove(name);
            if index.default.as_deref() == Some(name) {
                index.default = None;
            }
            Ok(())
        })
    }
}

/// A provider's answers end up in the index, which has to stay small enough to be read.
fn check_size(profile: &Profile) -> Result<()> {
    let size = toml::to_string(profile).map_or(usize::MAX, |text| text.len());
    if size <= PROFILE_BYTES {
        return Ok(());
    }
    Err(bad_answer(&profile.provider.host(), "longer names, scopes or addresses than a profile can hold"))
}

/// Far more than any provider has to say about itself and a person.
const PROFILE_BYTES: usize = 64 * 1024;
/// Longer than the one request, with its retries, that a holder makes (requirements, storage 3.3).
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
