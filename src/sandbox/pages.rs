//! The sandbox provider's pages: choose an account, allow access, and what went wrong.
//!
//! They post forms to `/authorize` and hold no script. Escaping is the sandbox's own: a judge that shared the
//! client's code would agree with its mistakes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The page on which the person says who they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignIn<'a> {
    /// The client that asked, by name or id.
    pub client: &'a str,
    /// The accounts to choose from, at least one; the first one is chosen already.
    pub accounts: &'a [&'a str],
    /// What the form carries along, name and value, exactly as given.
    pub hidden: &'a [(&'a str, &'a str)],
}

/// The page on which the person allows or denies each scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Consent<'a> {
    /// The client that asked, by name or id.
    pub client: &'a str,
    /// The account that signed in.
    pub account: &'a str,
    /// What was asked for; every box is checked already.
    pub scopes: &'a [&'a str],
    /// What the form carries along, name and value, exactly as given.
    pub hidden: &'a [(&'a str, &'a str)],
}

/// The sign-in page. Its form posts `account` and `action` (`continue` or `deny`) and what it carries along.
pub(super) fn sign_in(page: &SignIn) -> String {
    let accounts = page.accounts.iter().enumerate().map(|(index, account)| account_choice(account, index == 0));
    fill(SIGN_IN, &[("client", &shown(page.client)), ("accounts", &join(accounts)), ("hidden", &hidden(page.hidden))])
}

/// The consent page. Its form posts a `scope` for each box left checked, `action` (`approve` or `deny`) and what
/// it carries along.
pub(super) fn consent(page: &Consent) -> String {
    let scopes = join(page.scopes.iter().map(|scope| scope_choice(scope)));
    let values = [
        ("client", &shown(page.client)),
        ("account", &shown(page.account)),
        ("scopes", &scopes),
        ("hidden", &hidden(page.hidden)),
    ];
    fill(CONSENT, &values)
}

/// The page for a request that cannot be answered by a redirect (RFC 6749 section 4.1.2.1).
pub fn problem(title: &str, detail: &str) -> String {
    fill(PROBLEM, &[("title", &shown(title)), ("detail", &shown(detail))])
}

/// Allows the page its own style and nothing else.
///
/// There is no `form-action`: Chromium applies it to the redirect that answers the post, which goes to the client.
pub fn content_security_policy(html: &str) -> String {
    let style = html.split_once("<style>").and_then(|(_, after)| after.split_once("</style>"));
    // A checkout may bring CRLF; the browser hashes what its parser made of it, which is LF.
    let style = style.map_or_else(String::new, |(style, _)| style.replace("\r\n", "\n"));
    let hash = STANDARD.encode(Sha256::digest(style));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'")
}

fn account_choice(account: &str, chosen: bool) -> Html {
    let checked = Html(if chosen { " checked" } else { "" }.to_owned());
    let values = [("sent", &sent(account)), ("shown", &shown(account)), ("checked", &checked)];
    Html(fill(ACCOUNT, &values))
}

fn scope_choice(scope: &str) -> Html {
    let description = shown(description(scope));
    Html(fill(SCOPE, &[("sent", &sent(scope)), ("shown", &shown(scope)), ("description", &description)]))
}

fn hidden(fields: &[(&str, &str)]) -> Html {
    join(fields.iter().map(|(name, value)| Html(fill(HIDDEN, &[("name", &sent(name)), ("value", &sent(value))]))))
}

/// OpenID Connect Core sections 5.4 and 11 in plain words; any other scope speaks for itself.
fn description(scope: &str) -> &'static str {
    match scope {
        "openid" => "Know which account is yours",
        "email" => "See your e-mail address",
        "profile" => "See your name",
        "offline_access" => "Keep this access while you are away",
        _ => "",
    }
}

/// Text that is HTML already. Made by [`sent`], [`shown`] and [`join`] from anything, by hand only from constants.
struct Html(String);

