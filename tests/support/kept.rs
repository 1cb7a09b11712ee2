//! What a login keeps on disk, what the provider saw of it, and the library over the same folders.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use gauth::sandbox::{Endpoint, IssuedKind, Sandbox, Seen};
use gauth::store::keyring::KeyringStore;
use gauth::store::memory::MemoryStore;
use gauth::{Accounts, Cache, Clock, Interrupt, Vault};
use serde_json::Value;

use crate::support::process::DEADLINE;
use crate::support::{ALICE, TestEnv, change, sandbox_with};

/// An environment whose default profile Alice has signed in to.
pub fn signed_in(sandbox: &Sandbox) -> TestEnv {
    let env = TestEnv::new();
    let _ = env.signed_in(sandbox, ALICE, &[]);
    env
}

/// A provider that keeps the refresh token, so that a spoiled answer spends nothing.
pub fn without_rotation() -> Sandbox {
    sandbox_with(|settings| settings.rotate_refresh_tokens = false)
}

/// Signed in with an access token that is dead on arrival; those to come live an hour.
pub fn signed_in_and_expired(sandbox: &Sandbox) -> TestEnv {
    change(sandbox, |settings| settings.token_ttl = 0);
    let env = signed_in(sandbox);
    change(sandbox, |settings| settings.token_ttl = 3600);
    env
}

/// Changes the index as a text, and what the file store's items say of it: by hand, so that a test can lead gauth
/// elsewhere. Without the second part gauth refuses.
pub fn change_index(env: &TestEnv, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(index(env)).expect("an index");
    let changed = change(&text);
    assert_ne!(text, changed, "something is changed");
    fs::write(index(env), changed).expect("written");
    let accounts = Accounts::new(env.config_dir());
    for profile in accounts.load().expect("an index").profiles.values() {
        let path = accounts.secrets_dir().join(format!("{}.json", profile.item));
        let mut item: Value = serde_json::from_slice(&fs::read(&path).expect("an item")).expect("JSON");
        item["binding"] = profile.binding().into();
        fs::write(&path, item.to_string()).expect("written");
    }
}

/// The requests that asked for a refresh.
pub fn refreshes(sandbox: &Sandbox) -> Vec<Seen> {
    let mut seen = sandbox.seen();
    seen.retain(|seen| seen.endpoint == Endpoint::Token && seen.param("grant_type") == Some("refresh_token"));
    seen
}

/// Everything of a kind that was handed out, oldest first.
pub fn issued(sandbox: &Sandbox, kind: IssuedKind) -> Vec<String> {
    sandbox.issued().into_iter().filter(|issued| issued.kind == kind).map(|issued| issued.value).collect()
}

/// The newest access token.
pub fn newest_access(sandbox: &Sandbox) -> String {
    issued(sandbox, IssuedKind::AccessToken).pop().expect("an access token")
}

/// The newest refresh token.
pub fn newest_refresh(sandbox: &Sandbox) -> String {
    issued(sandbox, IssuedKind::RefreshToken).pop().expect("a refresh token")
}

/// The folder of the file store.
pub fn secrets_dir(env: &TestEnv) -> PathBuf {
    env.config_dir().join("secrets")
}

/// Takes the store away, as a disk or a keyring that goes: what is there can neither be read nor written.
pub fn take_store_away(env: &TestEnv) {
    fs::rename(secrets_dir(env), env.files().join("secrets")).expect("moved away");
    fs::write(secrets_dir(env), "no folder").expect("written");
}

/// Brings it back as it was.
pub fn bring_store_back(env: &TestEnv) {
    fs::remove_file(secrets_dir(env)).expect("removed");
    fs::rename(env.files().join("secrets"), secrets_dir(env)).expect("moved back");
}

/// The lock files of the default profile and of the index.
pub fn locks(env: &TestEnv) -> Vec<PathBuf> {
    env.files_below(&Accounts::new(env.config_dir()).locks_dir())
}

/// Somebody cleans up: who comes next has another lock than those that are there already.
pub fn remove_locks(env: &TestEnv) {
    locks(env).iter().for_each(|path| fs::remove_file(path).expect("removed"));
}

/// The index.
pub fn index(env: &TestEnv) -> PathBuf {
    env.config_dir().join("profiles.toml")
}

/// The one item of the store.
pub fn item(env: &TestEnv) -> PathBuf {
    one(env.files_below(&secrets_dir(env)))
}

/// The refresh token in the one item of the store.
pub fn stored_refresh(env: &TestEnv) -> String {
    let item: Value = serde_json::from_slice(&fs::read(item(env)).expect("a readable item")).expect("JSON");
    item["refresh_token"].as_str().expect("a refresh token").to_owned()
}

/// The files of the access-token cache.
pub fn cached(env: &TestEnv) -> Vec<PathBuf> {
    let mut files = env.files_below(&env.runtime_dir());
    files.retain(|path| path.extension().is_some_and(|extension| extension == "token"));
    files
}

/// The one file of the access-token cache, and what it holds.
pub fn cache_file(env: &TestEnv) -> (PathBuf, Value) {
    let path = one(cached(env));
    let token = serde_json::from_slice(&fs::read(&path).expect("a readable token")).expect("JSON");
    (path, token)
}

fn one(mut paths: Vec<PathBuf>) -> PathBuf {
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

/// The library over the folders of this environment.
pub fn vault(env: &TestEnv, clock: Clock) -> Vault {
    Vault {
        accounts: Accounts::new(env.config_dir()),
        cache: Cache::new(env.runtime_dir().join("gauth")),
        clock,
        interrupt: Interrupt::default(),
        keyring: KeyringStore::default(),
        memory: Arc::new(MemoryStore::default()),
    }
}

/// Every file and folder below, with its content and when it was last changed.
pub fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a readable folder") {
        let path = entry.expect("a folder entry").path();
        let changed = fs::symlink_metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
        if path.is_dir() {
            all.extend(snapshot(&path));
        }
        all.insert(path.clone(), (changed, fs::read(&path).unwrap_or_default()));
    }
    all
}

/// Asks again and again until it is so; a hang fails the test.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
