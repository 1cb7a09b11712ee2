//! Discovery: finding a provider by its issuer, and believing its document only where the rules allow.

use serde::Deserialize;
use url::Url;

use crate::error::{Error, Result};
use crate::http::Http;
use crate::provider::{GOOGLE, Provider, endpoint_problem};

impl Provider {
    /// Finds a provider by its issuer (OpenID Connect Discovery section 4, RFC 8414 section 3).
    ///
    /// # Errors
    /// [`Error::IssuerRefused`], [`Error::Discovery`], [`Error::EndpointRefused`], or those of the network.
    pub fn discover(issuer: &str, http: &Http) -> Result<Provider> {
        if issuer.trim_end_matches('/') == GOOGLE {
            return Ok(Provider::google());
        }
        check_issuer(issuer)?;
        for place in metadata_places(issuer)? {
            match http.get_json::<Metadata>(&place) {
                Ok(Some(document)) => return document.into_provider(issuer),
                Ok(None) => {}
                Err(Error::BadAnswer { problem, .. }) => return Err(discovery(issuer, &problem)),
                Err(other) => return Err(other),
            }
        }
        Err(discovery(issuer, "the provider has none"))
    }
}

/// The members of a discovery document that are used; the rest is ignored.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    revocation_endpoint: Option<Url>,
    userinfo_endpoint: Option<Url>,
    jwks_uri: Option<Url>,
    #[serde(default)]
    id_token_signing_alg_values_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    fn into_provider(self, issuer: &str) -> Result<Provider> {
        if self.issuer != issuer {
            return Err(discovery(issuer, &format!("it is for issuer {:?}", self.issuer)));
        }
        let supports_s256 = self.code_challenge_methods_supported.map(|methods| methods.iter().any(|m| m == "S256"));
        if supports_s256 == Some(false) {
            return Err(discovery(issuer, "the provider supports PKCE only without S256"));
        }
        let provider = Provider {
            issuer: self.issuer,
            authorization_endpoint: self.authorization_endpoint,
            token_endpoint: self.token_endpoint,
            revocation_endpoint: self.revocation_endpoint,
            userinfo_endpoint: self.userinfo_endpoint,
            jwks_uri: self.jwks_uri,
            id_token_algorithms: self.id_token_signing_alg_values_supported,
            basic_auth: prefers_basic(self.token_endpoint_auth_methods_supported.as_deref()),
            sends_iss: self.authorization_response_iss_parameter_supported,
            supports_s256,
        };
        provider.check_endpoints()?;
        Ok(provider)
    }
}

/// Basic is the default of OpenID Connect Discovery section 3; the body is used only where it is announced.
fn prefers_basic(methods: Option<&[String]>) -> bool {
    methods.is_none_or(|methods| !methods.iter().any(|method| method == "client_secret_post"))
}

/// https, or http on loopback; no query, no fragment, no credentials (RFC 8414 section 2).
fn check_issuer(issuer: &str) -> Result<Url> {
    let refuse = |problem| Error::IssuerRefused { issuer: without_password(issuer), problem };
    let url = Url::parse(issuer).map_err(|_| refuse("it is no URL"))?;
    if url.query().is_some() {
        return Err(refuse("it has a query"));
    }
    match endpoint_problem(&url) {
        Some(problem) => Err(refuse(problem)),
        None => Ok(url),
    }
}

/// For messages: a password that was typed into an issuer is not repeated.
fn without_password(issuer: &str) -> String {
    let (scheme, rest) = issuer.split_once("://").unwrap_or(("", issuer));
    match rest.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => host.to_owned(),
        Some((_, host)) => format!("{scheme}://{host}"),
        None => issuer.to_owned(),
    }
}

/// Where OpenID Connect Discovery section 4.1, and then RFC 8414 section 3.1, put the document.
fn metadata_places(issuer: &str) -> Result<Vec<Url>> {
    let url = check_issuer(issuer)?;
    let path = url.path().trim_end_matches('/').to_owned();
    let place = |path: String| {
        let mut place = url.clone();
        place.set_path(&path);
        place
    };
    Ok(vec![
        place(format!("{path}/.well-known/openid-configuration")),
        place(format!("/.well-known/oauth-authorization-server{path}")),
    ])
}

fn discovery(issuer: &str, problem: &str) -> Error {
    Error::Discovery { issuer: issuer.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(issuer: &str) -> Metadata {
        let base = "https://op.example";
        serde_json::from_value(serde_json::json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/auth"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/jwks"),
        }))
        .expect("a good document")
    }

    #[test]
    fn a_document_for_another_issuer_is_refused_even_if_only_a_slash_differs() {
        for other in ["https://op.example/", "https://OP.example", "https://other.example"] {
            let refused = metadata(other).into_provider("https://op.example");
            assert!(matches!(refused, Err(Error::Discovery { .. })), "{other}");
        }
        assert!(metadata("https://op.example").into_provider("https://op.example").is_ok());
    }

    #[test]
    fn an_endpoint_without_https_or_with_credentials_is_refused() {
        for bad in [
            "http://op.example/token",
            "file:///token",
            "javascript:alert(1)",
            "https://a:b@op.example/token",
            "https://op.example/token#x",
        ] {
            let mut document = metadata("https://op.example");
            document.token_endpoint = Url::parse(bad).expect("a URL");
            let refused = document.into_provider("https://op.example");
            assert!(matches!(refused, Err(Error::EndpointRefused { .. })), "{bad}");
        }
    }

    #[test]
    fn plain_pkce_alone_is_refused_and_silence_is_not() {
        let mut document = metadata("https://op.example");
        document.code_challenge_methods_supported = Some(vec!["plain".to_owned()]);
        assert!(matches!(document.into_provider("https://op.example"), Err(Error::Discovery { .. })));
        let silent = metadata("https://op.example").into_provider("https://op.example").expect("a provider");
        assert_eq!(silent.supports_s256, None);
    }

    #[test]
    fn the_body_carries_the_secret_only_where_that_is_announced() {
        assert!(metadata("https://op.example").into_provider("https://op.example").expect("a provider").basic_auth);
        let methods = ["client_secret_basic".to_owned(), "client_secret_post".to_owned()];
        assert!(!prefers_basic(Some(&methods)));
        assert!(prefers_basic(Some(&methods[..1])));
    }

    #[test]
    fn the_document_is_looked_for_in_both_places() {
        let places = metadata_places("https://op.example/tenant/").expect("an issuer");
        let places: Vec<&str> = places.iter().map(Url::as_str).collect();
        assert_eq!(
            places,
            [
                "https://op.example/tenant/.well-known/openid-configuration",
                "https://op.example/.well-known/oauth-authorization-server/tenant",
            ]
        );
    }

    #[test]
    fn an_issuer_needs_https_and_no_query() {
        for bad in
            ["op.example", "http://op.example", "https://op.example?x=1", "https://op.example#x", "ftp://op.example"]
        {
            assert!(matches!(check_issuer(bad), Err(Error::IssuerRefused { .. })), "{bad}");
        }
        for good in ["https://op.example/a", "http://127.0.0.1:9400", "http://[::1]:9400", "http://localhost:1"] {
            assert!(check_issuer(good).is_ok(), "{good}");
        }
    }
}
