//! Accounts: the profiles in the non-secret index, and the credential that each has in its store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::Url;

use crate::Scopes;
use crate::client::LoopbackRedirect;
use crate::error::{Error, Result};
use crate::files;
use crate::interrupt::Interrupt;
use crate::lock::Lock;
use crate::provider::Provider;
use crate::store::StoreKind;

/// Who signed in, where, with what: everything about a profile but its secrets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The provider that the grant is bound to (B-4, L-27).
    pub provider: Provider,
    /// The client that it was given to.
    pub client_id: String,
    /// The person at this provider.
    pub subject: String,
    /// For people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What was granted.
    pub scopes: Scopes,
    /// Where the refresh token is, and nowhere else.
    pub store: StoreKind,
    /// The name of its item there.
    pub item: String,
    /// Changes with every login: a late result of an older one is told by it.
    pub generation: String,
    /// Unix seconds of the login.
    pub created_at: u64,
    /// Google's project of the client, for quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Where the client file was, for the time when its secret cannot be had from the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_file: Option<PathBuf>,
    /// What the client's registration asks of the redirect URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect: Option<LoopbackRedirect>,
    /// Unix seconds at which the access token ends that the store keeps, where there is no runtime folder: for `status`,
    /// which opens no store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<u64>,
    /// Whether this provider was seen to end a new grant together with the one that it replaces.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shares_grants: bool,
    /// Why a new login is needed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs_login: Option<String>,
}

impl Profile {
    /// How to call the person: the address, or else the subject.
    pub fn account(&self) -> &str {
        self.email.as_deref().unwrap_or(&self.subject)
    }

    /// What the refresh token is good for, as a hash that its store keeps with it: whoever changes the index later cannot
    /// have the token sent elsewhere (L-27).
    pub fn binding(&self) -> String {
        let provider = &self.provider;
        let optional = |url: &Option<Url>| url.as_ref().map(Url::to_string).unwrap_or_default();
        let parts = [
            provider.issuer.clone(),
            provider.authorization_endpoint.to_string(),
            provider.token_endpoint.to_string(),
            optional(&provider.jwks_uri),
            optional(&provider.revocation_endpoint),
            optional(&provider.userinfo_endpoint),
            self.client_id.clone(),
            self.subject.clone(),
        ];
        hash(&parts.join("\n"))
    }

    /// What the cached tokens of this very grant are filed under, beginning with its generation: another login, account
    /// or client never meets them.
    pub fn cache_key(&self, scopes: &Scopes) -> String {
        let parts = [
            &self.provider.issuer,
            &self.client_id,
            &self.subject,
            &self.item,
            &self.generation,
            &scopes.canonical_line(),
        ];
        format!("{}.{}", self.generation, hash(&parts.map(String::as_str).join("\n")))
    }
}

/// The index: a small file without secrets, so that listing needs no unlocked keyring.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Index {
    /// The profile for commands that name none.
    pub default: Option<String>,
    /// By name.
    pub profiles: BTreeMap<String, Profile>,
}

impl PartialEq for Profile {
    fn eq(&self, other: &Profile) -> bool {
        self.item == other.item && self.generation == other.generation
    }
}

#[derive(Serialize, Deserialize)]
struct IndexFile {
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default: Option<String>,
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

/// The profiles of one configuration folder.
#[derive(Clone, Debug)]
pub struct Accounts {
    dir: PathBuf,
}

impl Accounts {
    /// Those below `dir`, which is created when it is first written to.
    pub fn new(dir: PathBuf) -> Accounts {
        Accounts { dir }
    }

    /// The index file.
    pub fn path(&self) -> PathBuf {
        self.dir.join("profiles.toml")
    }

    /// Where `--store file` keeps its secrets.
    pub fn secrets_dir(&self) -> PathBuf {
        self.dir.join("secrets")
    }

    /// Where the locks are: beside what they protect, so that two processes that share the index share them as well, in
    /// whatever session or container they run and wherever their runtime folders are.
    pub fn locks_dir(&self) -> PathBuf {
        self.dir.join("locks")
    }

