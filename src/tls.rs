//! TLS: which versions, which cryptography, whose roots.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::error::{Error, Result};

/// TLS 1.2 or later with ring, chosen here and not for the whole process, so that a program that
/// embeds this library keeps its own choice.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<ClientConfig> {
    let unusable = |cause: rustls::Error| Error::NetworkSetup(format!("TLS cannot be set up: {cause}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(unusable)?;
    match ca_file {
        Some(file) => Ok(builder.with_root_certificates(roots(file)?).with_no_client_auth()),
        None => Ok(builder.with_platform_verifier().map_err(unusable)?.with_no_client_auth()),
    }
}

fn roots(file: &Path) -> Result<RootCertStore> {
    let unusable = |cause: String| Error::NetworkSetup(format!("the CA file {} {cause}", file.display()));
    let mut store = RootCertStore::empty();
    let file = File::open(file).map_err(|_| unusable("cannot be read".to_owned()))?;
    for certificate in CertificateDer::pem_reader_iter(BufReader::new(file.take(MAX_BYTES))) {
        let certificate = certificate.map_err(|_| unusable("is not PEM".to_owned()))?;
        store.add(certificate).map_err(|_| unusable("holds a certificate that is no root".to_owned()))?;
    }
    if store.is_empty() { Err(unusable("holds no certificate".to_owned())) } else { Ok(store) }
}

/// Far more than all the roots there are; keeps an endless file out of memory.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
