//! Refreshing: rotation, the end of a grant, and a provider that is in trouble or away (appendix A, group MF).
#![cfg(feature = "cli")]

#[path = "support/gate.rs"]
mod gate;
#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::sync::Arc;

use gauth::sandbox::{Fault, IssuedKind, Sandbox};
use gauth::{Clock, Http, StoredUser, TokenRequest};
use kept::{
    issued, item, newest_access, newest_refresh, refreshes, secrets_dir, signed_in, signed_in_and_expired,
    stored_refresh, until, without_rotation,
};
use serde_json::{Value, json};
use support::{ALICE, Ran, Running, TestEnv, change, sandbox, sandbox_with};

/// The command line after `gauth` in the first hint.
fn hinted(ran: &Ran) -> Vec<String> {
    let stderr = ran.stderr();
    let line = stderr.lines().find_map(|line| line.strip_prefix("hint: gauth ")).expect("a line to copy");
    line.split(' ').map(str::to_owned).collect()
}

/// Follows the hint to the letter, as Alice.
fn follow(env: &TestEnv, sandbox: &Sandbox, hint: &[String]) {
    let args: Vec<&str> = hint.iter().map(String::as_str).chain(["--no-browser"]).collect();
    let login = Running::start_login(env.gauth(&args));
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
}

fn status(env: &TestEnv, more: &[&str]) -> Value {
    env.run(&[&["status", "--json"], more].concat()).succeeded().json()
}

// Rotation (T-8)

#[test]
fn the_rotated_refresh_token_replaces_the_old_one_in_the_store() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for _ in 0..3 {
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(stored_refresh(&env), newest_refresh(&sandbox));
    }
    let all = issued(&sandbox, IssuedKind::RefreshToken);
    assert_eq!(all.len(), 4);
    for old in &all[..3] {
        assert_eq!(env.files_with(old), Vec::<std::path::PathBuf>::new());
    }
    assert!(sandbox.is_active(&newest_refresh(&sandbox)), "no spent one was ever used");
}

#[test]
fn the_old_refresh_token_stays_when_the_provider_gives_no_new_one() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    let before = kept::snapshot(&secrets_dir(&env));
    for _ in 0..2 {
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
    }
    assert!(kept::snapshot(&secrets_dir(&env)) == before, "there was nothing to write");
}

/// The old token is spent whether or not the new one can be stored, so the store is tried first (storage 3.4).
#[cfg(unix)]
/// The old refresh token is spent, whatever else the answer is worth.
#[test]
fn the_rotated_refresh_token_of_an_answer_that_is_of_no_use_otherwise_is_kept() {
    for patch in [
        json!({ "token_type": "mac" }),
        json!({ "access_token": null }),
        json!({ "access_token": "a\nb" }),
        json!({ "access_token": "" }),
        json!({ "expires_in": 3600, "access_token": [] }),
        json!({ "id_token": "a.b.c" }),
    ] {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        sandbox.inject(Fault::Patch(patch.clone()));
        let _ = env.run(&["token", "--force-refresh"]).failed_with(1);
        assert_eq!(stored_refresh(&env), newest_refresh(&sandbox), "{patch}");
        let ran = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n", "{patch}");
    }
}

/// What oauth2 takes for good, and what it does not: in either case nothing of the new refresh token is lost.
#[test]
fn the_rotated_refresh_token_is_found_however_the_answer_is_framed() {
    const GOOD: &str = r#"{"access_token":"a","token_type":"Bearer","refresh_token":"rotated"}"#;
    for (status, body, code) in [
        (200, format!("{GOOD}<!-- page -->"), 0),
        (200, format!("{GOOD}}}"), 0),
        (200, format!("{GOOD}\0"), 0),
        (200, GOOD.replace(r#""token_type""#, r#""name":"\ud800","token_type""#), 0),
        (200, format!("[{GOOD}]"), 1),
        (201, GOOD.to_owned(), 1),
        (206, GOOD.to_owned(), 1),
        (200, GOOD.replace(r#""token_type""#, r#""error":"odd","token_type""#), 1),
        (200, GOOD.replace(r#""token_type""#, r#""refresh_token":"rotated","token_type""#), 1),
    ] {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        let headers = Vec::new();
        let content_type = "application/json".to_owned();
        sandbox.inject(Fault::Status { status, body: body.clone(), content_type, headers });
        let ran = env.run(&["token", "--force-refresh"]);
        assert_eq!(ran.code, Some(code), "{status} {body}: {}", ran.stderr());
        assert_eq!(stored_refresh(&env), "rotated", "{status} {body}");
    }
}

#[test]
fn a_store_that_cannot_be_written_is_noticed_before_the_refresh_token_is_spent() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    // a disk without space: a file-size limit of 0, with the signal ignored that would end the program
    let gauth = env.gauth(&[]);
    let mut without_space = std::process::Command::new("/bin/sh");
    without_space.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" token"]).arg(gauth.get_program());
    without_space.env_clear().envs(gauth.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let _ = Running::start(without_space).wait().failed_with(7);
    assert_eq!(refreshes(&sandbox).len(), 0, "the provider was not asked");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), newest_access(&sandbox) + "\n");
}

#[cfg(target_os = "linux")]
#[test]
fn the_rotated_token_is_stored_before_anything_is_printed() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let mut command = env.gauth(&["token", "--force-refresh"]);
    command.stdout(fs::File::options().write(true).open("/dev/full").expect("a full device"));
    let ended = command.output().expect("a run");
    assert_eq!(ended.status.code(), Some(1), "the answer cannot be written");
    assert_eq!(stored_refresh(&env), newest_refresh(&sandbox));
    assert_eq!(env.run(&["token"]).succeeded().stdout(), newest_access(&sandbox) + "\n");
}

#[cfg(unix)]
#[test]
fn a_signal_between_answer_and_save_loses_nothing() {
    use rustix::process::Signal;
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        let (running, gate) = gate::Gate::hold_refresh(&env, &sandbox);
        running.signal(signal);
        gate.open();
        assert_eq!(running.wait().code, Some(130), "{signal:?}");
        assert_eq!(stored_refresh(&env), newest_refresh(&sandbox), "{signal:?}");
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
    }
}

