//! The token endpoint: exchange, refresh, revoke; every refusal sorted by what it means for the person.

use std::cell::RefCell;

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::http::StatusCode;
use oauth2::{
    AuthType, AuthorizationCode, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl,
    RefreshToken, RequestTokenError, Scope, StandardRevocableToken, SyncHttpClient, TokenUrl,
};
use serde_json::Value;
use url::form_urlencoded;

use crate::Scopes;
use crate::client::Client;
use crate::echo::Sent;
use crate::error::{Error, Refusal, Result};
use crate::http::{Http, bad_answer};
use crate::provider::{Provider, host_of};
use crate::token::{Clock, TokenSet};
use crate::token_answer::{Answer, first_value, new_refresh_token};

/// One client at one provider's token endpoint.
#[derive(Clone, Copy, Debug)]
pub struct TokenEndpoint<'a> {
    /// Who is asked.
    pub provider: &'a Provider,
    /// Who asks.
    pub client: &'a Client,
    /// How.
    pub http: &'a Http,
    /// When.
    pub clock: &'a Clock,
}

/// What became of a refresh.
#[derive(Debug)]
pub struct Refreshed {
    /// The refresh token that takes the place of the one that was sent, which is spent by now. It can have come with an
    /// answer that is of no use otherwise, and has to be kept all the same (T-8).
    pub rotated: Option<RefreshToken>,
    /// The tokens; or [`Error::GrantEnded`] when a new login is needed, [`Error::ClientRefused`], [`Error::BadAnswer`],
    /// and the errors of the network.
    pub tokens: Result<TokenSet>,
}

