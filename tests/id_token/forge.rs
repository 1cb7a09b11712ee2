//! The forge: tokens and keys for these tests, and the judge that reads, checks the signature, checks the claims.

use std::sync::OnceLock;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use gauth::id_token::{Claims, Expected, IdTokenError, KeySet, Unverified};
use gauth::token::IdToken;
use oauth2::AccessToken;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self as sig, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

pub const NOW: u64 = 1_700_000_000;
pub const ISSUER: &str = "https://op.example";
pub const CLIENT: &str = "client-1";
pub const NONCE: &str = "the-nonce";
pub const RS256: &str = r#"{"alg":"RS256","kid":"rsa"}"#;

pub type Verdict = Result<Claims, IdTokenError>;

/// The claims of a good token, with these overwritten or added.
pub fn claims_with(patch: Value) -> String {
    let mut claims = json!({
        "iss": ISSUER, "aud": CLIENT, "sub": "alice", "iat": NOW, "exp": NOW + 3600, "nonce": NONCE,
    });
    for (name, value) in patch.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    claims.to_string()
}

pub fn claims() -> String {
    claims_with(json!({}))
}

pub fn claims_without(name: &str) -> String {
    let mut claims: Value = serde_json::from_str(&claims()).expect("JSON");
    claims.as_object_mut().expect("an object").remove(name);
    claims.to_string()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// A compact token: header and claims as they are, signed by `sign`.
pub fn compact(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// The same, rightly signed with the RSA key.
pub fn rs256(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    compact(header, claims, |signed| rsa_sign(&sig::RSA_PKCS1_SHA256, signed))
}

/// A good token but for these claims.
pub fn with(patch: Value) -> String {
    rs256(RS256, claims_with(patch))
}

/// A good token but for this header.
pub fn headed(header: Value) -> String {
    rs256(header.to_string(), claims())
}

pub fn good() -> String {
    rs256(RS256, claims())
}

pub fn rsa_sign(encoding: &'static dyn RsaEncoding, signed: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; rsa().public().modulus_len()];
    rsa().sign(encoding, &SystemRandom::new(), signed, &mut signature).expect("a signature");
    signature
}

fn rsa() -> &'static RsaKeyPair {
    static KEY: OnceLock<RsaKeyPair> = OnceLock::new();
    let read = || RsaKeyPair::from_pkcs8(include_bytes!("../fixtures/rsa2048.pk8")).expect("a key");
    KEY.get_or_init(read)
}

/// The public half in PKCS#1 form, as an attacker has it too.
pub fn rsa_public_der() -> Vec<u8> {
    rsa().public().as_ref().to_vec()
}

/// The public RSA key as a JWK with the `kid` "rsa", with these members overwritten or added.
pub fn rsa_jwk(patch: Value) -> Value {
    let public: PublicKeyComponents<Vec<u8>> = rsa().public().into();
    let jwk = json!({ "kty": "RSA", "use": "sig", "kid": "rsa", "n": encode(public.n), "e": encode(public.e) });
    patched(jwk, patch)
}

fn patched(mut jwk: Value, patch: Value) -> Value {
    for (name, value) in patch.as_object().expect("an object") {
        jwk[name] = value.clone();
    }
    jwk
}

/// A fresh elliptic curve key: P-256 with SHA-256, or P-384 with SHA-384.
pub struct Curve {
    pair: EcdsaKeyPair,
    name: &'static str,
}

impl Curve {
    pub fn p256() -> Curve {
        Curve { pair: curve_pair(&sig::ECDSA_P256_SHA256_FIXED_SIGNING), name: "P-256" }
    }

    pub fn p384() -> Curve {
        Curve { pair: curve_pair(&sig::ECDSA_P384_SHA384_FIXED_SIGNING), name: "P-384" }
    }

    pub fn jwk(&self, kid: &str) -> Value {
        let point = &self.pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        json!({ "kty": "EC", "crv": self.name, "use": "sig", "kid": kid, "x": encode(x), "y": encode(y) })
    }

    pub fn sign(&self, signed: &[u8]) -> Vec<u8> {
        self.pair.sign(&SystemRandom::new(), signed).expect("a signature").as_ref().to_vec()
    }
}

fn curve_pair(algorithm: &'static sig::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key")
}

/// A fresh Ed25519 key and its JWK.
pub fn ed25519(kid: &str) -> (Ed25519KeyPair, Value) {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let jwk = json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": encode(pair.public_key()) });
    (pair, jwk)
}

/// What the client knows and expects; the default fits a good token.
pub struct Judge {
    pub keys: Vec<Value>,
    pub announced: Vec<&'static str>,
    pub issuers: Vec<&'static str>,
    pub nonce: Option<&'static str>,
    pub access_token: Option<&'static str>,
    pub now: u64,
}

impl Default for Judge {
    fn default() -> Judge {
        Judge {
            keys: vec![rsa_jwk(json!({}))],
            announced: vec!["RS256"],
            issuers: vec![ISSUER],
            nonce: Some(NONCE),
            access_token: None,
            now: NOW,
        }
    }
}

impl Judge {
    pub fn with_keys(keys: Vec<Value>) -> Judge {
        Judge { keys, announced: vec!["RS256", "ES256"], ..Judge::default() }
    }

    /// As a login does it: read, signature, claims.
    pub fn judge(&self, token: &str) -> Verdict {
        let token = IdToken::new(token.to_owned());
        let unverified = Unverified::read(&token)?;
        let announced: Vec<String> = self.announced.iter().map(ToString::to_string).collect();
        unverified.check_signature(&key_set(&json!({ "keys": self.keys })), &announced)?;
        let access_token = self.access_token.map(|token| AccessToken::new(token.to_owned()));
        unverified.check_claims(&Expected {
            issuers: &self.issuers,
            client_id: CLIENT,
            nonce: self.nonce,
            access_token: access_token.as_ref(),
            now: self.now,
        })
    }
}

pub fn key_set(jwks: &Value) -> KeySet {
    serde_json::from_value(jwks.clone()).expect("a key set")
}

pub fn judge(token: &str) -> Verdict {
    Judge::default().judge(token)
}

/// Whether it was refused for its form; the text is for people and no part of the contract.
pub fn is_malformed(verdict: &Verdict) -> bool {
    matches!(verdict, Err(IdTokenError::Malformed(_)))
}

#[test]
fn the_good_token_is_good() {
    let claims = judge(&good()).expect("a good token");
    assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), (ISSUER, "alice"));
    assert_eq!(claims.expires_at, NOW + 3600);
}
