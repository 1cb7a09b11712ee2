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

    /// The provider of a client file: Google's own, or the one whose discovery document names the file's
    /// endpoints, or else those endpoints alone (requirements, decision 5; G-2).
    ///
    /// # Errors
    /// [`Error::EndpointsDisagree`] for a file that mixes providers, and those of [`Provider::discover`].
    pub fn of_client_file(file: &ClientFile, http: &Http) -> Result<Provider> {
        let uris = [&file.auth_uri, &file.token_uri];
        if uris.into_iter().all(is_google_host) {
            Ok(Provider::google())
        } else if uris.into_iter().any(leads_to_google) {
            Err(disagree(&file.auth_uri, &file.token_uri))
        } else {
            Provider::of_endpoints(file, http)
        }
    }

    fn of_endpoints(file: &ClientFile, http: &Http) -> Result<Provider> {
        check_endpoint("authorization endpoint", &file.auth_uri)?;
        check_endpoint("token endpoint", &file.token_uri)?;
        let issuer = file.token_uri.origin().ascii_serialization();
        match Provider::discover(&issuer, http) {
            Ok(provider) if provider.names(file) => Ok(provider),
            Ok(_) | Err(Error::Discovery { .. }) => Ok(Provider::undiscovered(issuer, file)),
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

impl Provider {
    /// Checks every endpoint; one elsewhere may not point at plain http on this machine.
    pub(crate) fn check_endpoints(&self) -> Result<()> {
        let endpoints = [
            ("authorization endpoint", Some(&self.authorization_endpoint)),
            ("token endpoint", Some(&self.token_endpoint)),
            ("revocation endpoint", self.revocation_endpoint.as_ref()),
            ("userinfo endpoint", self.userinfo_endpoint.as_ref()),
            ("key endpoint", self.jwks_uri.as_ref()),
        ];
        let is_local = self.issuer.starts_with("http://");
        for (name, url) in endpoints.into_iter().filter_map(|(name, url)| Some((name, url?))) {
            check_endpoint(name, url)?;
            if url.scheme() == "http" && !is_local {
                let problem = "a provider elsewhere must not name this machine";
                return Err(Error::EndpointRefused { name, host: host_of(url), problem });
            }
        }
        Ok(())
    }
}

/// Refuses an endpoint without https (loopback excepted), with credentials or with a fragment (D-3, T-1, L-20).
pub(crate) fn check_endpoint(name: &'static str, url: &Url) -> Result<()> {
    match endpoint_problem(url) {
        None => Ok(()),
        Some(problem) => Err(Error::EndpointRefused { name, host: host_of(url), problem }),
    }
}

pub(crate) fn endpoint_problem(url: &Url) -> Option<&'static str> {
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

/// Just Google's own addresses, over https.
fn is_google_host(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    url.scheme() == "https" && url.port().is_none() && GOOGLE_HOSTS.contains(&host)
}

/// Whatever resolves to Google's hosts, also by a spelling that is not theirs, such as a dot at the end.
fn leads_to_google(url: &Url) -> bool {
    GOOGLE_HOSTS.contains(&url.host_str().unwrap_or_default().trim_end_matches('.'))
}

fn disagree(one: &Url, other: &Url) -> Error {
    Error::EndpointsDisagree { problem: format!("{} and {} are different providers", host_of(one), host_of(other)) }
}

pub(crate) const GOOGLE: &str = "https://accounts.google.com";
const GOOGLE_HOSTS: [&str; 3] = ["accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com"];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(auth_uri: &str, token_uri: &str) -> ClientFile {
        let text = format!(r#"{{"installed":{{"client_id":"c","auth_uri":"{auth_uri}","token_uri":"{token_uri}"}}}}"#);
        ClientFile::parse(&text).expect("a good file")
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
