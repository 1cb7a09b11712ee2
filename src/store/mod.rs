//! Where the refresh token lives: the trait with its four outcomes, and the kinds of store.

pub mod file;
pub mod keyring;
pub mod memory;

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Bytes that are wiped when dropped and never shown.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> SecretBytes {
        SecretBytes(Zeroizing::new(bytes))
    }

    /// The bytes.
    pub fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([redacted])")
    }
}

/// Keeps named secrets. A read has four outcomes: found, absent (`Ok(None)`), unavailable, corrupt. Only absent may
/// ever lead to "log in".
pub trait SecretStore: Send + Sync + fmt::Debug {
    /// Which kind it is, as recorded in the index.
    fn kind(&self) -> StoreKind;

    /// Reads a secret; `None` if there is none by that name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Corrupt`].
    fn get(&self, name: &str) -> Result<Option<SecretBytes>, StoreError>;

    /// Writes a secret, durably: when this returns, a crash does not lose it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; the old value, if there was one, is still there.
    fn set(&self, name: &str, secret: &SecretBytes) -> Result<(), StoreError>;

    /// Proves that a secret of this size could be written now, without changing anything: asked before a refresh token is
    /// spent (storage 3.4). A keyring that has just given a secret is open and takes one; a disk may be full.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn check_space(&self, _name: &str, _bytes: usize) -> Result<(), StoreError> {
        Ok(())
    }

    /// Removes a secret; nothing to remove is no error.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// The kinds of store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// The operating system's: Secret Service, Keychain, Credential Manager.
    #[default]
    Keyring,
    /// Files of mode 0600. Only when asked for.
    File,
    /// This process, for demos and tests.
    Memory,
}

impl StoreKind {
    /// The word in options, the index and answers.
    pub fn name(self) -> &'static str {
        match self {
            StoreKind::Keyring => "keyring",
            StoreKind::File => "file",
            StoreKind::Memory => "memory",
        }
    }
}

impl StoreKind {
    /// The store in a sentence.
    pub fn place(self) -> &'static str {
        match self {
            StoreKind::Keyring => "keyring",
            StoreKind::File => "file store",
            StoreKind::Memory => "memory store",
        }
    }
}

/// Why a store gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be used now; what it holds is untouched.
    #[error("the {} cannot be used: {reason}", store.place())]
    Unavailable {
        /// Which store.
        store: StoreKind,
        /// Why.
        reason: Unavailable,
    },
    /// It holds something that is not gauth's, or not whole.
    #[error("the {} holds something unreadable for this profile: {problem}", store.place())]
    Corrupt {
        /// Which store.
        store: StoreKind,
        /// What is wrong with it, never what it says.
        problem: String,
    },
}

/// Why a store cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// It is locked and nobody unlocked it.
    #[error("it is locked")]
    Locked,
    /// There is none on this machine or in this session.
    #[error("there is none in this session")]
    Absent,
    /// It did not answer within the limit.
    #[error("it does not answer")]
    TimedOut,
    /// The person did not want to wait for it.
    #[error("the wait for it was interrupted")]
    Interrupted,
    /// Anything else, in the system's words.
    #[error("{0}")]
    Failed(String),
}
