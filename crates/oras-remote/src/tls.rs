//! TLS: rustls with aws-lc-rs; the system's authorities are read when TLS is first used, not when a client is made.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_store::{Error, Kind, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, InconsistentKeys, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::certificates::Certificates;
use crate::options::ClientOptions;

/// A configuration that trusts nobody: for a client that speaks no TLS.
pub(crate) fn none() -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    Ok(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The configuration that the options and the certificates of a registry ask for, with the client certificate if
/// `certificate` says so; `unverified` takes any certificate of the server.
pub(crate) fn configure(
    options: &ClientOptions,
    certificate: bool,
    own: &Certificates,
    (http2, unverified): (bool, bool),
) -> Result<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = if unverified {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(Arc::clone(&provider))))
    } else {
        builder.with_root_certificates(roots(options.ca_file.as_deref(), &own.authorities)?)
    };
    let mut config = match options.client_certificate.as_ref().or(own.client.as_ref()).filter(|_| certificate)
    {
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            if chain.is_empty() {
                let message = "tls: failed to find any PEM data in certificate input";
                return Err(Error::new(Kind::InvalidInput, message));
            }
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown(chain, key, &provider)?)))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(config)
}

/// A client certificate with its key. Certificates of version 1, which small authorities still make, are shown too:
/// whether they are good is for the server to say.
fn shown(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey> {
    let key = provider.key_provider.load_private_key(key).map_err(failed)?;
    let shown = CertifiedKey::new(chain, key);
    match shown.keys_match() {
        Err(error @ rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(failed(error)),
        _ => Ok(shown),
    }
}

fn roots(file: Option<&Path>, own: &[PathBuf]) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => add(&mut roots, path)?,
        None => {
            own.iter().try_for_each(|path| add(&mut roots, path))?;
            // What can't be read is reported by the failed handshake, which names the registry.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<()> {
    let found = certificates(path)?;
    if found.is_empty() {
        let message = format!("Failed to load certificate in file: {}", path.display());
        return Err(Error::new(Kind::InvalidInput, message));
    }
    found.into_iter().try_for_each(|certificate| roots.add(certificate)).map_err(failed)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &rustls_pki_types::pem::Error) -> Error {
    match error {
        rustls_pki_types::pem::Error::Io(io) if io.kind() == std::io::ErrorKind::NotFound => {
            Error::new(Kind::InvalidInput, format!("open {}: no such file or directory", path.display()))
        }
        other => Error::new(Kind::InvalidInput, format!("{}: {other}", path.display())),
    }
}

fn failed(error: rustls::Error) -> Error {
    Error::new(Kind::InvalidInput, "failed to set up TLS").with_source(error)
}

/// Takes any certificate, as `--insecure` asks; the handshake's signatures are still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
