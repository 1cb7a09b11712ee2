//! What is refused before anyone is asked: client files, options, ports, stores. No address is ever printed.
#![cfg(feature = "cli")]

mod support;

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;

use gauth::sandbox::{Client, Endpoint, Fault, Sandbox};
use serde_json::{Value, json};
use support::{ALICE, CLIENT, CLIENT_SECRET, Ran, Running, TestEnv, http, sandbox};

/// Ends with this code, and shows nobody an address.
fn refused(command: Command, code: i32) -> Ran {
    let ran = Running::start(command).wait().failed_with(code);
    assert!(!ran.stderr().contains("state="), "no address was printed:\n{}", ran.stderr());
    ran.said("hint: ")
}

/// A login with a client file of this text.
fn with_file(env: &TestEnv, text: &str) -> Command {
    let mut command = env.gauth(&["login", "--no-browser", "--client-secrets"]);
    command.arg(env.write("client.json", text));
    command
}

/// The sandbox's client file with other members.
fn patched(sandbox: &Sandbox, members: Value) -> String {
    let mut file: Value = serde_json::from_str(&sandbox.client_secrets_json(CLIENT)).expect("a client file");
    for (name, value) in members.as_object().expect("members") {
        file["installed"][name] = value.clone();
    }
    file.to_string()
}

/// G-1: what people hand in by mistake is named, with what to download instead.
#[test]
fn a_file_that_is_no_client_file_is_named_for_what_it_is() {
    let env = TestEnv::new();
    let web = r#"{"web":{"client_id":"c","auth_uri":"https://op.example/a","token_uri":"https://op.example/t",
        "redirect_uris":["https://app.example/callback"]}}"#;
    for (text, word) in [
        (r#"{"type":"service_account","private_key":"x","client_email":"x@y"}"#, "service-account key"),
        (r#"{"type":"authorized_user","client_id":"x","refresh_token":"x"}"#, "authorized_user"),
        (r#"{"installed":{"client_id":"x","auth_uri":"#, "cut off"),
        (r#"{"client_id":"x","client_secret":"x"}"#, "inner part"),
        ("<!DOCTYPE html><title>Sign in</title>", "not JSON"),
        ("", "is empty"),
        (r#"{"installed":{"client_id":"x"}}"#, "auth_uri"),
        (web, "web application without a loopback redirect URI"),
    ] {
        refused(with_file(&env, text), 3).said(word).said("client.json");
    }
}

#[test]
fn a_client_file_that_is_not_there_is_named() {
    let env = TestEnv::new();
    refused(env.gauth(&["login", "--client-secrets", "no/such/file.json"]), 3).said("no/such/file.json");
}

#[test]
fn without_any_client_the_hint_says_where_one_goes_and_how_to_try_without() {
    refused(TestEnv::new().gauth(&["login"]), 3).said("gauth login --client-secrets").said("gauth demo");
}

/// G-2, decision 5: a tampered file would send the code elsewhere.
#[test]
fn a_google_client_with_a_foreign_token_endpoint_makes_no_request() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let google = "https://accounts.google.com/o/oauth2/auth";
    let foreign = format!("{}/token", sandbox.issuer());
    for members in [
        json!({ "auth_uri": google }),
        json!({ "auth_uri": google, "token_uri": "https://oauth2.googleapis.com.evil.example/token" }),
        json!({ "auth_uri": google, "token_uri": "http://oauth2.googleapis.com/token" }),
        json!({ "auth_uri": "http://127.0.0.1:1/authorize", "token_uri": "https://oauth2.googleapis.com/token" }),
        json!({ "auth_uri": "https://accounts.google.com@127.0.0.1/auth", "token_uri": foreign }),
    ] {
        refused(with_file(&env, &patched(&sandbox, members)), 3);
    }
    assert!(sandbox.seen().is_empty());
}

/// L-20, Appendix A, ML: nothing but https, or http on this machine, ever reaches a browser.
#[test]
fn a_hostile_authorization_endpoint_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for auth_uri in [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "http://other.example/authorize",
        "http://127.0.0.1.other.example/authorize",
        "ftp://op.example/authorize",
        "https://user:password@op.example/authorize",
        "https://op.example/authorize#fragment",
        "--help",
        "-flag https://op.example/",
        "$(touch pwned)",
        "\"https://op.example/\"",
        "https://op .example/authorize",
        "",
    ] {
        let file = patched(&sandbox, json!({ "auth_uri": auth_uri }));
        let ran = refused(with_file(&env, &file), 3);
        assert!(ran.stderr().contains("auth"), "{auth_uri}: {}", ran.stderr());
    }
    assert!(sandbox.seen().is_empty());
}

#[test]
fn a_hostile_token_endpoint_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for token_uri in ["http://other.example/token", "file:///token", "https://a:b@op.example/token", "not a URL"] {
        refused(with_file(&env, &patched(&sandbox, json!({ "token_uri": token_uri }))), 3).said("token");
    }
    assert!(sandbox.seen().is_empty());
}

/// Decision 5: endpoints that no discovery document joins are shown by host.
#[test]
fn endpoints_of_two_hosts_are_both_shown_before_anyone_signs_in() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let file = patched(&sandbox, json!({ "auth_uri": "https://login.other.example/authorize" }));
    let mut login = Running::start(with_file(&env, &file));
    let warning = login.wait_for_line(|line| line.starts_with("warning:"));
    assert!(warning.contains("login.other.example") && warning.contains("127.0.0.1"), "{warning}");
}

