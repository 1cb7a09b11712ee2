//! The access-token cache: one 0600 file for each grant and scope set, in the per-user runtime folder, which is RAM.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files;
use crate::token::FreshToken;
use crate::token_answer::is_printable;

/// Short-lived tokens where they cost nothing to read. Losing it loses nothing.
#[derive(Clone, Debug)]
pub struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    /// Keeps tokens below `dir`.
    pub fn new(dir: PathBuf) -> Cache {
        Cache { dir: Some(dir) }
    }

    /// Keeps nothing (`GAUTH_CACHE=off`, or no runtime folder).
    pub fn off() -> Cache {
        Cache { dir: None }
    }

    /// Whether there is a place to keep tokens.
    pub fn is_on(&self) -> bool {
        self.dir.is_some()
    }

    /// The folder, if there is one: RAM, and so not full when the disk is.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The token filed under `key`. A damaged or foreign file is as good as none: it is replaced by the next refresh.
    pub fn get(&self, key: &str) -> Option<FreshToken> {
        let path = self.path(key)?;
        files::check_own_dir(path.parent()?).ok()?; // in a shared place it may be somebody else's
        let bytes = files::read_private(&path).ok()??;
        let token: FreshToken = serde_json::from_slice(&bytes).ok()?;
        let text = token.access_token.secret();
        (!text.is_empty() && is_printable(text)).then_some(token)
    }

    /// Whether a token could be filed: the folder is there or can be made, and is this user's own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn check_usable(&self) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        let was_there = dir.exists();
        let tried = self.check().and_then(|()| files::check_space(&dir.join("probe"), 0));
        if !was_there {
            let _ = std::fs::remove_dir(dir); // only looked at
        }
        tried.map_err(Error::io("use", dir))
    }

    /// Files a token.
    ///
    /// # Errors
    /// [`Error::Io`]; the caller has the token all the same.
    pub fn put(&self, key: &str, token: &FreshToken) -> Result<()> {
        let Some(path) = self.path(key) else { return Ok(()) };
        let text = zeroize::Zeroizing::new(serde_json::to_vec(token).unwrap_or_default());
        let written = self.check().and_then(|()| files::replace_alone(&path, &text));
        if written.is_err() {
            let _ = files::remove(&path); // the older token must not come back in the place of this one
        }
        written.map_err(Error::io("write", &path))
    }

    /// Forgets every token of a login, narrowed ones too: those whose key begins with its generation.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn forget(&self, generation: &str) -> Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        for path in files::list(dir).map_err(Error::io("read", dir))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // also what a killed writer left: a temporary file is hidden
            if name.trim_start_matches('.').starts_with(&format!("{generation}.")) {
                files::remove(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }

    fn check(&self) -> std::io::Result<()> {
        let Some(dir) = &self.dir else { return Ok(()) };
        files::create_private_dir(dir)?;
        files::check_own_dir(dir)
    }

    fn path(&self, key: &str) -> Option<PathBuf> {
        self.dir.as_ref().map(|dir| dir.join(format!("{key}.token")))
    }
}

#[cfg(test)]
mod tests {
    use oauth2::AccessToken;

    use super::*;
    use crate::Scopes;

    fn token() -> FreshToken {
        FreshToken {
            access_token: AccessToken::new("canary".to_owned()),
            issued_at: 1,
            issued_uptime: None,
            expires_at: 2,
            scopes: Scopes::parse("openid"),
        }
    }

    #[test]
    fn a_token_comes_back_until_it_is_removed_and_damage_is_absence() {
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(dir.path().join("gauth"));
        assert!(cache.get("k").is_none());
        cache.forget("login").expect("nothing to do");
        for key in ["login.k", "login.narrow", "other.k"] {
            cache.put(key, &token()).expect("written");
        }
        assert_eq!(cache.get("login.k").expect("found").access_token.secret(), "canary");
        cache.forget("login").expect("removed");
        assert!(
            cache.get("login.k").is_none() && cache.get("login.narrow").is_none() && cache.get("other.k").is_some()
        );
        files::replace(&dir.path().join("gauth/k.token"), b"{\"access_token\":").expect("written");
        assert!(cache.get("k").is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_could_have_written_is_not_believed() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a folder");
        let cache = Cache::new(dir.path().to_owned());
        cache.put("k", &token()).expect("written");
        std::fs::set_permissions(dir.path().join("k.token"), std::fs::Permissions::from_mode(0o666)).expect("changed");
        assert!(cache.get("k").is_none());
    }

    #[test]
    fn a_cache_that_is_off_keeps_nothing() {
        let cache = Cache::off();
        cache.put("k", &token()).expect("nothing to do");
        assert!(cache.get("k").is_none() && !cache.is_on());
    }
}