/// A value that a form sends back exactly as it is, for a quoted attribute.
fn sent(text: &str) -> Html {
    let escapes = [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&#39;")];
    Html(escapes.iter().fold(text.to_owned(), |text, (plain, escape)| text.replace(plain, escape)))
}

/// A value for the eye: whatever would not show, or would reorder what shows, becomes a visible mark.
fn shown(text: &str) -> Html {
    let visible = |mark: char| if is_unseen(mark) { char::REPLACEMENT_CHARACTER } else { mark };
    sent(&text.chars().map(visible).collect::<String>())
}

fn is_unseen(mark: char) -> bool {
    let zero_width_or_bidi = ['\u{ad}', '\u{61c}', '\u{feff}'].contains(&mark)
        || ('\u{200b}'..='\u{200f}').contains(&mark)
        || ('\u{2028}'..='\u{202e}').contains(&mark)
        || ('\u{2060}'..='\u{206f}').contains(&mark);
    mark.is_control() || zero_width_or_bidi
}

fn join(parts: impl Iterator<Item = Html>) -> Html {
    Html(parts.map(|Html(part)| part).collect())
}

/// The template with each `{{name}}` replaced, in one pass.
fn fill(template: &str, values: &[(&str, &Html)]) -> String {
    let value_of = |name| values.iter().find(|(known, _)| *known == name).map_or("", |(_, Html(value))| value);
    let template = template.replacen("{{style}}", STYLE, 1);
    let mut pieces = template.split("{{");
    let start = pieces.next().unwrap_or_default().to_owned();
    pieces.filter_map(|piece| piece.split_once("}}")).fold(start, |page, (name, rest)| page + value_of(name) + rest)
}

const STYLE: &str = include_str!("../../templates/sandbox.css");
const SIGN_IN: &str = include_str!("../../templates/sandbox_sign_in.html");
const CONSENT: &str = include_str!("../../templates/sandbox_consent.html");
const PROBLEM: &str = include_str!("../../templates/sandbox_problem.html");

const ACCOUNT: &str = "<label class=\"choice\"><input type=\"radio\" name=\"account\" value=\"{{sent}}\"{{checked}} \
                       required><span>{{shown}}</span></label>";
const SCOPE: &str = "<label class=\"choice\"><input type=\"checkbox\" name=\"scope\" value=\"{{sent}}\" checked>\
                     <span><b>{{description}}</b><code>{{shown}}</code></span></label>";
const HIDDEN: &str = "<input type=\"hidden\" name=\"{{name}}\" value=\"{{value}}\">";

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<script>x</script>\"><img onerror=y>'&";
    const HARMLESS: &str = "&lt;script&gt;x&lt;/script&gt;&quot;&gt;&lt;img onerror=y&gt;&#39;&amp;";

    fn all_pages(text: &str) -> [String; 3] {
        let hidden: &[(&str, &str)] = &[(text, text)];
        [
            sign_in(&SignIn { client: text, accounts: &[text, text], hidden }),
            consent(&Consent { client: text, account: text, scopes: &[text], hidden }),
            problem(text, text),
        ]
    }

    #[test]
    fn hostile_text_stays_text_wherever_it_goes() {
        for (page, places) in all_pages(HOSTILE).iter().zip([9, 6, 3]) {
            assert_eq!(page.matches(HARMLESS).count(), places);
            assert!(!page.contains("<script") && !page.contains("<img"));
        }
    }

    #[test]
    fn what_is_shown_has_no_unseen_marks_and_what_is_sent_is_exact() {
        let text = "a\0\u{202e}\u{200b}\u{1b}b";
        assert_eq!(shown(text).0, "a\u{fffd}\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(sent(text).0, text);
        assert!(!problem(text, text).contains(['\0', '\u{202e}', '\u{200b}', '\u{1b}']));
    }

    #[test]
    fn a_value_is_never_read_as_a_template_and_every_place_is_filled() {
        let page = problem("{{detail}}", "b");
        assert_eq!(page.matches("{{detail}}").count(), 2);
        for page in all_pages("x") {
            assert!(!page.contains("{{"));
        }
    }

    #[test]
    fn the_first_account_is_chosen_and_both_forms_carry_the_hidden_fields() {
        let accounts = ["alice@example.test", "bob@example.test"];
        let page = sign_in(&SignIn { client: "demo", accounts: &accounts, hidden: &[("request", "r1")] });
        assert!(page.contains("value=\"alice@example.test\" checked"));
        assert_eq!(page.matches(" checked").count(), 1);
        assert_eq!(page.matches("<form method=\"post\" action=\"/authorize\">").count(), 2);
        assert_eq!(page.matches("<input type=\"hidden\" name=\"request\" value=\"r1\">").count(), 2);
        assert!(page.contains("name=\"action\" value=\"continue\"") && page.contains("name=\"action\" value=\"deny\""));
    }

    #[test]
    fn a_known_scope_is_described_and_another_is_named_as_it_is() {
        let scopes = ["email", "https://api.example.test/auth/notes.readonly"];
        let page = consent(&Consent { client: "demo", account: "alice@example.test", scopes: &scopes, hidden: &[] });
        assert!(page.contains("<b>See your e-mail address</b><code>email</code>"));
        assert!(page.contains("<b></b><code>https://api.example.test/auth/notes.readonly</code>"));
        assert!(page.contains("name=\"action\" value=\"approve\"") && page.contains("name=\"action\" value=\"deny\""));
    }

    #[test]
    fn the_policy_allows_exactly_the_style_and_lets_the_form_redirect() {
        for page in all_pages("x") {
            let (start, end) = (page.find("<style>").unwrap() + 7, page.find("</style>").unwrap());
            let hash = STANDARD.encode(Sha256::digest(&page.as_bytes()[start..end]));
            let policy = content_security_policy(&page);
            assert!(policy.contains(&format!("style-src 'sha256-{hash}'")) && !policy.contains("form-action"));
            assert_eq!(content_security_policy(&page.replace('\n', "\r\n")), policy);
        }
    }

    #[test]
    fn every_page_says_that_it_is_a_sandbox_and_loads_nothing() {
        for template in [SIGN_IN, CONSENT, PROBLEM] {
            for bad in ["<script", "http", "src=", "href", "url(", "@import", "style="] {
                assert!(!template.contains(bad), "{bad}");
            }
            for good in ["<html lang=\"en\">", "name=\"viewport\"", "<title>", "<main>", "<h1>", "grants nothing real"]
            {
                assert_eq!(template.matches(good).count(), 1, "{good}");
            }
        }
    }

    #[test]
    fn the_pages_share_one_style() {
        let policies = [SIGN_IN, CONSENT, PROBLEM].map(content_security_policy);
        assert!(policies.iter().all(|policy| *policy == policies[0]));
    }
}
