//! The map at the top of `src/lib.rs`, as rules that the source files must keep; each is shown to bite.

#[path = "architecture/paths.rs"]
mod paths;

use std::fs;
use std::path::{Path, PathBuf};

use paths::paths;

/// What one file must not be, judged by its path under `src/` and its text.
type Rule = (&'static str, fn(&str, &str) -> bool);

const RULES: &[Rule] = &[
    ("only http.rs names reqwest", |path, text| path != "http.rs" && names(text, &["reqwest"])),
    ("only store/keyring.rs names keyring and its stores", |path, text| {
        path != "store/keyring.rs" && names(text, KEYRING)
    }),
    ("only login/browser.rs names webbrowser and open", |path, text| {
        path != "login/browser.rs" && names(text, &["webbrowser", "open"])
    }),
    ("login knows no store", |path, text| path.starts_with("login/") && crate_names(text, STORES)),
    ("store and accounts know no HTTP", |path, text| {
        (path.starts_with("store/") || path.starts_with("accounts")) && crate_names(text, HTTP)
    }),
    ("sandbox names nothing of the crate but itself", |path, text| {
        path.starts_with("sandbox/") && paths(text).iter().any(|named| leaves_sandbox(path, named))
    }),
    ("the library reads no environment", |path, text| is_library(path) && names(text, ENVIRONMENT)),
    ("the library prints nothing", |path, text| is_library(path) && paths(text).iter().any(|named| prints(named))),
    ("the program uses the library's public door only", |path, text| {
        !is_library(path) && (names(text, &["oauth2"]) || text.contains("#[path") || text.contains("include!("))
    }),
    ("the program reads the environment in environment.rs only", |path, text| {
        let takes = names(text, ENVIRONMENT) || text.contains(", env = ") || text.contains("(env = ");
        !is_library(path) && path != "bin/gauth/environment.rs" && takes
    }),
    ("the state is compared in constant time (L-8)", |path, text| {
        let is_constant = text.contains("self.state.as_bytes().ct_eq(state.secret().as_bytes())");
        path == "login/callback.rs" && (!is_constant || text.contains("state.secret() ==") || text.contains("== state"))
    }),
    ("every file says first what it owns", |_, text| !text.starts_with("//! ")),
    ("no file is longer than 400 lines", |_, text| text.lines().count() > 400),
];

const KEYRING: &[&str] = &[
    "keyring",
    "keyring_core",
    "dbus_secret_service_keyring_store",
    "apple_native_keyring_store",
    "windows_native_keyring_store",
];
const STORES: &[&str] =
    &["store", "accounts", "vault", "cache", "source", "Accounts", "Vault", "Cache", "StoreKind", "StoredUser"];
const HTTP: &[&str] = &["http", "Http", "HttpOptions", "token_endpoint", "TokenEndpoint"];
const ENVIRONMENT: &[&str] = &["std::env", "env", "option_env!"];

/// Whether the text names one of these crates or paths, or anything below. A bare word may be a variable.
fn names(text: &str, forbidden: &[&str]) -> bool {
    let is_named = |path: &str, name: &str| match path.strip_prefix(name) {
        Some("") => name.contains([':', '!']),
        rest => rest.is_some_and(|rest| rest.starts_with("::")),
    };
    let is_used = |name: &str| text.contains(&format!("use {name};")) || text.contains(&format!("use {name} as "));
    let paths = paths(text);
    forbidden.iter().any(|name| is_used(name) || paths.iter().any(|path| is_named(path, name)))
}

/// Whether the text names one of these from the root of the crate, or by way of `super`.
fn crate_names(text: &str, forbidden: &[&str]) -> bool {
    paths(text).iter().any(|path| {
        let inner = path.trim_start_matches("crate::").trim_start_matches("super::");
        inner.len() < path.len() && forbidden.contains(&inner.split("::").next().unwrap_or_default())
    })
}

/// `super` leads as far up as the file lies deep; one further is out.
fn leaves_sandbox(path: &str, named: &str) -> bool {
    let depth = path.matches('/').count() - usize::from(path.ends_with("/mod.rs"));
    let ups = named.split("::").take_while(|part| *part == "super").count();
    let is_absolute = named.starts_with("crate::") && !named.starts_with("crate::sandbox");
    is_absolute || named.starts_with("gauth::") || ups > depth
}

fn prints(named: &str) -> bool {
    let is_macro = ["print!", "println!", "eprint!", "eprintln!", "dbg!"].contains(&named);
    is_macro || named.ends_with("io::stdout") || named.ends_with("io::stderr")
}

fn is_library(path: &str) -> bool {
    !path.starts_with("bin/")
}

fn breaches(path: &str, text: &str) -> Vec<&'static str> {
    RULES.iter().filter(|(_, breaks)| breaks(path, text)).map(|(rule, _)| *rule).collect()
}

