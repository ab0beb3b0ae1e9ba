//! The certificates that a client trusts, and the certificate that it shows.

use oras_tls::PemSource;
use rustls_pki_types::CertificateDer;

/// The certificates of authorities and servers that a client trusts.
///
/// [`RootCertificates::system`], the default, is the store of the operating system, which the client reads when it
/// first uses TLS. Its location can be changed by the variables `SSL_CERT_FILE` and `SSL_CERT_DIR`, as with OpenSSL. A
/// client that must not depend on the machine starts from [`RootCertificates::none`]:
///
/// ```
/// use oras_remote::{ClientOptions, RootCertificates};
///
/// let pem: &[u8] = b"-----BEGIN CERTIFICATE-----\n...";
/// // The system's authorities, and one more.
/// let more = ClientOptions::default().roots(RootCertificates::system().pem(pem));
/// // Only this authority.
/// let only = ClientOptions::default().roots(RootCertificates::none().pem(pem));
/// # let _ = (more, only);
/// ```
#[derive(Clone, Debug)]
pub struct RootCertificates {
    /// Whether the system's certificates are trusted, and those of `certs.d`.
    pub(crate) has_system: bool,
    pub(crate) pem: Vec<PemSource>,
    pub(crate) der: Vec<CertificateDer<'static>>,
}

impl RootCertificates {
    /// Trusts the system's certificates. For one registry, those of
    /// [`ClientOptions::certificate_directories`](crate::ClientOptions::certificate_directories) are trusted in
    /// addition.
    pub fn system() -> Self {
        Self { has_system: true, ..Self::none() }
    }

    /// Trusts no certificates but those that are added.
    pub fn none() -> Self {
        Self { has_system: false, pem: Vec::new(), der: Vec::new() }
    }

    /// Adds all certificates of a file, or of PEM in memory.
    #[must_use]
    pub fn pem(mut self, source: impl Into<PemSource>) -> Self {
        self.pem.push(source.into());
        self
    }

    /// Adds certificates in DER, such as the list of Mozilla in the crate `webpki-root-certs`.
    #[must_use]
    pub fn der(mut self, certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.der.extend(certificates);
        self
    }
}

impl Default for RootCertificates {
    fn default() -> Self {
        Self::system()
    }
}

/// The certificate that a client shows to a registry, and its key. The option of the same name holds it:
///
/// ```
/// use oras_remote::{ClientCertificate, ClientOptions};
/// use std::path::Path;
///
/// let options = ClientOptions::default().client_certificate(Path::new("client.pem"), Path::new("client.key"));
/// let expected = ClientCertificate::new(Path::new("client.pem"), Path::new("client.key"));
/// assert_eq!(options.client_certificate, Some(expected));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientCertificate {
    /// The certificate with its chain.
    pub certificate: PemSource,
    /// The private key.
    pub key: PemSource,
}

impl ClientCertificate {
    /// Creates a client certificate.
    pub fn new(certificate: impl Into<PemSource>, key: impl Into<PemSource>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }
}
