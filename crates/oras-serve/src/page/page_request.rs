//! What all pages read from a request, and the error if a page can't be shown.

use std::sync::Arc;

use http::StatusCode;
use oras_store::{Error, ErrorKind, ReadStore};

use crate::api::request_context::RequestContext;
use crate::auth::scope::Action;

/// Opens a repository. Reports a repository that the visitor may not pull from as missing.
pub(super) async fn open(context: &RequestContext, name: &str) -> Result<Arc<dyn ReadStore>, PageError> {
    // Distinguishing the two would reveal the names of private repositories.
    let found = match context.may(name, Action::Pull) {
        true => context.registry.stores.repository(name, &context.warnings).await?,
        false => None,
    };
    found.ok_or(PageError::not_found("There is no such repository here."))
}

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
}

impl From<Error> for PageError {
    /// Converts an error of a store. Details such as paths are logged, not shown.
    fn from(error: Error) -> Self {
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
