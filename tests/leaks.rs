//! No secret is where it must not be: messages, files, arguments, environments (L-18, L-19; appendix A, group MK).
#![cfg(feature = "cli")]

#[path = "support/canary.rs"]
mod canary;
#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use canary::{Kind, PLANTED, Secrets, talkative};
use gauth::sandbox::{Endpoint, Fault, IdTokenFault, Sandbox};
use kept::{item, secrets_dir, signed_in, until};
use serde_json::json;
use support::{ALICE, BOB, CLIENT_SECRET, Ran, Running, TestEnv, sandbox};

const ALL: [Kind; 8] = [
    Kind::AccessToken,
    Kind::RefreshToken,
    Kind::IdToken,
    Kind::Code,
    Kind::CodeVerifier,
    Kind::State,
    Kind::Nonce,
    Kind::ClientSecret,
];

/// A command at its most talkative.
fn run(env: &TestEnv, args: &[&str]) -> Ran {
    let mut command = env.gauth(args);
    talkative(env, &mut command);
    Running::start(command).wait()
}

fn start_login(env: &TestEnv, sandbox: &Sandbox, more: &[&str]) -> Running {
    let mut command = env.login_command(sandbox, more);
    talkative(env, &mut command);
    Running::start_login(command)
}

/// stderr without the address to open, which is shown on purpose and holds state and nonce.
fn talk(ran: &Ran, url: &str) -> String {
    ran.stderr().replace(url, "")
}

#[test]
fn a_whole_life_of_a_login_shows_no_secret_where_none_was_asked_for() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let login = start_login(&env, &sandbox, &["--json"]);
    let url = login.url().to_owned();
    let page = login.visit(&sandbox.approve(&url, ALICE));
    let mut runs = vec![("login", login.wait().succeeded(), false)];
    let mut secrets = Secrets::of(&sandbox).and_of_store(&env);
    secrets.assert_kept_apart(&env);
    for (args, prints_token) in [
        (&["token"][..], true),
        (&["token", "--force-refresh"], true),
        (&["token", "--scope", "email", "--json"], true),
        (&["token", "--format", "curl"], true),
        (&["status"], false),
        (&["status", "--json"], false),
        (&["list"], false),
        (&["list", "--json"], false),
        (&["use", "default"], false),
    ] {
        runs.push((args[0], run(&env, args).succeeded(), prints_token));
        secrets.extend(Secrets::of(&sandbox).and_of_store(&env));
        secrets.assert_kept_apart(&env);
    }
    runs.push(("logout", run(&env, &["logout"]).succeeded(), false));

    secrets.assert_has(&[&ALL[..], &[Kind::RescueKey]].concat());
    secrets.assert_kept_apart(&env);
    secrets.assert_absent(&url, &[Kind::State, Kind::Nonce], "the address");
    secrets.assert_absent(&page.page.body, &[], "the page");
    secrets.assert_absent(&page.location, &[], "the address bar");
    for (command, ran, prints_token) in &runs {
        secrets.assert_absent(&talk(ran, &url), &[], &format!("stderr of {command}"));
        let asked: &[Kind] = if *prints_token { &[Kind::AccessToken] } else { &[] };
        secrets.assert_absent(&ran.stdout(), asked, &format!("stdout of {command}"));
    }
}

#[test]
fn the_hunt_finds_what_is_planted() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let secrets = Secrets::of(&sandbox);
    secrets.assert_kept_apart(&env);
    fs::copy(item(&env), env.home().join("copy")).expect("a copy of the item");
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| secrets.assert_kept_apart(&env)));
    assert!(found.is_err(), "a refresh token lies in the home folder");
    for before in ["", "x", "xy"] {
        let header = format!("Basic {}", BASE64_STANDARD.encode(format!("{before}{PLANTED}:z")));
        let hunt = || secrets.assert_absent(&header, &[], "a header");
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(hunt)).is_err(), "{header}");
    }
}

