//! Private files: 0600 in a 0700 folder, written whole or not at all, read only where nobody else could have written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Creates a folder, and what leads to it, that only this user can enter.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Replaces a file: a reader, or a crash, finds the old content or the new, never a part (temp, fsync, rename, fsync).
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = write_beside(path, content)?;
    let renamed = fs::rename(&temporary, path);
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    sync_dir(path.parent().unwrap_or(path))
}

/// Proves that a file of so many bytes could be written here. What a kill leaves of it, [`sweep`] removes.
pub(crate) fn check_space(path: &Path, bytes: usize) -> io::Result<()> {
    remove(&write_beside(path, &vec![b' '; bytes])?)
}

/// Writes a temporary file of a path, in a folder that is made if need be.
fn write_beside(path: &Path, content: &[u8]) -> io::Result<PathBuf> {
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    create_private_dir(dir)?;
    let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_string_lossy();
    let temporary = dir.join(format!(".{name}.{:016x}", rand::random::<u64>()));
    let written = create_new(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written.map(|()| temporary)
}

/// The same for a file that only the holder of a lock writes: what a writer left beside it that was killed half way is
/// removed first, since it may hold a secret.
pub(crate) fn replace_alone(path: &Path, content: &[u8]) -> io::Result<()> {
    sweep(path)?;
    replace(path, content)
}

/// Removes the temporary files of a path. Only for the holder of its lock.
pub(crate) fn sweep(path: &Path) -> io::Result<()> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let prefix = format!(".{}.", name.to_string_lossy());
    let is_temporary = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix(&prefix).is_some_and(|end| end.len() == 16 && end.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    list(dir)?.iter().filter(|path| is_temporary(path)).try_for_each(|path| remove(path))
}

fn create_new(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A rename is durable only once its folder is (POSIX); Windows has no such call.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// Reads a small file; `None` if it is not there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    open(path)?.map(content).transpose()
}

/// Reads a file that holds a secret: refused if others can read or write it, checked on the open file itself.
pub(crate) fn read_private(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let Some(file) = open(path)? else { return Ok(None) };
    check_private(&file)?;
    content(file).map(Some)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match reading().open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Never waits, whatever lies there: a pipe without a writer is empty.
pub(crate) fn reading() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    options
}

fn content(file: File) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "it is larger than 4 MiB"));
    }
    Ok(content)
}

#[cfg(unix)]
fn check_private(file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = file.metadata()?;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "it belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        let text = format!("its mode is {:04o}, and must let nobody else in (0600)", metadata.mode() & 0o7777);
        return Err(io::Error::new(ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

/// Files below the user's profile inherit a list that admits that user alone.
#[cfg(not(unix))]
fn check_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Refuses a folder that is not this user's own or that others can write in, or that is only a link: in a shared
/// place such as /tmp somebody else may have made it first (L-1's kin).
pub(crate) fn check_own_dir(dir: &Path) -> io::Result<()> {
    check_dir(dir, 0o022)
}

/// Refuses a folder of secrets that lets anybody else in. One that is not there yet is fine.
pub(crate) fn check_private_dir(dir: &Path) -> io::Result<()> {
    match check_dir(dir, 0o077) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        checked => checked,
    }
}

#[cfg(unix)]
fn check_dir(dir: &Path, forbidden: u32) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::symlink_metadata(dir)?;
    let is_own = metadata.uid() == rustix::process::geteuid().as_raw();
    if metadata.is_dir() && is_own && metadata.mode() & forbidden == 0 {
        return Ok(());
    }
    let text = format!("{} is not a folder that lets this user alone in (mode 0700)", dir.display());
    Err(io::Error::new(ErrorKind::PermissionDenied, text))
}

/// Folders below the user's profile are the user's own.
#[cfg(not(unix))]
fn check_dir(dir: &Path, _: u32) -> io::Result<()> {
    fs::symlink_metadata(dir).map(drop)
}

/// The files of a folder; none if it is not there.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Removes a file; nothing to remove is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const MAX_BYTES: u64 = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_whole_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("deep/file");
        replace(&path, b"one").expect("written");
        replace(&path, b"two").expect("written");
        assert_eq!(read(&path).expect("read"), Some(b"two".to_vec()));
        assert_eq!(fs::read_dir(path.parent().expect("a folder")).expect("listed").count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn files_are_0600_in_0700_and_a_looser_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("private/file");
        replace(&path, b"secret").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        assert!(read_private(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("changed");
        assert!(read_private(&path).is_err());
    }

    #[test]
    fn what_a_killed_writer_left_is_removed_by_the_next_one_and_nothing_else_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        let (left, others) =
            (".file.0123456789abcdef", ["file.0123456789abcdef", ".other.0123456789abcdef", ".file.x"]);
        for name in others.iter().chain([&left]) {
            fs::write(dir.path().join(name), "secret").expect("written");
        }
        replace_alone(&path, b"new").expect("written");
        assert!(!dir.path().join(left).exists());
        assert!(others.iter().all(|name| dir.path().join(name).exists()) && path.exists());
    }

    #[test]
    fn what_is_not_there_is_absent_and_not_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("nothing");
        assert_eq!(read(&path).expect("read"), None);
        assert_eq!(read_private(&path).expect("read"), None);
        assert!(remove(&path).is_ok());
    }
}
