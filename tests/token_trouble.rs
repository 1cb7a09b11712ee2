//! Trouble on this machine: index, cache and store that are damaged, newer, loose or absent. What is there stays as it is.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;
#[path = "support/trap.rs"]
mod trap;

use std::fs;

use gauth::sandbox::IssuedKind;
use gauth::{Cache, Clock, Http, StoredUser, TokenRequest};
use kept::{
    cache_file, cached, index, issued, item, newest_access, refreshes, secrets_dir, signed_in, signed_in_and_expired,
    stored_refresh, vault,
};
use support::{ALICE, BOB, Running, TestEnv, change, sandbox, sandbox_with};

const COMMANDS: [&[&str]; 7] = [
    &["token"],
    &["token", "--force-refresh"],
    &["list"],
    &["status", "--json"],
    &["use", "default"],
    &["logout"],
    &["logout", "--all", "--local-only"],
];

// The index

#[test]
fn an_index_that_is_damaged_or_newer_is_exit_3_for_every_command_and_stays_as_it_is() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let good = fs::read_to_string(index(&env)).expect("an index");
    let newer = good.replace("version = 1\n", "version = 2\nnew_in_this_one = true\n");
    let cut = good[..good.len() / 2].to_owned();
    let (before, store) = (sandbox.seen().len(), kept::snapshot(&secrets_dir(&env)));
    for (bad, word) in
        [(newer, "newer"), (cut, "damaged"), ("garbage".to_owned(), "damaged"), (String::new(), "damaged")]
    {
        assert_ne!(bad, good);
        fs::write(index(&env), &bad).expect("written");
        for args in COMMANDS {
            env.run(args).failed_with(3).said(word).said("profiles.toml").said("hint: ");
            assert_eq!(fs::read_to_string(index(&env)).expect("an index"), bad, "{args:?}");
        }
        let ran = Running::start(env.login_command(&sandbox, &[])).wait().failed_with(3);
        assert!(!ran.stderr().contains("state="), "nobody is asked for consent first: {}", ran.stderr());
        assert_eq!(fs::read_to_string(index(&env)).expect("an index"), bad);
    }
    assert_eq!(sandbox.seen().len(), before, "nobody was asked anything");
    assert!(kept::snapshot(&secrets_dir(&env)) == store, "no secret was touched");
    fs::write(index(&env), good).expect("written");
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[test]
fn an_index_that_is_no_file_is_exit_3() {
    let env = TestEnv::new();
    fs::create_dir(index(&env)).expect("a folder");
    for args in COMMANDS {
        let _ = env.run(args).failed_with(3);
    }
    assert!(index(&env).is_dir());
}

// The cache: its loss is no loss

#[test]
fn a_damaged_cache_file_is_as_good_as_none_and_replaced() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (file, _) = cache_file(&env);
    let half = fs::read(&file).expect("a token")[..40].to_vec();
    for bad in [&b"garbage"[..], b"", b"{}", b"[]", b"\xff\xfe\0", &half] {
        fs::write(&file, bad).expect("written");
        let ran = env.run(&["token"]).succeeded();
        assert_eq!((ran.stdout(), ran.stderr()), (newest_access(&sandbox) + "\n", String::new()));
        let count = refreshes(&sandbox).len();
        let _ = env.run(&["token"]).succeeded();
        assert_eq!(refreshes(&sandbox).len(), count, "it was replaced");
    }
}

#[test]
fn a_cache_that_cannot_be_written_costs_a_look_into_the_store_and_no_refresh() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (file, _) = cache_file(&env);
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a folder in its place");
    for _ in 0..3 {
        assert_eq!(env.run(&["token"]).succeeded().stdout(), newest_access(&sandbox) + "\n");
        assert_eq!(refreshes(&sandbox).len(), 1);
    }
    assert_eq!(env.run(&["token", "--force-refresh"]).succeeded().stdout(), newest_access(&sandbox) + "\n");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), newest_access(&sandbox) + "\n");
    assert_eq!(refreshes(&sandbox).len(), 2);
    let _ = env.run(&["logout"]); // says what it says; the grant must be over
    assert!(issued(&sandbox, IssuedKind::RefreshToken).iter().all(|token| !sandbox.is_active(token)));
}

