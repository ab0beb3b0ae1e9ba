//! TLS by rustls, with a certificate that may be renewed while the server runs.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::sign::SingleCertAndKey;

use crate::reread::{Reread, unreadable, unusable};

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
    // Tells an error of the system, after which they are read again, from files that can't be used.
    for path in files {
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
    // HTTP/2 moves blobs at a third of the speed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
