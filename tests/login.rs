//! Logins that work: the real binary against the sandbox provider.
#![cfg(feature = "cli")]

mod support;

use std::collections::HashSet;
use std::time::SystemTime;

use gauth::sandbox::{ClientAuth, Endpoint, Fault, IdTokenFault, IssuedKind};
use serde_json::json;
use support::{ALICE, BOB, CLIENT, CLIENT_SECRET, Running, TestEnv, complete, sandbox, sandbox_with};

#[test]
fn a_login_says_who_signed_in_and_keeps_the_grant() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let (ran, visit) = complete(env.login_command(&sandbox, &[]), |url| sandbox.approve(url, ALICE));
    let ran = ran.succeeded().said(&format!("signed in as {ALICE} (profile default)"));
    assert_eq!(ran.stdout(), "", "stdout is for answers");
    visit.assert_signed_in(ALICE);
    for text in ["127.0.0.1", "gauth, profile default", "in a file that only you can read"] {
        assert!(visit.page.body.contains(text), "{text}");
    }
    let token = env.run(&["token"]).succeeded().stdout();
    assert!(sandbox.is_active(token.trim_end()));
}

/// cli.md, login: the shape of `--json`, with no member more or less.
#[test]
fn the_json_answer_has_exactly_the_members_of_the_contract() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let ran = env.signed_in(&sandbox, ALICE, &["--json", "--profile", "work"]);
    let mut answer = ran.json();
    let subject = answer["sub"].take();
    assert!(subject.as_str().is_some_and(|subject| subject.len() == 20), "{subject}");
    let expires_at = answer["expires_at"].take();
    let expires_at = humantime::parse_rfc3339(expires_at.as_str().expect("a time")).expect("RFC 3339 in UTC");
    #[allow(clippy::disallowed_methods, reason = "the real time, as the program has it")]
    let life = expires_at.duration_since(SystemTime::now()).expect("the future");
    assert!((3000..=3600).contains(&life.as_secs()), "{life:?}");
    let expected = json!({
        "profile": "work", "issuer": sandbox.issuer(), "client_id": CLIENT, "email": ALICE, "sub": null,
        "scopes": ["openid", "email"], "missing_scopes": [], "store": "file", "expires_at": null,
    });
    assert_eq!(sorted(answer), sorted(expected));
}

/// Scopes are a set (T-6).
fn sorted(mut answer: serde_json::Value) -> serde_json::Value {
    if let Some(scopes) = answer["scopes"].as_array_mut() {
        scopes.sort_by_key(ToString::to_string);
    }
    answer
}

#[test]
fn quiet_says_nothing_but_the_address_and_the_answer() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--quiet", "--json"]);
    let url = login.url().to_owned();
    login.visit(&sandbox.approve(&url, ALICE));
    let ran = login.wait().succeeded();
    assert_eq!(ran.stderr().trim(), url);
    assert_eq!(ran.json()["email"], ALICE);
}

/// L-15: whoever has the answer can rely on it.
#[test]
fn the_browser_gets_no_answer_before_the_grant_is_stored() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &[]);
    let redirect = url::Url::parse(&sandbox.approve(login.url(), ALICE)).expect("a redirect");
    let first = login.get(&format!("/?{}", redirect.query().expect("a query")));
    let refresh_token = sandbox.issued().into_iter().find(|issued| issued.kind == IssuedKind::RefreshToken);
    assert_eq!(first.status, 303);
    assert_eq!(env.files_with(&refresh_token.expect("a refresh token").value).len(), 1);
    login.wait().succeeded();
}

/// N-4, P-1, G-12, G-13: nothing of one request is used again.
#[test]
fn two_logins_have_different_ports_states_nonces_and_challenges() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let logins = [env.login(&sandbox, &[]), env.login(&sandbox, &["--profile", "other"])];
    for name in ["redirect_uri", "state", "nonce", "code_challenge"] {
        let values: HashSet<_> = logins.iter().filter_map(|login| login.param(name)).collect();
        assert_eq!(values.len(), 2, "{name}");
    }
}

