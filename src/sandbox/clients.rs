//! The clients the provider knows, their redirect URIs, and how they prove who they are.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq as _;

use super::message::{Refusal, Request};
use super::params::Params;

/// A registered client.
#[derive(Clone)]
pub struct Client {
    /// Its `client_id`.
    pub id: String,
    /// Its secret; a public client has none (RFC 6749 section 2.1).
    pub secret: Option<String>,
    /// The name that the consent page shows.
    pub name: String,
    /// Where it may be sent back to: exact text, except that `http://127.0.0.1` and `http://[::1]` stand for any
    /// port, and if they name no path, for any path as well.
    pub redirect_uris: Vec<String>,
    /// Whether it is ever given a refresh token.
    pub refresh_tokens: bool,
}

impl Client {
    /// A client on the loopback literals, with refresh tokens.
    pub fn new(id: &str, secret: Option<&str>) -> Client {
        Client {
            id: id.into(),
            secret: secret.map(str::to_owned),
            name: "Sandbox program".into(),
            redirect_uris: LOOPBACK.iter().map(|uri| (*uri).to_owned()).collect(),
            refresh_tokens: true,
        }
    }

    /// The clients of a fresh provider.
    pub(super) fn defaults() -> Vec<Client> {
        vec![
            Client::new("sandbox-installed", Some("sandbox-secret-not-confidential")),
            Client::new("sandbox-public", None),
            Client::new("sandbox-odd-secret", Some("a+b/c=d&e%41?f#g:h i")),
            Client { refresh_tokens: false, ..Client::new("sandbox-no-refresh", Some("sandbox-secret-two")) },
        ]
    }

    /// Whether a request may name this redirect URI (RFC 6749 section 3.1.2.3, RFC 8252 section 7.3).
    pub(super) fn may_return_to(&self, redirect_uri: &str) -> bool {
        let is_plain = url::Url::parse(redirect_uri).is_ok() && !redirect_uri.contains('#');
        is_plain && self.redirect_uris.iter().any(|registered| returns_to(registered, redirect_uri))
    }

    fn has_secret(&self, given: Option<&str>) -> bool {
        match (&self.secret, given) {
            (None, None) => true,
            (Some(own), Some(given)) => own.as_bytes().ct_eq(given.as_bytes()).into(),
            _ => false,
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Text against text: a URL parser would also accept `http://127.1:80/` or hide a user name.
fn returns_to(registered: &str, redirect_uri: &str) -> bool {
    let loopback = LOOPBACK.iter().find_map(|host| Some((host, registered.strip_prefix(host)?)));
    let Some((host, path)) = loopback.filter(|(_, path)| !path.starts_with(':')) else {
        return registered == redirect_uri; // a port of its own, or no loopback: to the letter
    };
    let Some(rest) = redirect_uri.strip_prefix(host) else { return false };
    let Some(after_port) = without_port(rest) else { return false };
    match path {
        "" => after_port.is_empty() || after_port.starts_with(['/', '?']),
        path => after_port == path,
    }
}

/// What follows `:port`, or the text itself if there is no port.
fn without_port(text: &str) -> Option<&str> {
    let Some(text) = text.strip_prefix(':') else { return Some(text) };
    let rest = text.trim_start_matches(|digit: char| digit.is_ascii_digit());
    let port = &text[..text.len() - rest.len()];
    port.parse::<u16>().ok().filter(|port| *port != 0).map(|_| rest)
}

/// How a request says which client sends it (RFC 6749 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// No secret anywhere; a `client_id` at most.
    None,
    /// `client_secret_basic`
    Basic,
    /// `client_secret_post`
    Post,
    /// Two at once, which the standard forbids.
    Both,
}

impl ClientAuth {
    pub(super) fn of(request: &Request, form: &Params) -> ClientAuth {
        let basic = request.headers_named("Authorization").any(|value| basic_credentials(value).is_some());
        match (basic, form.get("client_secret").is_some()) {
            (false, false) => ClientAuth::None,
            (true, false) => ClientAuth::Basic,
            (false, true) => ClientAuth::Post,
            (true, true) => ClientAuth::Both,
        }
    }
}

/// Finds the client that sent a request, by exactly one method.
pub(super) fn authenticate<'a>(clients: &'a [Client], request: &Request, form: &Params) -> Result<&'a Client, Refusal> {
    let (id, secret) = match request.headers_named("Authorization").count() {
        0 => (form.get("client_id").map(str::to_owned), form.get("client_secret").map(str::to_owned)),
        1 => from_header(request, form)?,
        _ => return Err(Refusal::invalid_request("more than one Authorization header")),
    };
    let id = id.ok_or(Refusal::invalid_client("the request names no client"))?;
    let client = clients.iter().find(|client| client.id == id);
    let client = client.ok_or(Refusal::invalid_client("there is no such client"))?;
    if client.has_secret(secret.as_deref()) {
        return Ok(client);
    }
    Err(Refusal::invalid_client(match secret {
        None => MISSING_SECRET,
        Some(_) => "the client secret is wrong",
    }))
}