    /// Where refresh tokens are set aside that the store would not take: see [`crate::rescue`].
    pub fn rescue_dir(&self) -> PathBuf {
        self.dir.join("unsaved")
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Reads the index; an absent one is empty.
    ///
    /// # Errors
    /// [`Error::Index`] for a file that is unreadable, not an index, or of a newer version. It is never overwritten.
    pub fn load(&self) -> Result<Index> {
        let unusable = |problem: String| self.unusable(problem);
        let bytes = files::read(&self.path()).map_err(|cause| unusable(format!("cannot be read: {cause}")))?;
        let Some(bytes) = bytes else { return Ok(Index::default()) };
        let text = String::from_utf8(bytes).map_err(|_| unusable("is not UTF-8 text".to_owned()))?;
        let file = match toml::from_str::<IndexFile>(&text) {
            Ok(file) if file.version <= INDEX_VERSION => file,
            other => return Err(self.not_ours(&text, other.err())),
        };
        match file.profiles.keys().chain(&file.default).find(|name| check_profile_name(name).is_err()) {
            Some(name) => Err(unusable(format!("is damaged: {name:?} is no profile name"))),
            None => Ok(Index { default: file.default, profiles: file.profiles }),
        }
    }

    /// A newer format may have any shape but for its version.
    fn not_ours(&self, text: &str, error: Option<toml::de::Error>) -> Error {
        let Ok(VersionOnly { version }) = toml::from_str(text) else {
            return self.unusable("is damaged: it is not the TOML that gauth writes".to_owned());
        };
        if version > INDEX_VERSION {
            let problem = format!("was written by a newer gauth (version {version} of its format)");
            return Error::Index { is_newer: true, path: self.path(), problem };
        }
        let problem = error.map(|error| error.message().lines().next().unwrap_or_default().to_owned());
        self.unusable(format!("is damaged: {}", problem.unwrap_or_default()))
    }

    fn unusable(&self, problem: String) -> Error {
        Error::Index { is_newer: false, path: self.path(), problem }
    }

    /// Reads, changes and writes the index while no other process does.
    ///
    /// # Errors
    /// [`Error::Index`], [`Error::Io`], and those of `change`; then nothing is written.
    pub fn update<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let _guard = self.guard()?;
        let mut index = self.load()?;
        let result = change(&mut index)?;
        let file = IndexFile { version: INDEX_VERSION, default: index.default, profiles: index.profiles };
        let text = toml::to_string(&file).map_err(|error| self.unusable(format!("cannot be written: {error}")))?;
        files::replace_alone(&self.path(), text.as_bytes()).map_err(Error::io("write", &self.path()))?;
        Ok(result)
    }

    /// Proves that the index can be written, with one profile more, before anyone is asked for consent.
    ///
    /// # Errors
    /// [`Error::Index`] or [`Error::Io`].
    pub fn check_writable(&self) -> Result<()> {
        self.load()?;
        let bytes = std::fs::metadata(self.path()).map_or(0, |file| file.len() as usize);
        files::check_space(&self.path(), bytes + PROFILE_BYTES).map_err(Error::io("write in", &self.dir))
    }

    /// The index is held for a moment only; the limit is for a holder that was stopped.
    fn guard(&self) -> Result<Lock> {
        Lock::acquire(&self.locks_dir(), ".profiles", Duration::from_secs(10), &Interrupt::default())
    }

    /// A name for a profile's store items. Two folders of one person never share one.
    pub fn unique_name(&self, profile: &str) -> String {
        // By whatever way a folder is reached, it is one folder.
        let dir = self.dir.canonicalize().or_else(|_| std::path::absolute(&self.dir));
        let dir = dir.unwrap_or_else(|_| self.dir.clone());
        format!("{profile}@{}", &hash(&dir.to_string_lossy())[..12])
    }

    /// The store item for a new login of a profile. There are two for each, and a login writes the one that is not in use
    /// and then switches the index over: one that dies half way leaves the old grant as it was, and its own leftover is
    /// overwritten next time.
    pub fn next_item(&self, profile: &str, in_use: Option<&str>) -> String {
        in_use.map_or_else(|| format!("{}.a", self.unique_name(profile)), other_item)
    }
}

/// The other one of the two items of a profile.
pub fn other_item(item: &str) -> String {
    match item.strip_suffix(".a") {
        Some(name) => format!("{name}.b"),
        None => format!("{}.a", item.strip_suffix(".b").unwrap_or(item)),
    }
}

/// Checks a profile name: letters, digits, `.`, `_`, `-`, at most 64, not starting with a dot or dash. It becomes part
/// of file names and of lines to copy into a shell.
///
/// # Errors
/// [`Error::ProfileName`].
pub fn check_profile_name(name: &str) -> Result<()> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    match starts_well && name.len() <= 64 && name.chars().all(is_fine) {
        true => Ok(()),
        false => Err(Error::ProfileName(name.to_owned())),
    }
}

