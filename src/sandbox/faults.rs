//! Faults: what a provider, or the network before it, can do wrong on request.

use std::time::Duration;

use serde_json::Value;

use super::deflate;
use super::jwt::merge;
use super::log::Endpoint;
use super::message::{Delivery, Response};

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer, without doing the work.
    Status {
        /// HTTP status.
        status: u16,
        /// The body, whatever it is.
        body: String,
        /// Its media type.
        content_type: String,
        /// More headers.
        headers: Vec<(String, String)>,
    },
    /// An error with a `Retry-After` in seconds, without doing the work.
    RetryAfter {
        /// HTTP status, such as 429 or 503.
        status: u16,
        /// Seconds to wait.
        seconds: u64,
    },
    /// A proxy's HTML page with status 502.
    Html502,
    /// Status 200 and no body.
    Empty,
    /// The true answer, cut in the middle; the work is done.
    Truncated,
    /// No answer for this long, then a closed connection; the work is not done.
    Hang(Duration),
    /// The true answer after this long; the work is done at once.
    Slow(Duration),
    /// The true answer byte by byte with this pause between; the work is done at once.
    Drip(Duration),
    /// A redirect there, with status 307, which would carry the secrets along.
    Redirect(String),
    /// A JSON answer of about this many bytes.
    Huge(usize),
    /// A compressed answer of 64 MiB that nobody asked to be compressed.
    GzipBomb,
    /// The work is done, a rotation included, and the answer gets lost.
    LostAfter,
    /// The true JSON answer with these members overwritten; `null` removes one.
    Patch(Value),
    /// The next ID token is wrong, whatever it is made for.
    IdToken(IdTokenFault),
    /// The next redirect to the client is tampered with.
    Callback {
        /// Parameters that are overwritten or added.
        set: Vec<(String, String)>,
        /// Parameters that are left out.
        drop: Vec<String>,
        /// Parameters that come twice.
        repeat: Vec<String>,
    },
}

/// What is wrong with an ID token.
#[derive(Clone, Debug)]
pub enum IdTokenFault {
    /// `alg` is `none` and the signature empty.
    AlgNone,
    /// `alg` is `HS256`, keyed with the bytes of the public key.
    Hs256WithPublicKey,
    /// One bit of the signature is flipped.
    FlippedSignatureBit,
    /// `kid` names no published key.
    UnknownKid,
    /// There is no `kid`.
    MissingKid,
    /// `crit` demands an extension that nobody knows (RFC 7515 section 4.1.11).
    Crit,
    /// These claims are overwritten before signing; `null` removes one.
    Claims(Value),
    /// `sub` occurs twice, the second one somebody else's.
    DuplicateMember,
    /// The signature carries base64 padding.
    Padding,
    /// There is a fourth segment.
    FourSegments,
    /// `at_hash` belongs to another access token.
    WrongAtHash,
}

impl Fault {
    /// An OAuth error (RFC 6749 section 5.2).
    pub fn error(status: u16, error: &str, description: &str) -> Fault {
        let body = serde_json::json!({ "error": error, "error_description": description }).to_string();
        Fault::Status { status, body, content_type: "application/json".into(), headers: Vec::new() }
    }

    /// A redirect with this parameter overwritten or added.
    pub fn callback_with(name: &str, value: &str) -> Fault {
        Fault::Callback { set: vec![(name.into(), value.into())], drop: Vec::new(), repeat: Vec::new() }
    }

    /// A redirect without this parameter.
    pub fn callback_without(name: &str) -> Fault {
        Fault::Callback { set: Vec::new(), drop: vec![name.into()], repeat: Vec::new() }
    }

    /// A redirect with this parameter twice.
    pub fn callback_repeating(name: &str) -> Fault {
        Fault::Callback { set: Vec::new(), drop: Vec::new(), repeat: vec![name.into()] }
    }

    /// At that endpoint instead of its usual one. ID tokens and redirects have only the one.
    pub fn at(self, endpoint: Endpoint) -> Injection {
        Injection { endpoint, ..self.into() }
    }

    /// That many times instead of once.
    pub fn times(self, times: usize) -> Injection {
        Injection::from(self).times(times)
    }

    /// Whether it spoils an answer, and not a part that an answer is made of.
    fn is_about_the_answer(&self) -> bool {
        !matches!(self, Fault::IdToken(_) | Fault::Callback { .. })
    }

