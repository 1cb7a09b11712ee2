//! The pages that end a login in the browser: what they say, and the headers that keep them inert (L-13, L-14).
//!
//! The texts are in `templates/`: no script, nothing remote, no link (B-6). Every value that goes into one is
//! escaped by `fill`, which has no way to put markup in. When to show which page is the flow's business (L-15).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// An answer for the browser, without the transport's own headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// The HTML; empty for a redirect to the page (N-11).
    pub body: String,
}

impl Page {
    /// The headers that every answer of the loopback server carries, errors and redirects too (L-13, L-14).
    ///
    /// There is no CORS header among them, so no other page can read an answer.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let fixed = FIXED_HEADERS.map(|(name, value)| (name, value.to_owned()));
        let policy = ("Content-Security-Policy", content_security_policy(&self.body));
        fixed.into_iter().chain([policy]).collect()
    }
}

/// What the page says of a login that worked.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn<'a> {
    /// The program that has access now: gauth, or a desktop program by its own name.
    pub program: &'a str,
    /// gauth's profile. A desktop program has none, and then the person is sent back to it and not to a terminal.
    pub profile: Option<&'a str>,
    /// The account's e-mail address, or its subject where the provider gives no address.
    pub account: &'a str,
    /// The provider's host.
    pub provider: &'a str,
    /// Where the credential is now, such as "in your keyring".
    pub stored: &'a str,
    /// One more thing to know, such as scopes that were not granted.
    pub note: Option<&'a str>,
}

/// What the page says of a login that failed.
#[derive(Clone, Copy, Debug)]
pub struct NotSignedIn<'a> {
    /// The program that asked.
    pub program: &'a str,
    /// What happened, as a sentence.
    pub reason: &'a str,
    /// What to do next, as a sentence; the first part between backticks is set as a command.
    pub next: &'a str,
}

/// The page after the exchange, the checks and the save have all succeeded, and never before (L-15).
pub fn signed_in(page: &SignedIn) -> Page {
    let in_terminal = page.profile.is_some();
    let profile = page.profile.map(|profile| format!(", profile {profile}")).unwrap_or_default();
    let program_and_profile = format!("{}{profile}", page.program);
    let values = [
        ("account", page.account),
        ("provider", page.provider),
        ("program", page.program),
        ("program_and_profile", &program_and_profile),
        ("stored", page.stored),
        ("note", page.note.unwrap_or_default()),
        ("place", if in_terminal { "your terminal" } else { page.program }),
    ];
    Page { status: 200, body: fill(SUCCESS, &values) }
}

/// The page for a login that ended without a credential.
///
/// The status is 400: the redirect asked for a sign-in and did not get one. A person reads the same page at any
/// status; a log, a test or a program in the browser's place must not take it for a success.
pub fn not_signed_in(page: &NotSignedIn) -> Page {
    let mut parts = page.next.splitn(3, '`');
    let values = [
        ("program", page.program),
        ("reason", page.reason),
        ("before", parts.next().unwrap_or_default()),
        ("command", parts.next().unwrap_or_default()),
        ("after", parts.next().unwrap_or_default()),
    ];
    Page { status: 400, body: fill(FAILURE, &values) }
}

/// The page for a request that is no part of the login: constant text, nothing of the request in it (L-13).
pub fn notice(status: u16) -> Page {
    let (heading, text) = notice_text(status);
    Page { status, body: fill(NOTICE, &[("heading", heading), ("text", text)]) }
}

fn notice_text(status: u16) -> (&'static str, &'static str) {
    match status {
        400 => (NOT_PART, "It does not belong to the sign-in that is waiting here. That sign-in is still waiting."),
        403 => (NOT_PART, "The request did not come from the browser tab that signs in, and was refused."),
        404 => (NOT_PART, "There is nothing at this address."),
        405 => (NOT_PART, "This address answers only to a browser that opens it."),
        409 | 410 => ("This sign-in is over", "Its answer has been used, and works only once."),
        _ => (NOT_PART, "The request was refused."),
    }
}

