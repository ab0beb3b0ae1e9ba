//! TLS parts that client and server share: the cryptography provider, PEM files and error messages.

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