impl TokenEndpoint<'_> {
    /// Exchanges an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    ///
    /// # Errors
    /// [`Error::Refused`] and its kin by the provider's code, and those of the network.
    pub fn exchange(&self, code: String, verifier: PkceCodeVerifier, redirect_uri: &str) -> Result<TokenSet> {
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| self.bad("no redirect URI"))?;
        let client = self.oauth2()?;
        let (judge, issued) = (Judge::new(self), (self.clock.now(), self.clock.uptime()));
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect_uri))
            .request(&judge)
            .map_err(|error| self.failure(error))?;
        answer.into_token_set(issued, &self.host()).map(|tokens| judge.without_echoes(tokens))
    }

    /// Exchanges a refresh token (RFC 6749 section 6). The old one is spent if the answer brings a new one.
    /// `narrow` asks for a token with these scopes only.
    pub fn refresh(&self, refresh_token: &RefreshToken, narrow: Option<&Scopes>) -> Refreshed {
        let judge = Judge::new(self);
        let tokens = self.refresh_by(&judge, refresh_token, narrow);
        Refreshed { rotated: judge.rotated.into_inner().filter(|new| new.secret() != refresh_token.secret()), tokens }
    }

    fn refresh_by(&self, judge: &Judge<'_>, refresh_token: &RefreshToken, narrow: Option<&Scopes>) -> Result<TokenSet> {
        let client = self.oauth2()?;
        let issued = (self.clock.now(), self.clock.uptime());
        let scopes = narrow.into_iter().flat_map(Scopes::iter).map(|scope| Scope::new(scope.to_owned()));
        let answer = client.exchange_refresh_token(refresh_token).add_scopes(scopes).request(judge);
        let answer = answer.map_err(|error| as_grant(self.failure(error)))?;
        answer.into_token_set(issued, &self.host()).map(|tokens| judge.without_echoes(tokens))
    }

    /// Revokes a refresh token and with it the grant (RFC 7009 section 2.1). Already invalid counts as revoked (R-2).
    ///
    /// # Errors
    /// Those of the network: then the grant must be taken to live on. `Ok(false)`: the provider has no such endpoint.
    pub fn revoke(&self, refresh_token: &RefreshToken) -> Result<bool> {
        let Some(url) = &self.provider.revocation_endpoint else { return Ok(false) };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", refresh_token.secret()).append_pair("token_type_hint", "refresh_token");
        let request = self.authenticated(url.as_str(), form)?;
        let sent = Sent::in_request(&request);
        let response = self.http.call(request)?;
        let refusal = refusal(response.body(), &sent);
        match response.status().as_u16() {
            200..=299 => Ok(true),
            // Google's answer for a token that is gone already (R-2); others send 200.
            400 if is_already_invalid(&refusal) => Ok(true),
            _ => Err(self.refused(refusal, response.status())),
        }
    }

    /// A form with the client's proof (RFC 6749 section 2.3.1), for the endpoint that oauth2 does not serve on http.
    fn authenticated(&self, url: &str, mut form: form_urlencoded::Serializer<'_, String>) -> Result<HttpRequest> {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        let mut request = oauth2::http::Request::post(url);
        match (&self.client.secret, self.provider.auth_type()) {
            (Some(secret), AuthType::BasicAuth) => {
                let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encode(&self.client.id), encode(secret.secret()));
                request = request.header("authorization", format!("Basic {}", BASE64_STANDARD.encode(pair)));
            }
            (secret, _) => {
                form.append_pair("client_id", &self.client.id);
                secret.iter().for_each(|secret| {
                    form.append_pair("client_secret", secret.secret());
                });
            }
        }
        request
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.finish().into_bytes())
            .map_err(|_| self.bad("no valid request"))
    }

    fn oauth2(&self) -> Result<OAuth2> {
        let token_url =
            TokenUrl::new(self.provider.token_endpoint.to_string()).map_err(|_| self.bad("no token URL"))?;
        let client = oauth2::Client::new(self.client.id.clone())
            .set_auth_type(self.provider.auth_type())
            .set_token_uri(token_url);
        Ok(match &self.client.secret {
            Some(secret) => client.set_client_secret(secret.clone()),
            None => client,
        })
    }

    /// oauth2's error without what it holds of the body: its `Parse` keeps the raw answer, token and all.
    fn failure(&self, error: RequestTokenError<Error, BasicErrorResponse>) -> Error {
        match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::Parse(error, _) => self.bad(&format!("its member {:?}", error.path().to_string())),
            RequestTokenError::ServerResponse(_) => self.bad("an error where there is none"),
            RequestTokenError::Other(_) => self.bad("no JSON"),
        }
    }

    /// A refusal, sorted by who can do something about it (G-28, G-22).
    fn refused(&self, refusal: Refusal, status: StatusCode) -> Error {
        let host = self.host();
        match refusal.error.as_str() {
            "" => self.bad(&format!("status {} without an OAuth error", status.as_u16())),
            "invalid_client"
            | "unauthorized_client"
            | "deleted_client"
            | "disabled_client"
            | "redirect_uri_mismatch" => Error::ClientRefused { host, refusal },
            // G-3: a Desktop client without its secret
            "invalid_request" if self.client.secret.is_none() => Error::ClientRefused { host, refusal },
            "access_denied" | "admin_policy_enforced" | "org_internal" | "access_not_configured" => {
                Error::Denied(refusal)
            }
            "temporarily_unavailable" | "server_error" | "internal_failure" | "rate_limit_exceeded" => {
                Error::ProviderTrouble { host, refusal }
            }
            _ => Error::Refused { host, refusal },
        }
    }

    fn bad(&self, problem: &str) -> Error {
        bad_answer(&self.host(), problem)
    }

    fn host(&self) -> String {
        host_of(&self.provider.token_endpoint)
    }
}

/// While refreshing, these codes mean that the grant is gone or withheld until the person signs in again (G-28, B-8).
fn as_grant(error: Error) -> Error {
    match error {
        Error::Refused { host, refusal } if GRANT_CODES.contains(&refusal.error.as_str()) => {
            Error::GrantEnded { host, refusal }
        }
        other => other,
    }
}

const GRANT_CODES: [&str; 5] =
    ["invalid_grant", "interaction_required", "login_required", "consent_required", "account_selection_required"];

fn is_already_invalid(refusal: &Refusal) -> bool {
    matches!(refusal.error.as_str(), "invalid_token" | "invalid_grant")
}

