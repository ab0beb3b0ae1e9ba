//! Verification of server certificates.

use std::collections::HashSet;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The trusted certificates, as authorities and as server certificates.
#[derive(Debug)]
pub(crate) struct Anchors {
    roots: RootCertStore,
    /// The trusted certificates in DER, to compare them byte for byte.
    identical: HashSet<CertificateDer<'static>>,
}

impl Anchors {
    /// Creates an empty set.
    pub(crate) fn new() -> Self {
        Self { roots: RootCertStore::empty(), identical: HashSet::new() }
    }

    /// Adds a trusted certificate.
    ///
    /// # Errors
    /// If the certificate is malformed.
    pub(crate) fn add(&mut self, certificate: CertificateDer<'static>) -> Result<(), Error> {
        self.roots.add(certificate.clone())?;
        self.identical.insert(certificate);
        Ok(())
    }

    /// Adds all certificates that can be parsed.
    pub(crate) fn add_readable(&mut self, certificates: Vec<CertificateDer<'static>>) {
        for certificate in certificates {
            // The system's store may contain unusable certificates.
            let _ = self.add(certificate);
        }
    }
}

/// Verifies that a certificate is valid now, for the name, and for servers; and that one of the anchors signed it or
/// is identical to it.
///
/// webpki does not accept an identical certificate if it is one of an authority (CA:TRUE), the only kind that `openssl
/// req -x509` creates. Go accepts it, and so does this verifier. That is safe: the owner of a trusted authority's key
/// can sign a certificate for any name.
#[derive(Debug)]
pub(crate) struct AnchoredVerifier {
    pub(crate) anchors: Anchors,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnchoredVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.anchors.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        );
        match chain {
            Err(error) if is_about_issuer(&error) && self.anchors.identical.contains(certificate) => {}
            other => other?,
        }
        // The name is verified for identical certificates too, so a trusted one is valid only for its own hosts.
        verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms).map_err(handshake_error)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms).map_err(handshake_error)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Returns true if an error of webpki is about the issuer. webpki verifies the dates before all of these, and the
/// purpose before all except `CaUsedAsEndEntity`.
fn is_about_issuer(error: &Error) -> bool {
    let Error::InvalidCertificate(why) = error else { return false };
    match why {
        CertificateError::Other(OtherError(other)) => {
            matches!(other.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        CertificateError::UnknownIssuer
        | CertificateError::BadSignature
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => true,
        _ => false,
    }
}

/// Distinguishes a bad handshake signature from a bad signature of the certificate.
fn handshake_error(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => Error::General(
            "invalid signature by the server certificate, or an RSA key of less than 2048 bits".into(),
        ),
        other => other,
    }
}

/// Accepts any certificate and any handshake signature, for `--insecure`.
///
/// A handshake signature proves that the server has the key of its certificate. If any certificate is accepted, that
/// proves nothing, and verifying it would only reject servers with keys that webpki can't read: version 1, Ed448,
/// short RSA keys.
#[derive(Debug)]
pub(crate) struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// Returns all schemes: a server may reject a client that does not offer the scheme of its certificate.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        use SignatureScheme as S;
        vec![
            S::ECDSA_NISTP256_SHA256,
            S::ECDSA_NISTP384_SHA384,
            S::ECDSA_NISTP521_SHA512,
            S::ED25519,
            S::ED448,
            S::RSA_PSS_SHA256,
            S::RSA_PSS_SHA384,
            S::RSA_PSS_SHA512,
            S::RSA_PKCS1_SHA256,
            S::RSA_PKCS1_SHA384,
            S::RSA_PKCS1_SHA512,
            S::ECDSA_SHA1_Legacy,
            S::RSA_PKCS1_SHA1,
        ]
    }
}