/// D-2, D-3, P-3: what a discovery document must not say.
#[test]
fn a_discovery_document_that_cannot_be_trusted_is_refused() {
    for members in [
        json!({ "issuer": "https://other.example" }),
        json!({ "authorization_endpoint": "http://other.example/authorize" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "token_endpoint": "http://other.example/token" }),
        json!({ "jwks_uri": "http://other.example/jwks" }),
        json!({ "revocation_endpoint": "http://other.example/revoke" }),
        json!({ "code_challenge_methods_supported": ["plain"] }),
    ] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::Patch(members).at(Endpoint::Discovery));
        refused(by_issuer(&env, sandbox.issuer()), 3);
    }
}

/// cli.md: exit code 3 is for the client file, the issuer and discovery. A wrong `--issuer` often leads to a web site.
#[test]
fn a_place_without_a_usable_discovery_document_is_a_configuration_error() {
    let page = Fault::Status { status: 200, body: "<html>".into(), content_type: "text/html".into(), headers: vec![] };
    for fault in [
        Fault::error(404, "not_found", ""),
        Fault::Patch(json!({ "issuer": null })),
        Fault::Patch(json!({ "token_endpoint": null })),
        Fault::Empty,
        Fault::Huge(1 << 20),
        Fault::Redirect("http://127.0.0.1:1/".to_owned()),
        page,
    ] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let name = format!("{fault:?}");
        sandbox.inject(fault.at(Endpoint::Discovery).times(2));
        let ran = Running::start(by_issuer(&env, sandbox.issuer())).wait();
        assert_eq!(ran.code, Some(3), "{name:.60}: {}", ran.stderr());
    }
}

fn by_issuer(env: &TestEnv, issuer: &str) -> Command {
    env.gauth(&["login", "--no-browser", "--client-id", "sandbox-public", "--issuer", issuer])
}

#[test]
fn an_issuer_that_cannot_be_one_is_refused_and_a_trailing_slash_is_another_issuer() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for issuer in ["http://op.example", "op.example", "https://op.example?x=1", "file:///etc", "https://a:b@op.example"]
    {
        refused(by_issuer(&env, issuer), 3).said("issuer");
    }
    refused(by_issuer(&env, &format!("{}/", sandbox.issuer())), 3).said("issuer");
}

#[test]
fn a_provider_that_is_not_there_is_one_to_try_again_later() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let issuer = sandbox.issuer().to_owned();
    drop(sandbox);
    refused(by_issuer(&env, &issuer), 6);
}

/// A-3, G-18: a second `state` or a `response_type` of somebody's own would undo every check.
#[test]
fn a_parameter_that_is_gauths_own_cannot_be_given_by_hand() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for name in ["state", "nonce", "redirect_uri", "code_challenge", "code_challenge_method", "response_type", "scope"]
    {
        let ran = refused(env.login_command(&sandbox, &["--auth-param", &format!("{name}=x")]), 3);
        assert!(ran.stderr().contains(&format!("{name:?}")), "{}", ran.stderr());
    }
    refused(env.login_command(&sandbox, &["--auth-param", "include_granted_scopes=true"]), 3);
}

#[test]
fn a_scope_that_would_break_the_request_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    refused(env.login_command(&sandbox, &["--scope", "a\"b"]), 3).said("scope");
}

#[test]
fn a_profile_name_that_could_leave_its_folder_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for name in ["../other", "a/b", "", ".hidden", "-flag", "a b", "a\nb"] {
        refused(env.login_command(&sandbox, &[&format!("--profile={name}")]), 3).said("profile");
    }
    assert!(sandbox.seen().is_empty());
}

/// cli.md: the store is probed before the person is asked. A folder that root could write in as well would prove
/// nothing, so a file stands where the folder should be.
#[test]
fn a_store_that_cannot_be_written_is_found_out_before_anyone_is_asked() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    fs::write(env.config_dir().join("secrets"), "a file").expect("a written file");
    refused(env.login_command(&sandbox, &[]), 7);
    assert_eq!(sandbox.count(Endpoint::Authorize) + sandbox.count(Endpoint::Token), 0);
}

#[test]
fn a_config_folder_that_cannot_be_used_is_found_out_before_the_provider_is_asked_anything() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let file = env.write("a-file", "not a folder");
    for dir in [file.clone(), file.join("below")] {
        let mut command = env.login_command(&sandbox, &[]);
        command.env("GAUTH_CONFIG_DIR", dir);
        refused(command, 3).said("a-file");
    }
    assert!(sandbox.seen().is_empty());
}

