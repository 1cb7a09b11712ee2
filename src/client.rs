//! The OAuth client: its id and secret, and the reader of Google's `client_secrets.json`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use oauth2::{ClientId, ClientSecret};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::error::{ClientFileProblem, Error, Result};

/// Who asks: an OAuth client as registered with the provider.
#[derive(Clone, Debug)]
pub struct Client {
    /// The public identifier.
    pub id: ClientId,
    /// Absent for a public client. Not confidential in a native app (N-9), but not shown either.
    pub secret: Option<ClientSecret>,
}

impl Client {
    /// A client without a secret.
    pub fn public(id: &str) -> Client {
        Client { id: ClientId::new(id.to_owned()), secret: None }
    }
}

/// A client file as Google's console gives it (G-1), read whole.
#[derive(Clone, Debug)]
pub struct ClientFile {
    /// Id and secret.
    pub client: Client,
    /// Whether it is for desktop programs or for a web server.
    pub kind: ClientKind,
    /// The authorization endpoint that the file names.
    pub auth_uri: Url,
    /// The token endpoint that the file names.
    pub token_uri: Url,
    /// The redirect URIs that are registered.
    pub redirect_uris: Vec<String>,
    /// Google's project, from which later commands take the quota project.
    pub project_id: Option<String>,
}

/// The two kinds of client that a file can hold (G-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// "Desktop app": any loopback port is accepted (RFC 8252 section 7.3).
    Installed,
    /// "Web application": the redirect URI must be registered to the letter (G-5).
    Web,
}

/// Where the browser is to come back to, when the client's registration leaves no choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoopbackRedirect {
    /// `127.0.0.1`, `[::1]` or `localhost`.
    pub host: String,
    /// The registered port, for a web client.
    pub port: Option<u16>,
    /// The registered path, `/` if it has none.
    pub path: String,
}

impl ClientFile {
    /// Reads a client file.
    ///
    /// # Errors
    /// [`Error::ClientFile`] saying what the file is instead, when it is another kind of file.
    pub fn read(path: &Path) -> Result<ClientFile> {
        read_bounded(path)
            .and_then(|text| ClientFile::parse(&text))
            .map_err(|problem| Error::ClientFile { path: path.to_owned(), problem })
    }

    /// Reads the text of a client file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> std::result::Result<ClientFile, ClientFileProblem> {
        let members = top_level(text)?;
        let (kind, object) = registration(&members)?;
        let file = ClientFile {
            client: Client {
                id: ClientId::new(required(object, "client_id")?),
                secret: optional(object, "client_secret")?.map(ClientSecret::new),
            },
            kind,
            auth_uri: endpoint(object, "auth_uri")?,
            token_uri: endpoint(object, "token_uri")?,
            redirect_uris: strings(object, "redirect_uris")?,
            project_id: optional(object, "project_id")?,
        };
        match (kind, file.loopback_redirect()) {
            (ClientKind::Web, None) => Err(ClientFileProblem::WebWithoutLoopback),
            _ => Ok(file),
        }
    }

    /// The redirect that the registration asks for, if it asks for more than "any loopback port".
    ///
    /// A desktop client's path is kept and its host becomes the literal 127.0.0.1 (RFC 8252 section 8.3);
    /// a web client's URI is used to the letter, since the provider compares it so.
    pub fn loopback_redirect(&self) -> Option<LoopbackRedirect> {
        let uris = self.redirect_uris.iter().filter_map(|uri| Url::parse(uri).ok());
        let mut candidates = uris.filter(is_plain_loopback);
        match self.kind {
            ClientKind::Installed => candidates.find(|uri| uri.path() != "/").map(|uri| LoopbackRedirect {
                host: "127.0.0.1".to_owned(),
                port: None,
                path: uri.path().to_owned(),
            }),
            ClientKind::Web => candidates.next().map(|uri| LoopbackRedirect {
                host: uri.host_str().unwrap_or_default().to_owned(),
                port: Some(uri.port_or_known_default().unwrap_or(80)),
                path: uri.path().to_owned(),
            }),
        }
    }
}

