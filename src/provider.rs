//! The provider: its issuer, its endpoints, and how they are found and checked.

use oauth2::AuthType;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::client::ClientFile;
use crate::error::{Error, Result};
use crate::http::Http;

/// An OpenID provider, as far as a login and its tokens need it. One profile has one provider (B-4).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provider {
    /// The issuer identifier, compared as text, never normalised (D-2).
    pub issuer: String,
    /// Where the browser is sent.
    pub authorization_endpoint: Url,
    /// Where codes and refresh tokens are exchanged.
    pub token_endpoint: Url,
    /// Where grants are revoked (RFC 7009), if the provider can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<Url>,
    /// Where the person's address is, for providers that leave it out of the ID token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_endpoint: Option<Url>,
    /// Where the provider's public keys are. Absent when the provider was not discovered: then ID tokens
    /// rest on the connection they came over (OpenID Connect Core section 3.1.3.7, step 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<Url>,
    /// Signature algorithms that the provider announces for ID tokens.
    #[serde(default)]
    pub id_token_algorithms: Vec<String>,
    /// Whether the client secret goes into the Authorization header rather than the body (T-3).
    #[serde(default)]
    pub basic_auth: bool,
    /// Whether an authorization answer without `iss` must be rejected (RFC 9207 section 2.4, I-2).
    #[serde(default)]
    pub sends_iss: bool,
    /// Whether the provider says that it checks PKCE with S256 (P-6); `None` if it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supports_s256: Option<bool>,
}

impl Provider {
    /// Google, from the values of its discovery document (G-38), so that no request is needed.
    pub fn google() -> Provider {
        let url = |text: &str| Url::parse(text).expect("a constant URL");
        Provider {
            issuer: GOOGLE.to_owned(),
            authorization_endpoint: url("https://accounts.google.com/o/oauth2/v2/auth"),
            token_endpoint: url("https://oauth2.googleapis.com/token"),
            revocation_endpoint: Some(url("https://oauth2.googleapis.com/revoke")),
            userinfo_endpoint: Some(url("https://openidconnect.googleapis.com/v1/userinfo")),
            jwks_uri: Some(url("https://www.googleapis.com/oauth2/v3/certs")),
            id_token_algorithms: vec!["RS256".to_owned()],
            basic_auth: false,
            sends_iss: false,
            supports_s256: Some(true),
        }
    }

    /// Whether this is Google, with its own habits (G-14, G-30, G-41).
    pub fn is_google(&self) -> bool {
        self.issuer == GOOGLE
    }

    /// The provider's host, for messages.
    pub fn host(&self) -> String {
        host_of(&self.token_endpoint)
    }

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
            if let Some(document) = http.get_json::<Metadata>(&place)? {
                return document.into_provider(issuer);
            }
        }
        Err(discovery(issuer, "the provider has none"))
    }

    /// The provider of a client file: Google's own, or the one whose discovery document names the file's
    /// endpoints, or else those endpoints alone (requirements, decision 5; G-2).
    ///
    /// # Errors
    /// [`Error::EndpointsDisagree`] for a file that mixes providers, and those of [`Provider::discover`].
    pub fn of_client_file(file: &ClientFile, http: &Http) -> Result<Provider> {
        match (is_google_host(&file.auth_uri), is_google_host(&file.token_uri)) {
            (true, true) => Ok(Provider::google()),
            (false, false) => Provider::of_endpoints(file, http),
            _ => Err(disagree(&file.auth_uri, &file.token_uri)),
        }
    }

    fn of_endpoints(file: &ClientFile, http: &Http) -> Result<Provider> {
        check_endpoint("authorization endpoint", &file.auth_uri)?;
        check_endpoint("token endpoint", &file.token_uri)?;
        let issuer = file.token_uri.origin().ascii_serialization();
        match Provider::discover(&issuer, http) {
            Ok(provider) if provider.names(file) => Ok(provider),
            Ok(_) | Err(Error::Discovery { .. } | Error::BadAnswer { .. } | Error::Refused { .. }) => {
                Ok(Provider::undiscovered(issuer, file))
            }
            Err(other) => Err(other),
        }
    }

    /// Endpoints without a discovery document: the token endpoint's origin stands for the issuer.
    fn undiscovered(issuer: String, file: &ClientFile) -> Provider {
        Provider {
            issuer,
            authorization_endpoint: file.auth_uri.clone(),
            token_endpoint: file.token_uri.clone(),
            revocation_endpoint: None,
            userinfo_endpoint: None,
            jwks_uri: None,
            id_token_algorithms: Vec::new(),
            basic_auth: true,
            sends_iss: false,
            supports_s256: None,
        }
    }

    /// Whether a client file names just this provider's endpoints.
    fn names(&self, file: &ClientFile) -> bool {
        self.authorization_endpoint == file.auth_uri && self.token_endpoint == file.token_uri
    }

    /// Checks that a client file belongs to this provider, when both were given.
    ///
    /// # Errors
    /// [`Error::EndpointsDisagree`].
    pub fn check_client_file(&self, file: &ClientFile) -> Result<()> {
        let is_google = is_google_host(&file.auth_uri) && is_google_host(&file.token_uri);
        if self.names(file) || (self.is_google() && is_google) {
            return Ok(());
        }
        Err(disagree(&self.token_endpoint, &file.token_uri))
    }

    /// The literal values of `iss` in this provider's ID tokens (V-2); Google has two (G-41).
    pub(crate) fn id_token_issuers(&self) -> Vec<&str> {
        let short = self.is_google().then_some("accounts.google.com");
        std::iter::once(self.issuer.as_str()).chain(short).collect()
    }

    /// Whether the ID token's signature can be checked.
    pub fn has_keys(&self) -> bool {
        self.jwks_uri.is_some()
    }

    /// How the client proves itself at the token endpoint (RFC 6749 section 2.3.1).
    pub(crate) fn auth_type(&self) -> AuthType {
        if self.basic_auth { AuthType::BasicAuth } else { AuthType::RequestBody }
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

impl Provider {
    fn check_endpoints(&self) -> Result<()> {
        check_endpoint("authorization endpoint", &self.authorization_endpoint)?;
        check_endpoint("token endpoint", &self.token_endpoint)?;
        self.revocation_endpoint.iter().try_for_each(|url| check_endpoint("revocation endpoint", url))?;
        self.userinfo_endpoint.iter().try_for_each(|url| check_endpoint("userinfo endpoint", url))?;
        self.jwks_uri.iter().try_for_each(|url| check_endpoint("key endpoint", url))
    }
}

/// Basic is the default of OpenID Connect Discovery section 3; the body is used only where it is announced.
fn prefers_basic(methods: Option<&[String]>) -> bool {
    methods.is_none_or(|methods| !methods.iter().any(|method| method == "client_secret_post"))
}

/// Refuses an endpoint without https (loopback excepted), with credentials or with a fragment (D-3, T-1, L-20).
pub(crate) fn check_endpoint(name: &'static str, url: &Url) -> Result<()> {
    match endpoint_problem(url) {
        None => Ok(()),
        Some(problem) => Err(Error::EndpointRefused { name, host: host_of(url), problem }),
    }
}

fn endpoint_problem(url: &Url) -> Option<&'static str> {
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(url)) {
        return Some("only https is allowed, and http on this machine");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("credentials in the URL");
    }
    url.fragment().map(|_| "a fragment in the URL")
}

