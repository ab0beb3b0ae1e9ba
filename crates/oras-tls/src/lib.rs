//! TLS parts that client and server share: the cryptography provider, PEM files and error messages.
//!
//! The crates `oras-remote` and `oras-serve` use these functions. Use them in a program that reads certificates and
//! should report problems with the same words.
//!
//! ```
//! use std::path::Path;
//!
//! use oras_tls::{FileError, FileErrorKind, PemSource, certificates};
//!
//! let missing: FileError = certificates(Path::new("missing.pem")).unwrap_err();
//! assert_eq!(missing.kind(), FileErrorKind::Missing);
//! println!("{}: {}", missing.path().display(), missing.reason());
//!
//! let not_pem = certificates(PemSource::Bytes(b"hello".to_vec())).unwrap_err();
//! assert_eq!(not_pem.kind(), FileErrorKind::NoCertificatePem);
//! ```

#![cfg_attr(docsrs, feature(doc_cfg))]

mod certificate_error;
mod error;
mod pem_files;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use error::{LIMITS, describe};
pub use pem_files::{FileError, FileErrorKind, PemSource, certificates, certified_key, private_key};

/// Returns the cryptography provider for every connection: aws-lc-rs, which verifies P-521 signatures, unlike ring.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