/// A token that was forced is the one that comes next, wherever it could be kept.
#[test]
fn a_token_in_the_store_never_comes_back_after_a_newer_one() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let run = |cache: &str, args: &[&str]| {
        let mut command = env.gauth(args);
        command.env("GAUTH_CACHE", cache);
        Running::start(command).wait().succeeded().stdout()
    };
    let mut login = env.login_command(&sandbox, &[]);
    login.env("GAUTH_CACHE", "off");
    let _ = env.signed_in_by(login, &sandbox, ALICE);
    let first = run("off", &["token"]);
    let forced = run("on", &["token", "--force-refresh"]);
    assert_ne!(run("off", &["token"]), first);
    assert_eq!(run("on", &["token"]), forced);
}

#[test]
fn with_the_cache_off_the_access_token_is_nowhere_but_in_the_store() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let off = |args: &[&str]| {
        let mut command = env.gauth(args);
        command.env("GAUTH_CACHE", "off");
        Running::start(command).wait()
    };
    let mut login = env.login_command(&sandbox, &[]);
    login.env("GAUTH_CACHE", "off");
    let login = Running::start_login(login);
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    for round in 0..2 {
        let token = newest_access(&sandbox);
        assert_eq!(env.files_with(&token), [item(&env)], "round {round}");
        assert_eq!(off(&["token"]).succeeded().stdout(), format!("{token}\n"));
        assert_eq!(refreshes(&sandbox).len(), round, "it is served from the store");
        let _ = off(&["token", "--force-refresh"]).succeeded();
    }
    let narrow = off(&["token", "--scope", "email"]).succeeded().stdout();
    assert!(env.files_with(narrow.trim()).is_empty() || env.files_with(narrow.trim()) == [item(&env)]);
    assert_eq!(cached(&env), Vec::<std::path::PathBuf>::new());
    let status = off(&["status", "--json"]).succeeded().json();
    assert_eq!(status["access_token"]["valid"], true, "{status}");
    let _ = off(&["logout"]).succeeded();
    for issued in sandbox.issued() {
        assert!(env.files_with(&issued.value).is_empty(), "{issued:?}");
    }
}

/// Without a runtime folder, as the library has it there: the warm path reads the store, and still takes no lock.
#[test]
fn without_a_runtime_folder_a_warm_token_comes_from_the_store_without_a_lock() {
    let sandbox = sandbox_with(|settings| settings.token_ttl = 0);
    let env = signed_in(&sandbox);
    change(&sandbox, |settings| settings.token_ttl = 3600);
    let vault = gauth::Vault { cache: Cache::off(), ..vault(&env, Clock::system()) };
    let http = Http::default();
    let token = || StoredUser::new(&vault, &http, "default").token(&TokenRequest::default()).expect("a token").token;
    let first = token().access_token.secret().clone();
    assert_eq!(first, newest_access(&sandbox));
    assert_eq!(env.files_with(&first), [item(&env)]);
    let _held = vault.lock("default").expect("the lock");
    assert_eq!(token().access_token.secret(), &first);
    assert_eq!(refreshes(&sandbox).len(), 1);
}

// The store: four outcomes of a read

#[test]
fn a_damaged_item_is_exit_7_and_stays_as_it_is() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let good = fs::read_to_string(item(&env)).expect("an item");
    let newer = good.replace("\"v\":1", "\"v\":2");
    let half = good[..good.len() / 2].to_owned();
    for bad in [newer, half, "garbage".to_owned(), String::new(), "{}".to_owned(), "[]".to_owned()] {
        assert_ne!(bad, good);
        fs::write(item(&env), &bad).expect("written");
        let ran = env.run(&["token"]).failed_with(7).said("hint: gauth login");
        assert!(!ran.stderr().contains(stored_in(&good)), "{}", ran.stderr());
        let _ = env.run(&["logout"]).failed_with(7);
        assert_eq!(fs::read_to_string(item(&env)).expect("an item"), bad);
        assert_eq!(env.profiles().len(), 1);
    }
    assert_eq!(refreshes(&sandbox).len(), 0);
    fs::write(item(&env), good).expect("written");
    let _ = env.run(&["token"]).succeeded();
}