#[test]
fn an_index_that_is_damaged_or_newer_is_left_as_it_is() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let index = env.config_dir().join("profiles.toml");
    for text in ["version = 99\nnew = true\n", "this is not TOML", "\u{0}\u{1}"] {
        fs::write(&index, text).expect("a written file");
        refused(env.login_command(&sandbox, &[]), 3).said("profiles.toml");
        assert_eq!(fs::read_to_string(&index).expect("the index"), text);
    }
    assert!(sandbox.seen().is_empty());
}

/// L-1: never "try the next port".
#[test]
fn an_occupied_port_is_an_error_and_no_other_one_is_taken() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let squatter = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = squatter.local_addr().expect("an address").port().to_string();
    refused(env.login_command(&sandbox, &["--port", &port]), 1).said(&port).said("not free");
}

#[test]
fn a_fixed_port_is_the_one_that_the_browser_comes_back_to() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let port = free_port();
    let login = env.login(&sandbox, &["--port", &port.to_string()]);
    assert_eq!(login.redirect_uri().as_str(), format!("http://127.0.0.1:{port}/"));
    login.visit(&sandbox.approve(login.url(), ALICE)).assert_signed_in(ALICE);
    login.wait().succeeded();
}

/// For containers: it is asked for, it is warned of, and the browser still comes to 127.0.0.1 and to no other name.
#[test]
fn a_wider_address_is_listened_on_only_when_asked_and_with_a_warning() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let port = free_port();
    let login = env.login(&sandbox, &["--bind", "0.0.0.0", "--port", &port.to_string()]);
    assert_eq!(login.redirect_uri().as_str(), format!("http://127.0.0.1:{port}/"));
    let by_another_name = http::get(login.address(), &format!("0.0.0.0:{port}"), "/?code=c&state=x");
    assert_eq!(by_another_name.status, 421);
    login.visit(&sandbox.approve(login.url(), ALICE)).assert_signed_in(ALICE);
    login.wait().succeeded().said("warning: listening beyond this machine");
}

/// Taken from the system a moment ago: nobody else gets it so soon.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A web client that is registered with this redirect URI alone, and its file.
fn web_client(env: &TestEnv, sandbox: &Sandbox, redirect_uri: &str) -> Command {
    let redirect_uris = vec![redirect_uri.to_owned()];
    sandbox.register(Client { redirect_uris, ..Client::new("web-client", Some(CLIENT_SECRET)) });
    let mut file: Value = serde_json::from_str(&sandbox.client_secrets_json("web-client")).expect("a client file");
    file["installed"]["redirect_uris"] = json!(["https://app.example/callback", redirect_uri]);
    with_file(env, &json!({ "web": file["installed"] }).to_string())
}

/// G-5: a web client's redirect URI is used to the letter.
#[test]
fn a_web_client_comes_back_to_its_registered_address_and_path() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let redirect_uri = format!("http://127.0.0.1:{}/oauth2/callback", free_port());
    let login = Running::start_login(web_client(&env, &sandbox, &redirect_uri));
    assert_eq!(login.redirect_uri().as_str(), redirect_uri);
    let redirect = sandbox.approve(login.url(), ALICE);
    let elsewhere = redirect.replace("/oauth2/callback", "/");
    assert_eq!(http::Visit::to(&elsewhere).page.status, 404, "no other path will do");
    login.visit(&redirect).assert_signed_in(ALICE);
    login.wait().succeeded();
    // The redirect URI is remembered with the client.
    let again = Running::start_login(env.gauth(&["login", "--no-browser"]));
    assert_eq!(again.redirect_uri().as_str(), redirect_uri);
}

/// L-2: a name may lead to either family, so both are ours.
#[test]
fn a_client_registered_for_localhost_is_reached_by_both_families() {
    for over_ipv6 in [false, has_ipv6()] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let redirect_uri = format!("http://localhost:{}/cb", free_port());
        let login = Running::start_login(web_client(&env, &sandbox, &redirect_uri));
        assert_eq!(login.redirect_uri().as_str(), redirect_uri);
        let target = sandbox.approve(login.url(), ALICE);
        let target = target.strip_prefix(&redirect_uri).map(|query| format!("/cb{query}")).expect("our address");
        let address = if over_ipv6 { http::on_ipv6(login.address()) } else { login.address() };
        assert_eq!(http::get(address, &login.authority(), &target).status, 303);
        login.wait().succeeded();
    }
}

#[test]
fn a_localhost_port_that_somebody_else_has_on_ipv6_is_not_used() {
    if !has_ipv6() {
        return; // then nobody can have it
    }
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let squatter = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a port");
    let port = squatter.local_addr().expect("an address").port();
    let redirect = format!("http://localhost:{port}/");
    refused(web_client(&env, &sandbox, &redirect), 1).said("not free");
    for bind in ["127.0.0.1", "0.0.0.0"] {
        let mut login = web_client(&env, &sandbox, &redirect);
        login.args(["--bind", bind, "--port", &port.to_string()]);
        refused(login, 1).said("not free");
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}
