//! The OS keyring, every call with a time limit. The only file that names keyring and its stores.

use std::collections::HashMap;
use std::fmt;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keyring::{CredentialStore, Entry, Error};

use crate::interrupt::Interrupt;
use crate::store::{SecretBytes, SecretStore, StoreError, StoreKind, Unavailable};

/// The keyring of the person's session: Secret Service on Linux and the BSDs, Keychain on macOS, Credential Manager
/// on Windows. One item for each name, `service` "gauth", in the default collection.
///
/// Every call runs on a thread of its own and is given up after [`LIMIT`]: a locked keyring can wait for its prompt
/// for ever, and a frozen one never answers. A thread that was given up ends with the process.
///
/// Clones share one connection, made by the first call: what follows a refresh is then one message, so that there is
/// little time in which a rotated refresh token exists nowhere but in memory (T-8).
#[derive(Clone, Default)]
pub struct KeyringStore {
    interrupt: Interrupt,
    connection: Connection,
}

type Connection = Arc<Mutex<Option<Arc<CredentialStore>>>>;

impl fmt::Debug for KeyringStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyringStore")
    }
}

impl KeyringStore {
    /// The person's keyring; `interrupt` ends waits for it.
    pub fn new(interrupt: Interrupt) -> KeyringStore {
        KeyringStore { interrupt, connection: Connection::default() }
    }

    /// The same connection, heeding no interrupt.
    fn unheard(&self) -> KeyringStore {
        KeyringStore { interrupt: Interrupt::default(), ..self.clone() }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<CredentialStore>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One call on the item of this name, within the limit. A connection that was good once may be dead by now, because
    /// the keyring was started anew: the call is then made again on a new one.
    fn call<T: Send + 'static>(
        &self,
        name: &str,
        call: impl Fn(&Entry) -> keyring::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (name, kept) = (name.to_owned(), self.kept().take());
        let answered = limited(&self.interrupt, move || {
            if let Some(store) = kept {
                match entry(&store, &name).and_then(|entry| call(&entry)) {
                    Err(Error::PlatformFailure(_)) => {}
                    answered => return Ok((answered, store)),
                }
            }
            let store = system_store()?;
            Ok((entry(&store, &name).and_then(|entry| call(&entry)), store))
        });
        let (answer, store) = answered?;
        *self.kept() = Some(store);
        answer.map_err(|error| sorted(&error))
    }
}

impl SecretStore for KeyringStore {
    fn kind(&self) -> StoreKind {
        StoreKind::Keyring
    }

