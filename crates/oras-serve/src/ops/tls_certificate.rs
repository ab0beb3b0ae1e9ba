//! The TLS certificate of the server, which is reloaded when its files change.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;

use super::config_file::{unreadable, unusable};
use super::reloaded_files::ReloadedFiles;

/// The files of a certificate. With them in [`ServerOptions::tls`](crate::ServerOptions::tls), a server speaks HTTPS;
/// it reads the files again when they change.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tls {
    /// The certificate and its chain, in a PEM file.
    pub certificate: PathBuf,
    /// The private key, in a PEM file.
    pub key: PathBuf,
}

impl Tls {
    /// Names the PEM files of a certificate with its chain, and of its private key.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }
}

/// The TLS configuration with the current certificate.
pub(crate) type Certificate = ReloadedFiles<ServerConfig, 2>;

/// Loads the certificate.
pub(crate) fn load(files: Tls) -> io::Result<Certificate> {
    ReloadedFiles::new("the certificate", [files.certificate, files.key], configure)
}

fn configure([certificate, key]: &[PathBuf; 2]) -> io::Result<ServerConfig> {
    // Opens the files first: the caller reads them again after a system error, but not after unusable content.
    for path in [certificate, key] {
        File::open(path).map_err(|error| unreadable(path, &error))?;
    }
    let provider = oras_tls::provider();
    let pair = oras_tls::certified_key(certificate, key, &provider)
        .map_err(|error| unusable(error.path(), error.reason()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(certificate, oras_tls::describe("", &error)))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    // No HTTP/2: it transfers blobs at a third of the speed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