/// The template with its `{{name}}` places filled, in one pass: a value is never read as a template.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let template = template.replacen("{{style}}", STYLE, 1);
    let mut pieces = template.split("{{");
    let mut page = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or(("", piece));
        let value = values.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        debug_assert!(value.is_some(), "no value for {name}");
        page.extend(value.unwrap_or(&"").chars().take(LONGEST_VALUE).map(escaped));
        page.push_str(rest);
    }
    page
}

/// One character as HTML text or as a part of a quoted attribute.
fn escaped(character: char) -> String {
    match character {
        '&' => "&amp;".into(),
        '<' => "&lt;".into(),
        '>' => "&gt;".into(),
        '"' => "&quot;".into(),
        '\'' => "&#39;".into(),
        // UTF-7 writes "<" as "+ADw-" (L-13).
        '+' => "&#43;".into(),
        '\t' | '\n' | '\r' => ' '.into(),
        unseen if is_unseen(unseen) => char::REPLACEMENT_CHARACTER.into(),
        seen => seen.into(),
    }
}

/// Controls, and the marks that reorder, hide or join text without showing: a name must look like what it is.
fn is_unseen(character: char) -> bool {
    character.is_control() || UNSEEN.iter().any(|(first, last)| (*first..=*last).contains(&character))
}

/// Allows the page its own style and nothing else; the hash is taken from the page and so cannot go stale.
fn content_security_policy(html: &str) -> String {
    let style = style_of(html).map_or("'none'".to_owned(), |style| format!("'sha256-{}'", sha256(&style)));
    format!("default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
}

/// The style as the browser hashes it: HTML parsing turns CRLF, which a checkout may bring, into LF.
fn style_of(html: &str) -> Option<String> {
    let (_, after) = html.split_once("<style>")?;
    let (style, _) = after.split_once("</style>")?;
    Some(style.replace("\r\n", "\n"))
}

fn sha256(text: &str) -> String {
    STANDARD.encode(Sha256::digest(text))
}

const STYLE: &str = include_str!("../../templates/page.css");
const SUCCESS: &str = include_str!("../../templates/success.html");
const FAILURE: &str = include_str!("../../templates/failure.html");
const NOTICE: &str = include_str!("../../templates/notice.html");

const NOT_PART: &str = "This page is not part of a sign-in";

/// The same limit as for server text on a terminal (L-16).
const LONGEST_VALUE: usize = 512;

/// Format characters and fillers, by Unicode's bidirectional controls and default-ignorable code points.
const UNSEEN: [(char, char); 14] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{e0000}', '\u{e0fff}'),
];