#[test]
fn the_source_keeps_the_rules() {
    let broken: Vec<String> = sources()
        .iter()
        .flat_map(|(path, text)| breaches(path, text).into_iter().map(move |rule| format!("src/{path}: {rule}")))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_rule_bites() {
    for (rule, path, line) in [
        (0, "token.rs", "fn f(e: &reqwest::Error) {}"),
        (0, "bin/gauth/main.rs", "use reqwest;"),
        (1, "vault.rs", "use keyring::{Entry, Error};"),
        (1, "bin/gauth/main.rs", "::keyring::set_default_store(x);"),
        (1, "store/mod.rs", "let e = keyring_core::Entry::new(a, b);"),
        (2, "login/mod.rs", "let _ = open::that(url);"),
        (2, "bin/gauth/ui.rs", "webbrowser::open(url);"),
        (3, "login/mod.rs", "use crate::vault::Vault;"),
        (3, "login/pages.rs", "use crate::{\n    Scopes,\n    store::{StoreKind},\n};"),
        (3, "login/head.rs", "fn f(c: &crate::Cache) {}"),
        (3, "login/mod.rs", "use super::accounts::Profile;"),
        (3, "login/pages.rs", "let x = super::super::cache::Cache::off();"),
        (4, "store/file.rs", "use crate::Http;"),
        (4, "accounts.rs", "use crate::{Error, http::HttpOptions};"),
        (4, "accounts/index.rs", "use super::super::token_endpoint;"),
        (5, "sandbox/jwt.rs", "use crate::id_token::Claims;"),
        (5, "sandbox/jwt.rs", "use super::super::id_token;"),
        (5, "sandbox/mod.rs", "use super::Scopes;"),
        (5, "sandbox/tests/wire.rs", "use crate::{sandbox::Idp, http::Http};"),
        (6, "cache.rs", "std::env::var_os(\"HOME\")"),
        (6, "token.rs", "use std::env;"),
        (6, "http.rs", "use std::{env, fs};"),
        (7, "login/mod.rs", "    println!(\"hello\");"),
        (7, "lock.rs", "writeln!(io::stderr(), \"x\")"),
        (8, "bin/gauth/ui.rs", "use oauth2::AccessToken;"),
        (8, "bin/gauth/main.rs", "#[path = \"../../http.rs\"]\nmod http;"),
        (9, "bin/gauth/ui.rs", "env::var(\"NO_COLOR\")"),
        (9, "bin/gauth/commands/list.rs", "#[arg(long, env = \"GAUTH_X\")]"),
        (10, "login/callback.rs", "self.state == state.secret()"),
        (11, "token.rs", "use std::fmt;"),
        (12, "token.rs", &"//! x\n".repeat(401)),
    ] {
        let broken = breaches(path, line);
        assert!(broken.contains(&RULES[rule].0), "{path}: {line}\nbreaks only {broken:?}");
    }
}

#[test]
fn no_rule_bites_what_is_allowed() {
    for (path, line) in [
        ("http.rs", "use reqwest::Proxy;"),
        ("store/keyring.rs", "use keyring::Entry;"),
        ("vault.rs", "use crate::store::keyring::KeyringStore;"),
        ("store/mod.rs", "pub mod keyring;"),
        ("login/loopback.rs", "self.is_closed.store(true, SeqCst); header(\"Cache-Control\", cache)"),
        ("login/mod.rs", "use crate::http::bad_answer; use super::callback; use self::request::X;"),
        ("client.rs", "File::open(path)?; OpenOptions::new().open(path)"),
        ("sandbox/tests/id_token.rs", "super::super::jwt::at_hash(x); use super::*; use crate::sandbox::Idp;"),
        ("http.rs", "concat!(\"gauth/\", env!(\"CARGO_PKG_VERSION\"))"),
        ("cache.rs", "/// `std::env::var`, println! and crate::http\nfn f() -> &'static str { \"eprintln!()\" }"),
        ("bin/gauth/environment.rs", "use std::env; fn f() { env::var(\"X\"); println!(); }"),
    ] {
        let broken = breaches(path, &format!("//! x\n{line}"));
        assert!(broken.is_empty(), "{path}: {line}: {broken:?}");
    }
}

/// A message that tells people to set a variable must name one that exists.
#[test]
fn every_variable_of_gauths_own_that_is_named_anywhere_exists() {
    let sources = sources();
    let (_, owner) = sources.iter().find(|(path, _)| path == "bin/gauth/environment.rs").expect("environment.rs");
    let known = variables(owner);
    assert!(known.len() > 5, "{known:?}");
    for (path, text) in &sources {
        let unknown: Vec<_> = variables(text).into_iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "src/{path} names {unknown:?}");
    }
    assert_eq!(variables("set GAUTH_CACHE=off, \"GAUTH_X\""), ["GAUTH_CACHE", "GAUTH_X"]);
}

fn variables(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("GAUTH_") && word.len() > "GAUTH_".len()).collect()
}

#[test]
fn the_map_names_every_module() {
    let lib = fs::read_to_string(source_folder().join("lib.rs")).expect("lib.rs");
    let map: String = lib.lines().filter(|line| line.starts_with("//! |")).collect();
    let modules = lib.lines().filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "));
    let missing: Vec<&str> =
        modules.map(|name| name.trim_end_matches(';')).filter(|name| !map.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path under `src/`, and its text.
fn sources() -> Vec<(String, String)> {
    let (mut folders, mut found) = (vec![source_folder()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(source_folder()).expect("below src").to_string_lossy().replace('\\', "/");
                found.push((name, fs::read_to_string(&path).expect("a source file")));
            }
        }
    }
    assert!(found.len() > 40, "{} files", found.len());
    found
}
