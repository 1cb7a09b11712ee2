//! `gauth doctor`: each check by a test that breaks that thing, and what it says to do about it.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use gauth::Clock;
use gauth::sandbox::{Client, Fault, Sandbox};
use kept::{item, signed_in, stored_refresh};
use serde_json::{Value, json};
use support::{ALICE, CLIENT_SECRET, Running, TestEnv, complete, sandbox};

const CHECKS: [&str; 10] = [
    "config folder",
    "runtime folder",
    "client",
    "store",
    "browser",
    "loopback",
    "proxy and CA",
    "provider",
    "clock",
    "grant",
];

/// Runs it as JSON, with a browser that is there.
fn doctor(env: &TestEnv, change: impl FnOnce(&mut Command)) -> (Option<i32>, Vec<Value>) {
    let mut command = env.gauth(&["doctor", "--json"]);
    command.env("BROWSER", "true");
    change(&mut command);
    let ran = Running::start(command).wait();
    let checks = ran.json().as_array().expect("an array").clone();
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().expect("a name")).collect();
    assert_eq!(names, CHECKS);
    for check in &checks {
        let has_fix = check["fix"].as_array().is_some_and(|fixes| !fixes.is_empty());
        assert_eq!(has_fix, check["status"] != "ok", "{check}");
    }
    (ran.code, checks)
}

/// What is not well: "name status", detail, first fix.
fn found(checks: &[Value]) -> Vec<[String; 3]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let bad = checks.iter().filter(|check| check["status"] != "ok");
    bad.map(|check| {
        let name = format!("{} {}", text(&check["check"]), text(&check["status"]));
        [name, text(&check["detail"]), text(&check["fix"][0])]
    })
    .collect()
}

/// One thing is broken: this check says so, in these words and with this fix, and no other one does.
fn assert_found(env: &TestEnv, change: impl FnOnce(&mut Command), code: i32, name: &str, detail: &str, fix: &str) {
    let (ended, checks) = doctor(env, change);
    let found = found(&checks);
    assert_eq!((ended, found.len()), (Some(code), 1), "{found:?}");
    assert_eq!(found[0][0], name);
    assert!(found[0][1].contains(detail) && found[0][2].contains(fix), "{found:?}");
}

/// The same where the breakage has further consequences.
fn assert_among(env: &TestEnv, change: impl FnOnce(&mut Command), code: i32, name: &str, detail: &str, fix: &str) {
    let (ended, checks) = doctor(env, change);
    let found = found(&checks);
    let is_it = |[what, said, mend]: &[String; 3]| what == name && said.contains(detail) && mend.contains(fix);
    assert!(ended == Some(code) && found.iter().any(is_it), "{ended:?} {found:?}");
}

/// The provider's time, so many seconds from now. The sandbox tells none by itself.
fn set_time(sandbox: &Sandbox, seconds_from_now: i64) {
    let date = UNIX_EPOCH + Duration::from_secs(Clock::system().now().saturating_add_signed(seconds_from_now));
    let fault = Fault::Status {
        status: 405,
        body: String::new(),
        content_type: "text/plain".to_owned(),
        headers: vec![("Date".to_owned(), httpdate::fmt_http_date(date))],
    };
    sandbox.inject(fault.times(100));
}

/// Without a profile Google would be asked: it is behind a proxy that is not there.
fn offline(command: &mut Command) {
    command.env("HTTPS_PROXY", "http://127.0.0.1:1");
}

fn healthy() -> (Sandbox, TestEnv) {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    set_time(&sandbox, 0);
    (sandbox, env)
}

#[test]
fn where_all_is_well_every_check_is_ok_and_nothing_is_changed() {
    let (sandbox, env) = healthy();
    let before = (stored_refresh(&env), env.files_below(env.root()));
    let (code, checks) = doctor(&env, |_| {});
    assert_eq!((code, found(&checks)), (Some(0), Vec::new()));
    assert_eq!((stored_refresh(&env), env.files_below(env.root())), before);
    assert!(sandbox.is_active(&before.0));
    let mut plain = env.gauth(&["doctor"]);
    plain.env("BROWSER", "true");
    let text = Running::start(plain).wait().succeeded().stdout();
    assert_eq!(text.lines().filter(|line| line.starts_with("ok   ")).count(), CHECKS.len(), "{text}");
}

#[test]
fn before_the_first_login_it_says_how_to_begin() {
    let env = TestEnv::new();
    let begin = "gauth login --client-secrets client_secrets.json";
    let (_, checks) = doctor(&env, offline);
    for name in ["client warn", "grant warn"] {
        assert!(found(&checks).iter().any(|[what, _, fix]| what == name && fix == begin), "{checks:?}");
    }
}

#[test]
fn an_index_that_is_of_no_use() {
    let (_sandbox, env) = healthy();
    let path = env.config_dir().join("profiles.toml");
    let index = fs::read_to_string(&path).expect("an index");
    fs::write(&path, index.replace("version = 1", "version = 9")).expect("written");
    assert_among(&env, |_| {}, 3, "config folder fail", "newer gauth", "newer gauth");
}

