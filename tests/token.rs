//! `gauth token`: what it prints, how long it lasts, which scopes it has.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use gauth::sandbox::Fault;
use gauth::{Clock, Http, StoredUser, TokenRequest};
use kept::{cache_file, newest_access, refreshes, signed_in, signed_in_and_expired, vault, without_rotation};
use serde_json::json;
use support::{ALICE, BOB, TestEnv, change, sandbox, sandbox_with};

const FILES: &str = "https://api.example.test/auth/files";

#[test]
fn every_format_is_one_line_on_stdout_and_nothing_on_stderr() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let token = newest_access(&sandbox);
    for (args, expected) in [
        (&["token"][..], token.clone()),
        (&["token", "--format", "token"], token.clone()),
        (&["token", "--format", "header"], format!("Authorization: Bearer {token}")),
        (&["token", "--format", "curl"], format!("header = \"Authorization: Bearer {token}\"")),
    ] {
        let ran = env.run(args).succeeded();
        assert_eq!((ran.stdout(), ran.stderr()), (expected + "\n", String::new()), "{args:?}");
    }
}

#[test]
fn the_json_format_has_the_seven_members_of_the_contract() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    for args in [["token", "--json"].as_slice(), &["token", "--format", "json"]] {
        let ran = env.run(args).succeeded();
        assert_eq!(ran.stderr(), "");
        let mut answer = ran.json();
        let expires_in = answer["expires_in"].take().as_u64().expect("seconds");
        assert!((3500..=3600).contains(&expires_in), "{expires_in}");
        let (_, cached) = cache_file(&env);
        assert_eq!(answer["expires_at"].take(), rfc3339(cached["expires_at"].as_u64().expect("seconds")));
        assert_eq!(
            answer,
            json!({
                "access_token": newest_access(&sandbox), "token_type": "Bearer", "expires_at": null, "expires_in": null,
                "scopes": ["openid", "email"], "email": ALICE, "profile": "default",
            })
        );
    }
}

