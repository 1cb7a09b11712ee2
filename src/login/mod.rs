//! The login: bind, ask, wait, redeem, check. In that order, nothing else.

mod bind;
pub mod browser;
pub mod callback;
mod head;
pub mod loopback;
pub mod pages;
pub mod paste;
pub mod request;

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

pub use browser::{Browser, Opening};
pub use loopback::ListenOptions;
pub use pages::Page;
pub use paste::PasteDoor;
pub use request::RequestOptions;

use crate::Scopes;
use crate::error::{Error, Result};
use crate::http::bad_answer;
use crate::id_token::{Claims, Expected, IdTokenError, KeySet, Unverified, as_bool};
use crate::interrupt::Interrupt;
use crate::login::callback::{Callback, Code, IssuerRule};
use crate::login::loopback::{Expectant, LoopbackServer};
use crate::login::request::AuthorizationRequest;
use crate::token::TokenSet;
use crate::token_endpoint::TokenEndpoint;

/// How to log in.
#[derive(Clone, Debug)]
pub struct LoginOptions {
    /// What is asked of the provider.
    pub request: RequestOptions,
    /// Where to listen.
    pub listen: ListenOptions,
    /// Who must sign in; anybody if it names nothing.
    pub account: ExpectedAccount,
    /// How long to wait for the person (L-12).
    pub timeout: Duration,
    /// Ends the wait.
    pub interrupt: Interrupt,
}

impl Default for LoginOptions {
    /// Any account, scopes `openid email`, five minutes.
    fn default() -> LoginOptions {
        LoginOptions {
            request: RequestOptions { scopes: Scopes::parse("openid email"), ..RequestOptions::default() },
            listen: ListenOptions::default(),
            account: ExpectedAccount::default(),
            timeout: Duration::from_secs(300),
            interrupt: Interrupt::default(),
        }
    }
}

/// The account that must sign in: hints to the provider are only hints, so the outcome is checked (L-3, G-16, G-17).
#[derive(Clone, Debug, Default)]
pub struct ExpectedAccount {
    /// An e-mail address or a subject, as given in a login hint.
    pub hint: Option<String>,
    /// The subject that signed in before.
    pub subject: Option<String>,
    /// How that person is called in messages.
    pub subject_name: Option<String>,
    /// The Workspace domain; `*` for any.
    pub hosted_domain: Option<String>,
}

/// Who signed in, with what.
#[derive(Debug)]
pub struct SignedIn {
    /// The tokens.
    pub tokens: TokenSet,
    /// The checked claims of the ID token.
    pub claims: Claims,
    /// What was granted.
    pub granted: Scopes,
    /// What was asked for and not granted (T-6).
    pub missing: Scopes,
}

/// One login by authorization code and PKCE through the person's own browser (RFC 8252).
///
/// ```no_run
/// use gauth::login::{InstalledAppFlow, LoginOptions};
/// use gauth::{Browser, Client, ClientFile, Clock, Http, Provider, TokenEndpoint};
///
/// # fn main() -> gauth::Result<()> {
/// let file = ClientFile::read("client_secrets.json".as_ref())?;
/// let (http, clock) = (Http::default(), Clock::system());
/// let provider = Provider::of_client_file(&file, &http)?;
/// let endpoint = TokenEndpoint { provider: &provider, client: &file.client, http: &http, clock: &clock };
/// let flow = InstalledAppFlow::bind(endpoint, LoginOptions::default())?;
/// Browser::Default.open(flow.url())?;
/// let signed_in = flow.complete("my program", |signed_in| Ok(signed_in))?;
/// println!("hello {}", signed_in.claims.email.unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InstalledAppFlow<'a> {
    endpoint: TokenEndpoint<'a>,
    expectant: Expectant,
    request: AuthorizationRequest,
    options: LoginOptions,
}

