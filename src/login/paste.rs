//! The pasted answer: what a person copied out of the browser, held to the same checks as a request.

use std::sync::Arc;

use crate::login::callback::Stray;
use crate::login::loopback::Shared;

/// Takes the address that the browser ended at, or just its query, from a person who copied it: for a browser on another
/// machine. It is held to the same host, port, path, state and issuer as what comes through the port (L-26).
///
/// ```no_run
/// # fn door(flow: gauth::login::InstalledAppFlow<'_>) {
/// let door = flow.paste_door();
/// std::thread::spawn(move || door.offer("http://127.0.0.1:4711/?code=...&state=..."));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PasteDoor(Arc<Shared>);

impl PasteDoor {
    pub(super) fn new(shared: Arc<Shared>) -> PasteDoor {
        PasteDoor(shared)
    }

    /// Offers a pasted text. Whatever was right first ends the wait; this one may come too late, which is no fault.
    ///
    /// # Errors
    /// [`Stray`]: it is not the answer, and the wait goes on.
    pub fn offer(&self, text: &str) -> Result<(), Stray> {
        let (authority, path) = self.0.place();
        let callback = self.0.read(&request_target(text, authority, path)?)?;
        let _ = self.0.claim(callback, None);
        Ok(())
    }
}

/// Reads what a person copied out of the browser as a request target: the whole address, which must be one of ours, with
/// or without its scheme as browsers show it; or its query alone.
///
/// # Errors
/// [`Stray`]: another address, or far too long for one.
pub fn request_target(text: &str, authority: &str, path: &str) -> Result<String, Stray> {
    let text = text.trim().trim_matches(['"', '\'', '<', '>']);
    let text = text.split('#').next().unwrap_or_default();
    if text.len() > LONGEST_PASTE {
        return Err(Stray::NotOurs);
    }
    if let Some(target) = text.strip_prefix("http://").unwrap_or(text).strip_prefix(authority) {
        return Ok(target.to_owned()); // its path is compared as that of a request
    }
    let query = text.strip_prefix('?').unwrap_or(text);
    let first_name = query.split('=').next().unwrap_or_default();
    match first_name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => Ok(format!("{path}?{query}")),
        false => Err(Stray::NotFound),
    }
}

/// Far more than the longest code (G-27) with the longest list of scopes.
const LONGEST_PASTE: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use oauth2::CsrfToken;

    use super::*;
    use crate::login::callback::{Callback, IssuerRule, parse};

    const STATE: &str = "the-right-state";

    fn pasted(text: &str) -> Result<Callback, Stray> {
        let rule = IssuerRule { issuer: "https://op.example".to_owned(), is_promised: false };
        parse(&request_target(text, "127.0.0.1:4711", "/cb")?, "/cb", &CsrfToken::new(STATE.to_owned()), &rule)
    }

    #[test]
    fn an_address_is_pasted_whole_or_as_its_query_and_with_what_copying_adds() {
        let query = format!("code=c&state={STATE}&iss=https%3A%2F%2Fop.example");
        for text in [
            format!("http://127.0.0.1:4711/cb?{query}"),
            format!("127.0.0.1:4711/cb?{query}"),
            format!("?{query}"),
            query.clone(),
            format!("  \"http://127.0.0.1:4711/cb?{query}#\"\r\n"),
            format!("state={STATE}&code=c"),
        ] {
            let Ok(Callback::Code(code)) = pasted(&text) else { panic!("{text}") };
            assert_eq!(code.into_secret(), "c");
        }
    }

    #[test]
    fn an_address_that_is_not_ours_is_none_whatever_its_query() {
        let query = format!("code=c&state={STATE}");
        for (text, stray) in [
            (format!("http://127.0.0.1:4712/cb?{query}"), Stray::NotFound),
            (format!("http://127.0.0.1:47110/cb?{query}"), Stray::NotFound),
            (format!("http://127.0.0.1:4711/?{query}"), Stray::NotFound),
            (format!("http://127.0.0.1:4711@evil.example/cb?{query}"), Stray::NotFound),
            (format!("http://localhost:4711/cb?{query}"), Stray::NotFound),
            (format!("https://evil.example/cb?{query}"), Stray::NotFound),
            (format!("https://127.0.0.1:4711/cb?{query}"), Stray::NotFound),
            (format!("/cb?{query}"), Stray::NotFound),
            (format!("code=c&state={STATE}x"), Stray::NotOurs),
            (format!("{query}&code=d"), Stray::NotOurs),
            (String::new(), Stray::NotOurs),
            (format!("{query}&x={}", "x".repeat(LONGEST_PASTE)), Stray::NotOurs),
        ] {
            assert_eq!(pasted(&text), Err(stray), "{text}");
        }
    }
}
