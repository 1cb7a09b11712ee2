//! Several at once: one refresh for all (B-7), and a login or logout that a late result does not undo (L-29).
#![cfg(feature = "cli")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/kept.rs"]
mod kept;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use gate::Gate;
use gauth::lock::Lock;
use gauth::sandbox::{Endpoint, Fault, IssuedKind, Sandbox};
use gauth::{Clock, Error, Http, Interrupt, StoredUser, TokenRequest};
use kept::{
    cached, issued, item, locks, newest_access, newest_refresh, refreshes, remove_locks, secrets_dir, signed_in,
    signed_in_and_expired, stored_refresh, until, vault,
};
use support::{ALICE, BOB, Running, TestEnv, Visit, change, figure, sandbox};

/// Starts some that wait for the lock: this line comes only after the cache was looked at.
fn waiting(env: &TestEnv, count: usize, args: &[&str]) -> Vec<Running> {
    let mut running: Vec<_> = (0..count).map(|_| Running::start(env.gauth(args))).collect();
    for one in &mut running {
        one.wait_for_line(|line| line.contains("waiting for a fresh token"));
    }
    running
}

fn outputs(running: Vec<Running>) -> BTreeSet<String> {
    running.into_iter().map(|running| running.wait().succeeded().stdout()).collect()
}

fn lock(env: &TestEnv, name: &str) -> Lock {
    vault(env, Clock::system()).lock(name).expect("the lock")
}

#[test]
fn fifty_processes_with_an_expired_token_refresh_once_and_all_get_the_token() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let running: Vec<_> = (0..50).map(|_| Running::start(env.gauth(&["token"]))).collect();
    assert_eq!(outputs(running), BTreeSet::from([newest_access(&sandbox) + "\n"]));
    assert_eq!(refreshes(&sandbox).len(), 1);
    assert!(sandbox.is_active(&stored_refresh(&env)), "no spent refresh token was used");
    figure("processes at once on an expired token, one refresh", 50);
}

/// With rotation and reuse detection, a refresh token that is used twice would end its whole grant (B-7).
#[test]
fn fifty_processes_over_three_profiles_with_a_logout_and_a_login_in_the_middle_mix_nothing_up() {
    let sandbox = sandbox();
    change(&sandbox, |settings| settings.token_ttl = 0);
    let env = TestEnv::new();
    let profiles = [("default", ALICE), ("work", BOB), ("leaving", ALICE), ("again", BOB)];
    for (name, account) in profiles {
        let _ = env.signed_in(&sandbox, account, &["--profile", name]);
    }
    change(&sandbox, |settings| settings.token_ttl = 3600);
    let login = env.login(&sandbox, &["--profile", "again"]);
    let answer = sandbox.approve(login.url(), BOB);
    let start = |number: usize| {
        let (name, account) = profiles[number % profiles.len()];
        (name, account, Running::start(env.gauth(&["token", "--json", "--profile", name])))
    };
    let mut running: Vec<_> = (0..25).map(start).collect();
    let logout = Running::start(env.gauth(&["logout", "--profile", "leaving"]));
    let browser = thread::spawn(move || Visit::to(&answer));
    running.extend((25..50).map(start));

    browser.join().expect("a browser").assert_signed_in(BOB);
    let _ = (login.wait().succeeded(), logout.wait().succeeded());
    let mut tokens: BTreeSet<(&str, String)> = BTreeSet::new();
    for (name, account, running) in running {
        let ran = running.wait();
        match ran.code {
            Some(0) => {
                let answer = ran.json();
                assert_eq!(answer["email"], account, "{name}");
                tokens.insert((name, answer["access_token"].as_str().expect("a token").to_owned()));
            }
            code => assert!(name == "leaving" && code == Some(4), "{name}: {}", ran.stderr()),
        }
    }
    let of = |wanted: &str| tokens.iter().filter(|(name, _)| *name == wanted).count();
    assert_eq!((of("default"), of("work")), (1, 1), "one refresh each");
    assert!((1..=2).contains(&of("again")), "that of the old grant and that of the new one");
    let left: Vec<String> = env.profiles().iter().map(|profile| profile["profile"].to_string()).collect();
    assert_eq!(left, ["\"again\"", "\"default\"", "\"work\""]);
    for name in ["default", "work", "again"] {
        let _ = env.run(&["token", "--force-refresh", "--profile", name]).succeeded();
    }
    figure("processes at once over several profiles, with a login and a logout", 50);
}

#[test]
fn processes_that_wait_for_the_lock_take_over_what_its_holder_got() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let held = lock(&env, "default");
    let running = waiting(&env, 8, &["token"]);
    assert_eq!(refreshes(&sandbox).len(), 0, "nobody passes the lock");
    drop(held);
    assert_eq!(outputs(running), BTreeSet::from([newest_access(&sandbox) + "\n"]));
    assert_eq!(refreshes(&sandbox).len(), 1);
}

