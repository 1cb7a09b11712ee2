//! The warm path of the library, in a process of its own: threads can be counted only where no other test runs.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use gauth::{Clock, Http, StoredUser, TokenRequest};
use kept::{newest_access, signed_in, vault};
use support::sandbox;

#[test]
fn a_warm_token_builds_no_http_client_and_starts_no_thread() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let expected = newest_access(&sandbox);
    drop(sandbox); // and its threads with it
    let (vault, http) = (vault(&env, Clock::system()), Http::default());
    let user = StoredUser::new(&vault, &http, "default");
    // The threads that read the output of the login end by themselves.
    kept::until("only the harness and this test", || threads().len() <= 2);
    let before = threads();
    for _ in 0..10 {
        let served = user.token(&TokenRequest::default()).expect("a token");
        assert!(served.warning.is_none());
        assert_eq!(served.token.access_token.secret(), &expected);
        assert_eq!(threads(), before);
    }
    assert!(!http.is_built());

    let forced = user.token(&TokenRequest { force: true, ..TokenRequest::default() });
    assert!(forced.is_err(), "the provider is gone");
    assert!(http.is_built(), "a refresh does build the client");
    #[cfg(target_os = "linux")]
    assert_ne!(threads(), before, "and the count does show its thread");
}

/// The ids of the threads of this process.
#[cfg(target_os = "linux")]
fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("a list of threads");
    let mut ids: Vec<_> =
        tasks.map(|task| task.expect("a thread").file_name().to_string_lossy().into_owned()).collect();
    ids.sort();
    ids
}

#[cfg(not(target_os = "linux"))]
fn threads() -> Vec<String> {
    Vec::new()
}
