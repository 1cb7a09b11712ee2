//! HTTP: one blocking client, built on first use, with limits. The only file that names reqwest.

use std::error::Error as _;
use std::fmt;
use std::io::Read;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use oauth2::http::{Method, header};
use oauth2::{AccessToken, HttpRequest, HttpResponse};
use reqwest::blocking::{Client, ClientBuilder, Request, Response};
use reqwest::{NoProxy, Proxy, redirect};
use serde::de::{DeserializeOwned, IgnoredAny};
use url::Url;

use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::provider::{check_endpoint, host_of};
use crate::retry::{self, FIRST_DELAY, SHORTEST_TRY, TRIES};
use crate::tls;

/// What may differ from one program or network to the next. The library reads no environment.
#[derive(Clone, Default)]
pub struct HttpOptions {
    /// PEM file with the roots to trust instead of the system's (`SSL_CERT_FILE`).
    pub ca_file: Option<PathBuf>,
    /// Proxy for https requests to other machines (`HTTPS_PROXY`). May hold credentials: not shown.
    pub proxy: Option<String>,
    /// Hosts that are reached without the proxy (`NO_PROXY`).
    pub no_proxy: Option<String>,
    /// Ends waits between tries.
    pub interrupt: Interrupt,
    /// Is told of every try.
    pub observer: Option<Observer>,
}

/// Sees what may be logged of an exchange, and nothing else.
pub type Observer = Arc<dyn Fn(&Exchange<'_>) + Send + Sync>;

/// One try of one request, by an allow-list: no path, query, header or body, since each of them can hold a secret.
#[derive(Debug)]
pub struct Exchange<'a> {
    /// GET or POST.
    pub method: &'a str,
    /// Host and port.
    pub host: &'a str,
    /// The HTTP status, or in words why there is none.
    pub outcome: std::result::Result<u16, &'a Error>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("ca_file", &self.ca_file)
            .field("proxy", &self.proxy.as_ref().map(|_| "[redacted]"))
            .field("no_proxy", &self.no_proxy)
            .finish_non_exhaustive()
    }
}

/// The HTTP client: https, or http on this machine; no redirects (L-22); time and size limits (L-23);
/// transient failures are tried again a bounded number of times.
#[derive(Debug, Default)]
pub struct Http {
    options: HttpOptions,
    client: OnceLock<Client>,
}

impl Http {
    /// Builds nothing yet: a warm `gauth token` never needs the client.
    pub fn new(options: HttpOptions) -> Http {
        Http { options, client: OnceLock::new() }
    }

    /// Whether any request was made so far.
    pub fn is_built(&self) -> bool {
        self.client.get().is_some()
    }

    /// Gets a JSON document; `None` if there is none at that place (404).
    ///
    /// # Errors
    /// Those of the network, and [`Error::BadAnswer`] for anything but JSON of the right shape.
    pub fn get_json<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>> {
        self.get_json_as(url, None)
    }

    /// The same, showing an access token in the Authorization header (RFC 6750 section 2.1; never in the URL, T-9).
    ///
    /// # Errors
    /// As [`Http::get_json`].
    pub fn get_json_as<T: DeserializeOwned>(&self, url: &Url, bearer: Option<&AccessToken>) -> Result<Option<T>> {
        let response = self.send(&get(url, bearer)?, DOCUMENT_BYTES)?;
        match response.status().as_u16() {
            200 => parse_json(url, response.body()).map(Some),
            404 => Ok(None),
            status => Err(bad_answer(&host_of(url), &format!("status {status}"))),
        }
    }

    /// Builds the client, so that a CA file or proxy that is of no use shows.
    ///
    /// # Errors
    /// [`Error::NetworkSetup`].
    pub fn set_up(&self) -> Result<()> {
        self.client().map(drop)
    }

    /// Whether a server answers at all, and what time it has, in Unix seconds (`Date`, RFC 9110 section 6.6.1).
    ///
    /// # Errors
    /// Those of the network.
    pub fn reach(&self, url: &Url) -> Result<Option<u64>> {
        let answer = self.send(&get(url, None)?, DOCUMENT_BYTES)?;
        Ok(retry::date(answer.headers(), &header::DATE)
            .and_then(|date| Some(date.duration_since(UNIX_EPOCH).ok()?.as_secs())))
    }

