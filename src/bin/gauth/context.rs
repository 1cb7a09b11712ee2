//! What every command works with: the terminal, the places on this system, the vault and the HTTP client.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gauth::accounts::Profile;
use gauth::http::Observer;
use gauth::store::keyring::KeyringStore;
use gauth::store::memory::MemoryStore;
use gauth::{Accounts, Cache, Clock, Error, Http, HttpOptions, Interrupt, Result, Vault};

use crate::args::{Global, Switch};
use crate::environment::Environment;
use crate::failure::Failure;
use crate::signals;
use crate::ui::{Ui, Waiting};

/// Built once in `main` from the options and the environment. Nothing is opened, created or connected yet.
#[derive(Debug)]
pub struct Context {
    pub ui: Ui,
    pub environment: Environment,
    pub vault: Vault,
    pub http: Http,
    pub interrupt: Interrupt,
    named_profile: Option<String>,
}

impl Context {
    pub fn new(global: &Global, environment: Environment) -> Result<Context> {
        let interrupt = Interrupt::default();
        let config_dir = match &global.config_dir {
            Some(dir) => dir.clone(),
            None => default_config_dir(&environment)?,
        };
        let runtime_dir = global.runtime_dir.clone().or_else(system_runtime_dir);
        Ok(Context {
            ui: Ui::new(global, &environment),
            vault: Vault {
                accounts: Accounts::new(config_dir),
                cache: match (&runtime_dir, global.cache) {
                    (Some(dir), None | Some(Switch::On)) => Cache::new(dir.join("gauth")),
                    _ => Cache::off(),
                },
                clock: Clock::system(),
                interrupt: interrupt.clone(),
                keyring: KeyringStore::new(interrupt.clone()),
                memory: Arc::new(MemoryStore::default()),
            },
            http: Http::new(HttpOptions {
                ca_file: environment.ssl_cert_file.clone(),
                proxy: environment.https_proxy.clone(),
                no_proxy: environment.no_proxy.clone(),
                interrupt: interrupt.clone(),
                observer: Some(observer(Ui::new(global, &environment))),
            }),
            interrupt,
            named_profile: global.profile.clone(),
            environment,
        })
    }

    /// The same in folders of its own, for the demo.
    pub fn within(&self, dir: &Path) -> Context {
        let interrupt = self.interrupt.clone();
        Context {
            ui: self.ui,
            environment: self.environment.clone(),
            vault: Vault {
                accounts: Accounts::new(dir.join("config")),
                cache: Cache::new(dir.join("run")),
                ..self.vault.clone()
            },
            http: Http::new(HttpOptions { interrupt: interrupt.clone(), ..HttpOptions::default() }),
            interrupt,
            named_profile: None,
        }
    }

    /// The profile that was named, or the default one.
    pub fn profile_name(&self) -> Result<String> {
        let name = match &self.named_profile {
            Some(name) => name.clone(),
            None => self.vault.accounts.load()?.default.unwrap_or_else(|| "default".to_owned()),
        };
        gauth::accounts::check_profile_name(&name)?;
        Ok(name)
    }

    /// That profile, with its name.
    pub fn profile(&self) -> std::result::Result<(String, Profile), Failure> {
        let named = self.named_profile.as_deref();
        let checked = named.map_or(Ok(()), gauth::accounts::check_profile_name);
        checked.and_then(|()| self.vault.named_profile(named)).map_err(|error| match &error {
            Error::NoSuchProfile { profile, .. } => Failure::of(&error, profile),
            _ => Failure::of(&error, named.unwrap_or("default")),
        })
    }

    /// From now on Ctrl-C, hang-up and termination only set the flag, so that waits end cleanly and nothing is cut off
    /// between a provider's answer and its being saved. The second one ends the process at once.
    pub fn hold_signals(&self) {
        signals::hold(self.interrupt.flag());
    }

    /// Shows what is being waited for until the result is dropped.
    pub fn waiting(&self, what: &str) -> Waiting {
        self.ui.waiting(what, &self.interrupt)
    }
}

/// `-v` shows each exchange.
fn observer(ui: Ui) -> Observer {
    Arc::new(move |exchange| {
        let outcome = match exchange.outcome {
            Ok(status) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        ui.detail(&format!("{} {}: {outcome}, {} ms", exchange.method, exchange.host, exchange.took.as_millis()));
    })
}

fn default_config_dir(environment: &Environment) -> Result<PathBuf> {
    let home = || environment.home.clone().ok_or(Error::NoHome);
    if cfg!(target_os = "macos") {
        return Ok(home()?.join("Library/Application Support/gauth"));
    }
    if cfg!(windows) {
        return Ok(home()?.join("AppData").join("Roaming").join("gauth"));
    }
    match &environment.xdg_config_home {
        Some(dir) => Ok(dir.join("gauth")),
        None => Ok(home()?.join(".config/gauth")),
    }
}

/// `/run/user/UID`: RAM, this user's alone, gone at logout. Found by the user id and not by `XDG_RUNTIME_DIR`, which
/// cron does not have: two processes of one user share what they get.
#[cfg(all(unix, not(target_os = "macos")))]
fn system_runtime_dir() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let uid = rustix::process::geteuid().as_raw();
    let dir = Path::new("/run/user").join(uid.to_string());
    let metadata = std::fs::symlink_metadata(&dir).ok()?;
    (metadata.is_dir() && metadata.uid() == uid && metadata.mode() & 0o077 == 0).then_some(dir)
}

/// macOS and Windows have no such folder: access tokens go to the keyring.
#[cfg(any(windows, target_os = "macos"))]
fn system_runtime_dir() -> Option<PathBuf> {
    None
}
