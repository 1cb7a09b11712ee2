//! Credentials: the secrets of a profile, as one item of its store.

use oauth2::{ClientId, ClientSecret, RefreshToken};
use serde::{Deserialize, Serialize};

use crate::accounts::Profile;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::rescue::RescueKey;
use crate::store::{SecretBytes, SecretStore, StoreError, StoreKind};
use crate::token::FreshToken;

/// The secrets of a profile: one item of its store, below the 2,560 bytes of Windows.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Which login it belongs to.
    pub generation: String,
    /// The long-lived secret.
    pub refresh_token: RefreshToken,
    /// The client's own, so that later commands need no client file.
    pub client_secret: Option<ClientSecret>,
    /// The access token, where there is no runtime folder to keep it in.
    pub fresh: Option<FreshToken>,
    /// Seals what this item's store would not take.
    pub rescue_key: RescueKey,
    /// The [`Profile::binding`] of its login.
    pub binding: String,
}

#[derive(Serialize, Deserialize)]
struct CredentialItem {
    v: u32,
    generation: String,
    refresh_token: RefreshToken,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fresh: Option<FreshToken>,
    rescue_key: RescueKey,
    binding: String,
}

impl Credential {
    /// Reads the credential of a profile from its store; `None` only if the store says that it is absent, or if what is
    /// there belongs to another login: the index was put back, or changed by somebody else.
    ///
    /// # Errors
    /// [`Error::Store`], also for an item that is not gauth's.
    pub fn load(store: &dyn SecretStore, profile: &Profile) -> Result<Option<Credential>> {
        let Some(bytes) = store.get(&profile.item)? else { return Ok(None) };
        let item: CredentialItem = serde_json::from_slice(bytes.secret())
            .ok()
            .filter(|item: &CredentialItem| item.v == ITEM_VERSION)
            .ok_or_else(|| corrupt(store.kind(), "not an item of this version of gauth"))?;
        if item.generation != profile.generation {
            return Ok(None);
        }
        if item.binding != profile.binding() {
            return Err(corrupt(store.kind(), "the profile's endpoints or account were changed after the login"));
        }
        Ok(Some(Credential {
            generation: item.generation,
            refresh_token: item.refresh_token,
            client_secret: item.client_secret.map(ClientSecret::new),
            fresh: item.fresh,
            rescue_key: item.rescue_key,
            binding: item.binding,
        }))
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn save(&self, store: &dyn SecretStore, item: &str) -> Result<()> {
        let mut bytes = self.to_bytes(self.fresh.clone());
        if cfg!(windows) && bytes.secret().len() > WINDOWS_BYTES {
            bytes = self.to_bytes(None); // it can be had again, the refresh token cannot
        }
        Ok(store.set(item, &bytes)?)
    }

    fn to_bytes(&self, fresh: Option<FreshToken>) -> SecretBytes {
        let wire = CredentialItem {
            v: ITEM_VERSION,
            generation: self.generation.clone(),
            refresh_token: self.refresh_token.clone(),
            client_secret: self.client_secret.as_ref().map(|secret| secret.secret().clone()),
            fresh,
            rescue_key: self.rescue_key.clone(),
            binding: self.binding.clone(),
        };
        SecretBytes::new(serde_json::to_vec(&wire).expect("strings and numbers are always JSON"))
    }

    /// The client as it was at login.
    pub fn client(&self, profile: &Profile) -> Client {
        Client { id: ClientId::new(profile.client_id.clone()), secret: self.client_secret.clone() }
    }
}

fn corrupt(store: StoreKind, problem: &str) -> Error {
    Error::Store(StoreError::Corrupt { store, problem: problem.to_owned() })
}

const ITEM_VERSION: u32 = 1;
/// Credential Manager's limit for one item (G-27).
const WINDOWS_BYTES: usize = 2560;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::tests::profile;
    use crate::store::memory::MemoryStore;

    #[test]
    fn a_credential_comes_back_and_other_bytes_are_corrupt_not_absent() {
        let (store, profile) = (MemoryStore::default(), profile());
        assert!(Credential::load(&store, &profile).expect("read").is_none());
        let credential = Credential {
            generation: profile.generation.clone(),
            refresh_token: RefreshToken::new("canary".to_owned()),
            client_secret: Some(ClientSecret::new("canary".to_owned())),
            fresh: None,
            rescue_key: RescueKey::new(),
            binding: profile.binding(),
        };
        credential.save(&store, &profile.item).expect("written");
        let read = Credential::load(&store, &profile).expect("read").expect("found");
        assert_eq!(read.refresh_token.secret(), "canary");
        assert!(!format!("{read:?}").contains("canary"));
        let moved = Profile { client_id: "another".to_owned(), ..profile.clone() };
        assert!(matches!(Credential::load(&store, &moved), Err(Error::Store(StoreError::Corrupt { .. }))));
        for bytes in ["canary", "{}", r#"{"v":9,"generation":"g","refresh_token":"canary"}"#] {
            store.set(&profile.item, &SecretBytes::new(bytes.as_bytes().to_vec())).expect("written");
            let error = Credential::load(&store, &profile).expect_err("corrupt");
            assert!(matches!(error, Error::Store(StoreError::Corrupt { .. })));
            assert!(!format!("{error:?} {error}").contains("canary"));
        }
    }
}
