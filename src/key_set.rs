//! The key set: a provider's public keys, of which only those that can be used are believed to be there.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, OctetKeyPairParameters, PublicKeyUse};
use serde::Deserialize;
use serde::de::Deserializer;
use serde_json::Value;

use crate::id_token::name;

/// The provider's public keys, as fetched (RFC 7517). Entries that cannot be used are left out, not fatal (V-17).
#[derive(Debug)]
pub struct KeySet(Vec<Jwk>);

impl<'de> Deserialize<'de> for KeySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<KeySet, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            keys: Vec<Value>,
        }
        let wire = Wire::deserialize(deserializer)?;
        Ok(KeySet(wire.keys.into_iter().filter_map(usable_key).collect()))
    }
}

impl KeySet {
    /// By `kid` and kind of key; without a `kid` only if there is just one candidate (V-8).
    pub(crate) fn find(&self, key_id: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let mut candidates = self
            .0
            .iter()
            .filter(|key| fits(key, algorithm) && key_id.is_none_or(|id| key.common.key_id.as_deref() == Some(id)));
        let first = candidates.next()?;
        if key_id.is_none() && candidates.next().is_some() { None } else { Some(first) }
    }
}

/// A private or symmetric key has no business in a published set (V-17).
fn usable_key(key: Value) -> Option<Jwk> {
    if key.get("d").is_some() || key.get("k").is_some() {
        return None;
    }
    serde_json::from_value(key).ok()
}

fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_for_signing = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let named = key.common.key_algorithm.map(|named| named.to_string());
    is_for_signing
        && named.is_none_or(|named| named == format!("{algorithm:?}"))
        && match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => name(algorithm).starts_with(['R', 'P']) && is_long_enough(&rsa.n),
            AlgorithmParameters::EllipticCurve(ec) => match algorithm {
                Algorithm::ES256 => ec.curve == EllipticCurve::P256,
                Algorithm::ES384 => ec.curve == EllipticCurve::P384,
                _ => false,
            },
            AlgorithmParameters::OctetKeyPair(okp) => algorithm == Algorithm::EdDSA && is_ed25519(okp),
            _ => false,
        }
}

/// 32 bytes on the one curve that is supported (RFC 8037 section 2); the library takes the length on trust.
fn is_ed25519(key: &OctetKeyPairParameters) -> bool {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(&key.x).unwrap_or_default();
    key.curve == EllipticCurve::Ed25519 && bytes.len() == 32
}

/// RSA of at least 2048 bits (RFC 7518 section 3.3).
fn is_long_enough(modulus: &str) -> bool {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(modulus).unwrap_or_default();
    bytes.iter().skip_while(|byte| **byte == 0).count() >= 256
}
