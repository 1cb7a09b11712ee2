//! The rescue file: a refresh token that the store would not take, sealed with a key that only the store has.
//!
//! A provider that rotates has spent the old token by the time the new one is to be stored (T-8). If the keyring is
//! locked or dies in just that moment, the new token would be lost and the grant with it. So each credential carries a
//! random key; what cannot be stored is sealed with it (ChaCha20-Poly1305, RFC 8439) and set aside as a file, which is of
//! no use to anybody until the keyring is open again.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use oauth2::RefreshToken;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, Result};
use crate::files;

/// The key of a credential. `Debug` does not show it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RescueKey(String);

impl RescueKey {
    /// A random one.
    pub fn new() -> RescueKey {
        RescueKey(BASE64_STANDARD.encode(rand::random::<[u8; 32]>()))
    }

    fn cipher(&self) -> Option<LessSafeKey> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(&self.0).ok()?);
        Some(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?))
    }
}

impl Default for RescueKey {
    fn default() -> RescueKey {
        RescueKey::new()
    }
}

impl std::fmt::Debug for RescueKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RescueKey([redacted])")
    }
}

impl Drop for RescueKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Sets a token aside; `login` binds it to the login that it belongs to.
///
/// # Errors
/// [`Error::Io`].
pub(crate) fn set_aside(path: &Path, key: &RescueKey, login: &str, token: &RefreshToken) -> Result<()> {
    let sealed = seal(key, login, token.secret().as_bytes()).unwrap_or_default();
    files::replace_alone(path, &sealed).map_err(Error::io("write", path))
}

/// The token that was set aside for this login, if there is one that the key opens.
pub(crate) fn find(path: &Path, key: &RescueKey, login: &str) -> Option<RefreshToken> {
    let sealed = files::read_private(path).ok()??;
    let opened = open(key, login, sealed)?;
    Some(RefreshToken::new(opened))
}

fn seal(key: &RescueKey, login: &str, token: &[u8]) -> Option<Vec<u8>> {
    let nonce = rand::random::<[u8; NONCE_LEN]>();
    let mut sealed = token.to_vec();
    let aad = Aad::from(login.as_bytes());
    key.cipher()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
    Some([&nonce, &sealed[..]].concat())
}

fn open(key: &RescueKey, login: &str, sealed: Vec<u8>) -> Option<String> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut sealed = Zeroizing::new(sealed.to_vec());
    let opened = key.cipher()?.open_in_place(nonce, Aad::from(login.as_bytes()), &mut sealed).ok()?;
    String::from_utf8(opened.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> RefreshToken {
        RefreshToken::new("canary".to_owned())
    }

    #[test]
    fn only_the_same_key_and_the_same_login_open_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, key) = (dir.path().join("item.sealed"), RescueKey::new());
        assert!(find(&path, &key, "login").is_none());
        set_aside(&path, &key, "login", &token()).expect("written");
        assert_eq!(find(&path, &key, "login").expect("found").secret(), "canary");
        assert!(find(&path, &RescueKey::new(), "login").is_none());
        assert!(find(&path, &key, "another login").is_none());
    }

    #[test]
    fn the_file_does_not_show_the_token_and_a_changed_one_is_not_believed() {
        let dir = tempfile::tempdir().expect("a folder");
        let (path, key) = (dir.path().join("item.sealed"), RescueKey::new());
        set_aside(&path, &key, "login", &token()).expect("written");
        let mut bytes = std::fs::read(&path).expect("read");
        assert!(!bytes.windows(6).any(|window| window == b"canary"));
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        files::replace(&path, &bytes).expect("written");
        assert!(find(&path, &key, "login").is_none());
        assert!(!format!("{key:?}").contains(&key.0));
    }
}
