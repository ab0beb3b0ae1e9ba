//! Errors that a page shows.

use http::StatusCode;
use oras_store::{Error, ErrorKind};

/// Why a page can't be shown.
#[derive(Debug)]
pub(super) struct PageError {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
}

impl PageError {
    pub(super) fn not_found(message: &'static str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message }
    }

    pub(super) fn internal() -> Self {
        let message = "The registry could not read this. Its log tells why.";
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message }
    }

    /// Converts an error of a store. Details such as paths are logged, not shown.
    pub(super) fn from_store(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::InvalidInput => {
                Self::not_found("There is no such tag or manifest in this repository.")
            }
            _ => {
                tracing::error!(error = error.chain(), "a store failed");
                Self::internal()
            }
        }
    }
}
