//! Certificates and private keys in PEM, and the faults of such files.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, crypto::CryptoProvider};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::describe;

/// The size in bytes of the largest file that is read. The largest bundles of authorities have less than a tenth of
/// it.
const MAX_FILE: u64 = 16 << 20;

/// The name of PEM data in memory in messages.
const IN_MEMORY: &str = "PEM in memory";

/// PEM data, in a file or in memory, which the functions of this crate read. `Debug` hides the data, which may be a
/// private key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PemSource {
    /// The path of a file, which is read when it is needed.
    Path(PathBuf),
    /// The data itself.
    Bytes(Vec<u8>),
}

impl PemSource {
    /// Returns the name in messages: the path, or a name for data in memory.
    pub fn name(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Bytes(_) => Path::new(IN_MEMORY),
        }
    }

    fn read(&self) -> Result<Vec<u8>, FileError> {
        match self {
            Self::Path(path) => read(path),
            Self::Bytes(bytes) => Ok(without_mark(bytes)),
        }
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PemSource({})", self.name().display())
    }
}

impl<const N: usize> From<&[u8; N]> for PemSource {
    fn from(bytes: &[u8; N]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<PathBuf> for PemSource {
    fn from(path: PathBuf) -> Self {
        Self::Path(path)
    }
}

impl From<&PathBuf> for PemSource {
    fn from(path: &PathBuf) -> Self {
        Self::Path(path.clone())
    }
}

impl From<&Path> for PemSource {
    fn from(path: &Path) -> Self {
        Self::Path(path.to_owned())
    }
}

impl From<Vec<u8>> for PemSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<&[u8]> for PemSource {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

/// A file that can't be used, and the reason. `Display` prints both.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FileError {
    path: PathBuf,
    reason: String,
    kind: FileErrorKind,
}

/// The kind of fault of a file, for callers that have their own message for it. [`FileError::kind`] returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileErrorKind {
    /// The file does not exist.
    Missing,
    /// A certificate file without PEM data.
    NoCertificatePem,
    /// A key file without PEM data.
    NoKeyPem,
    /// Any other fault.
    Other,
}

impl FileError {
    fn new(path: &Path, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into(), kind: FileErrorKind::Other }
    }

    /// Returns the path of the file, or a name for data in memory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the kind of fault.
    pub fn kind(&self) -> FileErrorKind {
        self.kind
    }
}

/// Reads all certificates in PEM, at least one.
///
/// # Errors
/// If the file can't be read, is not PEM, or has no certificate.
pub fn certificates(source: impl Into<PemSource>) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let source = source.into();
    let (path, pem) = (source.name(), source.read()?);
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| FileError::new(path, malformed(&error)))?;
    if !found.is_empty() {
        return Ok(found);
    }
    // The labels show what the file contains instead, for a message that names the likely mistake.
    let labels = labels(&pem);
    let reason = match labels.iter().any(|label| label.ends_with("PRIVATE KEY")) {
        true => "has a private key and no certificate: are the files of the certificate and the key swapped?"
            .to_owned(),
        false => nothing_in(&pem, &labels, "certificate", "openssl x509 -inform der"),
    };
    let kind = if labels.is_empty() { FileErrorKind::NoCertificatePem } else { FileErrorKind::Other };
    Err(FileError { kind, ..FileError::new(path, reason) })
}

