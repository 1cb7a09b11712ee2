//! ID tokens: reading them strictly, checking the signature, and checking every claim with an error of its own.

use std::collections::HashSet;
use std::fmt;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::{Algorithm, DecodingKey};
use oauth2::AccessToken;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

pub use crate::key_set::KeySet;
use crate::token::IdToken;

/// Why an ID token is not valid: one variant for each check of OpenID Connect Core section 3.1.3.7.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    /// Not three strict base64url parts of JSON objects without repeated members (V-1).
    #[error("it is malformed: {0}")]
    Malformed(&'static str),
    /// Five parts: encrypted, which is not supported (V-1).
    #[error("it is encrypted, which is not supported")]
    Encrypted,
    /// `alg` is not on the list of this provider, or is `none` or symmetric (V-7).
    #[error("its algorithm is not allowed here")]
    AlgorithmRefused,
    /// A `crit` header names an extension (RFC 7515 section 4.1.11).
    #[error("it has a critical header that is not understood")]
    CriticalHeader,
    /// No key with its `kid`, or none that fits (V-8).
    #[error("the provider has no key for it")]
    UnknownKey,
    /// The signature does not fit the key (V-6).
    #[error("its signature is wrong")]
    Signature,
    /// `iss` (V-2).
    #[error("its issuer is not the provider")]
    Issuer,
    /// `aud` (V-3).
    #[error("its audience is not this client alone")]
    Audience,
    /// `azp` (V-5).
    #[error("it was issued to another client")]
    AuthorizedParty,
    /// `exp` (V-9): with the clock as the usual reason (L-28).
    #[error("it has expired, or this machine's clock is wrong")]
    Expired,
    /// `iat` or `nbf` (V-10).
    #[error("it is from the future, or this machine's clock is wrong")]
    NotYetValid,
    /// A time claim is missing or no number (V-10, CVE-2026-25537).
    #[error("its claim {0:?} is missing or has the wrong type")]
    ClaimType(&'static str),
    /// `nonce` (V-11).
    #[error("its nonce is not the one that was sent")]
    Nonce,
    /// `at_hash` (V-14).
    #[error("it belongs to another access token")]
    AccessTokenHash,
    /// `sub` is empty, too long or not ASCII (V-15).
    #[error("its subject is not usable")]
    Subject,
}

/// What a token must say to be accepted. `Debug` does not show the nonce.
pub struct Expected<'a> {
    /// The literal issuers that count as one; more than one only for Google (G-41).
    pub issuers: &'a [&'a str],
    /// The client id.
    pub client_id: &'a str,
    /// The nonce of the request; `None` on refresh, where it is normally absent (V-16).
    pub nonce: Option<&'a str>,
    /// The access token that came with it, for `at_hash`.
    pub access_token: Option<&'a AccessToken>,
    /// Unix seconds.
    pub now: u64,
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("issuers", &self.issuers)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// The claims of a checked token that gauth uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// `iss` as it stands.
    pub issuer: String,
    /// `sub`: the person, for ever, at this issuer (G-40).
    pub subject: String,
    /// `email`, for people to read; never a key.
    pub email: Option<String>,
    /// `email_verified`, which Google writes as a text at times (G-40).
    pub email_verified: Option<bool>,
    /// Google's `hd`: the Workspace domain (G-17).
    pub hosted_domain: Option<String>,
    /// `exp` in Unix seconds.
    pub expires_at: u64,
}

/// A token that was read but not believed yet.
pub struct Unverified<'a> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'a str,
    signature: &'a str,
    claims: Map<String, Value>,
}

impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl<'a> Unverified<'a> {
    /// Reads a compact token strictly (V-1).
    ///
    /// # Errors
    /// [`IdTokenError::Malformed`], [`IdTokenError::Encrypted`], [`IdTokenError::CriticalHeader`] or
    /// [`IdTokenError::AlgorithmRefused`].
    pub fn read(token: &'a IdToken) -> Result<Unverified<'a>, IdTokenError> {
        let parts: Vec<&str> = token.secret().split('.').collect();
        let [header, payload, signature] = parts[..] else {
            return Err(if parts.len() == 5 { IdTokenError::Encrypted } else { malformed("not three parts") });
        };
        strict_base64(signature)?;
        let header = object(header)?;
        if header.contains_key("crit") {
            return Err(IdTokenError::CriticalHeader);
        }
        Ok(Unverified {
            algorithm: asymmetric(header.get("alg"))?,
            key_id: key_id(header.get("kid"))?,
            signed: &token.secret()[..token.secret().len() - signature.len() - 1],
            signature,
            claims: object(payload)?,
        })
    }

    /// Checks the signature with the provider's keys, by an algorithm that the provider announced (V-6 to V-8).
    ///
    /// # Errors
    /// [`IdTokenError::AlgorithmRefused`], [`IdTokenError::UnknownKey`] or [`IdTokenError::Signature`].
    pub fn check_signature(&self, keys: &KeySet, announced: &[String]) -> Result<(), IdTokenError> {
        if !allowed(announced).any(|algorithm| algorithm == self.algorithm) {
            return Err(IdTokenError::AlgorithmRefused);
        }
        let key = keys.find(self.key_id.as_deref(), self.algorithm).ok_or(IdTokenError::UnknownKey)?;
        let key = DecodingKey::from_jwk(key).map_err(|_| IdTokenError::UnknownKey)?;
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), &key, self.algorithm) {
            Ok(true) => Ok(()),
            _ => Err(IdTokenError::Signature),
        }
    }

    /// Checks every claim (V-2 to V-15).
    ///
    /// # Errors
    /// The first check that fails.
    pub fn check_claims(&self, expected: &Expected<'_>) -> Result<Claims, IdTokenError> {
        self.check_issuer(expected)?;
        self.check_audience(expected.client_id)?;
        self.check_times(expected.now)?;
        self.check_nonce(expected.nonce)?;
        self.check_access_token_hash(expected.access_token)?;
        Ok(Claims {
            issuer: self.text("iss").unwrap_or_default().to_owned(),
            subject: self.subject()?,
            email: self.text("email").map(str::to_owned),
            email_verified: self.claims.get("email_verified").and_then(as_bool),
            hosted_domain: self.text("hd").map(str::to_owned),
            expires_at: self.seconds("exp")?,
        })
    }

    /// Checks that a token of a refresh is still about the same person at the same client (V-16). It comes straight
    /// from the token endpoint and is not handed on, so its signature adds nothing (section 3.1.3.7, step 6).
    pub fn is_about(&self, issuers: &[&str], client_id: &str, subject: &str) -> bool {
        self.text("iss").is_some_and(|issuer| issuers.contains(&issuer))
            && self.check_audience(client_id).is_ok()
            && self.text("sub") == Some(subject)
    }

    fn check_issuer(&self, expected: &Expected<'_>) -> Result<(), IdTokenError> {
        let issuer = self.text("iss").ok_or(IdTokenError::Issuer)?;
        expected.issuers.contains(&issuer).then_some(()).ok_or(IdTokenError::Issuer)
    }

    fn check_audience(&self, client_id: &str) -> Result<(), IdTokenError> {
        let is_ours = |value: &Value| value.as_str() == Some(client_id);
        let alone = match self.claims.get("aud") {
            Some(Value::Array(audiences)) => !audiences.is_empty() && audiences.iter().all(is_ours),
            Some(audience) => is_ours(audience),
            None => false,
        };
        if !alone {
            return Err(IdTokenError::Audience);
        }
        self.claims.get("azp").is_none_or(is_ours).then_some(()).ok_or(IdTokenError::AuthorizedParty)
    }

    fn check_times(&self, now: u64) -> Result<(), IdTokenError> {
        if self.seconds("exp")?.saturating_add(LEEWAY) <= now {
            return Err(IdTokenError::Expired);
        }
        let latest = now.saturating_add(LEEWAY);
        let is_future = |name| self.seconds(name).map(|seconds| seconds > latest);
        if is_future("iat")? || (self.claims.contains_key("nbf") && is_future("nbf")?) {
            return Err(IdTokenError::NotYetValid);
        }
        Ok(())
    }

    fn check_nonce(&self, expected: Option<&str>) -> Result<(), IdTokenError> {
        let Some(expected) = expected else { return Ok(()) };
        let nonce = self.text("nonce").ok_or(IdTokenError::Nonce)?;
        let is_equal: bool = nonce.as_bytes().ct_eq(expected.as_bytes()).into();
        is_equal.then_some(()).ok_or(IdTokenError::Nonce)
    }

    fn check_access_token_hash(&self, access_token: Option<&AccessToken>) -> Result<(), IdTokenError> {
        let (Some(token), Some(hash)) = (access_token, self.claims.get("at_hash")) else { return Ok(()) };
        let expected = left_half(self.algorithm, token.secret().as_bytes());
        (hash.as_str() == Some(&expected)).then_some(()).ok_or(IdTokenError::AccessTokenHash)
    }

    fn subject(&self) -> Result<String, IdTokenError> {
        let subject = self.text("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255 && sub.is_ascii());
        subject.map(str::to_owned).ok_or(IdTokenError::Subject)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name).and_then(Value::as_str)
    }

    /// A NumericDate (RFC 7519 section 2), which may have a fraction; a wrong type is not "absent".
    fn seconds(&self, name: &'static str) -> Result<u64, IdTokenError> {
        let number = self.claims.get(name).and_then(Value::as_f64).filter(|seconds| (0.0..1e12).contains(seconds));
        number.map(|seconds| seconds as u64).ok_or(IdTokenError::ClaimType(name))
    }
}

