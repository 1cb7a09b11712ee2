//! The refresh lock: one process at a time, by a kernel lock that dies with its holder. Its file is never deleted.

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::files;
use crate::interrupt::Interrupt;

/// Held until dropped, or until the process ends in any way.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock named `name` in `dir`, for at most `patience`.
    ///
    /// # Errors
    /// [`Error::LockBusy`], [`Error::Interrupted`] or [`Error::Io`].
    pub fn acquire(dir: &Path, name: &str, patience: Duration, interrupt: &Interrupt) -> Result<Lock> {
        let path = dir.join(format!("{name}.lock"));
        check_dir(dir)?;
        let file = open(&path).map_err(Error::io("open", &path))?;
        let deadline = Instant::now() + patience;
        let mut pause = FIRST_PAUSE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(Error::LockBusy(patience)),
                Err(TryLockError::WouldBlock) => interrupt.sleep(pause)?,
                Err(TryLockError::Error(cause)) => return Err(Error::io("lock", &path)(cause)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE).mul_f64(rand::random_range(0.8..1.2));
        }
    }
}

fn check_dir(dir: &Path) -> Result<()> {
    files::create_private_dir(dir).map_err(Error::io("create", dir))?;
    files::check_own_dir(dir).map_err(Error::io("use", dir))
}

/// A file that is there already can be locked without being written: so a read-only folder has the same lock as before.
fn open(path: &Path) -> io::Result<File> {
    match files::reading().create(true).append(true).open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied) => {
            File::open(path).map_err(|_| error)
        }
        opened => opened,
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn acquire(dir: &Path, patience: Duration) -> Result<Lock> {
        Lock::acquire(dir, "default", patience, &Interrupt::default())
    }

    #[test]
    fn a_second_holder_waits_and_gives_up_in_bounded_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().join("locks");
        let held = acquire(&dir, Duration::ZERO).expect("free");
        let patience = Duration::from_millis(50);
        assert!(matches!(acquire(&dir, patience), Err(Error::LockBusy(_))));
        drop(held);
        assert!(acquire(&dir, Duration::ZERO).is_ok());
        assert!(dir.join("default.lock").exists(), "the file stays: deleting it would let two in");
    }

    #[test]
    fn other_names_are_other_locks() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().join("locks");
        let _held = acquire(&dir, Duration::ZERO).expect("free");
        assert!(Lock::acquire(&dir, "work", Duration::ZERO, &Interrupt::default()).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_can_write_or_a_link_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let loose = dir.path().join("loose");
        std::fs::create_dir(&loose).expect("created");
        std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o777)).expect("changed");
        assert!(acquire(&loose, Duration::ZERO).is_err());
        std::os::unix::fs::symlink(dir.path(), dir.path().join("link")).expect("linked");
        assert!(acquire(&dir.path().join("link"), Duration::ZERO).is_err());
    }
}
