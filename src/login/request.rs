//! The authorization request: state, nonce, PKCE verifier and the URL; redeemed at most once.

use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use oauth2::basic::BasicClient;
use oauth2::{AuthUrl, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope};
use url::Url;

use crate::Scopes;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::provider::{Provider, check_endpoint};
use crate::token::TokenSet;
use crate::token_endpoint::TokenEndpoint;

/// What the person or the program asks of the provider's page.
#[derive(Clone, Debug, Default)]
pub struct RequestOptions {
    /// What is asked for.
    pub scopes: Scopes,
    /// `login_hint`: the account to preselect (G-16).
    pub login_hint: Option<String>,
    /// `hd`: the Workspace domain to offer (G-17).
    pub hosted_domain: Option<String>,
    /// `prompt`: `consent`, `select_account`, `none` (G-15).
    pub prompt: Option<String>,
    /// Further parameters for providers that want them.
    pub extra: Vec<(String, String)>,
}

impl RequestOptions {
    /// Checks what was asked for, before anything is done about it.
    ///
    /// # Errors
    /// [`Error::ScopeRefused`], or [`Error::OptionRefused`] for a parameter that is gauth's own.
    pub fn check(&self) -> Result<()> {
        if let Some(scope) = self.scopes.malformed() {
            return Err(Error::ScopeRefused(scope.to_owned()));
        }
        match self.extra.iter().find(|(name, _)| OWN_PARAMETERS.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(Error::OptionRefused(format!("the parameter {name:?} has an option of its own or is gauth's")))
            }
            None => Ok(()),
        }
    }
}

/// One request to one provider (B-4), not `Clone`: its verifier, state and nonce are for one answer (P-1, B-2).
pub struct AuthorizationRequest {
    url: Url,
    state: CsrfToken,
    nonce: String,
    verifier: PkceCodeVerifier,
    redirect_uri: String,
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

impl AuthorizationRequest {
    /// Draws 256 bits each for state and nonce and a fresh S256 verifier, and builds the URL.
    ///
    /// # Errors
    /// [`Error::ScopeRefused`], [`Error::OptionRefused`] for a parameter that is gauth's own, and
    /// [`Error::EndpointRefused`].
    pub fn new(
        provider: &Provider,
        client: &Client,
        redirect_uri: &str,
        options: &RequestOptions,
    ) -> Result<AuthorizationRequest> {
        check_endpoint("authorization endpoint", &provider.authorization_endpoint)?;
        options.check()?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (state, nonce) = (random(), random());
        let unusable = |_| Error::OptionRefused("the endpoints are no URLs".to_owned());
        let oauth2 = BasicClient::new(client.id.clone())
            .set_auth_uri(AuthUrl::new(provider.authorization_endpoint.to_string()).map_err(unusable)?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).map_err(unusable)?);
        let mut request = oauth2
            .authorize_url(|| CsrfToken::new(state))
            .set_pkce_challenge(challenge)
            .add_scopes(options.scopes.iter().map(|scope| Scope::new(scope.to_owned())))
            .add_extra_param("nonce", nonce.clone())
            // Google's way to ask for a refresh token (G-14); other providers ignore it (RFC 6749 section 3.1).
            .add_extra_param("access_type", "offline");
        for (name, value) in optional(options) {
            request = request.add_extra_param(name, value);
        }
        let (url, state) = request.url();
        Ok(AuthorizationRequest { url, state, nonce, verifier, redirect_uri: redirect_uri.to_owned() })
    }

    /// Where the browser goes. Holds the state, the nonce and the challenge, but not the verifier.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What the answer must bring back.
    pub fn state(&self) -> &CsrfToken {
        &self.state
    }

    /// Exchanges the code; the verifier goes with it and cannot be used twice.
    ///
    /// Gives the nonce as well, for the check of the ID token.
    ///
    /// # Errors
    /// Those of [`TokenEndpoint::exchange`].
    pub fn redeem(self, code: String, endpoint: &TokenEndpoint<'_>) -> Result<(TokenSet, String)> {
        let tokens = endpoint.exchange(code, self.verifier, &self.redirect_uri)?;
        Ok((tokens, self.nonce))
    }
}

