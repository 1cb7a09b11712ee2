//! A certificate authority, and the certificates, good and bad, that it gives to servers.

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use gauth::{Http, HttpOptions};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tempfile::NamedTempFile;

/// Its file lives as long as it does: a client reads it when it is first used.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    pub fn new() -> Authority {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = format!("Test authority {}", rand::random::<u64>());
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).expect("a certificate");
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pem("CERTIFICATE", certificate.der())).expect("a written file");
        Authority { issuer: Issuer::new(params, key), file }
    }

    /// A server's certificate for a name or address, changed before it is signed.
    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (mut params, key) = (params(name), KeyPair::generate().expect("a key"));
        change(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).expect("a certificate").der().clone();
        Identity { chain: vec![leaf], key }
    }

    pub fn good(&self, name: &str) -> Identity {
        self.issue(name, |_| {})
    }

    /// By an authority that this one vouches for, if `is_authority`; else by somebody's server certificate.
    pub fn good_by_way_of_another(&self, name: &str, is_authority: bool) -> Identity {
        let (mut between, between_key) = (params("between.example"), KeyPair::generate().expect("a key"));
        if is_authority {
            between.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let second = between.signed_by(&between_key, &self.issuer).expect("a certificate").der().clone();
        let key = KeyPair::generate().expect("a key");
        let issuer = Issuer::new(between, between_key);
        let leaf = params(name).signed_by(&key, &issuer).expect("a certificate").der().clone();
        Identity { chain: vec![leaf, second], key }
    }

    /// A client that trusts this authority and no other.
    pub fn trusted(&self) -> Http {
        self.trusted_with(HttpOptions::default())
    }

    /// The same with other options as well.
    pub fn trusted_with(&self, options: HttpOptions) -> Http {
        Http::new(HttpOptions { ca_file: Some(self.file.path().to_owned()), ..options })
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

pub fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", BASE64_STANDARD.encode(der))
}

/// Signed by nobody but itself.
pub fn self_signed(name: &str) -> Identity {
    let key = KeyPair::generate().expect("a key");
    Identity { chain: vec![params(name).self_signed(&key).expect("a certificate").der().clone()], key }
}

pub fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
}

pub fn not_yet_valid(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(3000, 1, 1), date_time_ymd(3001, 1, 1));
}

pub fn for_clients_only(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

/// What a server shows and proves itself with.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

impl Identity {
    pub fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let builder = builder.with_protocol_versions(versions).expect("versions").with_no_client_auth();
        Arc::new(builder.with_single_cert(self.chain.clone(), key).expect("a certificate and its key"))
    }
}
