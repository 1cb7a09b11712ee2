//! The canary hunt (L-18, L-19): every secret of a run, looked for where none may be.
#![allow(dead_code, reason = "every test file uses its own part of this")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine as _};
use gauth::sandbox::{IssuedKind, Sandbox};
use serde_json::Value;

use crate::support::{CLIENT_SECRET, TestEnv};

/// What a secret is, for messages and for exceptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    AccessToken,
    RefreshToken,
    IdToken,
    Code,
    CodeVerifier,
    State,
    Nonce,
    ClientSecret,
    /// gauth's own: opens what a store would not take.
    RescueKey,
    Planted,
}

/// What every base64 text has that holds a secret, wherever it begins there; in both alphabets.
pub fn in_base64(secret: &str) -> impl Iterator<Item = String> {
    let bytes = secret.as_bytes().to_vec();
    (0..3).flat_map(move |before| {
        let text = BASE64_STANDARD_NO_PAD.encode([&vec![0; before], &bytes[..]].concat());
        let inner = text[before + usize::from(before > 0)..text.len() - 1].to_owned();
        [inner.replace('+', "-").replace('/', "_"), inner]
    })
}

/// Every secret that the provider handed out or saw so far, and what a test planted.
#[derive(Debug)]
pub struct Secrets(BTreeSet<(Kind, String)>);

impl Secrets {
    pub fn of(sandbox: &Sandbox) -> Secrets {
        let issued = sandbox.issued().into_iter().map(|issued| (kind(issued.kind), issued.value));
        let mut all: BTreeSet<_> = issued.chain([(Kind::ClientSecret, CLIENT_SECRET.to_owned())]).collect();
        for seen in sandbox.seen() {
            for (name, value) in seen.params {
                all.extend(kind_of_param(&name).map(|kind| (kind, value)));
            }
        }
        all.insert((Kind::Planted, PLANTED.to_owned()));
        Secrets(all)
    }

    /// And what gauth itself made for its store.
    pub fn and_of_store(mut self, env: &TestEnv) -> Secrets {
        for path in env.files_below(&env.config_dir().join("secrets")) {
            let item: Value = serde_json::from_slice(&fs::read(path).expect("an item")).unwrap_or_default();
            self.0.extend(item["rescue_key"].as_str().map(|key| (Kind::RescueKey, key.to_owned())));
        }
        self
    }

    /// Takes the other ones in as well.
    pub fn extend(&mut self, others: Secrets) {
        self.0.extend(others.0);
    }

    /// A hunt for nothing proves nothing.
    pub fn assert_has(&self, kinds: &[Kind]) {
        for kind in kinds {
            assert!(self.0.iter().any(|(has, _)| has == kind), "there was no {kind:?}");
        }
    }

    /// None of them is in this text, but for these kinds.
    pub fn assert_absent(&self, text: &str, allowed: &[Kind], place: &str) {
        for (kind, secret) in self.0.iter().filter(|(kind, _)| !allowed.contains(kind)) {
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let forms = in_base64(secret).chain([secret.clone(), encoded]);
            for form in forms {
                assert!(!text.contains(&form), "a {kind:?} is in {place}:\n{text}");
            }
        }
    }

    /// The refresh token and the client's secret are in the store's file, the access token in the cache's, and nothing is
    /// anywhere else.
    pub fn assert_kept_apart(&self, env: &TestEnv) {
        for path in env.files_below(env.root()).into_iter().filter(|path| !path.starts_with(env.files())) {
            let text = String::from_utf8_lossy(&fs::read(&path).expect("a readable file")).into_owned();
            self.assert_absent(&text, allowed_in(env, &path), &path.display().to_string());
        }
    }
}

fn allowed_in(env: &TestEnv, path: &Path) -> &'static [Kind] {
    if path.starts_with(env.config_dir().join("secrets")) {
        &[Kind::RefreshToken, Kind::ClientSecret, Kind::RescueKey]
    } else if path.starts_with(env.runtime_dir()) && path.extension().is_some_and(|extension| extension == "token") {
        &[Kind::AccessToken]
    } else {
        &[]
    }
}

fn kind(kind: IssuedKind) -> Kind {
    match kind {
        IssuedKind::AccessToken => Kind::AccessToken,
        IssuedKind::RefreshToken => Kind::RefreshToken,
        IssuedKind::IdToken => Kind::IdToken,
        IssuedKind::Code => Kind::Code,
    }
}

fn kind_of_param(name: &str) -> Option<Kind> {
    match name {
        "code_verifier" => Some(Kind::CodeVerifier),
        "state" => Some(Kind::State),
        "nonce" => Some(Kind::Nonce),
        "client_secret" => Some(Kind::ClientSecret),
        _ => None,
    }
}

/// What a test puts into bodies and headers that are no answers.
pub const PLANTED: &str = "planted-canary-6f1d";

/// As talkative as it gets, with every folder that a program could think of below the environment.
pub fn talkative(env: &TestEnv, command: &mut Command) {
    command.arg("-vv").env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
    for (name, dir) in [("TMPDIR", "tmp"), ("XDG_CONFIG_HOME", "xdg-config"), ("XDG_CACHE_HOME", "xdg-cache")] {
        let dir = env.root().join(dir);
        fs::create_dir_all(&dir).expect("a folder");
        command.env(name, dir);
    }
}

/// A browser that notes its arguments and its environment, and shows nothing.
#[cfg(unix)]
pub fn noting_browser(env: &TestEnv) -> (PathBuf, PathBuf) {
    use std::os::unix::fs::PermissionsExt as _;
    let notes = env.files().join("browser.notes");
    let script = format!(
        "#!/bin/sh\n{{ printf 'arg: %s\\n' \"$@\"; env; }} > '{0}.part'\nmv '{0}.part' '{0}'\n",
        notes.display()
    );
    let browser = env.write("browser", &script);
    fs::set_permissions(&browser, fs::Permissions::from_mode(0o700)).expect("a program");
    (browser, notes)
}

/// The arguments and, where the system lets us look, the environment of a process.
#[cfg(target_os = "linux")]
pub fn arguments_and_environment(id: u32) -> String {
    let read = |name: &str| fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
    let arguments = read("cmdline");
    assert!(!arguments.is_empty(), "a process has arguments");
    String::from_utf8_lossy(&[arguments, read("environ")].concat()).into_owned()
}
