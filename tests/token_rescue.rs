//! A rotated refresh token that the store will not take: nothing is printed, and nothing is lost either (T-8).
#![cfg(feature = "cli")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::path::PathBuf;

use gate::Gate;
use gauth::sandbox::{Endpoint, IssuedKind, Sandbox};
use kept::{
    bring_store_back, cache_file, issued, newest_access, newest_refresh, refreshes, signed_in, stored_refresh,
    take_store_away,
};
use support::{ALICE, Ran, TestEnv, sandbox};

/// The store goes away between the request of a refresh and its answer.
fn refreshed_without_store(env: &TestEnv, sandbox: &Sandbox) -> Ran {
    let (running, gate) = Gate::hold_refresh(env, sandbox);
    take_store_away(env);
    gate.open();
    running.wait()
}

/// What was set aside.
fn set_aside(env: &TestEnv) -> Vec<PathBuf> {
    env.files_below(&env.config_dir().join("unsaved"))
}

#[test]
fn a_rotated_token_that_cannot_be_stored_is_exit_7_and_nothing_is_printed() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
    assert_ne!(cache_file(&env).1["access_token"], newest_access(&sandbox), "not even cached");
    for issued in sandbox.issued().iter().filter(|issued| issued.kind == IssuedKind::RefreshToken) {
        assert!(env.files_with(&issued.value).is_empty(), "no refresh token lies in the open");
    }
    bring_store_back(&env);
    let first = issued(&sandbox, IssuedKind::AccessToken).remove(0);
    assert_eq!(env.run(&["token"]).succeeded().stdout(), first + "\n", "the cached one is as good as before");
}

#[test]
fn it_is_found_again_when_the_store_is_back_and_no_login_is_needed() {
    let sandbox = sandbox();
    for _ in 0..2 {
        let env = signed_in(&sandbox);
        let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
        assert_eq!(set_aside(&env).len(), 1);
        let count = refreshes(&sandbox).len();
        let _ = env.run(&["token", "--force-refresh"]).failed_with(7);
        assert_eq!(refreshes(&sandbox).len(), count, "without the store nothing is tried");

        bring_store_back(&env);
        let ran = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n");
        assert_eq!(stored_refresh(&env), newest_refresh(&sandbox));
        assert!(sandbox.is_active(&newest_refresh(&sandbox)));
        assert!(set_aside(&env).is_empty(), "it is stored now");
    }
}

/// A disk that is full takes neither the item nor what is set aside; the runtime folder is RAM.
#[test]
fn it_is_kept_in_the_runtime_folder_where_the_config_folder_cannot_take_it() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    fs::write(env.config_dir().join("unsaved"), "no folder").expect("written");
    let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
    let is_sealed = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "sealed");
    let count = || env.files_below(&env.runtime_dir()).iter().filter(|path| is_sealed(path)).count();
    assert_eq!(count(), 1);
    assert!(env.files_with(&newest_refresh(&sandbox)).is_empty(), "nor does it lie in the open there");

    bring_store_back(&env);
    fs::remove_file(env.config_dir().join("unsaved")).expect("removed");
    let ran = env.run(&["token", "--force-refresh"]).succeeded();
    assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n");
    assert_eq!(stored_refresh(&env), newest_refresh(&sandbox));
    assert_eq!(count(), 0);
}

#[test]
fn a_logout_ends_the_one_that_was_set_aside_and_leaves_nothing() {
    let sandbox = sandbox();
    for how in [["logout"].as_slice(), &["logout", "--local-only"]] {
        let env = signed_in(&sandbox);
        let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
        bring_store_back(&env);
        let newest = newest_refresh(&sandbox);
        let _ = env.run(how).succeeded();
        assert_eq!(sandbox.is_active(&newest), how.len() > 1, "{how:?}");
        assert!(set_aside(&env).is_empty() && env.profiles().is_empty());
    }
    assert_eq!(last_revoked(&sandbox), Some(issued(&sandbox, IssuedKind::RefreshToken)[1].clone()));
}

fn last_revoked(sandbox: &Sandbox) -> Option<String> {
    let mut seen = sandbox.seen();
    seen.retain(|seen| seen.endpoint == Endpoint::Revoke);
    seen.last()?.param("token").map(str::to_owned)
}

#[test]
fn a_login_that_replaces_it_ends_the_one_that_was_set_aside() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
    bring_store_back(&env);
    let newest_of_old = newest_refresh(&sandbox);
    let _ = env.signed_in(&sandbox, ALICE, &[]);
    assert_eq!(last_revoked(&sandbox), Some(newest_of_old), "the newest one of the old grant, not a spent one");
    assert!(set_aside(&env).is_empty());
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[test]
fn a_damaged_one_is_not_believed_and_the_login_line_is_given() {
    let sandbox = sandbox();
    for bad in [&b""[..], b"short", &[7; 200]] {
        let env = signed_in(&sandbox);
        let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
        bring_store_back(&env);
        fs::write(&set_aside(&env)[0], bad).expect("written");
        env.run(&["token", "--force-refresh"]).failed_with(4).said("hint: gauth login");
    }
}

#[cfg(unix)]
#[test]
fn it_lies_in_a_0600_file_in_a_0700_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let _ = refreshed_without_store(&env, &sandbox).failed_with(7);
    let file = set_aside(&env).remove(0);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));
}