fn is_plain_loopback(uri: &Url) -> bool {
    uri.scheme() == "http"
        && matches!(uri.host_str(), Some("127.0.0.1" | "[::1]" | "localhost"))
        && uri.query().is_none()
        && uri.fragment().is_none()
}

fn read_bounded(path: &Path) -> std::result::Result<String, ClientFileProblem> {
    let unreadable = |cause: std::io::Error| ClientFileProblem::Unreadable(cause.to_string());
    let mut text = Vec::new();
    File::open(path).map_err(unreadable)?.take(MAX_BYTES).read_to_end(&mut text).map_err(unreadable)?;
    String::from_utf8(text).map_err(|_| ClientFileProblem::NotJson)
}

fn top_level(text: &str) -> std::result::Result<Map<String, Value>, ClientFileProblem> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ClientFileProblem::Empty);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(ClientFileProblem::OtherKind("JSON without the member \"installed\" or \"web\"")),
        Err(error) if error.is_eof() && text.starts_with('{') => Err(ClientFileProblem::Truncated),
        Err(_) => Err(ClientFileProblem::NotJson),
    }
}

/// The registration inside, or what the file is instead. `web` first, as Google's own client does (G-1).
fn registration(
    members: &Map<String, Value>,
) -> std::result::Result<(ClientKind, &Map<String, Value>), ClientFileProblem> {
    for (name, kind) in [("web", ClientKind::Web), ("installed", ClientKind::Installed)] {
        match members.get(name) {
            Some(Value::Object(object)) => return Ok((kind, object)),
            Some(_) => return Err(ClientFileProblem::Member(if name == "web" { "web" } else { "installed" })),
            None => {}
        }
    }
    Err(ClientFileProblem::OtherKind(other_kind(members)))
}

/// What people hand in by mistake; each has a download place of its own in the console.
fn other_kind(members: &Map<String, Value>) -> &'static str {
    match members.get("type").and_then(Value::as_str) {
        Some("service_account") => "a service-account key",
        Some("authorized_user") => "an authorized_user file with somebody's refresh token (gcloud's own credentials)",
        Some("external_account" | "external_account_authorized_user") => "a workload identity federation file",
        Some("impersonated_service_account") => "an impersonated service-account file",
        Some(_) => "some other credential file",
        None if members.contains_key("3pi") => "a workforce (3pi) client",
        None if members.contains_key("project_info") => "a google-services.json of an Android app",
        None if members.contains_key("refresh_token") => "a file with somebody's refresh token",
        None if members.contains_key("client_id") => "the inner part of a client file, without \"installed\" around it",
        None => "JSON without the member \"installed\" or \"web\"",
    }
}

fn required(object: &Map<String, Value>, name: &'static str) -> std::result::Result<String, ClientFileProblem> {
    optional(object, name)?.ok_or(ClientFileProblem::Member(name))
}

fn optional(object: &Map<String, Value>, name: &'static str) -> std::result::Result<Option<String>, ClientFileProblem> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ClientFileProblem::Member(name)),
    }
}

fn endpoint(object: &Map<String, Value>, name: &'static str) -> std::result::Result<Url, ClientFileProblem> {
    Url::parse(&required(object, name)?).map_err(|_| ClientFileProblem::Member(name))
}

fn strings(object: &Map<String, Value>, name: &'static str) -> std::result::Result<Vec<String>, ClientFileProblem> {
    let wrong = ClientFileProblem::Member(name);
    match object.get(name) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().map(str::to_owned).ok_or(wrong.clone())).collect()
        }
        Some(_) => Err(wrong),
    }
}