/// Reads the first private key in PEM.
///
/// # Errors
/// If the file can't be read, is not PEM, or has no private key, or only an encrypted one.
pub fn private_key(source: impl Into<PemSource>) -> Result<PrivateKeyDer<'static>, FileError> {
    let source = source.into();
    let (path, pem) = (source.name(), source.read()?);
    let labels = labels(&pem);
    // PKCS #8 has its own label for encrypted keys; older forms have a header of RFC 1421.
    let is_encrypted = labels.iter().any(|label| label == "ENCRYPTED PRIVATE KEY")
        || lines(&pem).any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED"));
    match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(key) => Ok(key),
        Err(_) if is_encrypted => {
            let file = if let PemSource::Path(path) = &source { path } else { Path::new("encrypted.pem") };
            let reason = format!(
                "the private key is encrypted: decrypt it by `openssl pkey -in {} -out decrypted.pem` and use that file",
                file.display()
            );
            Err(FileError::new(path, reason))
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) => {
            let reason = match labels.iter().any(|label| label == "CERTIFICATE") {
                true => {
                    "has a certificate and no private key: are the files of the certificate and the key swapped?"
                        .to_owned()
                }
                false => nothing_in(&pem, &labels, "private key", "openssl pkey -inform der"),
            };
            let kind = if labels.is_empty() { FileErrorKind::NoKeyPem } else { FileErrorKind::Other };
            Err(FileError { kind, ..FileError::new(path, reason) })
        }
        Err(error) => Err(FileError::new(path, malformed(&error))),
    }
}

/// Reads a certificate with its chain and the matching private key.
///
/// Accepts certificates of version 1, which small authorities still create: the peer decides whether they are valid.
///
/// # Errors
/// Those of [`certificates`] and [`private_key`], and if the key does not match the certificate.
pub fn certified_key(
    certificate: impl Into<PemSource>,
    key: impl Into<PemSource>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, FileError> {
    let (certificate, key) = (certificate.into(), key.into());
    let chain = certificates(certificate.clone())?;
    let loaded = provider.key_provider.load_private_key(private_key(key.clone())?).map_err(|error| {
        FileError::new(key.name(), format!("the private key can't be used: {}", describe("", &error)))
    })?;
    let pair = CertifiedKey::new(chain, loaded);
    match pair.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let reason = format!(
                "tls: private key does not match public key: it is not the key of the certificate in {}",
                certificate.name().display()
            );
            Err(FileError::new(key.name(), reason))
        }
        // `keys_match` also fails for a certificate that webpki can't parse, such as one of version 1. Those are
        // accepted.
        _ => Ok(pair),
    }
}

/// Reads a file. Opens it only once and does not seek, so that the file may be a pipe.
fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // One byte beyond the limit shows that the file is too large, without reading the rest.
    let file = File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match file {
        Ok(size) if size as u64 > MAX_FILE => Err(FileError::new(path, "is too large for a PEM file")),
        Ok(_) => Ok(without_mark(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let kind = FileErrorKind::Missing;
            Err(FileError { kind, ..FileError::new(path, "no such file or directory") })
        }
        Err(error) => {
            // Rust appends "(os error N)" and begins with a capital letter; Go does neither.
            let text = error.to_string();
            let reason = text.split(" (os error").next().unwrap_or_default().to_lowercase();
            Err(FileError::new(path, reason))
        }
    }
}

/// Returns the bytes without a byte order mark, which Windows editors write first.
fn without_mark(bytes: &[u8]) -> Vec<u8> {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).to_vec()
}

fn lines(pem: &[u8]) -> impl Iterator<Item = String> {
    // PEM files have the line ends of Unix, of Windows, or a bare carriage return (RFC 7468).
    pem.split(|byte| matches!(byte, b'\n' | b'\r'))
        .map(|line| String::from_utf8_lossy(line).trim().to_owned())
}

