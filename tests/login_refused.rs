//! Logins that must not work: nothing is stored, the page says so, and the exit code says why.
#![cfg(feature = "cli")]

mod support;

use std::fs;

use gauth::sandbox::{Approval, Endpoint, Fault, IdTokenFault, IssParameter, Sandbox};
use serde_json::{Value, json};
use support::{ALICE, BOB, Ran, TestEnv, change, complete, sandbox, sandbox_with};

/// A login whose person does `act`, which ends with this code, a failure page and nothing stored.
fn refused(env: &TestEnv, sandbox: &Sandbox, more: &[&str], code: i32, act: impl FnOnce(&str) -> String) -> Ran {
    let (ran, visit) = complete(env.login_command(sandbox, more), act);
    let ran = ran.failed_with(code);
    visit.assert_not_signed_in();
    env.assert_nothing_kept(sandbox);
    ran
}

fn refused_as_alice(env: &TestEnv, sandbox: &Sandbox, more: &[&str], code: i32) -> Ran {
    refused(env, sandbox, more, code, |url| sandbox.approve(url, ALICE))
}

#[test]
fn a_refusal_on_the_consent_page_is_told_as_one_and_no_token_is_asked_for() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let ran = refused(&env, &sandbox, &["--json"], 5, |url| sandbox.deny(url));
    ran.said("refused").said("access_denied").said("hint: gauth login").said("--client-secrets");
    assert_eq!(sandbox.count(Endpoint::Token), 0);
}

/// codes that nobody has heard of pass through.
#[test]
fn any_other_error_of_the_authorization_endpoint_ends_the_login_with_its_code() {
    for error in ["login_required", "interaction_required", "admin_policy_enforced", "org_internal", "brand_new"] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::callback_with("error", error));
        refused(&env, &sandbox, &[], 5, |url| sandbox.deny(url)).said(error);
    }
}

/// RFC 6749 section 4.1.2.1: these two are the redirect's words for 500 and 503.
#[test]
fn a_provider_that_reports_trouble_by_redirect_is_one_to_try_again_later() {
    for error in ["server_error", "temporarily_unavailable"] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::callback_with("error", error));
        refused(&env, &sandbox, &[], 6, |url| sandbox.deny(url)).said(error);
    }
}

/// P-3: a provider that does not like S256 is not asked again with less.
#[test]
fn a_refused_request_is_not_tried_again_in_another_way() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::callback_with("error", "invalid_request"));
    refused(&env, &sandbox, &[], 5, |url| sandbox.deny(url)).said("invalid_request");
    assert_eq!(sandbox.count(Endpoint::Token), 0);
}

/// Appendix A, MD: the exit code by what can be done about it.
#[test]
fn a_token_endpoint_that_refuses_ends_the_login_with_a_failure_page() {
    for (status, error, code) in [
        (400, "invalid_grant", 1),
        (400, "invalid_request", 1),
        (401, "invalid_client", 3),
        (401, "deleted_client", 3),
        (400, "admin_policy_enforced", 5),
        (403, "access_denied", 5),
    ] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(Fault::error(status, error, "Just so."));
        refused_as_alice(&env, &sandbox, &[], code).said(error).said("Just so.");
        assert_eq!(sandbox.count(Endpoint::Token), 1, "{error} is not tried again");
    }
}

#[test]
fn a_token_endpoint_in_trouble_is_a_failure_to_try_again_later() {
    for fault in
        [Fault::error(500, "server_error", ""), Fault::Html502, Fault::RetryAfter { status: 503, seconds: 900 }]
    {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(fault.times(100));
        refused_as_alice(&env, &sandbox, &[], 6).said("hint:");
    }
}

/// A code is good once: after an answer that got lost it must not be sent again.
#[test]
fn a_lost_answer_is_not_asked_for_twice() {
    for fault in [Fault::LostAfter, Fault::Truncated] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(fault);
        refused_as_alice(&env, &sandbox, &[], 6).said("hint:");
        assert_eq!(sandbox.count(Endpoint::Token), 1);
    }
}

/// T-4, T-7, L-17, L-22: answers that are none.
#[test]
fn an_answer_that_breaks_the_protocol_is_a_failure() {
    let patch = |name: &str, value: Value| Fault::Patch(json!({ name: value }));
    let sandbox_elsewhere = sandbox();
    for fault in [
        Fault::Empty,
        Fault::Redirect(format!("{}/token", sandbox_elsewhere.issuer())),
        Fault::Huge(1 << 20),
        patch("access_token", Value::Null),
        patch("access_token", json!("a\nb")),
        patch("access_token", json!("")),
        patch("refresh_token", json!("a\r\nb")),
        patch("token_type", json!("DPoP")),
        patch("token_type", Value::Null),
        patch("id_token", Value::Null),
        patch("error", json!("invalid_grant")),
    ] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        sandbox.inject(fault);
        refused_as_alice(&env, &sandbox, &["--json"], 1);
    }
    assert!(sandbox_elsewhere.seen().is_empty(), "a redirect is never followed");
}

