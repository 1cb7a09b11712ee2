//! The person, played in process: the same requests that a browser would send, without the browser.

use super::idp::Idp;
use super::interaction::INTERACTION;
use super::message::{Request, Response};

/// What the person agrees to.
#[derive(Clone, Debug, Default)]
pub struct Approval {
    /// The account that signs in.
    pub account: String,
    /// The scopes that stay ticked; `None` leaves all of them.
    pub scopes: Option<Vec<String>>,
}

impl Approval {
    /// Everything, as that account.
    pub fn of(account: &str) -> Approval {
        Approval { account: account.to_owned(), scopes: None }
    }

    /// Only these scopes, as that account.
    pub fn only(account: &str, scopes: &[&str]) -> Approval {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Approval { account: account.to_owned(), scopes: Some(scopes) }
    }
}

impl Idp {
    /// Opens the URL, signs in, and agrees. Returns where the browser would be sent; empty if to nowhere.
    pub fn approve(&mut self, authorization_url: &str, approval: &Approval, now: u64) -> String {
        let page = self.open_page(authorization_url, now);
        let Some(id) = page.interaction.as_deref() else { return location(&page) };
        let scopes = approval.scopes.clone().unwrap_or_else(|| self.scopes_of(id));
        self.post(&[(INTERACTION, id), ("account", &approval.account), ("action", "continue")], now);
        let mut form = vec![(INTERACTION, id), ("action", "approve")];
        form.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
        location(&self.post(&form, now))
    }

    /// Opens the URL and refuses.
    pub fn deny(&mut self, authorization_url: &str, now: u64) -> String {
        let page = self.open_page(authorization_url, now);
        let Some(id) = page.interaction.as_deref() else { return location(&page) };
        location(&self.post(&[(INTERACTION, id), ("action", "deny")], now))
    }

    /// Elsewhere than here there is no page of this provider, and so no interaction.
    fn open_page(&mut self, url: &str, now: u64) -> Response {
        let target = url.strip_prefix(self.issuer.as_str()).unwrap_or(url);
        self.handle(&Request::get(target), now)
    }

    fn post(&mut self, form: &[(&str, &str)], now: u64) -> Response {
        self.handle(&Request::post("/authorize", form), now)
    }
}

fn location(response: &Response) -> String {
    response.header("Location").unwrap_or_default().to_owned()
}
