//! A login over an earlier one: who may sign in again, and when the old grant ends.
#![cfg(feature = "cli")]

mod support;

use std::fs;

use gauth::sandbox::{Approval, Endpoint, Fault, IdTokenFault, IssuedKind, Sandbox};
use serde_json::json;
use support::{ALICE, BOB, CLIENT_SECRET, TestEnv, complete, sandbox};

/// The refresh tokens, oldest first.
fn refresh_tokens(sandbox: &Sandbox) -> Vec<String> {
    let issued = sandbox.issued().into_iter();
    issued.filter(|issued| issued.kind == IssuedKind::RefreshToken).map(|issued| issued.value).collect()
}

/// The profile is as it was: the same account, and its grant still gives tokens.
fn assert_still_signed_in(env: &TestEnv, sandbox: &Sandbox, account: &str, refresh_token: &str) {
    let profiles = env.profiles();
    assert_eq!((profiles.len(), &profiles[0]["email"]), (1, &json!(account)));
    assert!(sandbox.is_active(refresh_token), "the old refresh token works");
    assert_eq!(env.files_with(refresh_token).len(), 1, "the old refresh token is still stored");
    let token = env.run(&["token", "--force-refresh"]).succeeded().stdout();
    assert!(sandbox.is_active(token.trim_end()));
}

/// cli.md, login: the client is remembered, its secret in the store only.
#[test]
fn a_second_login_needs_no_client_file() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    fs::remove_dir_all(env.files()).expect("the client file is gone");
    env.signed_in_by(env.gauth(&["login", "--no-browser"]), &sandbox, ALICE);
    let with_secret = env.files_with(CLIENT_SECRET);
    assert!(with_secret.iter().all(|path| path.starts_with(env.config_dir().join("secrets"))), "{with_secret:?}");
    assert_eq!(with_secret.len(), 1);
}

/// A variable of the shell's profile must not move a profile to another provider; an option may.
#[test]
fn a_variable_does_not_take_the_place_of_the_client_that_is_remembered() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    for (name, value) in [("GAUTH_CLIENT_SECRETS", "elsewhere.json"), ("GAUTH_ISSUER", "https://elsewhere.example")] {
        let mut command = env.gauth(&["login", "--no-browser"]);
        command.env(name, value);
        env.signed_in_by(command, &sandbox, ALICE);
    }
    assert_eq!(env.profiles()[0]["issuer"], sandbox.issuer());
}

#[test]
fn the_earlier_account_is_offered_again_on_the_providers_page() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    let login = env.login(&sandbox, &[]);
    assert_eq!(login.param("login_hint").as_deref(), Some(ALICE));
}

/// Design, login 11: the old grant ends, and only after the new one is safe.
#[test]
fn the_replaced_grant_is_revoked_after_the_new_one_came() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    assert_eq!(sandbox.count(Endpoint::Revoke), 0, "there was nothing to replace");
    env.signed_in(&sandbox, ALICE, &[]);
    let [old, new] = &refresh_tokens(&sandbox)[..] else { panic!("two refresh tokens") };
    let seen = sandbox.seen();
    let revocation = seen.iter().position(|seen| seen.endpoint == Endpoint::Revoke).expect("a revocation");
    let exchange = seen.iter().rposition(|seen| seen.endpoint == Endpoint::Token).expect("an exchange");
    assert!(exchange < revocation);
    assert_eq!(seen[revocation].param("token"), Some(old.as_str()));
    assert!(!sandbox.is_active(old) && sandbox.is_active(new));
    assert!(env.files_with(old).is_empty(), "nothing keeps the old token");
    assert_still_signed_in(&env, &sandbox, ALICE, new);
}

/// The order, seen from the other side: what can fail between the consent and the save must not cost the old grant.
#[test]
fn a_new_grant_that_cannot_be_stored_leaves_the_old_one_alone() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    let login = env.login(&sandbox, &[]);
    let (secrets, aside) = (env.config_dir().join("secrets"), env.config_dir().join("aside"));
    fs::rename(&secrets, &aside).expect("moved");
    fs::write(&secrets, "a file in its place").expect("a written file");
    login.visit(&sandbox.approve(login.url(), ALICE)).assert_not_signed_in();
    login.wait().failed_with(7);
    fs::remove_file(&secrets).expect("the file");
    fs::rename(&aside, &secrets).expect("moved back");
    assert_eq!(sandbox.count(Endpoint::Revoke), 0);
    assert_still_signed_in(&env, &sandbox, ALICE, &refresh_tokens(&sandbox)[0]);
}