/// Requirements 1.7, Appendix A, ME.
#[test]
fn an_id_token_with_any_fault_is_refused_and_nothing_is_stored() {
    let claims = |name: &str, value: Value| IdTokenFault::Claims(json!({ name: value }));
    for fault in [
        IdTokenFault::AlgNone,
        IdTokenFault::Hs256WithPublicKey,
        IdTokenFault::FlippedSignatureBit,
        IdTokenFault::Crit,
        IdTokenFault::DuplicateMember,
        IdTokenFault::Padding,
        IdTokenFault::FourSegments,
        IdTokenFault::WrongAtHash,
        claims("iss", json!("https://other.example")),
        claims("iss", Value::Null),
        claims("aud", json!("another-client")),
        claims("aud", json!(["sandbox-installed", "another-client"])),
        claims("aud", json!(7)),
        claims("aud", Value::Null),
        claims("azp", json!("another-client")),
        claims("exp", json!(1_000_000_000)),
        claims("exp", json!("4102444800")),
        claims("exp", Value::Null),
        claims("iat", json!(4_102_444_800_u64)),
        claims("iat", json!("1")),
        claims("nbf", json!(4_102_444_800_u64)),
        claims("nonce", json!("not-the-one")),
        claims("nonce", Value::Null),
        claims("sub", json!("")),
        claims("sub", json!("x".repeat(256))),
        claims("sub", Value::Null),
    ] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        let name = format!("{fault:?}");
        sandbox.inject(Fault::IdToken(fault));
        let ran = refused_as_alice(&env, &sandbox, &["--json"], 1);
        assert!(ran.stderr().contains("error: the ID token is not valid"), "{name}: {}", ran.stderr());
    }
}

/// V-8: an unknown key may be a new one, so the keys are fetched once more, and then no more.
#[test]
fn an_unknown_key_is_looked_for_twice_and_then_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::IdToken(IdTokenFault::UnknownKid));
    refused_as_alice(&env, &sandbox, &[], 1);
    assert_eq!(sandbox.count(Endpoint::Jwks), 2);
}

#[test]
fn an_id_token_that_names_no_key_is_refused_when_there_are_two() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.rotate_signing_key().expect("a second key");
    sandbox.inject(Fault::IdToken(IdTokenFault::MissingKid));
    refused_as_alice(&env, &sandbox, &[], 1);
}

/// L-28: the usual cause is a clock, and the text says so.
#[test]
fn a_provider_whose_clock_is_far_off_is_refused_with_a_word_about_the_clock() {
    for skew in [-7200, 600] {
        let (env, sandbox) = (TestEnv::new(), sandbox_with(|settings| settings.clock_skew = skew));
        refused_as_alice(&env, &sandbox, &[], 1).said("clock");
    }
    let (env, sandbox) = (TestEnv::new(), sandbox_with(|settings| settings.clock_skew = 30));
    env.signed_in(&sandbox, ALICE, &[]);
}

/// I-1 to I-4, Appendix A, MC: with a code and with an error.
#[test]
fn the_issuer_of_the_answer_is_checked_whether_it_was_promised_or_not() {
    for is_advertised in [true, false] {
        let env = TestEnv::new();
        let sandbox = sandbox_with(|settings| settings.advertise_iss = is_advertised);
        let upper = sandbox.issuer().replace("http", "HTTP");
        let slash = format!("{}/", sandbox.issuer());
        for wrong in ["https://other.example", "127.0.0.1", &slash, &upper] {
            change(&sandbox, |settings| settings.iss = IssParameter::Wrong(wrong.to_owned()));
            refused_as_alice(&env, &sandbox, &[], 1).said("issuer");
            refused(&env, &sandbox, &[], 1, |url| sandbox.deny(url)).said("issuer");
        }
        assert_eq!(sandbox.count(Endpoint::Token), 0, "a code of another issuer is not redeemed");
        change(&sandbox, |settings| settings.iss = IssParameter::Right);
        env.signed_in(&sandbox, ALICE, &[]);
    }
}

#[test]
fn an_answer_without_issuer_is_refused_only_where_one_was_promised() {
    let env = TestEnv::new();
    let sandbox = sandbox_with(|settings| settings.iss = IssParameter::Absent);
    refused_as_alice(&env, &sandbox, &[], 1).said("issuer");
    refused(&env, &sandbox, &[], 1, |url| sandbox.deny(url)).said("issuer");
    change(&sandbox, |settings| settings.advertise_iss = false);
    env.signed_in(&sandbox, ALICE, &[]);
}

