//! The token endpoint: exchange, refresh, revoke; every refusal sorted by what it means for the person.

use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::http::StatusCode;
use oauth2::{
    AccessToken, AuthType, AuthorizationCode, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, PkceCodeVerifier,
    RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken, SyncHttpClient, TokenResponse,
    TokenUrl,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use url::form_urlencoded;

use crate::Scopes;
use crate::client::Client;
use crate::error::{Error, Refusal, Result};
use crate::http::{Http, bad_answer};
use crate::provider::{Provider, host_of};
use crate::token::{Clock, IdToken, TokenSet};

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

impl TokenEndpoint<'_> {
    /// Exchanges an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.5).
    ///
    /// # Errors
    /// [`Error::Refused`] and its kin by the provider's code, and those of the network.
    pub fn exchange(&self, code: String, verifier: PkceCodeVerifier, redirect_uri: &str) -> Result<TokenSet> {
        let redirect_uri = RedirectUrl::new(redirect_uri.to_owned()).map_err(|_| self.bad("no redirect URI"))?;
        let client = self.oauth2()?;
        let issued_at = self.clock.now();
        let answer = client
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(verifier)
            .set_redirect_uri(std::borrow::Cow::Owned(redirect_uri))
            .request(&Judge(self))
            .map_err(|error| self.failure(error))?;
        answer.into_token_set(issued_at, &self.host())
    }

    /// Exchanges a refresh token (RFC 6749 section 6). The old one is spent if the answer brings a new one.
    /// `narrow` asks for a token with these scopes only.
    ///
    /// # Errors
    /// [`Error::GrantEnded`] when a new login is needed, [`Error::ClientRefused`], and those of the network.
    pub fn refresh(&self, refresh_token: &RefreshToken, narrow: Option<&Scopes>) -> Result<TokenSet> {
        let client = self.oauth2()?;
        let issued_at = self.clock.now();
        let scopes = narrow.into_iter().flat_map(Scopes::iter).map(|scope| Scope::new(scope.to_owned()));
        let answer = client.exchange_refresh_token(refresh_token).add_scopes(scopes).request(&Judge(self));
        let answer = answer.map_err(|error| as_grant(self.failure(error)))?;
        answer.into_token_set(issued_at, &self.host())
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
        let response = self.http.call(request)?;
        match response.status().as_u16() {
            200..=299 => Ok(true),
            // Google's answer for a token that is gone already (R-2); others send 200.
            400 if is_already_invalid(&refusal(response.body())) => Ok(true),
            _ => Err(self.refused(refusal(response.body()), response.status())),
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
struct Judge<'a>(&'a TokenEndpoint<'a>);

impl SyncHttpClient for Judge<'_> {
    type Error = Error;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse> {
        let response = self.0.http.call(request)?;
        let refusal = refusal(response.body());
        if response.status() == StatusCode::OK && refusal.error.is_empty() {
            return Ok(response);
        }
        Err(self.0.refused(refusal, response.status()))
    }
}

/// The error members of a body, empty where it has none (RFC 6749 section 5.2).
fn refusal(body: &[u8]) -> Refusal {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    Refusal::new(text("error").unwrap_or_default(), text("error_description"), text("error_subtype"))
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

/// A token answer as real servers send it: oauth2's own type refuses `"expires_in": "3600"` (T-4).
#[derive(Debug, Deserialize, Serialize)]
struct Answer {
    access_token: AccessToken,
    token_type: Kind,
    #[serde(default, deserialize_with = "lenient_seconds", skip_serializing)]
    expires_in: Option<u64>,
    refresh_token: Option<RefreshToken>,
    scope: Option<String>,
    #[serde(skip_serializing)]
    id_token: Option<IdToken>,
}

/// `token_type`, case-insensitive (RFC 6749 section 5.1).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Kind(String);

impl oauth2::TokenType for Kind {}

impl Answer {
    fn into_token_set(self, issued_at: u64, host: &str) -> Result<TokenSet> {
        if !self.token_type.0.eq_ignore_ascii_case("bearer") {
            return Err(bad_answer(host, "a token type other than Bearer"));
        }
        if self.access_token.secret().is_empty() {
            return Err(bad_answer(host, "an empty access token"));
        }
        check_printable("access token", self.access_token.secret(), host)?;
        self.refresh_token.iter().try_for_each(|token| check_printable("refresh token", token.secret(), host))?;
        let expires_in = self.expires_in.unwrap_or(ASSUMED_LIFE).min(LONGEST_LIFE);
        Ok(TokenSet {
            access_token: self.access_token,
            refresh_token: self.refresh_token.filter(|token| !token.secret().is_empty()),
            id_token: self.id_token.filter(|token| !token.secret().is_empty()),
            issued_at,
            expires_at: issued_at + expires_in,
            scopes: self.scope.as_deref().map(|scope| Scopes::parse(scope).well_formed()),
        })
    }
}

impl TokenResponse for Answer {
    type TokenType = Kind;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }
    fn token_type(&self) -> &Kind {
        &self.token_type
    }
    fn expires_in(&self) -> Option<std::time::Duration> {
        self.expires_in.map(std::time::Duration::from_secs)
    }
    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }
    fn scopes(&self) -> Option<&Vec<Scope>> {
        None // read from `scope` by into_token_set
    }
}

/// A token goes into headers, lines and files: `%x21-7E` only (L-17; RFC 6750 section 2.1 allows less still).
fn check_printable(name: &str, token: &str, host: &str) -> Result<()> {
    if token.bytes().all(|byte| (0x21..=0x7E).contains(&byte)) {
        return Ok(());
    }
    Err(bad_answer(host, &format!("characters in its {name} that no token has")))
}

/// Seconds as a number or a numeric string; anything else that is no sensible life counts as absent, except that
/// zero and negative ones are zero: such a token is used once and never cached.
fn lenient_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    let seconds = match Option::<Value>::deserialize(deserializer)? {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    // A float to integer cast saturates: negative and NaN become 0, huge becomes the maximum.
    Ok(seconds.map(|seconds| seconds as u64))
}

/// Life of a token whose provider named none (RFC 6749 section 5.1 only recommends it): short, to be safe.
const ASSUMED_LIFE: u64 = 300;
/// No believable access token lives longer; keeps a nonsense answer out of the arithmetic.
const LONGEST_LIFE: u64 = 10 * 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn token_set(json: &str) -> Result<TokenSet> {
        serde_json::from_str::<Answer>(json).map_err(|_| bad_answer("op", "shape"))?.into_token_set(1000, "op")
    }

    fn life(expires_in: &str) -> u64 {
        let json = format!(r#"{{"access_token":"a","token_type":"Bearer","expires_in":{expires_in}}}"#);
        token_set(&json).expect("a token").expires_at - 1000
    }

    #[test]
    fn expires_in_may_be_a_number_a_string_absent_or_nonsense() {
        assert_eq!(life("3600"), 3600);
        assert_eq!(life("\"3600\""), 3600);
        assert_eq!(life("3599.5"), 3599);
        assert_eq!(life("-5"), 0);
        assert_eq!(life("1e18"), LONGEST_LIFE);
        for unusable in ["null", "\"soon\"", "[]"] {
            assert_eq!(life(unusable), ASSUMED_LIFE, "{unusable}");
        }
        let absent = token_set(r#"{"access_token":"a","token_type":"bearer"}"#).expect("a token");
        assert_eq!(absent.expires_at, 1000 + ASSUMED_LIFE);
    }

    #[test]
    fn only_bearer_in_any_case_is_understood() {
        for (token_type, understood) in
            [("\"Bearer\"", true), ("\"BEARER\"", true), ("\"DPoP\"", false), ("\"mac\"", false), ("null", false)]
        {
            let json = format!(r#"{{"access_token":"a","token_type":{token_type}}}"#);
            assert_eq!(token_set(&json).is_ok(), understood, "{token_type}");
        }
        assert!(token_set(r#"{"access_token":"a"}"#).is_err());
    }

    #[test]
    fn a_token_with_a_line_end_a_space_or_nothing_in_it_is_refused() {
        for bad in ["a\\nhost=evil", "a\\rb", "a b", "a\\u0000", "", "ä"] {
            let json = format!(r#"{{"access_token":"{bad}","token_type":"Bearer"}}"#);
            assert!(token_set(&json).is_err(), "{bad}");
        }
        assert!(token_set(r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r\ns"}"#).is_err());
    }

    #[test]
    fn unknown_members_are_ignored_and_a_missing_scope_is_told_from_an_empty_one() {
        let set = token_set(r#"{"access_token":"a","token_type":"Bearer","new":{"x":1},"scope":"openid  email"}"#);
        assert_eq!(set.expect("a token").scopes, Some(Scopes::parse("openid email")));
        assert_eq!(token_set(r#"{"access_token":"a","token_type":"Bearer"}"#).expect("a token").scopes, None);
    }

    #[test]
    fn debug_of_an_answer_shows_no_token() {
        let json = r#"{"access_token":"canary","token_type":"Bearer","refresh_token":"canary","id_token":"canary"}"#;
        let set = token_set(json).expect("a token");
        assert!(!format!("{set:?}").contains("canary"));
    }

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
        let refusal =
            refusal(br#"{"error":"invalid_grant","error_description":"reauth","error_subtype":"invalid_rapt"}"#);
        assert_eq!(refusal.to_string(), "invalid_grant/invalid_rapt (reauth)");
    }
}