    fn get(&self, name: &str) -> Result<Option<SecretBytes>, StoreError> {
        self.call(name, |entry| match entry.get_secret() {
            Ok(secret) => Ok(Some(SecretBytes::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    fn set(&self, name: &str, secret: &SecretBytes) -> Result<(), StoreError> {
        let secret = SecretBytes::new(secret.secret().to_vec());
        // What is written may be the only copy: the limit ends this wait, and no interrupt does.
        self.unheard().call(name, move |entry| entry.set_secret(secret.secret()))
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.unheard().call(name, |entry| match entry.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(error),
        })
    }
}

fn limited<T: Send + 'static>(
    interrupt: &Interrupt,
    call: impl FnOnce() -> keyring::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, answer) = mpsc::channel();
    // A system without a thread to spare is a keyring that cannot be asked, not a crash.
    if let Err(cause) = thread::Builder::new().spawn(move || sender.send(call())) {
        return Err(unavailable(Unavailable::Failed(cause.to_string())));
    }
    match interrupt.receive(&answer, LIMIT) {
        Ok(Some(answered)) => answered.map_err(|error| sorted(&error)),
        Ok(None) => Err(unavailable(Unavailable::TimedOut)),
        Err(_) => Err(unavailable(Unavailable::Interrupted)),
    }
}

fn entry(store: &Arc<CredentialStore>, name: &str) -> keyring::Result<Entry> {
    let label = format!("gauth: {}", name.split('@').next().unwrap_or(name));
    store.build(SERVICE, name, modifiers(&label).as_ref())
}

#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios", target_os = "android"))))]
fn system_store() -> keyring::Result<Arc<CredentialStore>> {
    Ok(dbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn system_store() -> keyring::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn system_store() -> keyring::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

/// How the item is shown in the desktop's keyring program.
#[cfg(all(unix, not(target_os = "macos")))]
fn modifiers(label: &str) -> Option<HashMap<&str, &str>> {
    Some(HashMap::from([("label", label)]))
}

/// Windows roams credentials to other machines unless told not to.
#[cfg(windows)]
fn modifiers(_: &str) -> Option<HashMap<&str, &str>> {
    Some(HashMap::from([("persistence", "Local")]))
}

#[cfg(target_os = "macos")]
fn modifiers(_: &str) -> Option<HashMap<&str, &str>> {
    None
}

/// Sorts the family's errors into our outcomes. Their text may quote what was found, so only kinds pass.
fn sorted(error: &Error) -> StoreError {
    match error {
        Error::NoStorageAccess(_) => unavailable(Unavailable::Locked),
        Error::PlatformFailure(cause) => unavailable(platform(&cause.to_string())),
        Error::NoDefaultStore | Error::NotSupportedByStore(_) => unavailable(Unavailable::Absent),
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::BadStoreFormat(_) => corrupt("not gauth's bytes"),
        Error::Ambiguous(entries) => corrupt(&format!("{} items instead of one", entries.len())),
        Error::TooLong(..) => unavailable(Unavailable::Failed("the secret is too long for it".to_owned())),
        _ => unavailable(Unavailable::Failed("it refused the request".to_owned())),
    }
}

/// The Secret Service store reports a missing bus or service as a failure of the platform, in libdbus's error names and
/// texts; Keychain and Credential Manager report by number when a session may not open them. No text names an item.
fn platform(text: &str) -> Unavailable {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["NoReply", "Did not receive a reply"]) {
        Unavailable::TimedOut
    } else if has(&["IsLocked", "is locked", "-25308", "1312"]) {
        Unavailable::Locked
    } else if has(&ABSENT) {
        Unavailable::Absent
    } else {
        Unavailable::Failed(text.to_owned())
    }
}

const ABSENT: [&str; 9] = [
    "ServiceUnknown",
    "not provided by any",
    "autolaunch",
    "NoServer",
    "Failed to connect",
    "FileNotFound",
    "Spawn",
    "NameHasNoOwner",
    "Using X11",
];

fn unavailable(reason: Unavailable) -> StoreError {
    StoreError::Unavailable { store: StoreKind::Keyring, reason }
}

fn corrupt(problem: &str) -> StoreError {
    StoreError::Corrupt { store: StoreKind::Keyring, problem: problem.to_owned() }
}

const SERVICE: &str = "gauth";
/// A person who is asked to unlock has this long; a script is told within six seconds (the exit takes the rest).
pub const LIMIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_never_answers_is_given_up() {
        let started = std::time::Instant::now();
        let answer = limited::<()>(&Interrupt::default(), || {
            loop {
                thread::park();
            }
        });
        let timed_out = StoreError::Unavailable { store: StoreKind::Keyring, reason: Unavailable::TimedOut };
        assert_eq!(answer, Err(timed_out));
        assert!(started.elapsed() < Duration::from_secs(6));
    }

    #[test]
    fn no_error_carries_the_bytes_that_were_found() {
        let error = sorted(&Error::BadEncoding(b"canary".to_vec()));
        assert!(!format!("{error:?} {error}").contains("canary"));
        assert!(matches!(error, StoreError::Corrupt { .. }));
    }

    #[test]
    fn only_a_missing_item_is_absence_of_the_item() {
        let failure = |text: &str| sorted(&Error::PlatformFailure(text.into()));
        let reason = |error: StoreError| match error {
            StoreError::Unavailable { reason, .. } => reason,
            StoreError::Corrupt { .. } => panic!("not corrupt"),
        };
        assert_eq!(reason(sorted(&Error::NoStorageAccess("prompt".into()))), Unavailable::Locked);
        assert_eq!(
            reason(failure("The name org.freedesktop.secrets was not provided by any .service files")),
            Unavailable::Absent
        );
        assert_eq!(
            reason(failure("Unable to autolaunch a dbus-daemon without a $DISPLAY for X11")),
            Unavailable::Absent
        );
        let silent =
            "Did not receive a reply. Possible causes include: the message bus security policy blocked the reply";
        assert_eq!(reason(failure(silent)), Unavailable::TimedOut);
        assert!(matches!(reason(failure("something new")), Unavailable::Failed(_)));
    }
}