    /// Sends a request; a transient failure is tried again, a bounded number of times and within [`TOTAL_TIMEOUT`].
    fn send(&self, request: &HttpRequest, max_bytes: u64) -> Result<HttpResponse> {
        let (started, mut delay) = (Instant::now(), FIRST_DELAY);
        let left = || TOTAL_TIMEOUT.saturating_sub(started.elapsed());
        for _ in 1..TRIES {
            let error = match self.send_once(request, max_bytes, left()) {
                Err(error) => error,
                answered => return answered,
            };
            match retry::wait(&error, delay) {
                Some(wait) if wait + SHORTEST_TRY <= left() => self.options.interrupt.sleep(wait)?,
                _ => return Err(error),
            }
            delay *= 2;
        }
        self.send_once(request, max_bytes, left())
    }

    fn send_once(&self, request: &HttpRequest, max_bytes: u64, limit: Duration) -> Result<HttpResponse> {
        let url = Url::parse(&request.uri().to_string()).map_err(|_| bad_answer("(none)", "no URL"))?;
        check_endpoint("address", &url)?;
        let host = host_of(&url);
        let started = Instant::now();
        let answer = self.exchange(&host, request, max_bytes, limit);
        if let Some(observer) = &self.options.observer {
            let outcome = answer.as_ref().map(|answer| answer.status().as_u16());
            observer(&Exchange { method: request.method().as_str(), host: &host, outcome, took: started.elapsed() });
        }
        answer
    }

    fn exchange(&self, host: &str, request: &HttpRequest, max_bytes: u64, limit: Duration) -> Result<HttpResponse> {
        let mut outgoing: Request = request.clone().try_into().map_err(|_| bad_answer(host, "no valid request"))?;
        *outgoing.timeout_mut() = Some(ABANDONED);
        let (client, owner, method) = (self.client()?.clone(), host.to_owned(), request.method().clone());
        let (sender, answer) = mpsc::channel();
        // On a thread of its own, so that the person need not wait for it.
        let asked = thread::Builder::new().spawn(move || {
            let response = client.execute(outgoing).map_err(|error| network_error(&owner, &method, &error));
            sender.send(response.and_then(|response| read(&owner, &method, response, max_bytes)))
        });
        if let Err(cause) = asked {
            return Err(Error::Unreachable { host: host.to_owned(), problem: cause.to_string() });
        }
        self.await_answer(&answer, host, request.method(), limit)
    }

    /// The time limit is kept here and not by the client, which would count time in which the process was stopped, and
    /// throw away an answer that came meanwhile. A request that may have been acted on is waited for even when the person
    /// gives up: its answer can be a new refresh token in place of a spent one (T-8).
    fn await_answer(
        &self,
        answer: &Receiver<Result<HttpResponse>>,
        host: &str,
        method: &Method,
        limit: Duration,
    ) -> Result<HttpResponse> {
        let unheard = Interrupt::default();
        let interrupt = if method == Method::GET { &self.options.interrupt } else { &unheard };
        interrupt.receive(answer, limit)?.unwrap_or_else(|| Err(lost(host, method, "no whole answer in time")))
    }

    fn client(&self) -> Result<&Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = build(&self.options)?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl oauth2::SyncHttpClient for Http {
    type Error = Error;

    /// For the token endpoint; a 3xx is an error (L-22), every other status is the caller's to judge.
    fn call(&self, request: HttpRequest) -> Result<HttpResponse> {
        self.send(&request, TOKEN_BYTES)
    }
}

fn build(options: &HttpOptions) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("gauth/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_backend_preconfigured(tls::config(options.ca_file.as_deref())?);
    builder = proxied(builder, options)?;
    builder.build().map_err(|_| Error::NetworkSetup("the HTTP client cannot be set up".to_owned()))
}

/// The proxy is for https to other machines only; this machine is never reached through one (L-24).
fn proxied(builder: ClientBuilder, options: &HttpOptions) -> Result<ClientBuilder> {
    let Some(proxy) = options.proxy.as_deref().filter(|proxy| !proxy.is_empty()) else {
        return Ok(builder.no_proxy());
    };
    let unusable = || Error::NetworkSetup("the proxy is no http:// or https:// address".to_owned());
    // Without a scheme it is an http one, as everywhere; of another kind it would be left out silently.
    let is_known = !proxy.contains("://") || proxy.starts_with("http://") || proxy.starts_with("https://");
    if !is_known {
        return Err(unusable());
    }
    let proxy = Proxy::https(proxy)
        .map_err(|_| unusable())?
        .no_proxy(NoProxy::from_string(&bypass(options.no_proxy.as_deref())));
    Ok(builder.no_proxy().proxy(proxy))
}

fn bypass(no_proxy: Option<&str>) -> String {
    ["localhost,127.0.0.0/8,::1", no_proxy.unwrap_or_default()].join(",")
}

fn get(url: &Url, bearer: Option<&AccessToken>) -> Result<HttpRequest> {
    let mut request = oauth2::http::Request::get(url.as_str()).header(header::ACCEPT, "application/json");
    if let Some(token) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.secret()));
    }
    request.body(Vec::new()).map_err(|_| bad_answer(&host_of(url), "no valid request"))
}