fn optional(options: &RequestOptions) -> impl Iterator<Item = (String, String)> + '_ {
    let named = [("login_hint", &options.login_hint), ("hd", &options.hosted_domain), ("prompt", &options.prompt)];
    let named = named.into_iter().filter_map(|(name, value)| value.clone().map(|value| (name.to_owned(), value)));
    named.chain(options.extra.iter().cloned())
}

/// 256 bits from the system's generator, base64url.
fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// Parameters that an extra one must not double (A-3, G-18: Google's `include_granted_scopes` breaks installed apps).
const OWN_PARAMETERS: [&str; 16] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "access_type",
    "include_granted_scopes",
    "login_hint",
    "hd",
    "prompt",
    "request_uri",
];

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    fn client() -> Client {
        Client { id: oauth2::ClientId::new("id".to_owned()), secret: None }
    }

    fn request(options: &RequestOptions) -> Result<AuthorizationRequest> {
        AuthorizationRequest::new(&Provider::google(), &client(), "http://127.0.0.1:1/", options)
    }

    fn parameters(request: &AuthorizationRequest) -> HashMap<String, String> {
        let pairs: Vec<(String, String)> = request.url().query_pairs().into_owned().collect();
        let map: HashMap<String, String> = pairs.iter().cloned().collect();
        assert_eq!(pairs.len(), map.len(), "no parameter is repeated (A-3)");
        map
    }

    #[test]
    fn state_nonce_and_an_s256_challenge_are_always_sent_and_the_verifier_never() {
        let request = request(&RequestOptions { scopes: Scopes::parse("openid email"), ..Default::default() });
        let request = request.expect("a request");
        let sent = parameters(&request);
        assert_eq!(sent["response_type"], "code");
        assert_eq!(sent["code_challenge_method"], "S256");
        assert_eq!(sent["redirect_uri"], "http://127.0.0.1:1/");
        assert_eq!(sent["scope"], "openid email");
        assert_eq!(sent["access_type"], "offline");
        assert_eq!(sent["state"].len(), 43);
        assert_eq!(sent["nonce"], request.nonce);
        assert!(!request.url().as_str().contains(request.verifier.secret().as_str()));
        assert!(!sent.contains_key("include_granted_scopes"), "G-18");
    }

    #[test]
    fn a_thousand_requests_have_a_thousand_states_nonces_and_well_formed_verifiers() {
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let request = request(&RequestOptions::default()).expect("a request");
            let verifier = request.verifier.secret().clone();
            assert!((43..=128).contains(&verifier.len()));
            assert!(verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)));
            assert!(seen.insert(verifier) && seen.insert(request.nonce) && seen.insert(request.state.secret().clone()));
        }
    }

    #[test]
    fn the_challenge_is_the_one_of_rfc_7636_appendix_b() {
        let verifier = PkceCodeVerifier::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        assert_eq!(challenge.as_str(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn an_extra_parameter_may_not_take_the_place_of_gauths_own() {
        for name in OWN_PARAMETERS {
            let options = RequestOptions { extra: vec![(name.to_owned(), "x".to_owned())], ..Default::default() };
            assert!(matches!(request(&options), Err(Error::OptionRefused(_))), "{name}");
        }
        let options = RequestOptions { extra: vec![("hl".to_owned(), "de & fr".to_owned())], ..Default::default() };
        assert_eq!(parameters(&request(&options).expect("a request"))["hl"], "de & fr");
    }

    #[test]
    fn a_scope_that_would_break_the_request_is_refused() {
        let options = RequestOptions { scopes: Scopes::parse("a\"b"), ..Default::default() };
        assert!(matches!(request(&options), Err(Error::ScopeRefused(_))));
    }

    #[test]
    fn debug_shows_neither_state_nor_verifier_nor_url() {
        let request = request(&RequestOptions::default()).expect("a request");
        let shown = format!("{request:?}");
        assert!(!shown.contains(request.state.secret()) && !shown.contains(&request.nonce), "{shown}");
    }
}
