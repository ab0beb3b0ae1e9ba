//! What the client and the server share of TLS: the cryptography provider, PEM files, and errors in words.

mod alert;
mod certificate_error;
mod error;
mod files;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};

pub use error::{LIMITS, describe};
pub use files::{FileError, FileErrorKind, certificates, certified_key, private_key};

/// The provider of cryptography for every connection: aws-lc-rs, which verifies P-521 signatures; ring does not.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
