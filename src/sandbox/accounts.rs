//! The people of the sandbox and the scopes they can grant.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// The accounts that the sign-in page offers; any other e-mail address may be typed in.
pub(super) const ACCOUNTS: [&str; 2] = ["alice@example.test", "bob@example.test"];

/// Whether a typed account is an e-mail address, as far as a sandbox cares.
pub(super) fn is_email(account: &str) -> bool {
    let parts = account.split_once('@');
    let is_plain = account.len() <= 254 && account.chars().all(|c| c.is_ascii_graphic());
    is_plain && parts.is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

/// The subject of an account: opaque, and the same in every sandbox, so that a second login is the same person.
pub(super) fn subject(account: &str) -> String {
    let digest = Sha256::digest(format!("sandbox account {}", account.to_ascii_lowercase()));
    digest.iter().take(10).map(|byte| format!("{:02}", byte % 100)).collect()
}

/// The claims about a person that the granted scopes open (OpenID Connect Core section 5.4).
pub(super) fn claims(account: &str, scopes: &[String], google_shaped: bool) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("sub".into(), subject(account).into());
    if covers(scopes, "email") {
        claims.insert("email".into(), account.into());
        claims.insert("email_verified".into(), json!(true));
    }
    if covers(scopes, "profile") {
        claims.insert("name".into(), display_name(account).into());
    }
    if google_shaped {
        claims.insert("hd".into(), domain(account).into());
    }
    claims
}

/// The part after the `@`, which Google calls the hosted domain.
pub(super) fn domain(account: &str) -> &str {
    account.split_once('@').map_or("", |(_, domain)| domain)
}

/// `alice@example.test` is called Alice Example.
fn display_name(account: &str) -> String {
    let mut local = account.split('@').next().unwrap_or_default().chars();
    let first: String = local.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{} Example", local.as_str())
}

/// Splits a `scope` parameter; `None` if it is not one (RFC 6749 section 3.3) or names an unknown scope.
pub(super) fn parse_scopes(text: &str) -> Option<Vec<String>> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in text.split(' ') {
        if !is_known(scope) {
            return None;
        }
        if !scopes.iter().any(|earlier| earlier == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Some(scopes)
}

fn is_known(scope: &str) -> bool {
    let is_token = scope.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E));
    let is_url = scope.starts_with("https://") && url::Url::parse(scope).is_ok();
    is_token && (SCOPES.contains(&scope) || is_url)
}

/// Whether a scope is among the granted ones, under either of its names.
pub(super) fn covers(granted: &[String], scope: &str) -> bool {
    granted.iter().any(|granted| short_name(granted) == short_name(scope))
}

/// The scopes as an answer names them; Google answers with its long names (requirement G-30).
pub(super) fn spelled(scopes: &[String], google_shaped: bool) -> String {
    let spell = |scope: &String| if google_shaped { long_name(scope) } else { scope.clone() };
    scopes.iter().map(spell).collect::<Vec<_>>().join(" ")
}

/// Both names of each scope, as Google's redirect lists them (requirement G-21).
pub(super) fn spelled_twice(scopes: &[String]) -> String {
    let mut names: Vec<String> = scopes.to_vec();
    names.extend(scopes.iter().map(|scope| long_name(scope)).filter(|name| !scopes.contains(name)));
    names.join(" ")
}

fn short_name(scope: &str) -> &str {
    match scope.strip_prefix(GOOGLE_IDENTITY) {
        Some(name @ ("email" | "profile")) => name,
        _ => scope,
    }
}

fn long_name(scope: &str) -> String {
    match scope {
        "email" | "profile" => format!("{GOOGLE_IDENTITY}{scope}"),
        _ => scope.to_owned(),
    }
}

/// What discovery lists; URLs with https are scopes as well, as they are at Google.
pub(super) const SCOPES: [&str; 4] = ["openid", "email", "profile", "offline_access"];
const GOOGLE_IDENTITY: &str = "https://www.googleapis.com/auth/userinfo.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_a_subject_of_their_own_that_does_not_show_the_address() {
        let (alice, bob) = (subject(ACCOUNTS[0]), subject(ACCOUNTS[1]));
        assert!(alice != bob && !alice.contains("alice") && alice.len() == 20);
        assert_eq!(subject("Alice@Example.Test"), alice);
    }

    #[test]
    fn known_scopes_and_urls_are_scopes_and_nothing_else_is() {
        let scopes = parse_scopes("openid email openid https://www.example.test/auth/x").unwrap();
        assert_eq!(scopes, ["openid", "email", "https://www.example.test/auth/x"]);
        for text in ["", "openid  email", " openid", "admin", "openid \"", "http://plain.test/x"] {
            assert!(parse_scopes(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_scope_is_covered_under_either_name() {
        let granted = ["https://www.googleapis.com/auth/userinfo.email".to_owned()];
        assert!(covers(&granted, "email") && !covers(&granted, "profile"));
        assert_eq!(spelled(&["email".to_owned()], true), granted[0]);
    }
}