// The end of a grant (B-8, G-28, G-29)

#[test]
fn a_revoked_grant_is_exit_4_marked_and_kept_until_the_next_login_mends_it() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, ALICE, &["--profile", "work"]);
    let stored = fs::read(item(&env)).expect("an item");
    sandbox.revoke_grants();
    let ran = env.run(&["token", "--profile", "work", "--force-refresh"]).failed_with(4).said("invalid_grant");
    assert_eq!(hinted(&ran), ["login", "--profile", "work"]);
    assert_eq!(fs::read(item(&env)).expect("an item"), stored, "nothing is deleted");
    let told = status(&env, &["--profile", "work"]);
    assert_eq!(told["needs_login"], true);
    assert!(told["reason"].as_str().expect("a reason").contains("invalid_grant"), "{told}");
    assert!(env.run(&["list"]).succeeded().stdout().contains("needs login"));
    let _ = env.run(&["token", "--profile", "work"]).failed_with(4); // the dead access token is not served either

    follow(&env, &sandbox, &hinted(&ran));
    let told = status(&env, &["--profile", "work"]);
    assert_eq!((&told["needs_login"], &told["reason"]), (&Value::Bool(false), &Value::Null));
    let token = env.run(&["token", "--profile", "work"]).succeeded().stdout();
    assert!(sandbox.is_active(token.trim()));
}

#[test]
fn a_session_that_must_be_renewed_is_exit_4_and_the_grant_lives_on() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for subtype in ["invalid_rapt", "rapt_required"] {
        let body = serde_json::json!({
            "error": "invalid_grant", "error_subtype": subtype, "error_description": "reauth related error (invalid_rapt)",
        });
        let (status_code, content_type) = (400, "application/json".to_owned());
        let headers = Vec::new();
        sandbox.inject(Fault::Status { status: status_code, body: body.to_string(), content_type, headers });
        let ran = env.run(&["token", "--force-refresh"]).failed_with(4).said(subtype);
        assert_eq!(hinted(&ran), ["login"]);
        assert!(status(&env, &[])["reason"].as_str().expect("a reason").contains(subtype));
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(status(&env, &[])["needs_login"], false, "a refresh that works takes the mark away");
    }
}

#[test]
fn a_grant_that_is_refused_is_asked_for_once_and_not_again() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.revoke_grants();
    let _ = env.run(&["token", "--force-refresh"]).failed_with(4);
    assert_eq!(refreshes(&sandbox).len(), 1);
}

/// Another process signed in meanwhile, with another lock because somebody removed the file: design.md, "token, cold".
#[test]
fn a_refused_refresh_token_that_was_replaced_meanwhile_is_no_reason_for_a_login() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.revoke_grants();
    let (running, gate) = gate::Gate::hold_refresh(&env, &sandbox);
    kept::remove_locks(&env);
    let login = env.login(&sandbox, &[]);
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    gate.open();
    let ran = running.wait();
    assert_eq!(status(&env, &[])["needs_login"], false, "the new grant is not marked");
    assert_eq!(ran.code, Some(0), "the store has a newer one: {}", ran.stderr());
}

/// L-28: a laptop that sleeps between the request and its answer wakes up with a token that has ended.
#[test]
fn a_token_that_ended_while_the_machine_slept_is_refreshed_once_more() {
    let sandbox = Arc::new(sandbox());
    let env = signed_in(&sandbox);
    let (morning, asleep) = (Clock::system().now(), Arc::clone(&sandbox));
    let clock = Clock::new(move || if refreshes(&asleep).is_empty() { morning } else { morning + 2 * 3600 });
    let (vault, http) = (kept::vault(&env, clock), Http::default());
    let request = TokenRequest { force: true, ..TokenRequest::default() };
    let served = StoredUser::new(&vault, &http, "default").token(&request).expect("a token");
    assert_eq!(refreshes(&sandbox).len(), 2);
    assert_eq!(served.token.access_token.secret(), &newest_access(&sandbox));
    assert!(served.token.is_usable(&Clock::fixed(morning + 2 * 3600), 3000));
}