fn read(host: &str, method: &Method, response: Response, max_bytes: u64) -> Result<HttpResponse> {
    let status = response.status();
    if status.is_redirection() {
        return Err(bad_answer(host, &format!("a redirect (status {}), which is never followed", status.as_u16())));
    }
    if retry::is_transient(status.as_u16()) {
        let retry_after = retry::after(response.headers());
        return Err(Error::ServerFailed { host: host.to_owned(), status: status.as_u16(), retry_after });
    }
    let headers = response.headers().clone();
    let mut body = Vec::new();
    let ended = response.take(max_bytes + 1).read_to_end(&mut body);
    // A whole document is one, even if its length was announced wrong: there may be a refresh token in it (T-8).
    let is_whole =
        || matches!(serde_json::Deserializer::from_slice(&body).into_iter::<IgnoredAny>().next(), Some(Ok(_)));
    if ended.is_err() && !is_whole() {
        return Err(lost(host, method, "the answer ended too early"));
    }
    if body.len() as u64 > max_bytes {
        return Err(bad_answer(host, &format!("more than {max_bytes} bytes")));
    }
    let mut answer = HttpResponse::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

fn network_error(host: &str, method: &Method, error: &reqwest::Error) -> Error {
    if let Some(problem) = certificate_problem(error) {
        return Error::CertificateRefused { host: host.to_owned(), problem };
    }
    if error.is_connect() {
        return Error::Unreachable { host: host.to_owned(), problem: deepest(error) };
    }
    lost(host, method, &deepest(error))
}

/// A request that changes nothing at the server can simply be made again.
fn lost(host: &str, method: &Method, problem: &str) -> Error {
    let (host, problem) = (host.to_owned(), problem.to_owned());
    if method == Method::GET { Error::Unreachable { host, problem } } else { Error::AnswerLost { host, problem } }
}

fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| match as_tls(cause) {
        Some(rustls::Error::InvalidCertificate(problem)) => Some(problem.to_string()),
        _ => None,
    })
}

/// TLS errors come wrapped in I/O errors, sometimes twice, and `source` skips what is wrapped.
fn as_tls<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
        Some(inner) => as_tls(inner),
        None => cause.downcast_ref(),
    }
}

/// The innermost cause: "Connection refused", not "error sending request for url (...)".
fn deepest(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the connection failed".to_owned(), ToString::to_string)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

fn parse_json<T: DeserializeOwned>(url: &Url, body: &[u8]) -> Result<T> {
    // serde_json's own text quotes the value at fault, so only its kind is kept.
    serde_json::from_slice(body).map_err(|error| {
        let problem = if error.is_data() { "JSON of another shape" } else { "not JSON" };
        bad_answer(&host_of(url), problem)
    })
}

pub(crate) fn bad_answer(host: &str, problem: &str) -> Error {
    Error::BadAnswer { host: host.to_owned(), problem: problem.to_owned() }
}

/// Token answers: Google's access token is at most 2 KiB (G-27), others' JWTs a few more.
const TOKEN_BYTES: u64 = 64 * 1024;
/// Discovery documents and key sets.
const DOCUMENT_BYTES: u64 = 512 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// All tries with the waits between them, bodies included, so that a dripping answer ends too: less than the patience of
/// those that wait for the lock meanwhile.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(15);
/// When the client itself lets go of an exchange that nobody waits for any more.
const ABANDONED: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_never_reached_through_the_proxy() {
        assert_eq!(bypass(Some("intern.example")), "localhost,127.0.0.0/8,::1,intern.example");
    }

    #[test]
    fn the_proxy_and_its_password_are_not_shown() {
        let options = HttpOptions { proxy: Some("http://user:canary@proxy".to_owned()), ..HttpOptions::default() };
        assert!(!format!("{:?}", Http::new(options)).contains("canary"));
    }

    #[test]
    fn a_request_without_https_never_leaves() {
        let http = Http::default();
        let url = Url::parse("http://op.example/x").expect("a URL");
        assert!(matches!(http.get_json::<serde_json::Value>(&url), Err(Error::EndpointRefused { .. })));
        assert!(!http.is_built());
    }
}
