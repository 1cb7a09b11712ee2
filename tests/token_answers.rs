//! What the token endpoint can answer to a refresh, right and wrong (requirements, appendix A, group MD).
//!
//! Whatever it was: a failure prints nothing on stdout, and the next good answer gives a token again.
#![cfg(feature = "cli")]

#[path = "support/kept.rs"]
mod kept;
mod support;
#[path = "support/trap.rs"]
mod trap;

use std::fs;
use std::time::Duration;

use gauth::sandbox::{Fault, IdTokenFault, Sandbox};
use kept::{cache_file, change_index, item, newest_access, refreshes, signed_in, without_rotation};
use serde_json::{Value, json};
use support::{Ran, TestEnv};
use trap::Trap;

/// A refresh whose answer has this fault.
fn refreshed_with(env: &TestEnv, sandbox: &Sandbox, fault: Fault) -> Ran {
    sandbox.inject(fault);
    env.run(&["token", "--force-refresh"])
}

/// Neither the store nor the cache was touched, and the grant still works.
fn assert_unharmed(env: &TestEnv, sandbox: &Sandbox, what: &str, failed: impl FnOnce()) {
    let kept = || (fs::read(item(env)).expect("an item"), cache_file(env));
    let before = kept();
    failed();
    assert!(kept() == before, "{what}: something was overwritten");
    let ran = env.run(&["token", "--force-refresh"]);
    assert_eq!((ran.code, ran.stdout()), (Some(0), newest_access(sandbox) + "\n"), "{what}: {}", ran.stderr());
}

fn answer(status: u16, body: &str) -> Fault {
    Fault::Status { status, body: body.to_owned(), content_type: "application/json".to_owned(), headers: Vec::new() }
}

#[test]
fn an_answer_that_breaks_the_protocol_is_exit_1() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for fault in [
        Fault::Empty,
        answer(200, "[]"),
        answer(200, "null"),
        answer(200, "\"token\""),
        answer(200, "{}"),
        answer(200, "<html>signed in</html>"),
        answer(200, "{\"access_token\":\"half"),
        answer(200, &format!("{}1{}", "[".repeat(30_000), "]".repeat(30_000))),
        answer(204, ""),
        answer(400, ""),
        answer(400, "<html>bad</html>"),
        answer(400, "[\"invalid_grant\"]"),
        answer(404, "not found"),
        answer(418, "{\"error\":{\"code\":\"invalid_grant\"}}"),
        answer(400, "{\"error\":\"invented_by_them\"}"),
        Fault::Patch(json!({ "access_token": null })),
        Fault::Patch(json!({ "access_token": "" })),
        Fault::Patch(json!({ "access_token": 5 })),
        Fault::Patch(json!({ "access_token": ["a"] })),
        Fault::Patch(json!({ "token_type": null })),
        Fault::Patch(json!({ "token_type": "DPoP" })),
        Fault::Patch(json!({ "token_type": "mac" })),
        Fault::Patch(json!({ "token_type": 1 })),
        Fault::Patch(json!({ "refresh_token": 1 })),
        Fault::Patch(json!({ "id_token": "not.a-token" })),
        Fault::GzipBomb,
        Fault::Huge(70_000),
        Fault::Huge(20 << 20),
    ] {
        let what = format!("{fault:?}").chars().take(200).collect::<String>();
        assert_unharmed(&env, &sandbox, &what, || drop(refreshed_with(&env, &sandbox, fault).failed_with(1)));
    }
}

#[test]
fn a_token_with_a_line_end_a_space_or_a_nul_never_reaches_stdout_nor_the_store() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for bad in ["a\nhost=evil", "a\rb", "a\r\nb", "a b", " a", "a\n", "a\0b", "a\tb", "a\u{1b}[31mb", "ä", "a\u{7f}"] {
        for member in ["access_token", "refresh_token"] {
            let fault = Fault::Patch(json!({ member: bad }));
            assert_unharmed(&env, &sandbox, &format!("{member} {bad:?}"), || {
                let ran = refreshed_with(&env, &sandbox, fault).failed_with(1);
                assert!(!ran.stderr().contains("evil"), "{}", ran.stderr());
            });
        }
    }
}