#[test]
fn a_revocation_that_fails_is_a_warning_and_the_new_login_holds() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    sandbox.inject(Fault::Html502.at(Endpoint::Revoke).times(100));
    env.signed_in(&sandbox, ALICE, &[]).said("warning:").said("lives on");
    assert_still_signed_in(&env, &sandbox, ALICE, &refresh_tokens(&sandbox)[1]);
}

/// cli.md, login; L-3; Appendix A, MN: by `--login-hint`, and by the profile on a repeated login.
#[test]
fn another_account_on_an_existing_profile_is_refused_and_the_profile_stays_as_it_was() {
    for more in [&[][..], &["--login-hint", ALICE], &["--login-hint", BOB], &["--prompt", "select_account"]] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        env.signed_in(&sandbox, ALICE, &[]);
        let (ran, visit) = complete(env.login_command(&sandbox, more), |url| sandbox.approve(url, BOB));
        ran.failed_with(5).said(BOB).said("--profile NAME");
        visit.assert_not_signed_in();
        let [old, refused] = &refresh_tokens(&sandbox)[..] else { panic!("two refresh tokens") };
        assert!(env.files_with(refused).is_empty(), "nothing of the other account is stored");
        assert_still_signed_in(&env, &sandbox, ALICE, old);
    }
}

/// The person, not the address, is who comes back (G-40): the same address may be somebody else's by now.
#[test]
fn the_same_address_with_another_subject_is_another_account() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "sub": "somebody-else" }))));
    let (ran, visit) = complete(env.login_command(&sandbox, &[]), |url| sandbox.approve(url, ALICE));
    ran.failed_with(5);
    visit.assert_not_signed_in();
    assert_still_signed_in(&env, &sandbox, ALICE, &refresh_tokens(&sandbox)[0]);
}

#[test]
fn a_failed_login_leaves_an_existing_profile_as_it_was() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    let denied = complete(env.login_command(&sandbox, &[]), |url| sandbox.deny(url));
    denied.0.failed_with(5);
    sandbox.inject(Fault::error(400, "invalid_grant", ""));
    let refused = complete(env.login_command(&sandbox, &[]), |url| sandbox.approve(url, ALICE));
    refused.0.failed_with(1);
    env.run(&["login", "--no-browser", "--timeout", "1s"]).failed_with(5);
    assert_still_signed_in(&env, &sandbox, ALICE, &refresh_tokens(&sandbox)[0]);
}

#[test]
fn two_profiles_hold_two_accounts() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    env.signed_in(&sandbox, BOB, &["--profile", "second"]);
    assert_eq!(sandbox.count(Endpoint::Revoke), 0, "neither replaces the other");
    for (profile, account) in [("default", ALICE), ("second", BOB)] {
        let answer = env.run(&["token", "--json", "--profile", profile]).succeeded().json();
        assert_eq!(answer["email"], account);
    }
}

/// cli.md, login: `--add-scope` asks for what is granted already plus the new one.
#[test]
fn add_scope_asks_for_the_granted_ones_and_the_new_one() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let (kept, dropped, new) = ("https://example.test/kept", "https://example.test/dropped", "profile");
    let command = env.login_command(&sandbox, &["--scope", kept, "--scope", dropped]);
    let approval = Approval::only(ALICE, &["openid", "email", kept]);
    complete(command, |url| sandbox.approve_with(url, approval)).0.succeeded();
    let login = env.login(&sandbox, &["--add-scope", new]);
    let scope = login.param("scope").expect("a scope");
    let mut asked: Vec<&str> = scope.split(' ').collect();
    asked.sort_unstable();
    assert_eq!(asked, ["email", kept, "openid", new], "not the one that was not granted");
}

/// A token of the login before must not be served for the new one.
#[test]
fn the_first_token_after_a_new_login_is_the_new_logins_own() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &[]);
    let old = env.run(&["token"]).succeeded().stdout();
    env.signed_in(&sandbox, ALICE, &[]);
    let new = env.run(&["token"]).succeeded().stdout();
    assert_ne!(old, new);
    assert!(sandbox.is_active(new.trim_end()));
    assert!(env.files_with(old.trim_end()).is_empty());
}