/// Not even if the provider puts what it was sent into its own words.
#[test]
fn what_a_provider_repeats_of_a_secret_is_neither_shown_nor_kept() {
    let sandbox = kept::without_rotation();
    let env = signed_in(&sandbox);
    let refresh = kept::stored_refresh(&env);
    for error in ["invalid_grant", "invalid_request"] {
        sandbox.inject(Fault::Status {
            status: 400,
            body: json!({ "error": error, "error_description": format!("token {refresh} of {CLIENT_SECRET}") })
                .to_string(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
        });
        let ran = run(&env, &["token", "--force-refresh"]);
        assert!(ran.stderr().contains("token [redacted] of [redacted]"), "{}", ran.stderr());
        let told = run(&env, &["status"]);
        let secrets = Secrets::of(&sandbox);
        secrets.assert_absent(&(ran.stderr() + &told.stdout() + &told.stderr()), &[], "what was shown");
        secrets.assert_kept_apart(&env);
    }
}

/// Nor as a scope, which is shown and written down.
#[test]
fn a_secret_that_comes_back_as_a_scope_is_none() {
    let sandbox = kept::without_rotation();
    let env = signed_in(&sandbox);
    let refresh = kept::stored_refresh(&env);
    sandbox.inject(Fault::Patch(json!({ "scope": format!("openid email {refresh} x{CLIENT_SECRET}") })));
    let ran = run(&env, &["token", "--force-refresh", "--json"]).succeeded();
    assert_eq!(ran.json()["scopes"], json!(["openid", "email"]));
    let told = run(&env, &["status", "--json"]);
    let secrets = Secrets::of(&sandbox);
    secrets.assert_absent(&(ran.stderr() + &told.stdout() + &told.stderr()), &[], "what was shown");
    secrets.assert_kept_apart(&env);
}

#[test]
fn a_refresh_that_fails_shows_no_secret() {
    let planted = |status, body: &str| Fault::Status {
        status,
        body: body.replace("CANARY", PLANTED),
        content_type: "application/json".to_owned(),
        headers: vec![
            ("WWW-Authenticate".to_owned(), format!("Bearer {PLANTED}")),
            ("X-Token".to_owned(), PLANTED.to_owned()),
        ],
    };
    for fault in [
        planted(200, "CANARY"),
        planted(200, r#"{"access_token":"CANARY"}"#),
        planted(200, r#"{"access_token":{"value":"CANARY"},"token_type":"Bearer"}"#),
        planted(200, r#"{"access_token":"CANARY","token_type":"CANARY"}"#),
        planted(200, r#"{"access_token":"CANARY\n","token_type":"Bearer"}"#),
        planted(200, r#"{"access_token":"a","token_type":"Bearer","refresh_token":"CANARY "}"#),
        planted(200, r#"{"access_token":"a","token_type":"Bearer","id_token":"CANARY"}"#),
        planted(200, r#"{"access_token":"a","token_type":"Bearer","scope":{"CANARY":"CANARY"}}"#),
        planted(400, "CANARY"),
        planted(400, r#"{"error":{"message":"CANARY"},"refresh_token":"CANARY"}"#),
        planted(400, r#"{"error":"invalid_grant","refresh_token":"CANARY"}"#),
        planted(401, r#"{"error":"invalid_client","client_secret":"CANARY"}"#),
        planted(503, "CANARY"),
        Fault::Redirect(format!("http://127.0.0.1:1/?access_token={PLANTED}")),
        Fault::Truncated,
        Fault::LostAfter,
        Fault::GzipBomb,
        Fault::Huge(1 << 20),
        Fault::Patch(json!({ "token_type": "mac" })),
        Fault::Patch(json!({ "expires_in": [] , "access_token": null })),
        Fault::IdToken(IdTokenFault::Claims(json!({ "sub": PLANTED }))),
    ] {
        let sandbox = kept::without_rotation();
        let env = signed_in(&sandbox);
        let what = format!("stderr after {fault:?}");
        sandbox.inject(fault.times(3));
        let ran = run(&env, &["token", "--force-refresh", "--json"]);
        assert!(!matches!(ran.code, Some(0) | None), "{what}");
        assert_eq!(ran.stdout(), "", "{what}");
        let told = run(&env, &["status", "--json"]).succeeded();
        let secrets = Secrets::of(&sandbox);
        secrets.assert_has(&ALL);
        secrets.assert_absent(&ran.stderr(), &[], &what);
        secrets.assert_absent(&(told.stdout() + &told.stderr()), &[], "status");
        secrets.assert_kept_apart(&env);
    }
}

#[test]
fn trouble_with_the_files_of_this_machine_shows_no_secret() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let (store, index) = (item(&env), kept::index(&env));
    let (good_item, good_index) = (fs::read(&store).expect("an item"), fs::read(&index).expect("an index"));
    let half = |bytes: &[u8]| bytes[..bytes.len() - 2].to_vec();
    let secrets = Secrets::of(&sandbox);
    for (path, bad) in [(&store, half(&good_item)), (&index, half(&good_index)), (&index, good_item.clone())] {
        let good = if *path == store { &good_item } else { &good_index };
        fs::write(path, bad).expect("written");
        for args in [["token", "--force-refresh"].as_slice(), &["logout"], &["login", "--no-browser"]] {
            if *path == store && args[0] == "login" {
                continue; // it would wait for a browser
            }
            let ran = run(&env, args);
            assert!(matches!(ran.code, Some(3 | 7)), "{}", ran.stderr());
            secrets.assert_absent(&(ran.stderr() + &ran.stdout()), &[], &format!("{args:?}"));
        }
        fs::write(path, good).expect("written");
    }
}

#[test]
fn a_login_that_fails_shows_and_keeps_no_secret() {
    for (fault, more, account) in [
        (Some(Fault::error(400, "invalid_grant", "Malformed auth code.").into()), &[][..], ALICE),
        (Some(Fault::error(401, "invalid_client", "Unauthorized").into()), &[], ALICE),
        (Some(Fault::Truncated.into()), &[], ALICE),
        (Some(Fault::Empty.into()), &[], ALICE),
        (Some(Fault::Html502.times(3)), &[], ALICE),
        (Some(Fault::Patch(json!({ "token_type": "mac" })).into()), &[], ALICE),
        (Some(Fault::Patch(json!({ "refresh_token": null })).into()), &[], ALICE),
        (Some(Fault::Patch(json!({ "id_token": "a.b.c" })).into()), &[], ALICE),
        (Some(Fault::IdToken(IdTokenFault::FlippedSignatureBit).into()), &[], ALICE),
        (Some(Fault::IdToken(IdTokenFault::WrongAtHash).into()), &[], ALICE),
        (Some(Fault::IdToken(IdTokenFault::Claims(json!({ "nonce": PLANTED }))).into()), &[], ALICE),
        (Some(Fault::callback_with("iss", "https://other.example").into()), &[], ALICE),
        (Some(Fault::Empty.at(Endpoint::Jwks)), &[], ALICE),
        (None, &["--login-hint", ALICE], BOB),
    ] {
        let sandbox = sandbox();
        let env = TestEnv::new();
        let what = format!("{fault:?} {more:?}");
        if let Some(fault) = fault {
            sandbox.inject(fault);
        }
        let login = start_login(&env, &sandbox, more);
        let url = login.url().to_owned();
        let page = login.visit(&sandbox.approve(&url, account));
        let ran = login.wait();
        assert!(!matches!(ran.code, Some(0) | None), "{what}: {}", ran.stderr());
        let secrets = Secrets::of(&sandbox);
        secrets.assert_absent(&talk(&ran, &url), &[], &format!("stderr after {what}"));
        secrets.assert_absent(&page.page.body, &[], &format!("the page after {what}"));
        assert_eq!(ran.stdout(), "", "{what}");
        env.assert_nothing_kept(&sandbox);
    }
}

#[test]
fn a_login_that_was_refused_given_up_or_could_not_be_stored_shows_and_keeps_no_secret() {
    let sandbox = sandbox();
    for how in ["denied", "timeout", "store"] {
        let env = TestEnv::new();
        let login = start_login(&env, &sandbox, if how == "timeout" { &["--timeout", "1s"] } else { &[] });
        let url = login.url().to_owned();
        match how {
            "denied" => drop(login.visit(&sandbox.deny(&url))),
            "store" => {
                let _ = fs::remove_dir(secrets_dir(&env));
                fs::write(secrets_dir(&env), "no folder").expect("written");
                login.visit(&sandbox.approve(&url, ALICE));
            }
            _ => {}
        }
        let ran = login.wait().failed_with(if how == "store" { 7 } else { 5 });
        let secrets = Secrets::of(&sandbox);
        secrets.assert_absent(&talk(&ran, &url), &[], &format!("stderr, {how}"));
        secrets.assert_kept_apart(&env);
        assert_eq!(env.profiles().len(), 0);
    }
}

#[test]
fn a_logout_that_fails_shows_no_secret() {
    let sandbox = sandbox();
    for fault in [
        Fault::error(401, "invalid_client", "Unauthorized"),
        Fault::Html502,
        Fault::Truncated,
        Fault::Redirect(format!("http://127.0.0.1:1/?token={PLANTED}")),
    ] {
        let env = signed_in(&sandbox);
        sandbox.inject(fault.at(Endpoint::Revoke).times(1));
        let ran = run(&env, &["logout"]);
        let secrets = Secrets::of(&sandbox);
        secrets.assert_absent(&(ran.stderr() + &ran.stdout()), &[], "logout");
        secrets.assert_kept_apart(&env);
    }
}

#[test]
fn a_provider_that_is_gone_is_named_without_any_secret() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let secrets = Secrets::of(&sandbox);
    drop(sandbox);
    for args in [["token", "--force-refresh"].as_slice(), &["logout"]] {
        let ran = run(&env, args);
        assert_eq!(ran.code, Some(6));
        secrets.assert_absent(&(ran.stderr() + &ran.stdout()), &[], args[0]);
    }
}

// Arguments and environments

#[cfg(unix)]
#[test]
fn the_browser_gets_the_address_as_its_one_argument_and_no_secret_in_its_environment() {
    let sandbox = sandbox();
    for by_option in [true, false] {
        let env = TestEnv::new();
        let (browser, notes) = canary::noting_browser(&env);
        let file = env.client_file(&sandbox, support::CLIENT);
        let mut command = env.gauth(&["login", "--client-secrets"]);
        command.arg(file);
        match by_option {
            true => command.arg("--browser").arg(&browser),
            false => command.env("BROWSER", &browser),
        };
        talkative(&env, &mut command);
        let login = Running::start_login(command);
        let url = login.url().to_owned();
        until("the start of the browser", || notes.exists());
        login.visit(&sandbox.approve(&url, ALICE));
        let _ = login.wait().succeeded();
        let noted = fs::read_to_string(&notes).expect("notes");
        let arguments: Vec<_> = noted.lines().filter_map(|line| line.strip_prefix("arg: ")).collect();
        assert_eq!(arguments, [url.as_str()]);
        let secrets = Secrets::of(&sandbox);
        secrets.assert_has(&ALL);
        secrets.assert_absent(&noted.replace(&url, ""), &[], "arguments or environment of the browser");
        secrets.assert_absent(&url, &[Kind::State, Kind::Nonce], "the address");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_secret_is_in_the_arguments_or_the_environment_of_gauth() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    let login = start_login(&env, &sandbox, &[]);
    let mut noted = canary::arguments_and_environment(login.id());
    login.visit(&sandbox.approve(login.url(), ALICE));
    let _ = login.wait().succeeded();
    for args in [["token", "--force-refresh"].as_slice(), &["logout"]] {
        let endpoint = if args[0] == "token" { Endpoint::Token } else { Endpoint::Revoke };
        let count = sandbox.count(endpoint);
        sandbox.inject(Fault::Slow(Duration::from_secs(2)).at(endpoint));
        let running = Running::start(env.gauth(args));
        until("its request", || sandbox.count(endpoint) > count);
        noted += &canary::arguments_and_environment(running.id());
        let _ = running.wait().succeeded();
    }
    let secrets = Secrets::of(&sandbox);
    secrets.assert_has(&ALL);
    secrets.assert_absent(&noted, &[], "arguments or environment");
}