fn stored_in(item: &str) -> &str {
    let (_, rest) = item.split_once("\"refresh_token\":\"").expect("a refresh token");
    rest.split('"').next().expect("its end")
}

#[test]
fn a_damaged_item_is_mended_by_the_login_of_the_hint() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    fs::write(item(&env), "garbage").expect("written");
    let _ = env.run(&["token"]).failed_with(7).said("hint: gauth login");
    let login = Running::start_login(env.gauth(&["login", "--no-browser"]));
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[test]
fn only_an_absent_item_means_a_login() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    fs::remove_file(item(&env)).expect("removed");
    env.run(&["token"]).failed_with(4).said("hint: gauth login");
    assert_eq!(env.profiles().len(), 1, "the profile is still there");
    fs::remove_dir(secrets_dir(&env)).expect("removed");
    let _ = env.run(&["token"]).failed_with(4);
    fs::write(secrets_dir(&env), "no folder").expect("written");
    let _ = env.run(&["token"]).failed_with(7);
}

#[test]
fn an_item_of_an_earlier_login_is_not_used_for_this_one() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let text = fs::read_to_string(index(&env)).expect("an index");
    let generation = text.lines().find(|line| line.starts_with("generation = ")).expect("a generation").to_owned();
    fs::write(index(&env), text.replace(&generation, "generation = \"0000000000000000\"")).expect("written");
    let _ = env.run(&["token"]).failed_with(4);
    assert_eq!(refreshes(&sandbox).len(), 0);
}

#[cfg(unix)]
#[test]
fn an_item_that_others_could_read_or_write_is_exit_7_until_its_mode_is_right() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    assert_eq!((mode(&item(&env)), mode(&secrets_dir(&env))), (0o600, 0o700), "as it was made");
    for loose in [0o644, 0o640, 0o604, 0o620, 0o602, 0o660, 0o777] {
        set_mode(&item(&env), loose);
        env.run(&["token", "--force-refresh"]).failed_with(7).said(&format!("{loose:04o}")).said("hint: ");
        let _ = env.run(&["logout"]).failed_with(7);
        assert_eq!(mode(&item(&env)), loose, "it is not changed in passing");
    }
    assert_eq!(refreshes(&sandbox).len(), 0);
    set_mode(&item(&env), 0o600);
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    assert_eq!((mode(&item(&env)), stored_refresh(&env)), (0o600, kept::newest_refresh(&sandbox)));
}

#[cfg(unix)]
#[test]
fn a_store_folder_that_others_could_write_to_is_exit_7() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for loose in [0o777, 0o722, 0o770] {
        set_mode(&secrets_dir(&env), loose);
        let _ = env.run(&["token", "--force-refresh"]).failed_with(7);
    }
    set_mode(&secrets_dir(&env), 0o700);
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[cfg(unix)]
fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[cfg(unix)]
fn set_mode(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

/// Whoever can write the index, but not the store, must not be able to have the refresh token sent elsewhere (L-27).
#[test]
fn an_index_that_names_another_endpoint_than_at_login_is_exit_7_and_nothing_is_sent_there() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let elsewhere = trap::Trap::set();
    let text = fs::read_to_string(index(&env)).expect("an index");
    let changed = text.replace(&format!("{}/token", sandbox.issuer()), &elsewhere.url());
    assert_ne!(text, changed);
    fs::write(index(&env), changed).expect("written");
    for args in [&["token", "--force-refresh"][..], &["logout"]] {
        env.run(args).failed_with(7).said("changed after the login");
    }
    elsewhere.assert_untouched();
}

