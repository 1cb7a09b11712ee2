//! The file store: one 0600 file for each secret in a 0700 folder. Only when asked for; plain text on disk.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use crate::files;
use crate::store::{SecretBytes, SecretStore, StoreError, StoreKind, Unavailable};

/// Keeps secrets as files below a folder.
#[derive(Clone, Debug)]
pub struct FileStore {
    dir: PathBuf,
}

impl FileStore {
    /// A store in `dir`, which is created when it is first written to.
    pub fn new(dir: PathBuf) -> FileStore {
        FileStore { dir }
    }

    /// Names are profile names and key hashes, which have no separators: see [`crate::accounts`].
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    fn unavailable(&self, name: &str, cause: &io::Error) -> StoreError {
        let cause = match cause.kind() {
            ErrorKind::StorageFull => "the disk is full".to_owned(),
            _ => cause.to_string(),
        };
        let reason = Unavailable::Failed(format!("{}: {cause}", self.path(name).display()));
        StoreError::Unavailable { store: StoreKind::File, reason }
    }
}

impl SecretStore for FileStore {
    fn kind(&self) -> StoreKind {
        StoreKind::File
    }

    fn get(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        files::check_private_dir(&self.dir).map_err(|cause| self.unavailable(name, &cause))?;
        files::read_private(&self.path(name))
            .map(|found| found.map(SecretBytes::new))
            .map_err(|cause| self.unavailable(name, &cause))
    }

    fn set(&self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        files::check_private_dir(&self.dir).map_err(|cause| self.unavailable(name, &cause))?;
        files::replace_alone(&self.path(name), secret.secret()).map_err(|cause| self.unavailable(name, &cause))
    }

    fn check_space(&self, name: &str, bytes: usize) -> Result<(), StoreError> {
        files::check_space(&self.path(name), bytes).map_err(|cause| self.unavailable(name, &cause))
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        files::sweep(&path).and_then(|()| files::remove(&path)).map_err(|cause| self.unavailable(name, &cause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_back_until_it_is_deleted() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = FileStore::new(dir.path().join("secrets"));
        assert!(store.get("default").expect("read").is_none());
        store.set("default", &SecretBytes::new(b"one".to_vec())).expect("written");
        assert_eq!(store.get("default").expect("read").expect("found").secret(), b"one");
        store.delete("default").expect("deleted");
        store.delete("default").expect("deleted twice");
        assert!(store.get("default").expect("read").is_none());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_unavailable_and_not_absent() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("secrets"), b"a file").expect("written");
        let store = FileStore::new(dir.path().join("secrets"));
        assert!(matches!(store.get("default"), Err(StoreError::Unavailable { .. })));
        assert!(store.set("default", &SecretBytes::new(b"x".to_vec())).is_err());
    }
}