fn rfc3339(unix_seconds: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(unix_seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

#[test]
fn a_token_with_quotes_and_backslashes_stays_inside_the_quotes_of_the_curl_line() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::Patch(json!({ "access_token": r#"a"b\c"url=evil"#, "id_token": null })));
    let ran = env.run(&["token", "--force-refresh", "--format", "curl"]).succeeded();
    assert_eq!(ran.stdout(), "header = \"Authorization: Bearer a\\\"b\\\\c\\\"url=evil\"\n");
}

#[test]
fn the_environment_chooses_profile_format_and_life_as_the_options_do() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, BOB, &["--profile", "work"]);
    let token = newest_access(&sandbox);
    let mut command = env.gauth(&["token"]);
    command.env("GAUTH_PROFILE", "work").env("GAUTH_FORMAT", "header");
    let ran = support::Running::start(command).wait().succeeded();
    assert_eq!(ran.stdout(), format!("Authorization: Bearer {token}\n"));
    let mut command = env.gauth(&["token", "--profile", "work"]);
    command.env("GAUTH_MIN_TTL", "2h");
    let ran = support::Running::start(command).wait().succeeded();
    assert_ne!(ran.stdout(), format!("{token}\n"), "a token of an hour does not have two hours left");
}

#[test]
fn an_option_that_cannot_be_understood_is_a_usage_error() {
    let env = TestEnv::new();
    for args in [
        ["token", "--format", "xml"].as_slice(),
        &["token", "--min-ttl", "soon"],
        &["token", "--json", "--format", "header"],
    ] {
        let ran = env.run(args);
        assert_eq!((ran.code, ran.stdout()), (Some(2), String::new()), "{args:?}");
    }
}

#[test]
fn a_profile_that_does_not_exist_needs_a_login_and_the_hint_names_it() {
    let env = TestEnv::new();
    env.run(&["token"]).failed_with(4).said("hint: gauth login --client-secrets");
    env.run(&["token", "--profile", "work"]).failed_with(4).said("hint: gauth login --profile work");
    env.run(&["token", "--profile", "../work"]).failed_with(3).said("not a profile name");
}

// Expiry (storage 3.5, L-28)

#[test]
fn the_wall_clock_decides_when_a_token_is_too_old_and_when_it_is_from_the_future() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (_, token) = cache_file(&env);
    let (issued_at, expires_at) = (token["issued_at"].as_u64().unwrap(), token["expires_at"].as_u64().unwrap());
    assert_eq!(expires_at - issued_at, 3600);
    let is_served_at = |now: u64, min_ttl: Option<u64>| {
        let (vault, http) = (vault(&env, Clock::fixed(now)), Http::default());
        let request = TokenRequest { min_ttl, ..TokenRequest::default() };
        StoredUser::new(&vault, &http, "default").glance(&request).expect("a look").will_do.is_some()
    };
    assert!(is_served_at(expires_at - 301, None) && !is_served_at(expires_at - 299, None), "five minutes by default");
    assert!(is_served_at(expires_at - 1, Some(0)) && !is_served_at(expires_at, Some(0)));
    assert!(is_served_at(expires_at - 1801, Some(1800)) && !is_served_at(expires_at - 1799, Some(1800)));
    assert!(is_served_at(issued_at - 60, None), "a clock that was set back a little");
    assert!(!is_served_at(issued_at - 600, None), "a token from the future");
}

#[test]
fn an_expired_token_is_refreshed_once_and_the_new_one_is_warm() {
    let sandbox = sandbox();
    let env = signed_in_and_expired(&sandbox);
    let old = newest_access(&sandbox);
    let ran = env.run(&["token"]).succeeded();
    let new = newest_access(&sandbox);
    assert_ne!(old, new);
    assert_eq!(ran.stdout(), format!("{new}\n"));
    assert_eq!(env.run(&["token"]).succeeded().stdout(), format!("{new}\n"));
    assert_eq!(refreshes(&sandbox).len(), 1);
}

#[test]
fn the_default_life_adapts_to_short_lived_tokens_and_an_explicit_one_is_literal() {
    let sandbox = sandbox_with(|settings| settings.token_ttl = 120);
    let env = signed_in(&sandbox);
    let warm = [["token"].as_slice(), &["token", "--min-ttl", "30s"], &["token", "--min-ttl", "0s"]];
    for args in warm {
        assert_eq!(env.run(args).succeeded().stdout(), format!("{}\n", newest_access(&sandbox)));
    }
    assert_eq!(refreshes(&sandbox).len(), 0, "two minutes of life are not five, and still no refresh each time");
    for count in 1..=2 {
        let ran = env.run(&["token", "--min-ttl", "5m"]).succeeded();
        assert_eq!(ran.stdout(), format!("{}\n", newest_access(&sandbox)));
        assert_eq!(refreshes(&sandbox).len(), count);
    }
}

#[test]
fn force_refresh_gives_a_new_token_each_time_and_the_last_one_stays() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let mut tokens = vec![env.run(&["token"]).succeeded().stdout()];
    for _ in 0..2 {
        tokens.push(env.run(&["token", "--force-refresh"]).succeeded().stdout());
    }
    assert_eq!(env.run(&["token"]).succeeded().stdout(), tokens[2]);
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2]);
    assert_eq!(refreshes(&sandbox).len(), 2);
}

// Scopes (RFC 6749 section 6)

