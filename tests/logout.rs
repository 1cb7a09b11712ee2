//! `gauth logout`: ended at the provider first, then forgotten here (R-1 to R-3, G-35; appendix A, group MG).
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;

use std::fs;
use std::time::Duration;

use gauth::sandbox::{ClientAuth, Endpoint, Fault, IssuedKind, Sandbox};
use kept::{cached, change_index, issued, item, newest_refresh, secrets_dir, signed_in};
use serde_json::json;
use support::{ALICE, BOB, Ran, Running, TestEnv, change, sandbox};

/// Nothing of the profile is left on this machine.
fn assert_gone(env: &TestEnv, sandbox: &Sandbox) {
    assert_eq!(env.profiles().len(), 0);
    assert!(env.files_below(&secrets_dir(env)).is_empty(), "the store is empty");
    assert!(cached(env).is_empty(), "the cache is empty");
    for issued in sandbox.issued() {
        assert!(env.files_with(&issued.value).is_empty(), "{issued:?}");
    }
    assert!(env.files_with(support::CLIENT_SECRET).is_empty());
}

fn is_any_active(sandbox: &Sandbox) -> bool {
    sandbox.issued().iter().any(|issued| sandbox.is_active(&issued.value))
}

/// Deleted here, alive there, and the person knows.
fn assert_lives_on(ran: Ran, env: &TestEnv, code: i32) {
    assert_eq!((ran.code, ran.stdout()), (Some(code), String::new()), "{}", ran.stderr());
    let warned = ran.stderr().lines().any(|line| line.starts_with("warning: ") && line.contains("lives on"));
    assert!(warned, "{}", ran.stderr());
    assert_eq!(env.profiles().len(), 0);
    assert!(env.files_below(&secrets_dir(env)).is_empty() && cached(env).is_empty());
}

#[test]
fn a_logout_revokes_the_grant_and_forgets_it_and_there_is_no_second_one() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
    assert!(is_any_active(&sandbox));
    let ran = env.run(&["logout"]).succeeded();
    assert_eq!(ran.stdout(), "", "there is no answer to print");
    assert!(!is_any_active(&sandbox), "neither refresh nor access token works any more");
    assert_gone(&env, &sandbox);
    let count = sandbox.count(Endpoint::Revoke);
    env.run(&["logout"]).failed_with(4).said("there is no profile");
    let _ = env.run(&["token"]).failed_with(4);
    assert_eq!(sandbox.count(Endpoint::Revoke), count);
}

#[test]
fn the_revocation_is_a_form_with_the_refresh_token_and_one_proof_of_the_client() {
    let sandbox = sandbox();
    for (client, has_secret) in [("sandbox-installed", true), ("sandbox-odd-secret", true), ("sandbox-public", false)] {
        let env = TestEnv::new();
        let login = Running::start_login(env.login_command_of(&sandbox, client, &[]));
        login.visit(&sandbox.approve(login.url(), ALICE));
        let _ = login.wait().succeeded();
        let refresh_token = newest_refresh(&sandbox);
        let _ = env.run(&["logout"]).succeeded();
        let mut seen = sandbox.seen();
        seen.retain(|seen| seen.endpoint == Endpoint::Revoke);
        let last = seen.last().expect("a revocation");
        assert_eq!((last.method.as_str(), last.status), ("POST", 200), "{client}");
        assert_eq!(matches!(last.client_auth, ClientAuth::Basic | ClientAuth::Post), has_secret, "{client}");
        assert_eq!(last.param("token"), Some(refresh_token.as_str()));
        assert_eq!(last.param("token_type_hint"), Some("refresh_token"));
        assert!(!is_any_active(&sandbox), "{client}");
    }
}

#[test]
fn local_only_asks_nobody_and_says_that_the_grant_lives_on() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    env.run(&["logout", "--local-only"]).succeeded().said("lives on");
    assert_eq!(sandbox.count(Endpoint::Revoke), 0);
    assert!(is_any_active(&sandbox));
    assert_gone(&env, &sandbox);
}

#[test]
fn local_only_works_without_the_provider_and_with_a_damaged_item() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    fs::write(item(&env), "garbage").expect("written");
    let issuer = sandbox.issuer().to_owned();
    drop(sandbox);
    let _ = env.run(&["logout", "--local-only"]).succeeded();
    assert_eq!(env.profiles().len(), 0);
    assert!(env.files_below(&secrets_dir(&env)).is_empty() && cached(&env).is_empty());
    assert!(env.files_with(&issuer).is_empty(), "not even the profile's words are left");
}

