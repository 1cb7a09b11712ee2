//! The person's part: sign-in page, consent page, and the redirect that ends it.

use super::accounts::{self, ACCOUNTS};
use super::authorize::{self, Asked, Refused};
use super::grants::{self, Code};
use super::idp::Idp;
use super::log::IssuedKind;
use super::message::{Request, Response};
use super::pages::{self, Consent, SignIn};
use super::params::Params;
use super::settings::IssParameter;

/// A request whose person has not decided yet.
#[derive(Clone)]
pub(super) struct Interaction {
    asked: Asked,
    /// Set once the person has signed in.
    account: Option<String>,
    expires_at: u64,
}

impl Idp {
    /// GET: judges the request and shows the sign-in page.
    pub(super) fn begin_interaction(&mut self, request: &Request, now: u64) -> Response {
        match authorize::judge(&self.clients, &request.query) {
            Ok(asked) => self.show_sign_in(asked, now),
            Err(Refused::Shown(detail)) => problem(detail),
            Err(Refused::Redirected { redirect_uri, state, error, description }) => {
                let params = vec![("error", error.to_owned()), ("error_description", description.to_owned())];
                self.redirect(&redirect_uri, state.as_deref(), params)
            }
        }
    }

    fn show_sign_in(&mut self, asked: Asked, now: u64) -> Response {
        let id = grants::secret("");
        let hint = asked.login_hint.as_deref().filter(|hint| accounts::is_email(hint));
        let others = ACCOUNTS.into_iter().filter(|account| Some(*account) != hint);
        let accounts: Vec<_> = hint.into_iter().chain(others).collect();
        let hidden = [(INTERACTION, id.as_str())];
        let page = SignIn { client: &asked.client.name, accounts: &accounts, hidden: &hidden };
        let response = Response::page(200, pages::sign_in(&page));
        let interaction = Interaction { asked, account: None, expires_at: now + INTERACTION_LIFE };
        self.interactions.retain(|_, interaction| now < interaction.expires_at);
        self.interactions.insert(id.clone(), interaction);
        Response { interaction: Some(id), ..response }
    }

    /// POST: one step further, on the word of whoever holds the interaction's id.
    pub(super) fn continue_interaction(&mut self, request: &Request, now: u64) -> Response {
        let form = match Params::of_page_form(request) {
            Ok(form) => form,
            Err(refusal) => return problem(refusal.description),
        };
        let id = form.get(INTERACTION).unwrap_or_default();
        let interaction = self.interactions.get(id).filter(|interaction| now < interaction.expires_at);
        let Some(interaction) = interaction.cloned() else {
            return problem("This sign-in has ended or never began. Start again from the program.");
        };
        match (form.get("action"), interaction.account.clone()) {
            (Some("deny"), _) => self.denied(id, &interaction.asked),
            (Some("continue"), _) => self.signed_in(id, interaction, &form),
            (Some("approve"), Some(account)) => self.approved(id, &interaction.asked, &account, &form, now),
            _ => problem("The form was not filled in as the page offered it."),
        }
    }

    fn signed_in(&mut self, id: &str, interaction: Interaction, form: &Params) -> Response {
        let Some(account) = form.get("account").filter(|account| accounts::is_email(account)) else {
            return problem("The account is not an e-mail address.");
        };
        let scopes: Vec<_> = interaction.asked.scopes.iter().map(String::as_str).collect();
        let client = &interaction.asked.client.name;
        let page = Consent { client, account, scopes: &scopes, hidden: &[(INTERACTION, id)] };
        let response = Response::page(200, pages::consent(&page));
        let interaction = Interaction { account: Some(account.to_owned()), ..interaction };
        self.interactions.insert(id.to_owned(), interaction);
        response
    }

    fn approved(&mut self, id: &str, asked: &Asked, account: &str, form: &Params, now: u64) -> Response {
        let ticked = |scope: &&String| form.all("scope").any(|on| on == *scope);
        let scopes: Vec<String> = asked.scopes.iter().filter(ticked).cloned().collect();
        if form.all("scope").any(|scope| !scopes.iter().any(|asked| asked == scope)) {
            return problem("The form grants something that the program did not ask for.");
        }
        if scopes.is_empty() {
            return self.denied(id, asked);
        }
        self.interactions.remove(id);
        let mut params = vec![("code", self.issue_code(asked, account, &scopes, now))];
        if self.settings.google_shaped {
            params.push(("scope", accounts::spelled_twice(&scopes)));
            params.push(("authuser", "0".to_owned()));
            params.push(("hd", accounts::domain(account).to_owned()));
            params.push(("prompt", "consent".to_owned()));
        }
        self.redirect(&asked.redirect_uri, asked.state.as_deref(), params)
    }

    fn issue_code(&mut self, asked: &Asked, account: &str, scopes: &[String], now: u64) -> String {
        let offline = asked.access_type_offline || accounts::covers(scopes, "offline_access");
        let code = Code {
            client_id: asked.client.id.clone(),
            redirect_uri: asked.redirect_uri.clone(),
            code_challenge: asked.code_challenge.clone(),
            nonce: asked.nonce.clone(),
            account: account.to_owned(),
            scopes: scopes.to_vec(),
            offline: offline && asked.client.refresh_tokens,
            expires_at: now + CODE_LIFE,
        };
        // Google's codes have a slash, which a client must decode exactly once (requirement G-21).
        let prefix = if self.settings.google_shaped { "sandbox-code-4/0" } else { "sandbox-code-" };
        let value = self.grants.add_code(prefix, code);
        self.log.issued(IssuedKind::Code, &value);
        value
    }

    /// The scopes that a consent page offers.
    pub(super) fn scopes_of(&self, interaction: &str) -> Vec<String> {
        self.interactions.get(interaction).map(|interaction| interaction.asked.scopes.clone()).unwrap_or_default()
    }

    fn denied(&mut self, id: &str, asked: &Asked) -> Response {
        self.interactions.remove(id);
        let params = vec![
            ("error", "access_denied".to_owned()),
            ("error_description", "The person refused the request.".to_owned()),
        ];
        self.redirect(&asked.redirect_uri, asked.state.as_deref(), params)
    }

    /// The way back to the client, with `state` and `iss` (RFC 9207 section 2), errors included.
    fn redirect(&mut self, to: &str, state: Option<&str>, params: Vec<(&str, String)>) -> Response {
        let iss = match &self.settings.iss {
            IssParameter::Right => Some(self.issuer.clone()),
            IssParameter::Absent => None,
            IssParameter::Wrong(text) => Some(text.clone()),
        };
        let first = [state.map(|state| ("state", state.to_owned())), iss.map(|iss| ("iss", iss))];
        let all = first.into_iter().flatten().chain(params);
        let mut all: Vec<_> = all.map(|(name, value)| (name.to_owned(), value)).collect();
        if let Some(fault) = self.faults.for_callback() {
            fault.tamper(&mut all);
        }
        match url::Url::parse(to) {
            Ok(mut url) => {
                url.query_pairs_mut().extend_pairs(all);
                Response::see_other(url.as_str())
            }
            Err(_) => problem("The redirect URI cannot be used."),
        }
    }
}

fn problem(detail: &str) -> Response {
    Response::page(400, pages::problem("This sign-in cannot go on", detail))
}

/// The hidden field that carries the interaction's id.
pub(super) const INTERACTION: &str = "interaction";
/// Long enough to find a password, short enough to forget the page.
const INTERACTION_LIFE: u64 = 600;
/// A client redeems its code at once; RFC 6749 section 4.1.2 allows ten minutes.
const CODE_LIFE: u64 = 60;