/// A boolean, or its name as a text.
pub(crate) fn as_bool(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

pub(crate) fn name(algorithm: Algorithm) -> String {
    format!("{algorithm:?}")
}

fn asymmetric(alg: Option<&Value>) -> Result<Algorithm, IdTokenError> {
    let alg = alg.and_then(Value::as_str).ok_or(IdTokenError::AlgorithmRefused)?;
    ASYMMETRIC.into_iter().find(|algorithm| name(*algorithm) == alg).ok_or(IdTokenError::AlgorithmRefused)
}

/// What the provider announced, or RS256, which every provider must support (OpenID Connect Discovery section 3).
fn allowed(announced: &[String]) -> impl Iterator<Item = Algorithm> {
    ASYMMETRIC.into_iter().filter(move |algorithm| match announced {
        [] => *algorithm == Algorithm::RS256,
        announced => announced.contains(&name(*algorithm)),
    })
}

fn key_id(kid: Option<&Value>) -> Result<Option<String>, IdTokenError> {
    match kid {
        None => Ok(None),
        Some(Value::String(kid)) => Ok(Some(kid.clone())),
        Some(_) => Err(malformed("a kid that is no string")),
    }
}

/// The left half of the hash of the token's ASCII form (OpenID Connect Core section 3.1.3.6).
fn left_half(algorithm: Algorithm, token: &[u8]) -> String {
    let name = name(algorithm);
    let hash = match &name[name.len() - 3..] {
        "256" => Sha256::digest(token).to_vec(),
        "384" => Sha384::digest(token).to_vec(),
        _ => Sha512::digest(token).to_vec(), // *512, and EdDSA with Ed25519, which hashes with SHA-512
    };
    BASE64_URL_SAFE_NO_PAD.encode(&hash[..hash.len() / 2])
}

fn object(part: &str) -> Result<Map<String, Value>, IdTokenError> {
    let bytes = strict_base64(part)?;
    let Unique(members) =
        serde_json::from_slice(&bytes).map_err(|_| malformed("not a JSON object of unique members"))?;
    Ok(members)
}

fn strict_base64(part: &str) -> Result<Vec<u8>, IdTokenError> {
    match BASE64_URL_SAFE_NO_PAD.decode(part) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(malformed("not base64url")),
    }
}

fn malformed(problem: &'static str) -> IdTokenError {
    IdTokenError::Malformed(problem)
}

/// A JSON object whose members are not repeated: two readers of one token must never disagree.
struct Unique(Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unique, D::Error> {
        deserializer.deserialize_map(UniqueVisitor).map(Unique)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut names) = (Map::new(), HashSet::new());
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            if !names.insert(name.clone()) {
                return Err(serde::de::Error::custom("repeated member"));
            }
            members.insert(name, value);
        }
        Ok(members)
    }
}

/// Tolerated difference between this machine's clock and the provider's, in seconds (L-28).
const LEEWAY: u64 = 60;

const ASYMMETRIC: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
