//! `gauth list`, `gauth status`, `gauth use`: what the index says, for people and for scripts; and pipes that break.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;

use gauth::sandbox::{Fault, IdTokenFault};
use kept::{cache_file, newest_access, signed_in, signed_in_and_expired};
use serde_json::{Value, json};
use support::{ALICE, BOB, CLIENT, Running, TestEnv, sandbox};

#[test]
fn without_profiles_the_list_is_empty_and_a_person_is_told_what_to_do() {
    let env = TestEnv::new();
    let ran = env.run(&["list"]).succeeded().said("gauth login");
    assert_eq!(ran.stdout(), "");
    assert_eq!(env.run(&["list", "--json"]).succeeded().stdout(), "[]\n");
    env.run(&["status"]).failed_with(4).said("hint: gauth login");
    let _ = env.run(&["status", "--json"]).failed_with(4);
    let _ = env.run(&["use", "work"]).failed_with(4);
    assert!(env.files_below(env.root()).iter().all(|path| path.extension().is_some_and(|e| e == "lock")));
}

#[test]
fn the_list_has_the_nine_members_of_the_contract_for_each_profile() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, BOB, &["--profile", "work", "--scope", "profile"]);
    let _ = env.signed_in(&sandbox, ALICE, &[]);
    let mut listed = env.profiles();
    let subjects: Vec<_> = listed.iter_mut().map(|entry| entry["sub"].take()).collect();
    let times: Vec<_> = listed.iter_mut().map(|entry| entry["created_at"].take()).collect();
    let entry = |name: &str, email: &str, scopes: &[&str]| {
        json!({
            "profile": name, "default": name == "default", "issuer": sandbox.issuer(), "client_id": CLIENT,
            "email": email, "sub": null, "scopes": scopes, "store": "file", "created_at": null,
        })
    };
    assert_eq!(
        listed,
        [entry("default", ALICE, &["openid", "email"]), entry("work", BOB, &["openid", "email", "profile"]),]
    );
    assert!(subjects[0] != subjects[1] && subjects.iter().all(Value::is_string));
    for time in times {
        humantime::parse_rfc3339(time.as_str().expect("a time")).expect("RFC 3339");
    }
}

#[test]
fn the_list_for_people_has_a_line_for_each_profile_and_marks_the_default() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let _ = env.signed_in(&sandbox, BOB, &["--profile", "work"]);
    let ran = env.run(&["list"]).succeeded();
    assert_eq!(ran.stderr(), "");
    let lines: Vec<Vec<String>> =
        ran.stdout().lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
    assert_eq!(lines, [["*", "default", ALICE, sandbox.issuer()].as_slice(), &["work", BOB, sandbox.issuer()]]);
}

#[test]
fn status_adds_the_token_and_whether_a_login_is_needed() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let mut told = env.run(&["status", "--json"]).succeeded().json();
    let (_, token) = cache_file(&env);
    assert_eq!(told["access_token"]["valid"], true);
    let expires_at = humantime::parse_rfc3339(told["access_token"]["expires_at"].as_str().expect("a time"));
    let seconds = expires_at.expect("RFC 3339").duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(json!(seconds), token["expires_at"]);
    assert_eq!((&told["needs_login"], &told["reason"]), (&json!(false), &Value::Null));
    for added in ["access_token", "needs_login", "reason"] {
        told.as_object_mut().expect("an object").remove(added).expect("a member");
    }
    assert_eq!(told, env.profiles()[0], "the rest is what the list has");
}

#[test]
fn status_knows_an_expired_token_and_shows_none() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    assert_eq!(env.run(&["status", "--json"]).succeeded().json()["access_token"]["valid"], false);
    let token = newest_access(&sandbox);
    for args in [["status"].as_slice(), &["status", "--json"], &["list"], &["list", "--json"], &["status", "-vv"]] {
        let ran = env.run(args).succeeded();
        assert!(!ran.stdout().contains(&token) && !ran.stderr().contains(&token), "{args:?}");
    }
}

#[test]
fn status_for_people_names_account_provider_client_scopes_and_store() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let ran = env.run(&["status"]).succeeded();
    assert_eq!(ran.stderr(), "");
    for part in ["default", ALICE, sandbox.issuer(), CLIENT, "openid email", "file", "access token"] {
        assert!(ran.stdout().contains(part), "{part} is not in:\n{}", ran.stdout());
    }
}

#[test]
fn use_chooses_the_profile_for_commands_that_name_none() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let of_alice = newest_access(&sandbox) + "\n";
    let _ = env.signed_in(&sandbox, BOB, &["--profile", "work"]);
    let of_bob = newest_access(&sandbox) + "\n";
    assert_eq!(env.run(&["token"]).succeeded().stdout(), of_alice);
    assert_eq!(env.run(&["use", "work"]).succeeded().stdout(), "", "there is no answer to print");
    assert_eq!(env.run(&["token"]).succeeded().stdout(), of_bob);
    assert_eq!(env.run(&["token", "--profile", "default"]).succeeded().stdout(), of_alice);
    let mut command = env.gauth(&["token"]);
    command.env("GAUTH_PROFILE", "default");
    assert_eq!(Running::start(command).wait().succeeded().stdout(), of_alice, "the environment comes first");
    let defaults: Vec<_> = env.profiles().iter().map(|entry| entry["default"].clone()).collect();
    assert_eq!(defaults, [false, true]);
    assert_eq!(env.run(&["status", "--json"]).succeeded().json()["email"], BOB);
}

#[test]
fn use_refuses_a_profile_that_is_not_there_and_changes_nothing() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let before = fs::read(kept::index(&env)).expect("an index");
    env.run(&["use", "work"]).failed_with(4).said("hint: gauth login --profile work");
    let _ = env.run(&["use", "../work"]).failed_with(3);
    assert_eq!(fs::read(kept::index(&env)).expect("an index"), before);
}

#[test]
fn a_hostile_address_cannot_write_on_the_terminal() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let hostile = "\u{1b}[2Ja\rb\n* forged\u{202e}\u{9b}31m@x.test";
    let login = env.login(&sandbox, &[]);
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "email": hostile }))));
    login.visit(&sandbox.approve(login.url(), ALICE));
    let signed_in = login.wait().succeeded();
    let outputs =
        [signed_in.stderr(), env.run(&["list"]).succeeded().stdout(), env.run(&["status"]).succeeded().stdout()];
    for text in outputs {
        assert!(!text.contains(['\u{1b}', '\r', '\u{202e}', '\u{9b}']), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("* forged")), "{text:?}");
    }
    let listed = env.run(&["list", "--json"]).succeeded();
    assert_eq!(listed.json()[0]["email"], hostile, "a script gets it whole");
    assert!(!listed.stdout().contains(['\u{1b}', '\r']), "and escaped: {:?}", listed.stdout());
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for args in [["token"].as_slice(), &["token", "--json"], &["list"], &["status", "--json"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = env.gauth(args);
        let ended = command.stdout(writer).output().expect("a run");
        assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_cannot_be_written_is_a_failure_that_says_so() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for args in [["token"].as_slice(), &["list"], &["status", "--json"]] {
        let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
        let ended = env.gauth(args).stdout(full).output().expect("a run");
        let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(1) && stderr.starts_with("error: "), "{args:?}: {stderr}");
    }
}