impl<'a> InstalledAppFlow<'a> {
    /// Binds the port and builds the request for it.
    ///
    /// # Errors
    /// [`Error::PortTaken`], [`Error::NoLoopback`], and those of [`AuthorizationRequest::new`].
    pub fn bind(endpoint: TokenEndpoint<'a>, options: LoginOptions) -> Result<InstalledAppFlow<'a>> {
        let server = LoopbackServer::bind(&options.listen)?;
        let request =
            AuthorizationRequest::new(endpoint.provider, endpoint.client, &server.redirect_uri(), &options.request)?;
        let provider = endpoint.provider;
        let rule = IssuerRule { issuer: provider.issuer.clone(), is_promised: provider.sends_iss };
        let expectant = server.expect(request.state(), rule);
        Ok(InstalledAppFlow { endpoint, expectant, request, options })
    }

    /// What the browser has to open.
    pub fn url(&self) -> &Url {
        self.request.url()
    }

    /// The address and port that the browser comes back to, for an `ssh -L` line: `127.0.0.1:PORT` or `[::1]:PORT`.
    pub fn authority(&self) -> &str {
        self.expectant.authority()
    }

    /// A way in for the address that a browser on another machine ended at. It may be used from any thread, for as long as
    /// the flow waits.
    pub fn paste_door(&self) -> PasteDoor {
        self.expectant.paste_door()
    }

    /// [`InstalledAppFlow::complete_with`] with the built-in pages, naming `program`.
    ///
    /// # Errors
    /// As there.
    pub fn complete<T>(self, program: &str, save: impl FnOnce(SignedIn) -> Result<T>) -> Result<T> {
        let host = self.endpoint.provider.host();
        self.complete_with(save, |outcome| match outcome {
            Ok(_) => pages::signed_in(&pages::SignedIn {
                program,
                profile: None,
                account: "Your account",
                provider: &host,
                stored: "by the program",
                note: None,
            }),
            Err(error) => pages::not_signed_in(&pages::NotSignedIn {
                program,
                reason: &error.to_string(),
                next: "Go back to the program and try again.",
            }),
        })
    }

    /// Waits for the browser, redeems and checks what it brings, has it saved, and only then tells the browser,
    /// with the page for what really happened (L-15).
    ///
    /// # Errors
    /// [`Error::LoginTimedOut`], [`Error::Denied`], [`Error::IssuerMismatch`], [`Error::WrongAccount`],
    /// [`Error::IdToken`], those of the token endpoint, those of `save`, and [`Error::Interrupted`].
    pub fn complete_with<T>(
        self,
        save: impl FnOnce(SignedIn) -> Result<T>,
        page: impl FnOnce(&Result<T>) -> Page,
    ) -> Result<T> {
        let InstalledAppFlow { endpoint, expectant, request, options } = self;
        let provider = endpoint.provider;
        let (callback, responder) = expectant.wait(options.timeout, &options.interrupt)?;
        let outcome = code_of(callback, &provider.issuer, &provider.host())
            .and_then(|code| redeem(&endpoint, request, code, &options))
            .and_then(save);
        responder.finish(page(&outcome));
        outcome
    }
}

const TROUBLE: [&str; 2] = ["server_error", "temporarily_unavailable"];

fn code_of(callback: Callback, issuer: &str, host: &str) -> Result<Code> {
    match callback {
        Callback::Code(code) => Ok(code),
        // The redirect's forms of 500 and 503 (RFC 6749 section 4.1.2.1).
        Callback::Refused(refusal) if TROUBLE.contains(&refusal.error.as_str()) => {
            Err(Error::ProviderTrouble { host: host.to_owned(), refusal })
        }
        Callback::Refused(refusal) => Err(Error::Denied(refusal)),
        Callback::WrongIssuer(actual) => Err(Error::IssuerMismatch { expected: issuer.to_owned(), actual }),
    }
}

fn redeem(
    endpoint: &TokenEndpoint<'_>,
    request: AuthorizationRequest,
    code: Code,
    options: &LoginOptions,
) -> Result<SignedIn> {
    // First, since there is nothing yet that an interrupt could lose.
    let keys = endpoint.provider.jwks_uri.as_ref().map(|uri| fetch_keys(endpoint, uri)).transpose()?;
    let (tokens, nonce) = request.redeem(code.into_secret(), endpoint)?;
    let mut claims = identify(endpoint, &tokens, &nonce, keys.as_ref())?;
    if claims.email.is_none() {
        (claims.email, claims.email_verified) = address(endpoint, &tokens, &claims.subject)?;
    }
    check_account(&claims, &options.account)?;
    let asked = &options.request.scopes;
    let granted = tokens.scopes.clone().unwrap_or_else(|| asked.clone());
    Ok(SignedIn { missing: asked.missing_from(&granted), tokens, claims, granted })
}

/// Validates the ID token; no token is used before this has passed (B-3).
fn identify(endpoint: &TokenEndpoint<'_>, tokens: &TokenSet, nonce: &str, keys: Option<&KeySet>) -> Result<Claims> {
    let provider = endpoint.provider;
    let no_token = || bad_answer(&provider.host(), "no ID token, although openid was asked for");
    if tokens.scopes.as_ref().is_some_and(|granted| !granted.contains("openid")) {
        return Err(Error::ScopesNotGranted { missing: Scopes::parse("openid") });
    }
    let id_token = tokens.id_token.as_ref().ok_or_else(no_token)?;
    let unverified = Unverified::read(id_token)?;
    if let (Some(jwks_uri), Some(keys)) = (&provider.jwks_uri, keys) {
        check_signature(endpoint, jwks_uri, keys, &unverified)?;
    }
    Ok(unverified.check_claims(&Expected {
        issuers: &provider.id_token_issuers(),
        client_id: &endpoint.client.id,
        nonce: Some(nonce),
        access_token: Some(&tokens.access_token),
        now: endpoint.clock.now(),
    })?)
}

/// Many providers give the address only at userinfo (OpenID Connect Core section 5.4). It counts only if it is about
/// the same subject (V-15); without an answer the person simply has no address here.
fn address(endpoint: &TokenEndpoint<'_>, tokens: &TokenSet, subject: &str) -> Result<(Option<String>, Option<bool>)> {
    let Some(url) = &endpoint.provider.userinfo_endpoint else { return Ok((None, None)) };
    let Ok(Some(answer)) = endpoint.http.get_json_as::<UserInfo>(url, Some(&tokens.access_token)) else {
        return Ok((None, None));
    };
    if answer.sub != subject {
        return Err(Error::AccountChanged { host: crate::provider::host_of(url) });
    }
    Ok((answer.email, answer.email_verified.as_ref().and_then(as_bool)))
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    email: Option<String>,
    email_verified: Option<Value>,
}

fn fetch_keys(endpoint: &TokenEndpoint<'_>, jwks_uri: &Url) -> Result<KeySet> {
    let host = crate::provider::host_of(jwks_uri);
    endpoint.http.get_json::<KeySet>(jwks_uri)?.ok_or_else(|| bad_answer(&host, "no keys"))
}

/// An unknown key may be one the provider has just begun to use: its keys are fetched once more, then it is an
/// error (V-8).
fn check_signature(endpoint: &TokenEndpoint<'_>, jwks_uri: &Url, keys: &KeySet, token: &Unverified<'_>) -> Result<()> {
    let algorithms = &endpoint.provider.id_token_algorithms;
    match token.check_signature(keys, algorithms) {
        Err(IdTokenError::UnknownKey) => Ok(token.check_signature(&fetch_keys(endpoint, jwks_uri)?, algorithms)?),
        checked => Ok(checked?),
    }
}

fn check_account(claims: &Claims, expected: &ExpectedAccount) -> Result<()> {
    let actual = || claims.email.clone().unwrap_or_else(|| claims.subject.clone());
    let wrong = |expected: &str| Err(Error::WrongAccount { expected: expected.to_owned(), actual: actual() });
    if let Some(hint) = expected.hint.as_deref().filter(|hint| !is_account(claims, hint)) {
        return wrong(hint);
    }
    if expected.subject.as_deref().is_some_and(|subject| subject != claims.subject) {
        return wrong(expected.subject_name.as_deref().unwrap_or("the account that signed in before"));
    }
    match (expected.hosted_domain.as_deref(), claims.hosted_domain.as_deref()) {
        (None, _) | (Some("*"), Some(_)) => Ok(()),
        (Some(domain), Some(actual)) if domain.eq_ignore_ascii_case(actual) => Ok(()),
        (Some("*"), None) => wrong("an account of a Workspace domain"),
        (Some(domain), _) => wrong(&format!("an account of {domain}")),
    }
}

/// A hint is an e-mail address or a subject (G-16). Addresses are compared without case, as people type them; one that
/// the provider has not verified is only a claim.
fn is_account(claims: &Claims, hint: &str) -> bool {
    let is_claimed_only = claims.email_verified == Some(false);
    claims.subject == hint
        || !is_claimed_only && claims.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            issuer: "https://op.example".to_owned(),
            subject: "1001".to_owned(),
            email: Some("alice@example.test".to_owned()),
            email_verified: Some(true),
            hosted_domain: Some("example.test".to_owned()),
            expires_at: 1,
        }
    }

    fn is_accepted(account: ExpectedAccount) -> bool {
        check_account(&claims(), &account).is_ok()
    }

    #[test]
    fn the_account_is_checked_by_address_subject_and_domain() {
        let hint = |hint: &str| ExpectedAccount { hint: Some(hint.to_owned()), ..Default::default() };
        let subject = |subject: &str| ExpectedAccount { subject: Some(subject.to_owned()), ..Default::default() };
        let domain = |domain: &str| ExpectedAccount { hosted_domain: Some(domain.to_owned()), ..Default::default() };
        assert!(is_accepted(ExpectedAccount::default()));
        assert!(is_accepted(hint("Alice@Example.Test")) && is_accepted(hint("1001")));
        assert!(!is_accepted(hint("bob@example.test")) && !is_accepted(hint("")));
        assert!(is_accepted(subject("1001")) && !is_accepted(subject("1002")));
        assert!(is_accepted(domain("example.test")) && is_accepted(domain("*")) && !is_accepted(domain("other.test")));
    }

    #[test]
    fn an_address_that_the_provider_did_not_verify_proves_nobody() {
        let account = ExpectedAccount { hint: Some("alice@example.test".to_owned()), ..Default::default() };
        let with = |email_verified| check_account(&Claims { email_verified, ..claims() }, &account).is_ok();
        assert!(with(Some(true)) && with(None) && !with(Some(false)));
    }

    #[test]
    fn an_account_without_a_domain_belongs_to_none() {
        let private = Claims { hosted_domain: None, ..claims() };
        for domain in ["*", "example.test"] {
            let account = ExpectedAccount { hosted_domain: Some(domain.to_owned()), ..Default::default() };
            assert!(check_account(&private, &account).is_err());
        }
    }
}