type Named = (Option<String>, Option<String>);

fn from_header(request: &Request, form: &Params) -> Result<Named, Refusal> {
    if form.get("client_secret").is_some() {
        return Err(Refusal::invalid_request("more than one way of client authentication"));
    }
    let header = request.header("Authorization").unwrap_or_default();
    let encoded = basic_credentials(header).ok_or(Refusal::invalid_client("the scheme is not Basic"))?;
    let (id, secret) = decode_basic(encoded).ok_or(Refusal::invalid_client("the credentials are malformed"))?;
    if form.get("client_id").is_some_and(|other| other != id) {
        return Err(Refusal::invalid_request("two different clients are named"));
    }
    Ok((Some(id), Some(secret)))
}

/// What follows the scheme name, which is case-insensitive (RFC 7617 section 2).
fn basic_credentials(header: &str) -> Option<&str> {
    let (scheme, credentials) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Basic").then(|| credentials.trim())
}

/// Both halves are form-encoded before base64 (RFC 6749 section 2.3.1), so the first colon parts them.
fn decode_basic(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id)?, form_decode(secret)?))
}

fn form_decode(text: &str) -> Option<String> {
    // None of these can come out of a form encoder.
    if text.contains(['&', '=', ':', ' ']) {
        return None;
    }
    Params::parse(&format!("v={text}")).ok()?.get("v").map(str::to_owned)
}

/// Google words it so and answers 400 (requirement G-3); here it is 401, as the standard has it.
pub(super) const MISSING_SECRET: &str = "client_secret is missing.";

const LOOPBACK: [&str; 2] = ["http://127.0.0.1", "http://[::1]"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_and_path_of_the_loopback_literals_is_fine_for_an_installed_client() {
        let client = Client::new("c", None);
        for uri in ["http://127.0.0.1:4711/x/y?z=1", "http://[::1]:9", "http://127.0.0.1:65535/"] {
            assert!(client.may_return_to(uri), "{uri}");
        }
    }

    #[test]
    fn lookalikes_of_the_loopback_literals_are_refused() {
        let client = Client::new("c", None);
        for uri in [
            "http://localhost:4711/",
            "https://127.0.0.1:4711/",
            "http://127.0.0.1.example.test/",
            "http://127.0.0.1:80@example.test/",
            "http://127.0.0.1@example.test/",
            "http://127.1:80/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:65536/",
            "http://127.0.0.1:4711/#fragment",
            "http://[::2]:1/",
            "not a URL",
        ] {
            assert!(!client.may_return_to(uri), "{uri}");
        }
    }

    #[test]
    fn a_registered_path_leaves_only_the_port_open_and_other_uris_must_be_identical() {
        let redirect_uris = vec!["http://127.0.0.1/cb".into(), "http://localhost:1/cb".into()];
        let client = Client { redirect_uris, ..Client::new("c", None) };
        assert!(client.may_return_to("http://127.0.0.1:4711/cb") && client.may_return_to("http://localhost:1/cb"));
        for uri in ["http://127.0.0.1:4711/cb/", "http://127.0.0.1:1/", "http://localhost:2/cb"] {
            assert!(!client.may_return_to(uri), "{uri}");
        }
    }

    #[test]
    fn the_debug_text_of_a_client_has_no_secret() {
        assert!(!format!("{:?}", Client::defaults()).contains("secret-not"));
    }
}
