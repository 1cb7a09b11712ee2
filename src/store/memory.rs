//! The memory store: for demos without a keyring, and for tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{SecretBytes, SecretStore, StoreError, StoreKind};

/// Forgets everything when the process ends.
#[derive(Default)]
pub struct MemoryStore(Mutex<HashMap<String, Vec<u8>>>);

impl MemoryStore {
    fn items(&self) -> MutexGuard<'_, HashMap<String, Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl SecretStore for MemoryStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Memory
    }

    fn get(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        Ok(self.items().get(name).cloned().map(SecretBytes::new))
    }

    fn set(&self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        self.items().insert(name.to_owned(), secret.secret().to_vec());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.items().remove(name);
        Ok(())
    }
}
