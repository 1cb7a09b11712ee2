//! The paths that Rust source names, read without its comments and its texts.

/// Every path: `use crate::{a::B, c}` gives `crate::a::B` and `crate::c`; `x.open()` gives `x` and `.open`; macros keep
/// their `!`. Good enough for rules about names; types and scopes are the compiler's.
pub fn paths(source: &str) -> Vec<String> {
    let (mut found, mut groups, mut rest) = (Vec::new(), vec![String::new()], source);
    while let Some(first) = rest.chars().next() {
        if let Some(skipped) = without_comment_or_text(rest) {
            rest = skipped;
        } else if is_word(first) || rest.starts_with("::") || rest.starts_with(".") {
            let length = path_length(rest);
            let path = format!("{}{}", groups.last().map_or("", String::as_str), &rest[..length]);
            rest = &rest[length..];
            if path.ends_with("::") && rest.starts_with('{') {
                groups.push(path);
                rest = &rest[1..];
            } else {
                let mark = if rest.starts_with('!') { "!" } else { "" };
                found.push(path.trim_start_matches("::").to_owned() + mark);
            }
        } else {
            match first {
                '{' => groups.push(String::new()),
                '}' => drop(groups.pop()),
                _ => {}
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// A leading dot or colons, then words with `::` between; at least one character.
fn path_length(text: &str) -> usize {
    let mut length = if text.starts_with("::") { 2 } else { usize::from(text.starts_with('.')) };
    loop {
        length += text[length..].find(|c| !is_word(c)).unwrap_or(text.len() - length);
        match text[length..].strip_prefix("::") {
            Some(next) if next.starts_with(|c| is_word(c) || c == '{') => length += 2,
            _ => return length.max(1),
        }
    }
}

/// What follows, if the text begins with a comment, a string or a character.
fn without_comment_or_text(text: &str) -> Option<&str> {
    let after = |start: usize, end: &str| text[start..].find(end).map_or("", |at| &text[start + at + end.len()..]);
    if text.starts_with("//") {
        return Some(after(2, "\n"));
    }
    if text.starts_with("/*") {
        return Some(after(2, "*/"));
    }
    if let Some(raw) = text.strip_prefix('r').filter(|raw| raw.trim_start_matches('#').starts_with('"')) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        return Some(after(hashes + 2, &format!("\"{}", "#".repeat(hashes))));
    }
    match text.strip_prefix('\'') {
        Some(quoted) if quoted.starts_with('\\') => Some(after(3, "'")),
        Some(quoted) => {
            Some(quoted.chars().next().and_then(|c| quoted[c.len_utf8()..].strip_prefix('\'')).unwrap_or(quoted))
        }
        None => text.strip_prefix('"').map(after_string),
    }
}

fn after_string(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.map_or("", |end| &text[end + 1..])
}

#[test]
fn groups_are_written_out_and_comments_and_texts_left_out() {
    let source = r##"
        use crate::{a::{b, C}, d}; // use crate::comment;
        /* e::f */ fn g(h: &'static str) { let i = '"'; j::k("l::m \" n::o", r#"p::"q""#).r(); s!('\'', t); }
    "##;
    let found = paths(source);
    for path in ["crate::a::b", "crate::a::C", "crate::d", "j::k", ".r", "s!", "t"] {
        assert!(found.iter().any(|found| found == path), "{path} in {found:?}");
    }
    assert!(
        !found.iter().any(|path| ["comment", "e::f", "l::m", "n::o", "p", "q"].contains(&path.as_str())),
        "{found:?}"
    );
}