/// L-3, G-16, Appendix A, MN.
#[test]
fn another_account_than_the_one_named_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let ran = refused(&env, &sandbox, &["--login-hint", ALICE], 5, |url| sandbox.approve(url, BOB));
    ran.said(&format!("error: {BOB} signed in, not {ALICE}")).said("hint: gauth login").said("--client-secrets");
}

#[test]
fn the_account_is_named_by_address_in_any_case() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    env.signed_in(&sandbox, ALICE, &["--login-hint", "Alice@Example.TEST"]);
}

/// V-15: an address at userinfo counts only if it is about the subject of the ID token.
#[test]
fn a_userinfo_answer_about_somebody_else_is_refused() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    sandbox.inject(Fault::IdToken(IdTokenFault::Claims(json!({ "email": null }))));
    sandbox.inject(Fault::Patch(json!({ "sub": "somebody-else" })).at(Endpoint::UserInfo));
    refused_as_alice(&env, &sandbox, &["--login-hint", ALICE], 1).said("another account");
}

/// G-17: the parameter is for the provider's page only; the ID token decides.
#[test]
fn an_account_outside_the_hosted_domain_is_refused() {
    let google_shaped = || sandbox_with(|settings| settings.google_shaped = true);
    for domain in ["other.test", "test", "example.test.evil.test"] {
        let (env, sandbox) = (TestEnv::new(), google_shaped());
        refused_as_alice(&env, &sandbox, &["--hosted-domain", domain], 5).said(ALICE).said(domain);
    }
    for domain in ["example.test", "Example.TEST", "*"] {
        let (env, sandbox) = (TestEnv::new(), google_shaped());
        env.signed_in(&sandbox, ALICE, &["--hosted-domain", domain]);
    }
}

#[test]
fn an_account_without_a_domain_is_refused_where_one_is_wanted() {
    for domain in ["example.test", "*"] {
        let (env, sandbox) = (TestEnv::new(), sandbox());
        refused_as_alice(&env, &sandbox, &["--hosted-domain", domain], 5);
    }
}

/// cli.md, login: a missing refresh token is an error with its remedy.
#[test]
fn a_client_that_gets_no_refresh_token_is_told_what_to_do() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let command = env.login_command_of(&sandbox, "sandbox-no-refresh", &["--json"]);
    let (ran, visit) = complete(command, |url| sandbox.approve(url, ALICE));
    ran.failed_with(5).said("no refresh token").said("hint:").said("--prompt consent");
    visit.assert_not_signed_in();
    env.assert_nothing_kept(&sandbox);
}

/// L-15: the store fails between the consent and the save.
#[test]
fn a_store_that_fails_at_the_last_moment_means_not_signed_in() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let login = env.login(&sandbox, &["--json"]);
    let secrets = env.config_dir().join("secrets");
    fs::remove_dir(&secrets).expect("an empty store");
    fs::write(&secrets, "a file in its place").expect("a written file");
    let visit = login.visit(&sandbox.approve(login.url(), ALICE));
    login.wait().failed_with(7);
    visit.assert_not_signed_in();
    fs::remove_file(&secrets).expect("the file");
    env.assert_nothing_kept(&sandbox);
}

/// L-6, P-4: a code that was made for another request.
#[test]
fn the_code_of_another_login_is_worth_nothing() {
    let (env, other, sandbox) = (TestEnv::new(), TestEnv::new(), sandbox());
    let stranger = other.login(&sandbox, &[]);
    let login = env.login(&sandbox, &[]);
    let stolen = url::Url::parse(&sandbox.approve(stranger.url(), BOB)).expect("a redirect");
    let code = stolen.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let query = [("state", login.state()), ("iss", sandbox.issuer().to_owned()), ("code", code)];
    let target = url::Url::parse_with_params(login.redirect_uri().as_str(), &query).expect("a URL");
    login.visit(target.as_str()).assert_not_signed_in();
    login.wait().failed_with(1).said("invalid_grant");
    env.assert_nothing_kept(&sandbox);
}

/// The account is known by the ID token alone, so there is no signing in without one.
#[test]
fn a_person_who_unticks_openid_is_told_so() {
    let (env, sandbox) = (TestEnv::new(), sandbox());
    let only_email = Approval::only(ALICE, &["email"]);
    let (ran, _) = complete(env.login_command(&sandbox, &[]), |url| sandbox.approve_with(url, only_email));
    ran.failed_with(4).said("the grant does not cover openid");
    env.assert_nothing_kept(&sandbox);
}