#[test]
fn forced_refreshes_that_waited_adopt_the_one_that_came_first() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let old = newest_access(&sandbox);
    let held = lock(&env, "default");
    let running = waiting(&env, 6, &["token", "--force-refresh"]);
    drop(held);
    let tokens = outputs(running);
    assert_eq!(refreshes(&sandbox).len(), 1);
    assert_eq!(tokens, BTreeSet::from([newest_access(&sandbox) + "\n"]));
    assert_ne!(newest_access(&sandbox), old, "newer than the call");
}

#[test]
fn twenty_threads_refresh_once() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let (vault, http, start) = (vault(&env, Clock::system()), Http::default(), Barrier::new(20));
    let tokens: BTreeSet<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..20)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let served = StoredUser::new(&vault, &http, "default").token(&TokenRequest::default());
                    served.expect("a token").token.access_token.secret().clone()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread")).collect()
    });
    assert_eq!(tokens, BTreeSet::from([newest_access(&sandbox)]));
    assert_eq!(refreshes(&sandbox).len(), 1);
    assert!(sandbox.is_active(&stored_refresh(&env)));
}

#[test]
fn whole_and_narrowed_tokens_at_once_are_one_refresh_each_and_the_grant_survives() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let held = lock(&env, "default");
    let whole = waiting(&env, 4, &["token"]);
    let narrow = waiting(&env, 4, &["token", "--scope", "email"]);
    drop(held);
    assert_eq!((outputs(whole).len(), outputs(narrow).len()), (1, 1));
    assert_eq!(refreshes(&sandbox).len(), 2);
    assert!(sandbox.is_active(&stored_refresh(&env)));
}

/// A desktop session, a cron job and a container that share a home have runtime folders of their own, or none: they must
/// not disagree on the lock (storage 3.3). Each has a cache of its own and so may refresh, but one after the other.
#[test]
fn processes_of_other_sessions_have_the_same_lock() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let sessions: Vec<TestEnv> = (0..4).map(|_| TestEnv::new()).collect();
    let running: Vec<_> = (0..20)
        .map(|number| {
            let mut command = env.gauth(&["token"]);
            match sessions.get(number % 5) {
                Some(session) => command.env("GAUTH_RUNTIME_DIR", session.runtime_dir()),
                None => command.env("GAUTH_CACHE", "off"),
            };
            Running::start(command)
        })
        .collect();
    let tokens = outputs(running).len(); // one for each cache, or fewer: the store's is there for all
    assert!((1..=5).contains(&tokens), "{tokens}");
    assert_eq!(refreshes(&sandbox).len(), tokens);
    assert!(sandbox.is_active(&stored_refresh(&env)), "no spent refresh token was used");
}

#[test]
fn profiles_do_not_wait_for_each_other() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, ALICE, &[]);
    let _ = env.signed_in(&sandbox, BOB, &["--profile", "work"]);
    let _held = lock(&env, "default");
    let _ = env.run(&["token", "--profile", "work", "--force-refresh"]).succeeded();
}

#[test]
fn many_logins_and_refreshes_of_other_profiles_lose_no_entry_of_the_index() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let names: Vec<String> = (0..6).map(|number| format!("p{number}")).collect();
    let logins: Vec<_> = names.iter().map(|name| env.login(&sandbox, &["--profile", name])).collect();
    let answers: Vec<_> = logins.iter().map(|login| sandbox.approve(login.url(), ALICE)).collect();
    thread::scope(|scope| answers.iter().for_each(|answer| drop(scope.spawn(|| Visit::to(answer)))));
    logins.into_iter().for_each(|login| drop(login.wait().succeeded()));
    assert_eq!(env.profiles().len(), names.len());
    for name in &names {
        let _ = env.run(&["token", "--profile", name, "--force-refresh"]).succeeded();
    }
}

// Late results

#[test]
fn a_logout_during_a_refresh_leaves_nothing_behind() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (late, gate) = Gate::hold_refresh(&env, &sandbox);
    let logout = Running::start(env.gauth(&["logout"]));
    gate.open();
    let _ = logout.wait().succeeded();
    let _ = late.wait().succeeded(); // its token was printed before it was revoked
    assert_eq!(env.profiles().len(), 0);
    for issued in sandbox.issued() {
        assert!(env.files_with(&issued.value).is_empty(), "{issued:?}");
        assert!(!sandbox.is_active(&issued.value), "{issued:?}");
    }
}