/// Nor does another login's name in the index help: what is in the store belongs to one login alone.
#[test]
fn an_index_with_another_login_and_other_endpoints_gets_nothing_out_of_the_store() {
    for args in [&["token", "--force-refresh"][..], &["token"], &["logout"], &["login", "--no-browser"]] {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        let elsewhere = trap::Trap::set();
        let text = fs::read_to_string(index(&env)).expect("an index");
        let generation = text.lines().find(|line| line.starts_with("generation = ")).expect("a generation");
        let changed = text.replace(generation, "generation = \"0123456789abcdef\"");
        let changed = changed.replace(&format!("{}/token", sandbox.issuer()), &elsewhere.url());
        fs::write(index(&env), changed).expect("written");
        match args[0] {
            "token" => drop(env.run(args).failed_with(4)),
            "logout" => drop(env.run(args).succeeded().said("no refresh token was kept here")),
            _ => drop(env.signed_in_by(env.gauth(args), &sandbox, ALICE).said("signed in")),
        }
        elsewhere.assert_untouched();
    }
}

/// An older index that was put back names an item that holds another account's login by now.
#[test]
fn an_index_that_was_put_back_never_hands_out_another_accounts_token() {
    for cache in ["on", "off"] {
        let sandbox = sandbox();
        let env = TestEnv::new();
        let with_cache = |mut command: std::process::Command| {
            command.env("GAUTH_CACHE", cache);
            command
        };
        let sign_in = |account| env.signed_in_by(with_cache(env.login_command(&sandbox, &[])), &sandbox, account);
        let _ = sign_in(ALICE);
        let before = fs::read(index(&env)).expect("an index");
        let _ = env.run(&["logout"]).succeeded();
        let _ = sign_in(BOB);
        fs::write(index(&env), before).expect("written");
        let _ = Running::start(with_cache(env.gauth(&["token", "--json"]))).wait().failed_with(4);
        let _ = Running::start(with_cache(env.gauth(&["logout"]))).wait().succeeded();
    }
}

/// The hint is to sign in again: that login must not take the changed endpoints for the remembered ones, or the code and
/// its verifier would go there (B-4).
#[test]
fn signing_in_again_after_the_index_was_changed_goes_to_the_provider_of_the_client_file() {
    for endpoint in ["token", "authorize", "jwks"] {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        let elsewhere = trap::Trap::set();
        let text = fs::read_to_string(index(&env)).expect("an index");
        let changed = text.replace(&format!("{}/{endpoint}\"", sandbox.issuer()), &format!("{}\"", elsewhere.url()));
        assert_ne!(text, changed, "{endpoint}");
        fs::write(index(&env), changed).expect("written");
        env.signed_in_by(env.gauth(&["login", "--no-browser"]), &sandbox, ALICE);
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
        elsewhere.assert_untouched();
    }
}

/// The keyring item holds the access token where there is no runtime folder (design.md, storage).
#[test]
fn a_grant_that_has_ended_gives_no_token_where_the_store_keeps_it_either() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let off = |args: &[&str]| {
        let mut command = env.gauth(args);
        command.env("GAUTH_CACHE", "off");
        command
    };
    let mut login = env.login_command(&sandbox, &[]);
    login.env("GAUTH_CACHE", "off");
    env.signed_in_by(login, &sandbox, ALICE);
    let _ = Running::start(off(&["token"])).wait().succeeded();
    sandbox.revoke_grants();
    let _ = Running::start(off(&["token", "--force-refresh"])).wait().failed_with(4);
    let ran = Running::start(off(&["token"])).wait().failed_with(4);
    assert_eq!(ran.stdout(), "");
    let status = Running::start(off(&["status", "--json"])).wait().succeeded().json();
    assert_eq!((&status["access_token"], &status["needs_login"]), (&serde_json::Value::Null, &true.into()));
}

/// Names reach the terminal, and hints that people copy.
#[test]
fn a_profile_name_in_the_index_that_is_none_makes_it_a_damaged_index() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let text = fs::read_to_string(index(&env)).expect("an index");
    fs::write(index(&env), text.replace("[profiles.default", "[profiles.\"a\\u001b[31m;rm\"")).expect("written");
    let ran = env.run(&["list"]).failed_with(3).said("no profile name");
    assert!(!ran.stderr().contains('\u{1b}'));
}
