//! TLS settings for rustls. The system's authorities are read when TLS is first used.

use std::path::PathBuf;
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};
use oras_tls::{FileError, FileErrorKind, PemSource};
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, RootCertStore};

use crate::client_options::ClientOptions;
use crate::config::certs_d::Certificates;
use crate::connection::certificate_verifier::{AnchoredVerifier, Anchors, AnyCertificate};
use crate::connection::root_certificates::{ClientCertificate, RootCertificates};

/// Returns a configuration that trusts no certificate, for clients without TLS.
pub(crate) fn none() -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(oras_tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// Returns the configuration for the options and the certificates of a registry. `certificate` adds the client
/// certificate; `unverified` accepts any server certificate.
pub(crate) fn configure(
    options: &ClientOptions,
    certificate: bool,
    own: &Certificates,
    (http2, unverified): (bool, bool),
) -> Result<ClientConfig> {
    let provider = oras_tls::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .dangerous();
    let builder = if unverified {
        builder.with_custom_certificate_verifier(Arc::new(AnyCertificate))
    } else {
        let anchors = anchors(&options.roots, &own.authorities)?;
        let provider = Arc::clone(&provider);
        builder.with_custom_certificate_verifier(Arc::new(AnchoredVerifier { anchors, provider }))
    };
    let certificate = options.client_certificate.as_ref().or(own.client.as_ref()).filter(|_| certificate);
    let mut config = match certificate {
        Some(certificate) => {
            builder.with_client_cert_resolver(Arc::new(certified_key(certificate, &provider)?))
        }
        None => builder.with_no_client_auth(),
    };
    // Offers only one protocol. A server that accepts only HTTP/2 rejects the handshake, and the client then uses
    // HTTP/2.
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(config)
}

/// Checks the certificates in the options, without reading those of the system.
///
/// # Errors
/// `InvalidInput` or `Io` for a certificate or key that can't be used.
pub(crate) fn check(options: &ClientOptions) -> Result<()> {
    if !options.insecure {
        configured_anchors(&options.roots)?;
    }
    let provider = oras_tls::provider();
    let certificate = options.client_certificate.as_ref();
    certificate.map_or(Ok(()), |certificate| certified_key(certificate, &provider).map(drop))
}

fn certified_key(certificate: &ClientCertificate, provider: &CryptoProvider) -> Result<SingleCertAndKey> {
    let ClientCertificate { certificate, key } = certificate.clone();
    oras_tls::certified_key(certificate, key, provider).map(SingleCertAndKey::from).map_err(unusable)
}

fn anchors(roots: &RootCertificates, own: &[PathBuf]) -> Result<Anchors> {
    let mut anchors = configured_anchors(roots)?;
    // Roots without the system's replace all other authorities, including those of `certs.d`.
    if roots.has_system {
        own.iter().try_for_each(|path| add(&mut anchors, &path.into()))?;
        // Errors of the system's store are ignored here. The failed handshake reports them and names the registry.
        anchors.add_readable(rustls_native_certs::load_native_certs().certs);
    }
    Ok(anchors)
}

/// Returns the certificates that the options contain.
fn configured_anchors(roots: &RootCertificates) -> Result<Anchors> {
    let mut anchors = Anchors::new();
    roots.pem.iter().try_for_each(|source| add(&mut anchors, source))?;
    for certificate in &roots.der {
        anchors.add(certificate.clone()).map_err(|error| {
            let why = oras_tls::describe("", &error);
            Error::new(ErrorKind::InvalidInput, format!("invalid root certificate: {why}"))
        })?;
    }
    Ok(anchors)
}

fn add(anchors: &mut Anchors, source: &PemSource) -> Result<()> {
    let failed = |why: String| {
        Error::new(ErrorKind::InvalidInput, format!("Failed to load certificate in file: {why}"))
    };
    let found = oras_tls::certificates(source.clone()).map_err(|error| match error.kind() {
        FileErrorKind::Missing => unusable(error),
        // Scripts match these words of the Go tool.
        FileErrorKind::NoCertificatePem => failed(error.path().display().to_string()),
        _ => failed(error.to_string()),
    })?;
    found.into_iter().try_for_each(|certificate| {
        let added = anchors.add(certificate);
        added.map_err(|error| {
            failed(format!("{}: {}", source.name().display(), oras_tls::describe("", &error)))
        })
    })
}

/// Returns the error for a file, which begins like that of Go's `crypto/tls`.
fn unusable(error: FileError) -> Error {
    let context = match error.kind() {
        FileErrorKind::Missing => {
            let message = format!("open {}: no such file or directory", error.path().display());
            return Error::new(ErrorKind::Io, message);
        }
        FileErrorKind::NoCertificatePem => "tls: failed to find any PEM data in certificate input",
        FileErrorKind::NoKeyPem => "tls: failed to find any PEM data in key input",
        _ => "failed to set up TLS",
    };
    Error::from_source(ErrorKind::InvalidInput, error).context(context)
}

fn failed(error: &rustls::Error) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("failed to set up TLS: {}", oras_tls::describe("", error)))
}
