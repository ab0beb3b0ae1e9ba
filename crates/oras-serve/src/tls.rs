//! TLS by rustls, with a certificate that may be renewed while the server runs.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::reread::{Reread, unusable};

/// Where a server has its certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and those that signed it, in a PEM file.
    pub certificate: PathBuf,
    /// Its key, in a PEM file.
    pub key: PathBuf,
}

/// The configuration of the certificate that is there now.
pub(crate) type Certificate = Reread<ServerConfig>;

/// Reads the files.
pub(crate) fn load(files: Tls) -> io::Result<Certificate> {
    Reread::new("the certificate", vec![files.certificate, files.key], configure)
}

fn configure(files: &[PathBuf]) -> io::Result<ServerConfig> {
    let [certificate, key] = files else { return Err(io::ErrorKind::InvalidInput.into()) };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
    let rejected = |error: rustls::Error| unusable(certificate, error);
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(rejected)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(rejected)?;
    // HTTP/2 moves blobs at a third of the speed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