#[test]
fn a_logout_ends_one_profile_and_all_ends_all() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    for (name, account) in [("default", ALICE), ("work", BOB), ("third", ALICE)] {
        let _ = env.signed_in(&sandbox, account, &["--profile", name]);
    }
    let _ = env.run(&["use", "work"]).succeeded();
    let _ = env.run(&["logout"]).succeeded();
    let names: Vec<_> = env.profiles().iter().map(|profile| profile["profile"].clone()).collect();
    assert_eq!(names, ["default", "third"], "the one that is in use was meant");
    for name in ["default", "third"] {
        let token = env.run(&["token", "--profile", name]).succeeded().stdout();
        assert!(sandbox.is_active(token.trim()));
    }
    let _ = env.run(&["token"]).succeeded(); // "default" again, now that the chosen one is gone

    let ran = env.run(&["logout", "--all", "--profile", "third"]);
    assert_eq!((ran.code, env.profiles().len()), (Some(2), 2), "all of them, or one");
    let _ = env.run(&["logout", "--all"]).succeeded();
    assert!(!is_any_active(&sandbox));
    assert_gone(&env, &sandbox);
    let _ = env.run(&["logout", "--all"]).succeeded(); // none is all of none
}

#[test]
fn all_goes_on_after_a_profile_that_cannot_be_ended_and_says_so_by_its_exit_code() {
    let sandbox = sandbox();
    let env = TestEnv::new();
    for name in ["a", "b", "c"] {
        let _ = env.signed_in(&sandbox, ALICE, &["--profile", name]);
    }
    let items = env.files_below(&secrets_dir(&env));
    let bad = items.iter().find(|path| path.to_string_lossy().contains("b@")).expect("the item of b");
    fs::write(bad, "garbage").expect("written");
    let _ = env.run(&["logout", "--all"]).failed_with(7);
    let left = env.profiles();
    assert_eq!((left.len(), &left[0]["profile"]), (1, &json!("b")));
    assert_eq!(env.files_below(&secrets_dir(&env)), std::slice::from_ref(bad));
    assert_eq!(sandbox.count(Endpoint::Revoke), 2);
}

// What the provider can answer

#[test]
fn an_unreachable_provider_is_exit_6_with_everything_deleted_here_and_a_warning() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    drop(sandbox);
    assert_lives_on(env.run(&["logout"]), &env, 6);
}

#[test]
fn a_provider_in_trouble_is_asked_a_bounded_number_of_times_and_the_grant_lives_on() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::RetryAfter { status: 503, seconds: 0 }.at(Endpoint::Revoke).times(100));
    assert_lives_on(env.run(&["logout"]), &env, 6);
    assert!((1..=4).contains(&sandbox.count(Endpoint::Revoke)));
    assert!(is_any_active(&sandbox), "a 503 means that the token is alive (R-2)");
}

#[test]
fn trouble_that_passes_is_no_trouble() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::Html502.at(Endpoint::Revoke));
    let _ = env.run(&["logout"]).succeeded();
    assert!(!is_any_active(&sandbox));
}

/// Waits for the limit of 15 seconds.
#[test]
fn a_provider_that_never_answers_is_given_up_and_the_grant_is_taken_to_live_on() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::Hang(Duration::from_secs(300)).at(Endpoint::Revoke));
    assert_lives_on(env.run(&["logout"]), &env, 6);
}

#[test]
fn a_token_that_is_invalid_already_counts_as_revoked() {
    let sandbox = sandbox();
    for google_shaped in [false, true] {
        let env = signed_in(&sandbox);
        sandbox.revoke_grants();
        change(&sandbox, |settings| settings.google_shaped = google_shaped);
        let ran = env.run(&["logout"]).succeeded();
        assert!(!ran.stderr().contains("warning"), "{}", ran.stderr());
        assert_gone(&env, &sandbox);
        change(&sandbox, |settings| settings.google_shaped = false);
    }
    let env = signed_in(&sandbox);
    sandbox.inject(Fault::error(400, "invalid_token", "Token expired or revoked").at(Endpoint::Revoke));
    let _ = env.run(&["logout"]).succeeded();
    assert_gone(&env, &sandbox);
}