/// The HTTP client with the judgement of every refusal before oauth2 sees the answer: oauth2 knows no
/// `error_subtype`, tells no status, and would keep the body.
struct Judge<'a> {
    endpoint: &'a TokenEndpoint<'a>,
    /// The refresh token of the answer, noted before anything else of it can turn out to be of no use.
    rotated: RefCell<Option<RefreshToken>>,
    sent: RefCell<Option<Sent>>,
}

impl<'a> Judge<'a> {
    fn new(endpoint: &'a TokenEndpoint<'a>) -> Judge<'a> {
        Judge { endpoint, rotated: RefCell::default(), sent: RefCell::default() }
    }

    /// Scopes are shown and written down: none of them may be a secret of ours.
    fn without_echoes(&self, tokens: TokenSet) -> TokenSet {
        let sent = self.sent.borrow();
        let is_echo = |scope: &str| sent.as_ref().is_some_and(|sent| sent.taken_out_of(scope) != scope);
        let scopes =
            tokens.scopes.map(|scopes| scopes.iter().filter(|scope| !is_echo(scope)).map(str::to_owned).collect());
        TokenSet { scopes, ..tokens }
    }
}

impl SyncHttpClient for Judge<'_> {
    type Error = Error;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse> {
        let sent = Sent::in_request(&request);
        let response = self.endpoint.http.call(request)?;
        if response.status().is_success() {
            *self.rotated.borrow_mut() = new_refresh_token(response.body());
        }
        let refusal = refusal(response.body(), &sent);
        *self.sent.borrow_mut() = Some(sent);
        if response.status() == StatusCode::OK && refusal.error.is_empty() {
            return Ok(response);
        }
        Err(self.endpoint.refused(refusal, response.status()))
    }
}

/// The error members of a body, empty where it has none (RFC 6749 section 5.2).
fn refusal(body: &[u8], sent: &Sent) -> Refusal {
    let body = first_value(body).unwrap_or_default();
    let member = |name: &str| body.get(name).and_then(Value::as_str);
    let words = |name: &str| member(name).map(|text| sent.taken_out_of(text));
    let error = member("error").map(|code| sent.taken_out_of_code(code)).unwrap_or_default();
    Refusal::new(error, words("error_description"), words("error_subtype"))
}

type OAuth2 = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_sorted_by_their_code_never_by_their_description() {
        let (provider, http, clock) = (Provider::google(), Http::default(), Clock::fixed(0));
        let client = Client {
            id: oauth2::ClientId::new("c".to_owned()),
            secret: Some(oauth2::ClientSecret::new("s".to_owned())),
        };
        let endpoint = TokenEndpoint { provider: &provider, client: &client, http: &http, clock: &clock };
        let sorted = |error: &str| {
            let refusal =
                Refusal { error: error.to_owned(), description: Some("invalid_grant".to_owned()), subtype: None };
            as_grant(endpoint.refused(refusal, StatusCode::BAD_REQUEST))
        };
        assert!(matches!(sorted("invalid_grant"), Error::GrantEnded { .. }));
        assert!(matches!(sorted("deleted_client"), Error::ClientRefused { .. }));
        assert!(matches!(sorted("invalid_client"), Error::ClientRefused { .. }));
        assert!(matches!(sorted("admin_policy_enforced"), Error::Denied(_)));
        assert!(matches!(sorted("temporarily_unavailable"), Error::ProviderTrouble { .. }));
        assert!(matches!(sorted("something_new"), Error::Refused { .. }));
        assert!(matches!(sorted(""), Error::BadAnswer { .. }));
    }

    #[test]
    fn the_subtype_that_asks_for_a_new_login_is_kept() {
        let body = br#"{"error":"invalid_grant","error_description":"reauth","error_subtype":"invalid_rapt"}"#;
        let refusal = refusal(body, &Sent::in_request(&HttpRequest::default()));
        assert_eq!(refusal.to_string(), "invalid_grant/invalid_rapt (reauth)");
    }
}