#[test]
fn a_login_during_a_refresh_wins() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let login = env.login(&sandbox, &[]);
    let (late, gate) = Gate::hold_refresh(&env, &sandbox);
    let (answer, count) = (sandbox.approve(login.url(), ALICE), sandbox.count(Endpoint::Token));
    let browser = thread::spawn(move || Visit::to(&answer)); // answered only after the save, which waits for the lock
    until("the exchange of the code", || sandbox.count(Endpoint::Token) > count);
    gate.open();
    let _ = late.wait().succeeded();
    let _ = login.wait().succeeded();
    browser.join().expect("a browser");
    assert_newer_grant_won(&env, &sandbox);
    assert_eq!(cached(&env).len(), 1, "the token of the older grant is gone");
}

/// What is stored is the grant of the login, and the refresh that came late left no secret of the older one.
fn assert_newer_grant_won(env: &TestEnv, sandbox: &Sandbox) {
    let ran = env.run(&["token"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr());
    assert!(sandbox.is_active(ran.stdout().trim()), "the token of the newer grant");
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    assert_eq!(env.files_with(&newest_refresh(sandbox)).len(), 1);
    let left: Vec<_> = env.files_below(&secrets_dir(env));
    assert_eq!(left.len(), 1, "one secret for one profile: {left:?}");
}

/// Locks that do not exclude each other, because somebody removed their files. What counts then is the generation
/// (storage 3.4, "compare-and-swap").
#[test]
fn a_login_with_another_lock_during_a_refresh_wins_as_well() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (late, gate) = Gate::hold_refresh(&env, &sandbox);
    remove_locks(&env);
    let login = env.login(&sandbox, &[]);
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    gate.open();
    let _ = late.wait();
    assert_newer_grant_won(&env, &sandbox);
}

#[test]
fn a_logout_with_another_lock_during_a_refresh_leaves_nothing_behind() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (late, gate) = Gate::hold_refresh(&env, &sandbox);
    remove_locks(&env);
    let _ = env.run(&["logout"]).succeeded();
    gate.open();
    let _ = late.wait().failed_with(4);
    assert_eq!(env.profiles().len(), 0);
    for token in issued(&sandbox, IssuedKind::RefreshToken) {
        assert!(env.files_with(&token).is_empty(), "a refresh token came back after the logout");
    }
}

// Holders of the lock

/// One wait of 20 seconds for three commands at once.
#[test]
fn a_holder_that_hangs_is_exit_6_and_a_living_token_is_printed_all_the_same() {
    let sandbox = sandbox();
    let (env, env_alive) = (signed_in_and_expired(&sandbox), signed_in(&sandbox));
    let alive = newest_access(&sandbox);
    let stored = fs::read(item(&env)).expect("an item");
    let _held = (lock(&env, "default"), lock(&env_alive, "default"));
    let expired = Running::start(env.gauth(&["token"]));
    let logout = Running::start(env.gauth(&["logout"]));
    let living = Running::start(env_alive.gauth(&["token", "--min-ttl", "2h"]));
    expired.wait().failed_with(6).said("another gauth process has held the lock").said("hint: ");
    let _ = logout.wait().failed_with(6);
    let living = living.wait().succeeded().said("warning: ");
    assert_eq!(living.stdout(), alive + "\n");
    assert_eq!(refreshes(&sandbox).len(), 0, "nobody went on without the lock");
    assert_eq!(fs::read(item(&env)).expect("an item"), stored);
    assert_eq!(env.profiles().len(), 1);
}

#[test]
fn the_wait_for_the_lock_is_bounded_by_what_was_asked() {
    let env = TestEnv::new();
    let dir = env.files().join("locks");
    let acquire = || Lock::acquire(&dir, "default", Duration::from_millis(100), &Interrupt::default());
    let held = acquire().expect("free");
    assert!(matches!(acquire(), Err(Error::LockBusy(patience)) if patience == Duration::from_millis(100)));
    drop(held);
    assert!(acquire().is_ok());
}

#[test]
fn a_killed_holder_frees_the_lock() {
    let sandbox = sandbox();
    change(&sandbox, |settings| settings.rotate_refresh_tokens = false);
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::Hang(Duration::from_secs(300)));
    let holder = Running::start(env.gauth(&["token", "--force-refresh"]));
    until("the request of the refresh", || refreshes(&sandbox).len() == 1);
    drop(holder); // kills it
    let ran = env.run(&["token", "--force-refresh"]).succeeded();
    assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n");
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_wait_for_the_lock() {
    use rustix::process::Signal;
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let _held = lock(&env, "default");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let running = waiting(&env, 1, &["token"]).remove(0);
        running.signal(signal);
        let ran = running.wait();
        assert_eq!((ran.code, ran.stdout()), (Some(130), String::new()), "{signal:?}");
    }
    assert_eq!(refreshes(&sandbox).len(), 0);
}

#[test]
fn the_lock_file_is_never_deleted() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let before = locks(&env);
    assert_eq!(before.len(), 2, "that of the profile and that of the index: {before:?}");
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    let _ = env.run(&["logout"]).succeeded();
    assert_eq!(locks(&env), before, "deleting it would let two in");
}
