//! The plain request and response that the provider thinks in; no socket and no HTTP crate behind them.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::pages;

/// One HTTP request as the provider sees it.
#[derive(Clone, Default)]
pub struct Request {
    /// `GET`, `POST`, ...
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its question mark; empty if there is none.
    pub query: String,
    /// Names and values in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, at most what the listener lets through.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body; `target` is a path and perhaps a query.
    pub fn get(target: &str) -> Request {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request { method: "GET".into(), path: path.into(), query: query.into(), ..Request::default() }
    }

    /// A form post, encoded as `application/x-www-form-urlencoded`.
    pub fn post(target: &str, form: &[(&str, &str)]) -> Request {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request { method: "POST".into(), body: body.into_bytes(), ..Request::get(target) };
        request.with_header("Content-Type", FORM)
    }

    /// Adds a header.
    pub fn with_header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// Every header of that name.
    pub(super) fn headers_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let matching = self.headers.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str())
    }

    /// Whether the body is declared to be a form; parameters such as a charset do not matter.
    pub(super) fn is_form(&self) -> bool {
        let media_type = self.header("Content-Type").unwrap_or_default().split(';').next();
        media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(FORM))
    }
}

/// Query, headers and body carry codes, tokens and secrets.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// The provider's answer, and how the listener has to bring it.
#[derive(Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names and values; the listener adds `Content-Length` and `Connection`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How it travels; anything but [`Delivery::Whole`] comes from a fault.
    pub delivery: Delivery,
    /// The interaction that a page belongs to, so that a test need not read HTML.
    pub(super) interaction: Option<String>,
}

/// How an answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At once and complete.
    Whole,
    /// Complete, after a wait.
    Slow(Duration),
    /// Nothing at all for this long, then the connection closes.
    Hang(Duration),
    /// Byte by byte with this pause between them.
    Drip(Duration),
    /// Half the body under the length of the whole, then the connection closes.
    Truncated,
    /// Not a byte; the connection closes.
    Lost,
}

impl Response {
    /// An answer with a body and its media type.
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
        let headers = vec![("Content-Type".into(), content_type.into())];
        Response { status, headers, body: body.into(), delivery: Delivery::Whole, interaction: None }
    }

    /// A JSON answer.
    pub(super) fn json(status: u16, value: &Value) -> Response {
        Response::new(status, JSON, value.to_string())
    }

    /// A JSON answer that nobody may keep (RFC 6749 section 5.1).
    pub(super) fn private_json(status: u16, value: &Value) -> Response {
        Response::json(status, value).with("Cache-Control", "no-store").with("Pragma", "no-cache")
    }

    /// A page that may use its own style and nothing else.
    pub(super) fn page(status: u16, html: String) -> Response {
        let policy = pages::content_security_policy(&html);
        Response::new(status, "text/html; charset=utf-8", html)
            .with("Content-Security-Policy", &policy)
            .with("X-Content-Type-Options", "nosniff")
            .with("Referrer-Policy", "no-referrer")
            .with("Cache-Control", "no-store")
    }

    /// A redirect that turns a form post into a GET: 303, never 307 (RFC 9700 section 4.12).
    pub(super) fn see_other(location: &str) -> Response {
        let response = Response { headers: Vec::new(), ..Response::new(303, "", "") };
        response.with("Location", location).with("Referrer-Policy", "no-referrer").with("Cache-Control", "no-store")
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// Headers and body carry codes and tokens.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Response");
        debug.field("status", &self.status).field("delivery", &self.delivery).finish_non_exhaustive()
    }
}

/// An OAuth error as JSON (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) error: &'static str,
    pub(super) description: &'static str,
}

impl Refusal {
    pub(super) const fn new(error: &'static str, description: &'static str) -> Refusal {
        Refusal { status: 400, error, description }
    }

    pub(super) const fn invalid_request(description: &'static str) -> Refusal {
        Refusal::new("invalid_request", description)
    }

    pub(super) const fn invalid_grant(description: &'static str) -> Refusal {
        Refusal::new("invalid_grant", description)
    }

    /// 401 for every method, because the header it calls for is right for all of them.
    pub(super) const fn invalid_client(description: &'static str) -> Refusal {
        Refusal { status: 401, error: "invalid_client", description }
    }

    pub(super) const fn server_error(description: &'static str) -> Refusal {
        Refusal { status: 500, error: "server_error", description }
    }
}

impl From<Refusal> for Response {
    fn from(refusal: Refusal) -> Response {
        let body = json!({ "error": refusal.error, "error_description": refusal.description });
        let response = Response::private_json(refusal.status, &body);
        match refusal.status {
            401 => response.with("WWW-Authenticate", "Basic realm=\"sandbox\", charset=\"UTF-8\""),
            _ => response,
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