#[test]
fn a_runtime_folder_that_is_none() {
    let (_sandbox, env) = healthy();
    let file = env.write("a-file", "");
    let change = |command: &mut Command| {
        command.env("GAUTH_RUNTIME_DIR", &file);
    };
    assert_found(&env, change, 0, "runtime folder warn", "kept in the store", "--runtime-dir");
}

#[test]
fn a_client_file_that_is_gone_or_of_the_wrong_kind() {
    let (_sandbox, env) = healthy();
    let path = env.files().join("sandbox-installed.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    file["installed"]["redirect_uris"] = json!(["http://127.0.0.1:8085/"]);
    fs::write(&path, json!({ "web": file["installed"] }).to_string()).expect("written");
    assert_found(&env, |_| {}, 0, "client warn", "web application", "Desktop app");
    fs::remove_file(&path).expect("removed");
    assert_found(&env, |_| {}, 0, "client warn", "of no use any more", "--client-secrets FILE");

    let env = TestEnv::new();
    fs::write(env.config_dir().join("client_secrets.json"), r#"{"type":"service_account"}"#).expect("written");
    assert_among(&env, offline, 3, "client fail", "service-account", "Desktop app");
}

#[test]
fn a_store_that_takes_nothing() {
    let (_sandbox, env) = healthy();
    fs::remove_dir_all(env.config_dir().join("secrets")).expect("removed");
    fs::write(env.config_dir().join("secrets"), "").expect("written");
    assert_among(&env, |_| {}, 7, "store fail", "cannot be used", "config folder");
}

#[cfg(target_os = "linux")]
#[test]
fn a_browser_that_is_not_there() {
    let (_sandbox, env) = healthy();
    let none = |command: &mut Command| {
        command.env_remove("BROWSER");
    };
    assert_found(&env, none, 0, "browser warn", "no display", "paste");
    let missing = |command: &mut Command| {
        command.env("BROWSER", "no-such-browser-7f3a");
    };
    assert_found(&env, missing, 0, "browser warn", "no-such-browser-7f3a", "BROWSER");
}

#[test]
fn a_port_that_the_client_needs_and_somebody_else_has() {
    let (sandbox, env) = (sandbox(), TestEnv::new());
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let redirect_uris = vec![format!("http://127.0.0.1:{port}/")];
    sandbox.register(Client { redirect_uris: redirect_uris.clone(), ..Client::new("web", Some(CLIENT_SECRET)) });
    let mut file: Value = serde_json::from_str(&sandbox.client_secrets_json("web")).expect("JSON");
    file["installed"]["redirect_uris"] = json!(redirect_uris);
    let path = env.write("web.json", &json!({ "web": file["installed"] }).to_string());
    let mut login = env.gauth(&["login", "--no-browser", "--client-secrets"]);
    login.arg(path);
    let (ran, _) = complete(login, |url| sandbox.approve(url, ALICE));
    let _ = ran.succeeded();
    set_time(&sandbox, 0);
    let _taken = TcpListener::bind(("127.0.0.1", port)).expect("the port again");
    assert_among(&env, |_| {}, 1, "loopback fail", &port.to_string(), "--port");
}

#[test]
fn roots_that_cannot_be_read_and_a_proxy_that_is_none() {
    let (_sandbox, env) = healthy();
    for (variable, value) in [("SSL_CERT_FILE", "/no/such/file"), ("HTTPS_PROXY", "socks5://127.0.0.1:1")] {
        let change = |command: &mut Command| {
            command.env(variable, value);
        };
        assert_among(&env, change, 3, "proxy and CA fail", "", variable);
    }
}

#[test]
fn a_provider_that_does_not_answer() {
    let (sandbox, env) = healthy();
    drop(sandbox);
    assert_among(&env, |_| {}, 6, "provider fail", "cannot be reached", "check the connection");
}

#[test]
fn a_clock_that_is_wrong() {
    for (seconds, code, name, detail) in
        [(-600, 1, "clock fail", "ahead of"), (600, 1, "clock fail", "behind"), (30, 0, "clock warn", "behind")]
    {
        let sandbox = sandbox();
        let env = signed_in(&sandbox);
        set_time(&sandbox, seconds);
        assert_found(&env, |_| {}, code, name, detail, "NTP");
    }
}

#[test]
fn a_grant_that_has_ended_or_is_not_in_the_store() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.revoke_grants();
    let ran = env.run(&["token", "--force-refresh"]).failed_with(4);
    assert!(ran.stderr().contains("caused by: perhaps: the access was withdrawn"), "{}", ran.stderr());
    set_time(&sandbox, 0);
    assert_found(&env, |_| {}, 4, "grant fail", "invalid_grant", "gauth login");

    let (_sandbox, env) = healthy();
    fs::remove_file(item(&env)).expect("removed");
    assert_found(&env, |_| {}, 4, "grant fail", "no refresh token", "gauth login");
}