const FIXED_HEADERS: [(&str, &str); 7] = [
    ("Content-Type", "text/html; charset=utf-8"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<script>x</script>\"><img onerror=y>' & +ADw-\0\u{1b}[31m\u{202e}\u{200b}\u{85}{{account}}";

    fn success(text: &str) -> Page {
        let page = SignedIn {
            program: text,
            profile: Some(text),
            account: text,
            provider: text,
            stored: text,
            note: Some(text),
        };
        signed_in(&page)
    }

    fn failure(text: &str) -> Page {
        not_signed_in(&NotSignedIn { program: text, reason: text, next: text })
    }

    fn header(page: &Page, name: &str) -> String {
        page.headers().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value).unwrap()
    }

    #[test]
    fn hostile_text_stays_text_wherever_it_goes() {
        let harmless = "&lt;script&gt;x&lt;/script&gt;&quot;&gt;&lt;img onerror=y&gt;&#39; &amp; &#43;ADw-\
                        \u{fffd}\u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}{{account}}";
        for (page, places) in [(success(HOSTILE), 7), (failure(HOSTILE), 4)] {
            assert_eq!(page.body.matches(harmless).count(), places);
            for bad in ["<script", "<img", "+ADw-", "\0", "\u{1b}", "\u{202e}", "\u{200b}", "\u{85}"] {
                assert!(!page.body.contains(bad), "{bad:?}");
            }
        }
    }

    #[test]
    fn a_line_break_in_a_value_is_a_space_and_a_value_is_cut_at_the_limit() {
        assert_eq!(fill("<b>{{a}}</b>", &[("a", "one\r\ntwo")]), "<b>one  two</b>");
        assert_eq!(fill("{{a}}", &[("a", &"x".repeat(9000))]).len(), LONGEST_VALUE);
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "no value for b")]
    fn a_place_without_a_value_is_a_mistake_in_the_template() {
        fill("{{a}} {{b}}", &[("a", "")]);
    }

    #[test]
    fn the_page_says_who_where_and_what_next() {
        let page = SignedIn {
            program: "gauth",
            profile: Some("work"),
            account: "alice@example.test",
            provider: "accounts.example.test",
            stored: "in your keyring",
            note: None,
        };
        let body = signed_in(&page).body;
        for text in ["alice@example.test", "accounts.example.test", "gauth, profile work", "in your keyring"] {
            assert!(body.contains(text), "{text}");
        }
        assert!(body.contains("go back to <span>your terminal</span>."));
        let desktop = signed_in(&SignedIn { program: "Photo Sorter", profile: None, ..page }).body;
        assert!(desktop.contains("go back to <span>Photo Sorter</span>.") && !desktop.contains("profile"));
    }

    #[test]
    fn the_command_in_what_to_do_next_is_set_apart() {
        let next = "Run `gauth login --profile work` again.";
        let page = not_signed_in(&NotSignedIn { program: "gauth", reason: "Access was denied.", next });
        assert_eq!(page.status, 400);
        assert!(page.body.contains("Run <code>gauth login --profile work</code> again."));
        assert!(failure("Try again.").body.contains("<p>Try again.<code></code></p>"));
    }

    #[test]
    fn a_notice_keeps_its_status_and_knows_any() {
        for status in [400, 403, 404, 405, 409, 410, 413, 500] {
            assert_eq!(notice(status).status, status);
            assert!(notice(status).body.contains("sign-in"));
        }
    }

    #[test]
    fn the_policy_allows_exactly_the_style_of_the_page() {
        for page in [success("x"), failure("x"), notice(404)] {
            let (start, end) = (page.body.find("<style>").unwrap() + 7, page.body.find("</style>").unwrap());
            let hash = STANDARD.encode(Sha256::digest(&page.body.as_bytes()[start..end]));
            let expected = format!(
                "default-src 'none'; style-src 'sha256-{hash}'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            );
            assert_eq!(header(&page, "Content-Security-Policy"), expected);
        }
    }

    #[test]
    fn the_hash_is_the_one_browsers_know_and_ignores_the_line_endings_of_the_checkout() {
        let empty = content_security_policy("<style></style>");
        assert!(empty.contains("style-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"));
        let windows = NOTICE.replace('\n', "\r\n");
        assert_eq!(content_security_policy(&windows), content_security_policy(NOTICE));
    }

    #[test]
    fn a_redirect_without_a_body_carries_the_headers_too_and_nothing_allows_another_origin() {
        let redirect = Page { status: 303, body: String::new() };
        assert!(header(&redirect, "Content-Security-Policy").contains("style-src 'none'"));
        assert_eq!(header(&redirect, "Cache-Control"), "no-store");
        assert_eq!(header(&redirect, "Referrer-Policy"), "no-referrer");
        assert!(redirect.headers().iter().all(|(name, _)| !name.starts_with("Access-Control")));
    }

    #[test]
    fn no_template_has_a_script_a_link_or_anything_remote() {
        for template in [SUCCESS, FAILURE, NOTICE] {
            for bad in ["<script", "http", "src=", "href", "url(", "@import", "style=", "<form"] {
                assert!(!template.contains(bad), "{bad}");
            }
            for good in ["<html lang=\"en\">", "name=\"viewport\"", "<title>", "<main>", "<h1>"] {
                assert_eq!(template.matches(good).count(), 1, "{good}");
            }
        }
    }

    #[test]
    fn the_pages_share_one_style() {
        assert_eq!(style_of(SUCCESS), style_of(FAILURE));
        assert_eq!(style_of(SUCCESS), style_of(NOTICE));
    }
}
