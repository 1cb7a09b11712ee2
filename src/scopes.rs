//! Scopes: an ordered set of OAuth scopes, Google's short names and aliases, and what covers what.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ordered set of scope values, each one `scope-token` of RFC 6749 section 3.3.
///
/// Comparison is by meaning: Google answers `email` as
/// `https://www.googleapis.com/auth/userinfo.email` (G-30), and both are the same member here.
///
/// ```
/// use gauth::Scopes;
///
/// let asked = Scopes::parse("openid email");
/// let granted = Scopes::parse("https://www.googleapis.com/auth/userinfo.email openid");
/// assert!(granted.covers(&asked));
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Reads a space-delimited list as in the `scope` parameter (RFC 6749 section 3.3).
    pub fn parse(text: &str) -> Scopes {
        text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect()
    }

    /// The scope tokens, in the order in which they were first named.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this scope, or an alias of it, is a member.
    pub fn contains(&self, scope: &str) -> bool {
        self.0.iter().any(|member| canonical(member) == canonical(scope))
    }

    /// Whether every member of `asked` is here too.
    pub fn covers(&self, asked: &Scopes) -> bool {
        asked.iter().all(|scope| self.contains(scope))
    }

    /// The members of this set that `granted` lacks.
    ///
    /// `offline_access` is left out: it asks for a refresh token (OpenID Connect Core section 11)
    /// and many providers do not list it in what they granted.
    pub fn missing_from(&self, granted: &Scopes) -> Scopes {
        self.iter().filter(|scope| *scope != "offline_access" && !granted.contains(scope)).map(str::to_owned).collect()
    }

    /// This set and then what `more` adds to it.
    pub fn union(&self, more: &Scopes) -> Scopes {
        self.iter().chain(more.iter()).map(str::to_owned).collect()
    }

    /// Google's long forms of short names: `drive.readonly` becomes
    /// `https://www.googleapis.com/auth/drive.readonly`; OpenID's own names stay.
    pub fn expand_for_google(&self) -> Scopes {
        self.iter().map(expand_for_google).collect()
    }

    /// Without the members that are no `scope-token`: what a provider says it granted is untrusted text (T-10).
    pub fn well_formed(self) -> Scopes {
        Scopes(self.0.into_iter().filter(|scope| scope.bytes().all(is_scope_byte)).collect())
    }

    /// The first member that is no `scope-token` (RFC 6749 section 3.3), if there is one.
    pub fn malformed(&self) -> Option<&str> {
        self.iter().find(|scope| !scope.bytes().all(is_scope_byte))
    }

    /// The set as a sorted line of canonical names: equal for sets that mean the same.
    pub fn canonical_line(&self) -> String {
        let mut names: Vec<&str> = self.iter().map(canonical).collect();
        names.sort_unstable();
        names.dedup();
        names.join(" ")
    }
}

impl fmt::Display for Scopes {
    /// Space-delimited, as on the wire.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl FromIterator<String> for Scopes {
    fn from_iter<I: IntoIterator<Item = String>>(scopes: I) -> Scopes {
        let mut set = Scopes::default();
        for scope in scopes {
            if !set.contains(&scope) {
                set.0.push(scope);
            }
        }
        set
    }
}

impl From<Vec<String>> for Scopes {
    fn from(scopes: Vec<String>) -> Scopes {
        scopes.into_iter().collect()
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Vec<String> {
        scopes.0
    }
}

impl PartialEq for Scopes {
    fn eq(&self, other: &Scopes) -> bool {
        self.covers(other) && other.covers(self)
    }
}

impl Eq for Scopes {}

/// The name under which Google's two spellings of an identity scope are one (G-30).
fn canonical(scope: &str) -> &str {
    match scope {
        "https://www.googleapis.com/auth/userinfo.email" => "email",
        "https://www.googleapis.com/auth/userinfo.profile" => "profile",
        other => other,
    }
}

fn expand_for_google(scope: &str) -> String {
    let is_short = !scope.contains([':', '/']) && !OPENID_NAMES.contains(&scope);
    if is_short { format!("https://www.googleapis.com/auth/{scope}") } else { scope.to_owned() }
}

/// `%x21 / %x23-5B / %x5D-7E`, RFC 6749 appendix A.4.
fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

const OPENID_NAMES: [&str; 6] = ["openid", "email", "profile", "address", "phone", "offline_access"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_form_of_email_covers_the_short_form_and_the_order_does_not_matter() {
        let asked = Scopes::parse("openid email profile");
        let granted = Scopes::parse(
            "https://www.googleapis.com/auth/userinfo.profile openid https://www.googleapis.com/auth/userinfo.email",
        );
        assert_eq!(asked, granted);
        assert!(asked.missing_from(&granted).is_empty());
        assert_eq!(asked.canonical_line(), granted.canonical_line());
    }

    #[test]
    fn what_was_not_granted_is_named() {
        let asked = Scopes::parse("openid https://a/read offline_access");
        let granted = Scopes::parse("openid");
        assert_eq!(asked.missing_from(&granted).to_string(), "https://a/read");
    }

    #[test]
    fn scopes_are_case_sensitive_and_members_are_kept_once() {
        assert!(!Scopes::parse("openid").contains("OpenID"));
        assert_eq!(Scopes::parse("a b a  b").to_string(), "a b");
    }

    #[test]
    fn short_names_expand_for_google_and_openid_names_do_not() {
        let expanded = Scopes::parse("openid email drive.readonly https://mail.google.com/").expand_for_google();
        assert_eq!(
            expanded.to_string(),
            "openid email https://www.googleapis.com/auth/drive.readonly https://mail.google.com/"
        );
    }

    #[test]
    fn a_quote_a_backslash_or_a_control_character_is_no_scope() {
        for bad in ["a\"b", "a\\b", "a\tb", "a\nb", "ä"] {
            assert_eq!(Scopes::parse(bad).malformed(), Some(bad));
        }
        assert_eq!(Scopes::parse("openid https://a/b?c=d").malformed(), None);
    }
}