/// A random name for a login.
pub fn new_generation() -> String {
    format!("{:016x}", rand::random::<u64>())
}

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

const INDEX_VERSION: u32 = 1;
/// As much as a profile may need: its scopes and the provider's endpoints, with room.
const PROFILE_BYTES: usize = 8 * 1024;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn profile() -> Profile {
        Profile {
            provider: Provider::google(),
            client_id: "client".to_owned(),
            subject: "1001".to_owned(),
            email: Some("alice@example.test".to_owned()),
            scopes: Scopes::parse("openid email"),
            store: StoreKind::Memory,
            item: "default@1.a".to_owned(),
            generation: new_generation(),
            created_at: 1,
            project_id: None,
            client_file: None,
            redirect: None,
            kept_until: None,
            shares_grants: false,
            needs_login: None,
        }
    }

    fn accounts(dir: &tempfile::TempDir) -> Accounts {
        Accounts::new(dir.path().join("gauth"))
    }

    #[test]
    fn a_profile_comes_back_from_the_index_as_it_went_in() {
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = accounts(&dir);
        assert_eq!(accounts.load().expect("empty"), Index::default());
        let insert = |index: &mut Index| Ok(index.profiles.insert("default".to_owned(), profile()));
        accounts.update(insert).expect("written");
        let index = accounts.load().expect("read");
        let read = &index.profiles["default"];
        assert_eq!((read.account(), read.scopes.to_string()), ("alice@example.test", "openid email".to_owned()));
        assert!(read.provider.is_google());
    }

    #[test]
    fn a_damaged_or_newer_index_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = accounts(&dir);
        std::fs::create_dir_all(accounts.dir()).expect("created");
        for text in ["version = 2\nnew = 1\n", "not toml [", "version = 1\n[profiles.a]\nx = 1\n", ""] {
            std::fs::write(accounts.path(), text).expect("written");
            let changed = accounts.update(|index| {
                index.default = Some("x".to_owned());
                Ok(())
            });
            assert!(matches!(changed, Err(Error::Index { .. })), "{text}");
            assert_eq!(std::fs::read_to_string(accounts.path()).expect("read"), text);
        }
    }

    #[test]
    fn many_threads_changing_the_index_lose_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let accounts = accounts(&dir);
        let insert = |n: usize| accounts.update(|index| Ok(index.profiles.insert(format!("p{n}"), profile())));
        std::thread::scope(|scope| (0..20).for_each(|n| drop(scope.spawn(move || insert(n).expect("written")))));
        assert_eq!(accounts.load().expect("read").profiles.len(), 20);
    }

    #[test]
    fn the_cache_key_differs_by_account_client_issuer_login_and_scopes() {
        let scopes = Scopes::parse("openid email");
        let base = profile();
        let mut keys = vec![base.cache_key(&scopes), base.cache_key(&Scopes::parse("openid"))];
        for change in [
            (|p| p.subject = "1002".to_owned()) as fn(&mut Profile),
            |p| p.client_id = "other".to_owned(),
            |p| p.provider.issuer = "https://other.example".to_owned(),
            |p| p.generation = "other".to_owned(),
            |p| p.item = "other".to_owned(),
        ] {
            let mut other = base.clone();
            change(&mut other);
            keys.push(other.cache_key(&scopes));
        }
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
        assert_eq!(base.cache_key(&Scopes::parse("email openid")), base.cache_key(&scopes));
    }

    #[test]
    fn profile_names_are_safe_in_paths_and_in_shell_lines() {
        for good in ["default", "work", "a.b_c-1", "alice@example.test"] {
            assert!(check_profile_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "a/b", "a b", "-x", "a;b", "a\nb", "ä", &"x".repeat(65)] {
            assert!(check_profile_name(bad).is_err(), "{bad}");
        }
    }
}