#[test]
fn harmless_oddities_are_accepted() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for patch in [
        json!({ "token_type": "bearer" }),
        json!({ "token_type": "BEARER" }),
        json!({ "id_token": null }),
        json!({ "scope": null }),
        json!({ "refresh_token": "" }),
        json!({ "not_yet_invented": { "deep": [1, null] }, "error_uri": "https://example.test" }),
        json!({ "refresh_token_expires_in": 604_799 }),
    ] {
        let ran = refreshed_with(&env, &sandbox, Fault::Patch(patch.clone())).succeeded();
        assert_eq!(ran.stdout(), newest_access(&sandbox) + "\n", "{patch}");
        assert_eq!(env.run(&["token"]).succeeded().stdout(), newest_access(&sandbox) + "\n", "{patch}: cached");
    }
}

#[test]
fn expires_in_may_be_a_string_absent_negative_or_huge() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for (expires_in, most, is_kept) in [
        (json!(3600), 3600, true),
        (json!("3600"), 3600, true),
        (json!(3599.9), 3600, true),
        (Value::Null, 3600, true),
        (json!(0), 0, false),
        (json!(-5), 0, false),
        (json!(1e18), u64::MAX, true),
        (json!("nonsense"), 3600, true),
    ] {
        sandbox.inject(Fault::Patch(json!({ "expires_in": expires_in })));
        let printed = env.run(&["token", "--force-refresh", "--json"]).succeeded().json();
        assert_eq!(printed["access_token"], newest_access(&sandbox), "{expires_in}");
        assert!(printed["expires_in"].as_u64().expect("seconds") <= most, "{expires_in}: {printed}");
        let expires_at = printed["expires_at"].as_str().expect("a time");
        assert!(humantime::parse_rfc3339(expires_at).is_ok(), "{expires_in}: {expires_at}");
        let (count, _) = (refreshes(&sandbox).len(), env.run(&["token"]).succeeded());
        assert_eq!(refreshes(&sandbox).len() == count, is_kept, "{expires_in}: a dead token is not served again");
        let _ = env.run(&["status"]).succeeded();
    }
}

