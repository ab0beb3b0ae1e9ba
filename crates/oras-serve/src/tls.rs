//! TLS by rustls, with a certificate that may be renewed while the server runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Where a server has its certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate and those that signed it, in a PEM file.
    pub certificate: PathBuf,
    /// Its key, in a PEM file.
    pub key: PathBuf,
}

/// How often the files are looked at, at most.
const LOOKED_AT: Duration = Duration::from_secs(1);

/// The configuration of the certificate that is there now.
pub(crate) struct Certificate {
    files: Tls,
    state: Mutex<State>,
}

struct State {
    config: Arc<ServerConfig>,
    stamp: Stamp,
    looked: Instant,
}

type Stamp = [Option<(u64, SystemTime)>; 2];

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(files: Tls) -> io::Result<Self> {
        let stamp = stamp(&files);
        let state = Mutex::new(State { config: configure(&files)?, stamp, looked: Instant::now() });
        Ok(Self { files, state })
    }

    /// The configuration for a new connection. Files that changed are read again; if they can't be used, which may be
    /// while they are being replaced, those from before are.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOKED_AT {
            state.looked = Instant::now();
            let stamp = stamp(&self.files);
            if stamp != state.stamp {
                match configure(&self.files) {
                    Ok(config) => {
                        (state.config, state.stamp) = (config, stamp);
                        tracing::info!("the certificate was read again");
                    }
                    Err(error) => tracing::warn!(%error, "the certificate changed and can't be used"),
                }
            }
        }
        Arc::clone(&state.config)
    }
}

fn stamp(files: &Tls) -> Stamp {
    [&files.certificate, &files.key].map(|path| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    })
}

fn configure(files: &Tls) -> io::Result<Arc<ServerConfig>> {
    let unreadable = |path: &Path, error: rustls_pki_types::pem::Error| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", path.display()))
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(&files.certificate, error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, error))?;
    let unusable = |error: rustls::Error| {
        let message = format!("{}: {error}", files.certificate.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    // HTTP/2 moves blobs at a third of the speed.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
