//! What every integration test works with: an environment of its own, the real binary, and a person who consents.
//!
//! [`TestEnv`] is the place, [`Running`] a `gauth` that runs in it, [`http`] the browser.
#![allow(dead_code, unused_imports, reason = "every test file uses its own part of this")]

pub mod http;
pub mod process;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use gauth::sandbox::{Config, Sandbox, Settings};
use serde_json::Value;
use tempfile::TempDir;

pub use http::{Answer, Visit};
pub use process::{Ran, Running};

/// The accounts that the sandbox offers.
pub const ALICE: &str = "alice@example.test";
pub const BOB: &str = "bob@example.test";

/// The client that most tests sign in with, and its secret.
pub const CLIENT: &str = "sandbox-installed";
pub const CLIENT_SECRET: &str = "sandbox-secret-not-confidential";

/// A home, a config folder and a runtime folder that nobody else has, gone when dropped.
#[derive(Debug)]
pub struct TestEnv {
    root: TempDir,
}

impl TestEnv {
    pub fn new() -> TestEnv {
        let env = TestEnv { root: tempfile::tempdir().expect("a temporary folder") };
        for dir in [env.home(), env.config_dir(), env.runtime_dir(), env.files()] {
            fs::create_dir(&dir).expect("a new folder");
            make_private(&dir);
        }
        env
    }

    /// Everything that a `gauth` of this environment may write is below here.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    pub fn config_dir(&self) -> PathBuf {
        self.root().join("config")
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.root().join("runtime")
    }

    /// Where the tests keep files of their own, such as client files.
    pub fn files(&self) -> PathBuf {
        self.root().join("files")
    }

    /// Writes a file of the test's own.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files().join(name);
        fs::write(&path, text).expect("a written file");
        path
    }

    /// The binary, in this environment and no other: nothing is inherited but `PATH`.
    pub fn gauth(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gauth"));
        command.args(args).env_clear().current_dir(self.home()).stdin(Stdio::null());
        for name in ["PATH", "SystemRoot"] {
            command.envs(std::env::vars_os().filter(|(key, _)| key == name));
        }
        command
            .env("HOME", self.home())
            .env("USERPROFILE", self.home())
            .env("GAUTH_CONFIG_DIR", self.config_dir())
            .env("GAUTH_RUNTIME_DIR", self.runtime_dir())
            .env("GAUTH_STORE", "file");
        command
    }

    /// Runs a command to its end.
    #[must_use = "say how it should have ended"]
    pub fn run(&self, args: &[&str]) -> Ran {
        Running::start(self.gauth(args)).wait()
    }

    /// The client file of a client of this sandbox.
    pub fn client_file(&self, sandbox: &Sandbox, client_id: &str) -> PathBuf {
        self.write(&format!("{client_id}.json"), &sandbox.client_secrets_json(client_id))
    }

    /// `gauth login --no-browser --client-secrets FILE MORE...` of the usual client, not started yet.
    pub fn login_command(&self, sandbox: &Sandbox, more: &[&str]) -> Command {
        self.login_command_of(sandbox, CLIENT, more)
    }

    /// The same for another client.
    pub fn login_command_of(&self, sandbox: &Sandbox, client_id: &str, more: &[&str]) -> Command {
        let file = self.client_file(sandbox, client_id);
        let mut command = self.gauth(&["login", "--no-browser", "--client-secrets"]);
        command.arg(file).args(more);
        command
    }

    /// A login that waits for its browser: the address is printed.
    pub fn login(&self, sandbox: &Sandbox, more: &[&str]) -> Running {
        Running::start_login(self.login_command(sandbox, more))
    }

    /// A whole login as this account, which must succeed.
    pub fn signed_in(&self, sandbox: &Sandbox, account: &str, more: &[&str]) -> Ran {
        self.signed_in_by(self.login_command(sandbox, more), sandbox, account)
    }

    /// The same with a command of one's own.
    pub fn signed_in_by(&self, command: Command, sandbox: &Sandbox, account: &str) -> Ran {
        let (ran, visit) = complete(command, |url| sandbox.approve(url, account));
        visit.assert_signed_in(account);
        ran.succeeded()
    }

    /// `gauth list --json`.
    pub fn profiles(&self) -> Vec<Value> {
        let listed = self.run(&["list", "--json"]).succeeded().json();
        listed.as_array().expect("an array of profiles").clone()
    }

    /// Every file below a folder of this environment.
    pub fn files_below(&self, dir: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let paths = entries.map(|entry| entry.expect("a folder entry").path());
        paths.flat_map(|path| if path.is_dir() { self.files_below(&path) } else { vec![path] }).collect()
    }

    /// Which files, the test's own ones aside, hold this text.
    pub fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let has_text = |path: &PathBuf| {
            let content = fs::read(path).unwrap_or_default();
            content.windows(text.len()).any(|window| window == text.as_bytes())
        };
        let written = self.files_below(self.root()).into_iter().filter(|path| !path.starts_with(self.files()));
        written.filter(has_text).collect()
    }

    /// A failed login leaves nothing behind: no profile, no secret in the store, and no secret that this provider ever
    /// handed out in any file.
    pub fn assert_nothing_kept(&self, sandbox: &Sandbox) {
        assert_eq!(self.profiles(), Vec::<Value>::new(), "no profile");
        assert_eq!(self.files_below(&self.config_dir().join("secrets")), Vec::<PathBuf>::new(), "an empty store");
        for issued in sandbox.issued() {
            assert_eq!(self.files_with(&issued.value), Vec::<PathBuf>::new(), "{issued:?}");
        }
    }
}

/// Adds to the figures that `tests/run` prints at its end: how many of what were met and came out right.
#[allow(clippy::disallowed_methods, reason = "only tests/run asks for the figures")]
pub fn figure(what: &str, count: usize) {
    use std::io::Write as _;
    if let Some(path) = std::env::var_os("GAUTH_TEST_FIGURES") {
        let file = fs::File::options().create(true).append(true).open(path);
        writeln!(file.expect("the file for figures"), "{count} {what}").expect("a figure written");
    }
}

/// Waits for something that happens elsewhere; not for ever.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + process::DEADLINE;
    while !is_so() {
        assert!(Instant::now() < end, "never came: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A whole login, however it ends: `person` gets the address and says where the provider sends the browser.
pub fn complete(command: Command, person: impl FnOnce(&str) -> String) -> (Ran, Visit) {
    let login = Running::start_login(command);
    let visit = login.visit(&person(login.url()));
    (login.wait(), visit)
}

/// A provider on a free port.
pub fn sandbox() -> Sandbox {
    sandbox_with(|_| {})
}

/// A provider that behaves otherwise.
pub fn sandbox_with(change: impl FnOnce(&mut Settings)) -> Sandbox {
    let mut config = Config::default();
    change(&mut config.settings);
    Sandbox::start(config).expect("a sandbox provider")
}

/// Changes the behaviour of a running provider.
pub fn change(sandbox: &Sandbox, change: impl FnOnce(&mut Settings)) {
    let mut settings = sandbox.settings();
    change(&mut settings);
    sandbox.set(settings);
}

#[cfg(unix)]
fn make_private(dir: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).expect("a private folder");
}

#[cfg(not(unix))]
fn make_private(_: &Path) {}