#[test]
fn an_error_means_the_same_with_status_200() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    let _ = refreshed_with(&env, &sandbox, answer(200, r#"{"error":"invalid_grant"}"#)).failed_with(4);
    let _ = refreshed_with(&env, &sandbox, answer(200, r#"{"error":"server_error"}"#)).failed_with(6);
    let with_token = r#"{"error":"invalid_client","access_token":"a","token_type":"Bearer"}"#;
    let _ = refreshed_with(&env, &sandbox, answer(200, with_token)).failed_with(3);
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[test]
fn every_refusal_of_the_list_has_its_exit_code_and_loses_nothing() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for (status, error, code) in [
        (400, "invalid_grant", 4),
        (401, "invalid_client", 3),
        (401, "deleted_client", 3),
        (401, "disabled_client", 3),
        (400, "unauthorized_client", 3),
        (400, "invalid_request", 1),
        (400, "unsupported_grant_type", 1),
        (400, "admin_policy_enforced", 5),
        (403, "org_internal", 5),
        (403, "access_denied", 5),
        (400, "server_error", 6),
        (400, "temporarily_unavailable", 6),
        (400, "internal_failure", 6),
        (403, "rate_limit_exceeded", 6),
    ] {
        let stored = fs::read(item(&env)).expect("an item");
        let ran = refreshed_with(&env, &sandbox, Fault::error(status, error, "in their words")).failed_with(code);
        assert!(ran.stderr().contains("hint: "), "{error}: {}", ran.stderr());
        assert!(code == 6 || ran.stderr().contains(error), "{error}: {}", ran.stderr());
        assert_eq!(fs::read(item(&env)).expect("an item"), stored, "{error}");
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
    }
}

#[test]
fn a_client_that_lacks_its_secret_is_a_matter_of_configuration() {
    let sandbox = without_rotation();
    let env = TestEnv::new();
    let login = support::Running::start_login(env.login_command_of(&sandbox, "sandbox-public", &[]));
    login.visit(&sandbox.approve(login.url(), support::ALICE));
    let _ = login.wait().succeeded();
    let fault = Fault::error(400, "invalid_request", "client_secret is missing.");
    refreshed_with(&env, &sandbox, fault).failed_with(3).said("client_secret is missing.");
    let _ = env.run(&["token", "--force-refresh"]).succeeded();
}

#[test]
fn words_of_the_provider_reach_the_terminal_only_as_plain_text() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    let hostile = "\u{1b}]0;owned\u{7}a\rb\nerror: forged\u{202e}c\u{9b}31m";
    let body = json!({ "error": "invalid_grant", "error_description": hostile, "error_subtype": hostile });
    let ran = refreshed_with(&env, &sandbox, answer(400, &body.to_string())).failed_with(4);
    let status = env.run(&["status"]).succeeded();
    for text in [ran.stderr(), status.stdout(), env.run(&["list"]).succeeded().stdout()] {
        assert!(!text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}', '\u{9b}']), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: forged")), "{text:?}");
    }
}

#[test]
fn a_redirect_is_never_followed() {
    let sandbox = without_rotation();
    let (env, trap) = (signed_in(&sandbox), Trap::set());
    let redirect = |status| Fault::Status {
        status,
        body: String::new(),
        content_type: "text/plain".to_owned(),
        headers: vec![("Location".to_owned(), trap.url())],
    };
    for fault in
        [redirect(301), redirect(302), redirect(303), redirect(307), redirect(308), Fault::Redirect(trap.url())]
    {
        let what = format!("{fault:?}");
        assert_unharmed(&env, &sandbox, &what, || drop(refreshed_with(&env, &sandbox, fault).failed_with(1)));
    }
    trap.assert_untouched();
}

#[test]
fn a_body_without_an_end_is_cut_off() {
    let sandbox = without_rotation();
    let token_endpoint = format!("{}/token", sandbox.issuer());
    for head in
        ["HTTP/1.1 200 OK\r\n\r\n{\"access_token\":\"a\"", "HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP/1.1 200 OK\r\nA: "]
    {
        let env = signed_in(&sandbox);
        let (url, taken) = trap::endless(head);
        change_index(&env, |text| text.replace(&token_endpoint, &url));
        let ran = env.run(&["token", "--force-refresh"]);
        assert!(matches!(ran.code, Some(1 | 6)), "{head:?}: {}", ran.stderr());
        assert_eq!(ran.stdout(), "");
        assert!(taken.join().expect("counted") < trap::LIMIT, "{head:?}: it was read without limit");
        change_index(&env, |text| text.replace(&url, &token_endpoint));
        let _ = env.run(&["token", "--force-refresh"]).succeeded();
    }
}

// Two that have to wait for the limit of 15 seconds; they run side by side.

#[test]
fn an_answer_that_never_comes_is_given_up_and_not_asked_for_again() {
    gives_up(Fault::Hang(Duration::from_secs(300)));
}

#[test]
fn an_answer_that_drips_is_given_up_and_not_asked_for_again() {
    gives_up(Fault::Drip(Duration::from_secs(1)));
}

fn gives_up(fault: Fault) {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    assert_unharmed(&env, &sandbox, "no end", || {
        refreshed_with(&env, &sandbox, fault).failed_with(6).said("got lost");
        assert_eq!(refreshes(&sandbox).len(), 1, "the provider may have acted on it");
    });
}

#[test]
fn an_answer_that_breaks_off_or_gets_lost_is_exit_6_and_not_asked_for_again() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for fault in [Fault::Truncated, Fault::LostAfter] {
        let (what, count) = (format!("{fault:?}"), refreshes(&sandbox).len());
        assert_unharmed(&env, &sandbox, &what, || {
            let _ = refreshed_with(&env, &sandbox, fault).failed_with(6);
            assert_eq!(refreshes(&sandbox).len(), count + 1, "{what}");
        });
    }
}

// The ID token of a refresh (V-16)

#[test]
fn an_answer_about_somebody_else_is_not_printed_and_changes_nothing() {
    let sandbox = without_rotation();
    let env = signed_in(&sandbox);
    for claims in [
        json!({ "sub": "somebody-else" }),
        json!({ "sub": null }),
        json!({ "sub": 7 }),
        json!({ "aud": "another-client" }),
        json!({ "aud": ["sandbox-installed", "another-client"] }),
        json!({ "aud": null }),
        json!({ "iss": "https://other.example" }),
        json!({ "iss": null }),
        json!({ "azp": "another-client" }),
    ] {
        let fault = Fault::IdToken(IdTokenFault::Claims(claims.clone()));
        assert_unharmed(&env, &sandbox, &claims.to_string(), || {
            refreshed_with(&env, &sandbox, fault).failed_with(1).said("another account");
        });
    }
    for fault in [IdTokenFault::DuplicateMember, IdTokenFault::FourSegments] {
        let what = format!("{fault:?}");
        let failed = || drop(refreshed_with(&env, &sandbox, Fault::IdToken(fault)).failed_with(1));
        assert_unharmed(&env, &sandbox, &what, failed);
    }
}