/// N-2, N-3, P-2, G-14, G-18.
#[test]
fn the_request_names_the_literal_address_and_always_s256() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--scope", "profile"]);
    assert_eq!(login.redirect_uri().host_str(), Some("127.0.0.1"));
    assert_eq!(login.redirect_uri().path(), "/");
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT),
        ("code_challenge_method", "S256"),
        ("access_type", "offline"),
        ("scope", "openid email profile"),
    ] {
        assert_eq!(login.param(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(login.param("state").map(|state| state.len()), Some(43), "256 bits in base64url");
    assert_eq!(login.param("include_granted_scopes"), None);
}

#[test]
fn what_the_person_adds_reaches_the_providers_page() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let more =
        ["--login-hint", ALICE, "--hosted-domain", "example.test", "--prompt", "consent", "--auth-param", "hl=de"];
    let login = env.login(&sandbox, &more);
    for (name, value) in [("login_hint", ALICE), ("hd", "example.test"), ("prompt", "consent"), ("hl", "de")] {
        assert_eq!(login.param(name).as_deref(), Some(value), "{name}");
    }
}

/// T-2, P-4, T-9: what the token endpoint must get, and what no address may hold.
#[test]
fn the_exchange_repeats_the_redirect_uri_and_the_verifier_is_in_no_address() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &[]);
    let (url, redirect_uri) = (login.url().to_owned(), login.redirect_uri());
    login.visit(&sandbox.approve(&url, ALICE));
    login.wait().succeeded();
    let seen = sandbox.seen();
    let exchange = seen.iter().find(|seen| seen.endpoint == Endpoint::Token).expect("an exchange");
    assert_eq!(exchange.param("grant_type"), Some("authorization_code"));
    assert_eq!(exchange.param("redirect_uri"), Some(redirect_uri.as_str()));
    let verifier = exchange.param("code_verifier").expect("a verifier");
    assert!(verifier.len() >= 43 && !url.contains(verifier));
    assert_eq!(sandbox.count(Endpoint::Token), 1);
}

/// A-2, G-21, G-30: long scope names, a code with a slash, and parameters that nobody asked for.
#[test]
fn an_answer_in_googles_shape_is_understood() {
    let (env, sandbox) = (TestEnv::new(), sandbox_with(|settings| settings.google_shaped = true));
    let login = env.login(&sandbox, &["--json", "--scope", "profile"]);
    let redirect = sandbox.approve(login.url(), ALICE);
    for part in ["code=sandbox-code-4%2F0", "authuser=0", "hd=example.test", "userinfo.email"] {
        assert!(redirect.contains(part), "{part} is not in {redirect}");
    }
    login.visit(&redirect).assert_signed_in(ALICE);
    let answer = login.wait().succeeded().json();
    assert_eq!(answer["missing_scopes"], json!([]));
    assert_eq!(answer["scopes"].as_array().map(Vec::len), Some(3), "{answer}");
}

/// T-6, G-30: granted less than was asked.
#[test]
fn a_partial_grant_is_reported_scope_by_scope() {
    use gauth::sandbox::Approval;
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let (files, mail) = ("https://example.test/files", "https://example.test/mail");
    let command = env.login_command(&sandbox, &["--json", "--scope", files, "--scope", mail]);
    let approval = Approval::only(ALICE, &["openid", "email", mail]);
    let (ran, visit) = complete(command, |url| sandbox.approve_with(url, approval));
    visit.assert_signed_in(ALICE);
    assert!(visit.page.body.contains(files) && !visit.page.body.contains(mail), "{}", visit.page.body);
    let ran = ran.succeeded().said(&format!("warning: not granted: {files}"));
    let ran = ran.said(&format!("gauth login --add-scope {files}"));
    let answer = ran.json();
    assert_eq!(answer["missing_scopes"], json!([files]));
    assert_eq!(sorted(answer)["scopes"], json!(["email", mail, "openid"]));
}

#[test]
fn more_than_was_asked_is_no_failure() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::Patch(json!({ "scope": "openid email https://example.test/more" })));
    let answer = env.signed_in(&sandbox, ALICE, &["--json"]).json();
    assert_eq!(answer["missing_scopes"], json!([]));
    assert_eq!(answer["scopes"].as_array().map(Vec::len), Some(3), "{answer}");
}

/// T-4: a provider that leaves `scope` out granted what was asked.
#[test]
fn an_answer_without_scope_means_the_scopes_that_were_asked() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::Patch(json!({ "scope": null })));
    let answer = env.signed_in(&sandbox, ALICE, &["--json", "--scope", "profile"]).json();
    assert_eq!(answer["missing_scopes"], json!([]));
    assert_eq!(answer["scopes"].as_array().map(Vec::len), Some(3), "{answer}");
}

/// T-3: no secret, and one that needs form-encoding before it goes anywhere.
#[test]
fn a_public_client_and_one_with_an_odd_secret_sign_in() {
    for (client, auth) in [("sandbox-public", ClientAuth::None), ("sandbox-odd-secret", ClientAuth::Post)] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let (ran, _) = complete(env.login_command_of(&sandbox, client, &[]), |url| sandbox.approve(url, ALICE));
        ran.succeeded();
        let seen = sandbox.seen();
        let exchange = seen.iter().find(|seen| seen.endpoint == Endpoint::Token).expect("an exchange");
        assert_eq!(exchange.client_auth, auth, "{client}");
        env.run(&["token", "--force-refresh"]).succeeded();
    }
}