#[test]
fn any_other_refusal_is_a_failure_that_says_that_the_grant_lives_on() {
    let sandbox = sandbox();
    for (status, error, code) in [
        (400, "unsupported_token_type", 1),
        (401, "invalid_client", 3),
        (400, "invalid_request", 1),
        (403, "access_denied", 5),
        (400, "server_error", 6),
    ] {
        let env = signed_in(&sandbox);
        sandbox.inject(Fault::error(status, error, "in their words").at(Endpoint::Revoke));
        assert_lives_on(env.run(&["logout"]), &env, code);
    }
    for fault in [Fault::Redirect("http://127.0.0.1:1/".to_owned()), Fault::Huge(1 << 20), Fault::error(404, "", "")] {
        let env = signed_in(&sandbox);
        sandbox.inject(fault.at(Endpoint::Revoke));
        assert_lives_on(env.run(&["logout"]), &env, 1);
    }
}

#[test]
fn a_provider_without_a_revocation_endpoint_is_said_to_have_none() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    change_index(&env, |text| {
        let without: Vec<_> = text.lines().filter(|line| !line.starts_with("revocation_endpoint")).collect();
        without.join("\n")
    });
    let ran = env.run(&["logout"]).said("offers no revocation").said("lives on");
    assert_eq!(env.profiles().len(), 0, "{}", ran.stderr());
    assert_eq!(sandbox.count(Endpoint::Revoke), 0);
}

#[test]
fn at_google_it_is_said_that_the_whole_project_loses_its_access() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    // Google by its issuer; the endpoints of the profile are still those of the sandbox
    let issuer = format!("issuer = \"{}\"", sandbox.issuer());
    change_index(&env, |text| text.replace(&issuer, "issuer = \"https://accounts.google.com\""));
    env.run(&["logout"]).succeeded().said("Google").said("whole project");
    assert!(!is_any_active(&sandbox));
}

// What this machine can do to it

#[test]
fn a_store_that_cannot_be_read_is_exit_7_and_nothing_is_deleted_nor_revoked() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    kept::take_store_away(&env);
    let before = kept::snapshot(&env.config_dir());
    env.run(&["logout"]).failed_with(7).said("hint: ");
    assert!(kept::snapshot(&env.config_dir()) == before);
    assert_eq!((cached(&env).len(), sandbox.count(Endpoint::Revoke)), (1, 0));

    kept::bring_store_back(&env);
    let _ = env.run(&["logout"]).succeeded();
    assert!(!is_any_active(&sandbox));
}

/// A profile whose store is gone for good can still be removed; what stays in the store is named.
#[test]
fn local_only_works_without_the_store_and_names_what_stays_there() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    kept::take_store_away(&env);
    env.run(&["logout"]).failed_with(7).said("gauth logout --local-only");
    env.run(&["logout", "--local-only"]).succeeded().said("stays in it");
    assert_eq!((env.profiles().len(), cached(&env).len()), (0, 0));
}

#[test]
fn without_the_item_there_is_nothing_to_revoke_and_the_provider_is_not_blamed() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    fs::remove_file(item(&env)).expect("removed");
    let ran = env.run(&["logout"]);
    assert_eq!(env.profiles().len(), 0, "{}", ran.stderr());
    assert!(!ran.stderr().contains("offers no revocation"), "it does offer it: {}", ran.stderr());
}

#[test]
fn narrowed_tokens_are_forgotten_as_well() {
    let sandbox = sandbox();
    for how in [["logout"].as_slice(), &["logout", "--local-only"]] {
        let env = signed_in(&sandbox);
        let _ = env.run(&["token", "--scope", "email"]).succeeded();
        assert_eq!(cached(&env).len(), 2);
        let _ = env.run(how).succeeded();
        assert_eq!(cached(&env), Vec::<std::path::PathBuf>::new(), "{how:?}");
    }
}

#[test]
fn a_profile_whose_grant_has_ended_can_be_signed_out_and_in_again() {
    let sandbox = sandbox();
    let env = signed_in(&sandbox);
    sandbox.revoke_grants();
    let _ = env.run(&["token", "--force-refresh"]).failed_with(4);
    let _ = env.run(&["logout"]).succeeded();
    assert_gone(&env, &sandbox);
    let _ = env.signed_in(&sandbox, BOB, &[]);
    let token = env.run(&["token"]).succeeded().stdout();
    assert!(sandbox.is_active(token.trim()));
    assert_eq!(issued(&sandbox, IssuedKind::RefreshToken).len(), 2);
}