    /// The answer of those faults that keep the provider from working.
    pub(super) fn instead_of_work(&self) -> Option<Response> {
        Some(match self {
            Fault::Status { status, body, content_type, headers } => {
                let response = Response::new(*status, content_type, body.as_str());
                headers.iter().fold(response, |response, (name, value)| response.with(name, value))
            }
            Fault::RetryAfter { status, seconds } => {
                let body = serde_json::json!({ "error": "temporarily_unavailable" });
                Response::json(*status, &body).with("Retry-After", &seconds.to_string())
            }
            Fault::Html502 => Response::new(502, "text/html", BAD_GATEWAY),
            Fault::Empty => Response::new(200, "application/json", ""),
            Fault::Hang(wait) => Response { delivery: Delivery::Hang(*wait), ..Response::new(504, "text/plain", "") },
            Fault::Redirect(location) => Response::new(307, "text/plain", "").with("Location", location),
            Fault::Huge(bytes) => Response::new(200, "application/json", huge(*bytes)),
            Fault::GzipBomb => Response::new(200, "application/json", deflate::gzip_of_spaces(64 << 20))
                .with("Content-Encoding", "gzip"),
            _ => return None,
        })
    }

    /// What the other faults do to the true answer.
    pub(super) fn spoil(&self, response: &mut Response) {
        match self {
            Fault::Truncated => response.delivery = Delivery::Truncated,
            Fault::Slow(wait) => response.delivery = Delivery::Slow(*wait),
            Fault::Drip(pause) => response.delivery = Delivery::Drip(*pause),
            Fault::LostAfter => response.delivery = Delivery::Lost,
            Fault::Patch(patch) => {
                if let Value::Object(mut members) = response.value() {
                    merge(&mut members, patch);
                    response.body = Value::Object(members).to_string().into_bytes();
                }
            }
            _ => {}
        }
    }

    /// Tampers with the parameters of a redirect.
    pub(super) fn tamper(&self, params: &mut Vec<(String, String)>) {
        let Fault::Callback { set, drop, repeat } = self else { return };
        for (name, value) in set {
            params.retain(|(key, _)| key != name);
            params.push((name.clone(), value.clone()));
        }
        params.retain(|(key, _)| !drop.contains(key));
        let again: Vec<_> = params.iter().filter(|(key, _)| repeat.contains(key)).cloned().collect();
        params.extend(again);
    }
}

/// A fault, where it happens and how often.
#[derive(Clone, Debug)]
pub struct Injection {
    endpoint: Endpoint,
    times: usize,
    fault: Fault,
}

impl Injection {
    /// That many times instead of once.
    pub fn times(self, times: usize) -> Injection {
        Injection { times, ..self }
    }
}

/// Once, at the token endpoint, or for a tampered redirect at the authorization endpoint.
impl From<Fault> for Injection {
    fn from(fault: Fault) -> Injection {
        let endpoint = match fault {
            Fault::Callback { .. } => Endpoint::Authorize,
            _ => Endpoint::Token,
        };
        Injection { endpoint, times: 1, fault }
    }
}

/// The faults still to come, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Injection>);

impl Faults {
    pub(super) fn push(&mut self, injection: Injection) {
        self.0.push(injection);
    }

    /// The next fault for an answer of that endpoint.
    pub(super) fn for_answer(&mut self, endpoint: Endpoint) -> Option<Fault> {
        self.take(|injection| injection.endpoint == endpoint && injection.fault.is_about_the_answer())
    }

    /// The next fault for an ID token.
    pub(super) fn for_id_token(&mut self) -> Option<IdTokenFault> {
        match self.take(|injection| matches!(injection.fault, Fault::IdToken(_)))? {
            Fault::IdToken(fault) => Some(fault),
            _ => None,
        }
    }

    /// The next fault for a redirect.
    pub(super) fn for_callback(&mut self) -> Option<Fault> {
        self.take(|injection| matches!(injection.fault, Fault::Callback { .. }))
    }

    fn take(&mut self, fits: impl Fn(&Injection) -> bool) -> Option<Fault> {
        self.0.retain(|injection| injection.times > 0);
        let injection = self.0.iter_mut().find(|injection| fits(injection))?;
        injection.times -= 1;
        Some(injection.fault.clone())
    }
}

fn huge(bytes: usize) -> String {
    format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(bytes))
}

const BAD_GATEWAY: &str = "<html><head><title>502 Bad Gateway</title></head><body>\
    <center><h1>502 Bad Gateway</h1></center></body></html>";
