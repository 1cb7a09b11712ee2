//! Why a grant has ended: the reasons that fit what is known of it, the likeliest first (G-29).

use gauth::Scopes;
use gauth::accounts::Profile;

use crate::commands::ago;

/// Reasons, each with its remedy. `said` is what the provider answered, `now` is in Unix seconds.
pub fn why_ended(profile: &Profile, said: &str, now: u64) -> Vec<String> {
    let age = now.saturating_sub(profile.created_at);
    if said.contains("rapt") {
        return vec![
            "the organization lets sign-ins last only so long (session control of Google Cloud): sign in again, or ask its administrator for longer sessions".to_owned(),
        ];
    }
    if !profile.provider.is_google() {
        return vec![
            "the access was withdrawn, or the password changed, or the grant was not used for too long: the provider's account page may tell".to_owned(),
        ];
    }
    let mut reasons = Vec::new();
    if age >= WEEK && !is_identity_only(&profile.scopes) {
        reasons.push(format!(
            "an app whose publishing status is Testing gets grants for 7 days, and this one is {} old: publish it at console.cloud.google.com, Google Auth Platform, Audience",
            ago(age)
        ));
    }
    if age >= HALF_A_YEAR {
        reasons.push("a grant that is not used for six months ends".to_owned());
    }
    if profile.scopes.iter().any(|scope| scope.contains("mail.google.com") || scope.contains("/auth/gmail")) {
        reasons.push("the password was changed: that ends grants with Gmail scopes".to_owned());
    }
    reasons.push(
        "the access was withdrawn, by its owner at myaccount.google.com/connections or by an administrator".to_owned(),
    );
    reasons.push(
        "an account has 100 grants at most for one client, and a new one ends the oldest: sign out where you no longer need it".to_owned(),
    );
    reasons
}

/// Those that a grant of a week is not limited for.
fn is_identity_only(scopes: &Scopes) -> bool {
    const IDENTITY: [&str; 5] = [
        "openid",
        "email",
        "profile",
        "https://www.googleapis.com/auth/userinfo.email",
        "https://www.googleapis.com/auth/userinfo.profile",
    ];
    scopes.iter().all(|scope| IDENTITY.contains(&scope))
}

const DAY: u64 = 86_400;
const WEEK: u64 = 7 * DAY;
const HALF_A_YEAR: u64 = 180 * DAY;

#[cfg(test)]
mod tests {
    use gauth::{Provider, StoreKind};

    use super::*;

    fn profile(scopes: &str) -> Profile {
        Profile {
            provider: Provider::google(),
            client_id: "client".to_owned(),
            subject: "1001".to_owned(),
            email: None,
            scopes: Scopes::parse(scopes),
            store: StoreKind::Memory,
            item: "item".to_owned(),
            generation: "login".to_owned(),
            created_at: 0,
            project_id: None,
            client_file: None,
            redirect: None,
            kept_until: None,
            shares_grants: false,
            needs_login: None,
        }
    }

    fn first(scopes: &str, said: &str, days: u64) -> String {
        why_ended(&profile(scopes), said, days * DAY).remove(0)
    }

    #[test]
    fn the_likeliest_reason_is_told_by_age_scopes_and_subtype() {
        let drive = "https://www.googleapis.com/auth/drive.readonly";
        assert!(first(drive, "invalid_grant", 8).contains("Testing"));
        assert!(first(drive, "invalid_grant", 6).contains("withdrawn"));
        assert!(first("openid email", "invalid_grant", 8).contains("withdrawn"));
        assert!(first("openid", "invalid_grant", 200).contains("six months"));
        assert!(first("https://mail.google.com/", "invalid_grant", 1).contains("password"));
        assert!(first(drive, "invalid_grant/invalid_rapt (reauth)", 8).contains("session control"));
        assert!(why_ended(&profile(drive), "invalid_grant", 0).iter().any(|reason| reason.contains("100 grants")));
    }
}