/// D-1, cli.md: `--issuer URL --client-id ID`.
#[test]
fn an_issuer_and_a_client_id_are_enough() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let command =
        env.gauth(&["login", "--no-browser", "--json", "--issuer", sandbox.issuer(), "--client-id", "sandbox-public"]);
    let answer = env.signed_in_by(command, &sandbox, BOB).json();
    assert_eq!(answer["issuer"], sandbox.issuer());
    assert_eq!(answer["client_id"], "sandbox-public");
    assert_eq!(answer["email"], BOB);
}

#[test]
fn every_option_that_has_a_twin_in_the_environment_is_read_from_there() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let mut command = env.gauth(&["login", "--json"]);
    command.env("GAUTH_CLIENT_SECRETS", env.client_file(&sandbox, CLIENT)).env("GAUTH_NO_BROWSER", "1");
    command.env("GAUTH_PROFILE", "work").env("GAUTH_LOGIN_HINT", ALICE);
    assert_eq!(env.signed_in_by(command, &sandbox, ALICE).json()["profile"], "work");
}

#[test]
fn the_client_file_in_the_config_folder_needs_no_option() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let file = env.config_dir().join("client_secrets.json");
    std::fs::write(file, sandbox.client_secrets_json("sandbox-public")).expect("a written file");
    let ran = env.signed_in_by(env.gauth(&["login", "--no-browser", "--json"]), &sandbox, ALICE);
    assert_eq!(ran.json()["client_id"], "sandbox-public");
}

/// OpenID Connect Core section 5.4: many providers give the address at userinfo only.
#[test]
fn an_address_that_is_not_in_the_id_token_is_asked_for_at_userinfo() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "email": null }))));
    assert_eq!(env.signed_in(&sandbox, ALICE, &["--json", "--login-hint", ALICE]).json()["email"], ALICE);
    assert_eq!(sandbox.count(Endpoint::UserInfo), 1);
}

#[test]
fn a_person_without_an_address_is_called_by_the_subject() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "email": null, "sub": "subject-7f3a" }))));
    sandbox.inject(Fault::Html502.at(Endpoint::UserInfo).times(100));
    let (ran, visit) = complete(env.login_command(&sandbox, &["--json"]), |url| sandbox.approve(url, ALICE));
    visit.assert_signed_in("subject-7f3a");
    assert_eq!(ran.succeeded().said("signed in as subject-7f3a").json()["email"], json!(null));
}

/// V-8: with one published key there is no doubt which one signed.
#[test]
fn an_id_token_that_names_no_key_is_fine_while_there_is_only_one() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::IdToken(IdTokenFault::MissingKid));
    env.signed_in(&sandbox, ALICE, &[]);
}

#[test]
fn a_provider_that_has_changed_its_signing_key_is_believed() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &[]);
    sandbox.rotate_signing_key().expect("a new key");
    login.visit(&sandbox.approve(login.url(), ALICE)).assert_signed_in(ALICE);
    login.wait().succeeded();
}

/// L-19, the README's promise: secrets are in the store and nowhere else.
#[test]
fn no_secret_is_in_any_file_outside_the_store_and_none_is_said() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--json", "-vv"]);
    login.visit(&sandbox.approve(login.url(), ALICE));
    let ran = login.wait().succeeded();
    let (store, cache) = (env.config_dir().join("secrets"), env.runtime_dir());
    for issued in sandbox.issued() {
        let allowed = match issued.kind {
            IssuedKind::RefreshToken => Some(&store),
            IssuedKind::AccessToken => Some(&cache),
            IssuedKind::Code | IssuedKind::IdToken => None,
        };
        for path in env.files_with(&issued.value) {
            assert!(allowed.is_some_and(|dir| path.starts_with(dir)), "{issued:?} is in {}", path.display());
        }
        assert!(!ran.stderr().contains(&issued.value) && !ran.stdout().contains(&issued.value), "{issued:?}");
    }
    let with_client_secret = env.files_with(CLIENT_SECRET);
    assert!(with_client_secret.iter().all(|path| path.starts_with(&store)), "{with_client_secret:?}");
    assert!(!ran.stderr().contains(CLIENT_SECRET));
}

/// N-6: nothing listens before a login and nothing after it.
#[test]
fn the_port_is_closed_when_the_login_is_over() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login: Running = env.login(&sandbox, &[]);
    let address = login.address();
    login.visit(&sandbox.approve(login.url(), ALICE));
    login.wait().succeeded();
    let refused = std::net::TcpStream::connect(address).expect_err("nobody listens");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
