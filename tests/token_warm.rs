//! The warm path: a token with life left costs two small reads, and nothing else happens.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::time::Duration;

use gauth::Interrupt;
use gauth::lock::Lock;
use gauth::sandbox::Endpoint;
use kept::{cache_file, cached, newest_access, secrets_dir, signed_in, snapshot};
use support::{Running, TestEnv, sandbox};

#[test]
fn a_warm_token_asks_the_provider_nothing_and_comes_without_it() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (before, expected) = (sandbox.seen().len(), format!("{}\n", newest_access(&sandbox)));
    for _ in 0..3 {
        assert_eq!(env.run(&["token"]).succeeded().stdout(), expected);
    }
    assert_eq!(sandbox.seen().len(), before);
    assert_eq!(sandbox.count(Endpoint::Token), 1, "the exchange of the code");
    drop(sandbox);
    let ran = env.run(&["token"]).succeeded();
    assert_eq!((ran.stdout(), ran.stderr()), (expected, String::new()));
}

#[test]
fn a_warm_token_changes_no_file_and_no_folder() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let before = snapshot(env.root());
    for args in [["token"].as_slice(), &["token", "--json"], &["token", "-vv"], &["token", "--min-ttl", "1m"]] {
        let _ = env.run(args).succeeded();
        assert!(snapshot(env.root()) == before, "{args:?} wrote something");
    }
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    assert!(snapshot(env.root()) != before, "a refresh does write, and the snapshot shows it");
}

#[test]
fn a_warm_token_takes_no_lock() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (file, _) = cache_file(&env);

    // a runtime folder with nothing in it but the token: a lock would make a file
    let fresh = TestEnv::new();
    let copy = fresh.runtime_dir().join("gauth").join(file.file_name().expect("a name"));
    fs::create_dir(fresh.runtime_dir().join("gauth")).expect("a folder");
    fs::copy(&file, &copy).expect("a copy");
    let before = snapshot(&fresh.runtime_dir());
    let mut command = env.gauth(&["token"]);
    command.env("GAUTH_RUNTIME_DIR", fresh.runtime_dir());
    assert_eq!(Running::start(command).wait().succeeded().stdout(), format!("{}\n", newest_access(&sandbox)));
    assert!(snapshot(&fresh.runtime_dir()) == before);

    // every lock there is, held by somebody else: a wait would end in exit 6
    let locks = env.files_below(env.root()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "lock"));
    let held: Vec<Lock> = locks
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let dir = path.parent().expect("a folder");
            Lock::acquire(dir, &name, Duration::ZERO, &Interrupt::default()).expect("a free lock")
        })
        .collect();
    assert!(held.len() >= 2, "that of the profile and that of the index");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), format!("{}\n", newest_access(&sandbox)));
}

#[test]
fn a_warm_token_does_not_open_the_store() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let expected = format!("{}\n", newest_access(&sandbox));
    for path in env.files_below(&secrets_dir(&env)) {
        fs::write(path, "garbage").expect("written");
    }
    assert_eq!(env.run(&["token"]).succeeded().stdout(), expected);
    fs::remove_dir_all(secrets_dir(&env)).expect("removed");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), expected);
    env.run(&["token", "--force-refresh"]).failed_with(4).said("has no refresh token in the file");
}

#[test]
fn list_status_and_use_do_not_open_the_store_and_ask_nobody() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    fs::remove_dir_all(secrets_dir(&env)).expect("removed");
    let before = sandbox.seen().len();
    for args in [["list"].as_slice(), &["status"], &["use", "default"], &["status", "--json"], &["list", "--json"]] {
        let _ = env.run(args).succeeded();
    }
    assert_eq!(sandbox.seen().len(), before);
}

#[cfg(unix)]
#[test]
fn the_token_lies_in_a_0600_file_in_a_0700_folder_and_a_looser_one_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (file, _) = cache_file(&env);
    let mode = |path: &std::path::Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(file.parent().expect("a folder"))), (0o600, 0o700));

    let planted = fs::read_to_string(&file).expect("read").replace(&newest_access(&sandbox), "planted");
    fs::write(&file, planted).expect("written");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), "planted\n", "only its mode protects it");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o602)).expect("loosened");
    let ran = env.run(&["token"]).succeeded();
    assert_eq!(ran.stdout(), format!("{}\n", newest_access(&sandbox)), "refreshed instead");
    assert_eq!((cached(&env).len(), mode(&file)), (1, 0o600));
}
