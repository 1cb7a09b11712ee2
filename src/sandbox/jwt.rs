//! ID tokens: made by hand, byte by byte, so that they can also be made wrong.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::faults::IdTokenFault;

/// The signing key, and the one before it, which stays published for tokens that are still around.
pub(super) struct Keys {
    current: SigningKey,
    previous: Option<Value>,
}

struct SigningKey {
    pair: EcdsaKeyPair,
    kid: String,
}

impl Keys {
    pub(super) fn generate() -> io::Result<Keys> {
        Ok(Keys { current: SigningKey::generate()?, previous: None })
    }

    pub(super) fn rotate(&mut self) -> io::Result<()> {
        let retired = std::mem::replace(&mut self.current, SigningKey::generate()?);
        self.previous = Some(retired.jwk());
        Ok(())
    }

    /// The public keys (RFC 7517 section 5).
    pub(super) fn jwks(&self) -> Value {
        let keys: Vec<_> = [Some(self.current.jwk()), self.previous.clone()].into_iter().flatten().collect();
        json!({ "keys": keys })
    }

    /// Signs claims as a compact JWS (RFC 7515 section 7.1). `None` only if the system's randomness fails.
    pub(super) fn sign(&self, claims: Map<String, Value>, fault: Option<&IdTokenFault>) -> Option<String> {
        self.current.sign(claims, fault)
    }
}

impl SigningKey {
    fn generate() -> io::Result<SigningKey> {
        let failed = |_| io::Error::other("no randomness for a signing key");
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random);
        let kid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 9]>());
        Ok(SigningKey { pair: pair.map_err(|_| io::Error::other("the new signing key cannot be read"))?, kid })
    }

    /// RFC 7518 section 6.2.1: the point without the byte that says it is uncompressed, in halves.
    fn jwk(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid, "x": x, "y": y })
    }

    fn sign(&self, mut claims: Map<String, Value>, fault: Option<&IdTokenFault>) -> Option<String> {
        if let Some(IdTokenFault::Claims(patch)) = fault {
            merge(&mut claims, patch);
        }
        if let Some(IdTokenFault::WrongAtHash) = fault {
            claims.insert("at_hash".into(), at_hash("another access token").into());
        }
        let mut payload = Value::Object(claims).to_string();
        if let Some(IdTokenFault::DuplicateMember) = fault {
            payload.pop();
            payload.push_str(r#","sub":"somebody-else"}"#);
        }
        let header = Value::Object(self.header(fault)).to_string();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes(), fault)?);
        Some(match fault {
            Some(IdTokenFault::Padding) => format!("{signed}.{signature}=="),
            Some(IdTokenFault::FourSegments) => format!("{signed}.{signature}.AAAA"),
            _ => format!("{signed}.{signature}"),
        })
    }

    fn header(&self, fault: Option<&IdTokenFault>) -> Map<String, Value> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid });
        let patch = match fault {
            Some(IdTokenFault::AlgNone) => json!({ "alg": "none" }),
            Some(IdTokenFault::Hs256WithPublicKey) => json!({ "alg": "HS256" }),
            Some(IdTokenFault::UnknownKid) => json!({ "kid": "no-such-key" }),
            Some(IdTokenFault::MissingKid) => json!({ "kid": null }),
            Some(IdTokenFault::Crit) => json!({ "crit": ["sandbox-unheard-of"], "sandbox-unheard-of": true }),
            _ => json!({}),
        };
        let Value::Object(mut header) = header else { return Map::new() };
        merge(&mut header, &patch);
        header
    }

    fn signature(&self, signed: &[u8], fault: Option<&IdTokenFault>) -> Option<Vec<u8>> {
        let public_key = self.pair.public_key().as_ref();
        match fault {
            Some(IdTokenFault::AlgNone) => return Some(Vec::new()),
            Some(IdTokenFault::Hs256WithPublicKey) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, public_key);
                return Some(hmac::sign(&key, signed).as_ref().to_vec());
            }
            _ => {}
        }
        let mut signature = self.pair.sign(&SystemRandom::new(), signed).ok()?.as_ref().to_vec();
        if let Some(IdTokenFault::FlippedSignatureBit) = fault {
            signature[10] ^= 1;
        }
        Some(signature)
    }
}

/// The left half of the hash of the access token (OpenID Connect Core section 3.1.3.6).
pub(super) fn at_hash(access_token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16])
}

/// Overwrites members; `null` removes one (RFC 7396 on the top level).
pub(super) fn merge(object: &mut Map<String, Value>, patch: &Value) {
    for (name, value) in patch.as_object().into_iter().flatten() {
        match value {
            Value::Null => object.remove(name),
            value => object.insert(name.clone(), value.clone()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_at_hash_vector() {
        let access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(access_token), "77QmUPtjPfzWtF2AnpK9RQ");
    }

    #[test]
    fn a_rotated_key_stays_published() {
        let mut keys = Keys::generate().unwrap();
        let old = keys.jwks()["keys"][0]["kid"].clone();
        keys.rotate().unwrap();
        let published = keys.jwks();
        assert_ne!(published["keys"][0]["kid"], old);
        assert_eq!(published["keys"][1]["kid"], old);
    }
}