#[test]
fn a_lost_answer_with_rotation_says_what_comes_next_and_then_it_comes() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::LostAfter);
    let ran = env.run(&["token", "--force-refresh"]).failed_with(6).said("gauth login");
    assert_eq!(refreshes(&sandbox).len(), 1, "a second try would be taken for theft: {}", ran.stderr());
    let ran = env.run(&["token", "--force-refresh"]).failed_with(4);
    follow(&env, &sandbox, &hinted(&ran));
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

// Trouble that passes (G-28, last row)

#[test]
fn trouble_of_the_moment_is_tried_again_and_passes() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let unavailable = |status| Fault::error(status, "temporarily_unavailable", "later");
    for fault in [unavailable(503), unavailable(500), unavailable(504), unavailable(408), Fault::Html502] {
        let (what, count) = (format!("{fault:?}"), refreshes(&sandbox).len());
        sandbox.inject(fault.times(2));
        let ran = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n", "{what}");
        assert_eq!(refreshes(&sandbox).len(), count + 3, "{what}");
    }
}

#[test]
fn trouble_that_stays_is_exit_6_after_a_bounded_number_of_tries() {
    for fault in [Fault::Html502, Fault::RetryAfter { status: 503, seconds: 0 }] {
        let sandbox = sandbox();
        let env = signed_in_and_expired(&sandbox);
        let stored = fs::read(item(&env)).expect("an item");
        sandbox.inject(fault.times(100));
        env.run(&["token"]).failed_with(6).said("hint: ");
        let tries = refreshes(&sandbox).len();
        assert!((2..=4).contains(&tries), "{tries}");
        assert_eq!(fs::read(item(&env)).expect("an item"), stored);
        assert!(sandbox.is_active(&stored_refresh(&env)), "nothing was lost");
    }
}

#[test]
fn retry_after_is_waited_for_if_it_is_short_and_not_if_it_is_long() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for status in [429, 503] {
        let count = refreshes(&sandbox).len();
        sandbox.inject(Fault::RetryAfter { status, seconds: 1 });
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
        assert_eq!(refreshes(&sandbox).len(), count + 2);
        sandbox.inject(Fault::RetryAfter { status, seconds: 86_400 });
        let _ = env.run(&["token", "--force-refresh"]).failed_with(6);
        assert_eq!(refreshes(&sandbox).len(), count + 3, "asked once, and not waited for");
    }
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_wait_between_two_tries() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::RetryAfter { status: 503, seconds: 5 }.times(3));
    let running = Running::start(env.gauth(&["token", "--force-refresh"]));
    until("the first try", || refreshes(&sandbox).len() == 1);
    running.signal(rustix::process::Signal::INT);
    let ran = running.wait();
    assert_eq!((ran.code, ran.stdout()), (Some(130), String::new()));
    assert_eq!(refreshes(&sandbox).len(), 1);
}

#[test]
fn while_the_provider_is_away_a_living_token_is_printed_with_a_warning() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let token = newest_access(&sandbox);
    drop(sandbox);
    for args in [["token", "--min-ttl", "2h"].as_slice(), &["token", "--min-ttl", "2h", "-q"]] {
        let ran = env.run(args).succeeded();
        assert_eq!(ran.stdout(), format!("{token}\n"));
        assert!(ran.stderr().lines().any(|line| line.starts_with("warning: ")), "{args:?}: {}", ran.stderr());
    }
    let _ = env.run(&["token", "--force-refresh"]).failed_with(6); // only a newer one would do
    assert_eq!(status(&env, &[])["needs_login"], false);
}

#[test]
fn a_provider_with_trouble_is_as_good_as_away_for_a_living_token() {
    let sandbox = sandbox_with(|settings| settings.token_ttl = 600);
    let env = signed_in(&sandbox);
    let token = newest_access(&sandbox);
    sandbox.inject(Fault::Html502.times(3));
    let ran = env.run(&["token", "--min-ttl", "1h"]).succeeded().said("warning: ");
    assert_eq!(ran.stdout(), format!("{token}\n"));
}

#[test]
fn while_the_provider_is_away_an_expired_token_is_exit_6_and_nothing_is_lost() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let stored = fs::read(item(&env)).expect("an item");
    drop(sandbox);
    env.run(&["token"]).failed_with(6).said("cannot be reached").said("caused by: ").said("hint: ");
    assert_eq!(fs::read(item(&env)).expect("an item"), stored);
}

#[test]
fn a_warning_of_a_grant_that_has_ended_is_no_warning_but_exit_4() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    change(&sandbox, |settings| settings.token_ttl = 60);
    sandbox.revoke_grants();
    let _ = env.run(&["token", "--min-ttl", "2h"]).failed_with(4);
}