/// Far more than any client file has; keeps a wrongly named huge file out of memory.
const MAX_BYTES: u64 = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const DESKTOP: &str = r#"{"installed":{"client_id":"id.apps.googleusercontent.com","project_id":"p",
        "auth_uri":"https://accounts.google.com/o/oauth2/auth","token_uri":"https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url":"https://www.googleapis.com/oauth2/v1/certs","client_secret":"GOCSPX-canary",
        "redirect_uris":["http://localhost"]}}"#;

    fn problem(text: &str) -> ClientFileProblem {
        ClientFile::parse(text).expect_err("must be refused")
    }

    fn web(redirect_uris: &str) -> String {
        DESKTOP.replace("installed", "web").replace(r#"["http://localhost"]"#, redirect_uris)
    }

    #[test]
    fn a_desktop_file_is_read_whole_and_its_secret_is_not_shown() {
        let file = ClientFile::parse(DESKTOP).expect("a good file");
        assert_eq!(file.client.id.as_str(), "id.apps.googleusercontent.com");
        assert_eq!(file.project_id.as_deref(), Some("p"));
        assert_eq!(file.kind, ClientKind::Installed);
        assert_eq!(file.loopback_redirect(), None);
        assert!(!format!("{file:?}").contains("canary"));
    }

    #[test]
    fn a_byte_order_mark_and_unknown_members_do_no_harm() {
        let text = format!("\u{feff}{}", DESKTOP.replace("\"project_id\"", "\"new_member\":[1],\"project_id\""));
        assert!(ClientFile::parse(&text).is_ok());
    }

    #[test]
    fn a_file_without_a_secret_is_a_public_client() {
        let file = ClientFile::parse(&DESKTOP.replace("client_secret", "other")).expect("a good file");
        assert!(file.client.secret.is_none());
    }

    #[test]
    fn a_web_file_is_used_with_its_own_loopback_redirect_to_the_letter() {
        let file = ClientFile::parse(&web(r#"["https://a.example/cb","http://localhost:8085/oauth2/cb"]"#));
        let redirect = file.expect("a good file").loopback_redirect().expect("a loopback redirect");
        assert_eq!(
            (redirect.host.as_str(), redirect.port, redirect.path.as_str()),
            ("localhost", Some(8085), "/oauth2/cb")
        );
    }

    #[test]
    fn a_web_file_without_a_loopback_redirect_is_refused() {
        assert_eq!(problem(&web(r#"["https://a.example/cb"]"#)), ClientFileProblem::WebWithoutLoopback);
        assert_eq!(problem(&web("[]")), ClientFileProblem::WebWithoutLoopback);
    }

    #[test]
    fn a_desktop_file_that_names_a_path_keeps_it_on_the_literal_address() {
        let text = DESKTOP.replace("http://localhost", "http://localhost/callback");
        let redirect = ClientFile::parse(&text).expect("a good file").loopback_redirect().expect("a path");
        assert_eq!((redirect.host.as_str(), redirect.port, redirect.path.as_str()), ("127.0.0.1", None, "/callback"));
    }

    #[test]
    fn other_json_files_are_named_for_what_they_are() {
        for (text, word) in [
            (r#"{"type":"service_account","private_key":"x"}"#, "service-account key"),
            (r#"{"type":"authorized_user","refresh_token":"x"}"#, "authorized_user"),
            (r#"{"type":"external_account"}"#, "federation"),
            (r#"{"project_info":{}}"#, "google-services.json"),
            (r#"{"client_id":"x","client_secret":"y"}"#, "inner part"),
            (r#"[]"#, "without the member"),
            (r#"{}"#, "without the member"),
        ] {
            let ClientFileProblem::OtherKind(kind) = problem(text) else { panic!("{text}") };
            assert!(kind.contains(word), "{kind}");
        }
    }

    #[test]
    fn a_truncated_download_an_empty_file_and_a_web_page_are_told_apart() {
        assert_eq!(problem(&DESKTOP[..DESKTOP.len() - 5]), ClientFileProblem::Truncated);
        assert_eq!(problem(" \n"), ClientFileProblem::Empty);
        assert_eq!(problem("<!DOCTYPE html><title>Sign in</title>"), ClientFileProblem::NotJson);
    }

    #[test]
    fn a_missing_or_wrongly_typed_member_is_named() {
        for name in ["client_id", "auth_uri", "token_uri"] {
            let text = DESKTOP.replace(&format!("\"{name}\""), "\"x\"");
            assert_eq!(problem(&text), ClientFileProblem::Member(name));
        }
        assert_eq!(problem(&DESKTOP.replace(r#""GOCSPX-canary""#, "7")), ClientFileProblem::Member("client_secret"));
        assert_eq!(problem(r#"{"installed":7}"#), ClientFileProblem::Member("installed"));
    }
}