/// Returns the printable labels of the sections, such as `CERTIFICATE`.
fn labels(pem: &[u8]) -> Vec<String> {
    let label = |line: String| Some(line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")?.to_owned());
    // Labels come from the file and appear in messages, so control characters and long labels are dropped.
    let is_plain =
        |label: &String| label.len() < 64 && label.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    lines(pem).filter_map(label).filter(is_plain).collect()
}

/// Returns why a file lacks the `wanted` section.
fn nothing_in(pem: &[u8], labels: &[String], wanted: &str, convert: &str) -> String {
    if pem.iter().all(u8::is_ascii_whitespace) {
        return format!("has no {wanted}: it is empty");
    }
    if !labels.is_empty() {
        return format!("has no {wanted}, only: {}", labels.join(", "));
    }
    // A DER SEQUENCE with a length of up to four bytes.
    match pem {
        [0x30, length, ..] if *length & 0x80 == 0 || (0x81..=0x84).contains(length) => {
            format!(
                "is binary (DER), and must be PEM: convert it by `{convert}`, or from PKCS #12 by `openssl pkcs12`"
            )
        }
        _ => format!("has no {wanted} in PEM (`-----BEGIN …-----`)"),
    }
}

fn malformed(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match error {
        Error::MissingSectionEnd { end_marker } => {
            format!("malformed PEM: `-----END {}-----` is missing", text(end_marker))
        }
        Error::IllegalSectionStart { line } => format!("malformed PEM: invalid line `{}`", text(line)),
        Error::Base64Decode(_) => "malformed PEM: invalid base64".to_owned(),
        other => format!("malformed PEM: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file.pem");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text).unwrap();
        (directory, path)
    }

    #[test]
    fn explains_unusable_certificate_files() {
        for (text, expected) in [
            (&b""[..], "has no certificate: it is empty"),
            (b" \r\n", "has no certificate: it is empty"),
            (
                b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
                "has a private key and no certificate: are the files of the certificate and the key swapped?",
            ),
            (
                b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                "has no certificate, only: X509 CRL",
            ),
            (
                &[0x30, 0x82, 1, 2, 0x30],
                "is binary (DER), and must be PEM: convert it by `openssl x509 -inform der`, or from PKCS #12 by \
                 `openssl pkcs12`",
            ),
            (b"hello", "has no certificate in PEM (`-----BEGIN …-----`)"),
            (b"-----BEGIN CERTIFICATE-----\nAAAA\n", "malformed PEM: `-----END CERTIFICATE-----` is missing"),
            (b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "malformed PEM: invalid base64"),
        ] {
            let (_directory, path) = file(text);
            assert_eq!(certificates(&path).unwrap_err().reason(), expected);
            let error = certificates(text).unwrap_err();
            assert_eq!(error.to_string(), format!("{IN_MEMORY}: {expected}"));
        }
        let missing = certificates(Path::new("/nonexistent/file")).unwrap_err();
        assert_eq!(missing.kind(), FileErrorKind::Missing);
        assert_eq!(missing.to_string(), "/nonexistent/file: no such file or directory");
        assert_eq!(certificates(Path::new("/")).unwrap_err().reason(), "is a directory");
    }

    #[test]
    fn explains_unusable_key_files() {
        for (text, expected) in [
            (&b""[..], "has no private key: it is empty"),
            (
                b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                "has a certificate and no private key: are the files of the certificate and the key swapped?",
            ),
            (
                b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
                "has no private key, only: OPENSSH PRIVATE KEY",
            ),
            (&[0x30, 0x12, 2, 1], "is binary (DER), and must be PEM"),
        ] {
            let (_directory, path) = file(text);
            let error = private_key(&path).unwrap_err();
            assert!(error.reason().starts_with(expected), "{error}");
        }
        for encrypted in [
            &b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"[..],
            b"-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-128-CBC,00\r\n\r\nAAAA\r\n\
              -----END RSA PRIVATE KEY-----\r\n",
        ] {
            let (_directory, path) = file(encrypted);
            let error = private_key(&path).unwrap_err();
            let expected = format!(
                "{0}: the private key is encrypted: decrypt it by `openssl pkey -in {0} -out decrypted.pem` and use \
                 that file",
                path.display()
            );
            assert_eq!(error.to_string(), expected);
        }
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_vec();
        assert!(private_key(key.clone()).is_ok());
        assert_eq!(format!("{:?}", PemSource::from(key)), "PemSource(PEM in memory)");
        let (_directory, path) =
            file(b"\xef\xbb\xbf-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        assert!(private_key(&path).is_ok());
    }
}