/// Whether a URL's host is this machine by a literal address or the name `localhost`.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The host and port of a URL for messages.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("(no host)");
    url.port().map_or(host.to_owned(), |port| format!("{host}:{port}"))
}

fn is_google_host(url: &Url) -> bool {
    url.scheme() == "https"
        && url.port().is_none()
        && matches!(url.host_str(), Some("accounts.google.com" | "oauth2.googleapis.com" | "www.googleapis.com"))
}

/// https, or http on loopback; no query, no fragment, no credentials (RFC 8414 section 2).
fn check_issuer(issuer: &str) -> Result<Url> {
    let refuse = |problem| Error::IssuerRefused { issuer: issuer.to_owned(), problem };
    let url = Url::parse(issuer).map_err(|_| refuse("it is no URL"))?;
    if url.query().is_some() {
        return Err(refuse("it has a query"));
    }
    match endpoint_problem(&url) {
        Some(problem) => Err(refuse(problem)),
        None => Ok(url),
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

fn disagree(one: &Url, other: &Url) -> Error {
    Error::EndpointsDisagree { problem: format!("{} and {} are different providers", host_of(one), host_of(other)) }
}

const GOOGLE: &str = "https://accounts.google.com";

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

    fn file(auth_uri: &str, token_uri: &str) -> ClientFile {
        let text = format!(r#"{{"installed":{{"client_id":"c","auth_uri":"{auth_uri}","token_uri":"{token_uri}"}}}}"#);
        ClientFile::parse(&text).expect("a good file")
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

    #[test]
    fn a_google_file_may_only_name_google_and_makes_no_request() {
        let http = Http::new(crate::http::HttpOptions::default());
        let google = file("https://accounts.google.com/o/oauth2/auth", "https://oauth2.googleapis.com/token");
        assert!(Provider::of_client_file(&google, &http).expect("Google").is_google());
        for (auth_uri, token_uri) in [
            ("https://accounts.google.com/o/oauth2/auth", "https://evil.example/token"),
            ("https://evil.example/auth", "https://oauth2.googleapis.com/token"),
            ("https://accounts.google.com/o/oauth2/auth", "https://oauth2.googleapis.com.evil.example/token"),
            ("https://accounts.google.com/o/oauth2/auth", "http://oauth2.googleapis.com/token"),
        ] {
            let refused = Provider::of_client_file(&file(auth_uri, token_uri), &http);
            assert!(matches!(refused, Err(Error::EndpointsDisagree { .. })), "{token_uri}");
        }
        assert!(!http.is_built());
    }
}