#[test]
fn a_narrowed_token_has_just_those_scopes_and_is_cached_on_its_own() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let whole = env.run(&["token"]).succeeded().stdout();
    let narrow = env.run(&["token", "--scope", "email", "--json"]).succeeded().json();
    assert_eq!(narrow["scopes"], json!(["email"]));
    assert_eq!(refreshes(&sandbox)[0].param("scope"), Some("email"));
    assert_ne!(narrow["access_token"], whole.trim());
    for _ in 0..2 {
        assert_eq!(
            env.run(&["token", "--scope", "email", "--json"]).succeeded().json()["access_token"],
            narrow["access_token"]
        );
        assert_eq!(env.run(&["token"]).succeeded().stdout(), whole);
    }
    assert_eq!(refreshes(&sandbox).len(), 1);
    let _ = env.run(&["token", "--force-refresh"]).succeeded(); // the rotated refresh token was kept
}

#[test]
fn the_order_and_repetition_of_scopes_make_no_other_token() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, ALICE, &["--scope", "profile"]);
    let first = env.run(&["token", "--scope", "email", "--scope", "profile"]).succeeded().stdout();
    for scopes in [["--scope", "profile", "--scope", "email"].as_slice(), &["--scope", "profile email profile"]] {
        assert_eq!(env.run(&[&["token"], scopes].concat()).succeeded().stdout(), first, "{scopes:?}");
    }
    assert_eq!(refreshes(&sandbox).len(), 1);
    let all = env.run(&["token", "--scope", "email openid profile"]).succeeded().stdout();
    assert_eq!(all, env.run(&["token"]).succeeded().stdout(), "all that was granted is the whole token");
}

#[test]
fn a_scope_that_was_not_granted_is_exit_4_with_the_line_that_adds_it() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let _ = env.signed_in(&sandbox, ALICE, &["--profile", "work"]);
    let before = sandbox.seen().len();
    let ran = env.run(&["token", "--profile", "work", "--scope", "email", "--scope", FILES, "--scope", "profile"]);
    let line = format!("hint: gauth login --profile work --add-scope {FILES} --add-scope profile\n");
    ran.failed_with(4).said(&line);
    assert_eq!(sandbox.seen().len(), before, "known without asking");

    let login =
        env.gauth(&["login", "--profile", "work", "--add-scope", FILES, "--add-scope", "profile", "--no-browser"]);
    let login = support::Running::start_login(login);
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    let narrow = env.run(&["token", "--profile", "work", "--scope", "email", "--scope", FILES, "--json"]).succeeded();
    assert_eq!(narrow.json()["scopes"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_provider_that_refuses_the_narrowing_is_exit_4_as_well() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::error(400, "invalid_scope", "exceeds the scope granted"));
    env.run(&["token", "--scope", "email"]).failed_with(4).said("hint: gauth login");
    let _ = env.run(&["token"]).succeeded();
}

#[test]
fn a_token_that_is_wider_than_asked_is_not_printed_and_the_grant_lives_on() {
    for sandbox in [without_rotation(), sandbox()] {
        let env = signed_in(&sandbox);
        sandbox.inject(Fault::Patch(json!({ "scope": "openid email profile" })));
        env.run(&["token", "--scope", "email"]).failed_with(1).said("more than was asked");
        let ran = env.run(&["token", "--force-refresh"]);
        let rotates = sandbox.settings().rotate_refresh_tokens;
        assert_eq!(ran.code, Some(0), "the spent refresh token was kept? rotation: {rotates}\n{}", ran.stderr());
    }
}

#[test]
fn fewer_scopes_than_the_grant_in_a_refresh_are_told_and_more_are_no_failure() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for scope in ["openid", "openid email profile https://api.example.test/auth/more"] {
        sandbox.inject(Fault::Patch(json!({ "scope": scope })));
        let answer = env.run(&["token", "--force-refresh", "--json"]).succeeded().json();
        assert_eq!(answer["scopes"], json!(scope.split(' ').collect::<Vec<_>>()));
    }
    change(&sandbox, |settings| settings.google_shaped = true);
    let answer = env.run(&["token", "--force-refresh", "--scope", "email", "--json"]).succeeded().json();
    assert_eq!(answer["scopes"].as_array().map(Vec::len), Some(1), "the long name is the same scope (G-30)");
}
