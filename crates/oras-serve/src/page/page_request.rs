//! One request for a page, and the error if the page can't be shown.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use oras_store::{Error, ErrorKind, ReadStore};

use crate::api::request_context::RequestContext;
use crate::auth::scope::Action;

/// One request for a page.
pub(super) struct PageRequest<'a> {
    pub(super) context: &'a RequestContext,
    pub(super) headers: &'a HeaderMap,
}

impl PageRequest<'_> {
    /// Returns true if the visitor may pull from a repository.
    pub(super) fn may_pull(&self, name: &str) -> bool {
        self.context.may(name, Action::Pull)
    }

    /// Returns the text that the visitor searches for, and the name after which the page of a list begins.
    pub(super) fn search(&self) -> (&str, Option<&str>) {
        (self.context.query.get("q").unwrap_or_default(), self.context.query.get("last"))
    }

    /// Opens a repository. Reports a repository that the visitor may not pull from as missing.
    pub(super) async fn repository(&self, name: &str) -> Result<Arc<dyn ReadStore>, PageError> {
        let stores = &self.context.registry.stores;
        // Distinguishing the two would reveal the names of private repositories.
        let found = match self.may_pull(name) {
            true => stores.repository(name, &self.context.warnings).await,
            false => Ok(None),
        };
        let found = found.map_err(|error| PageError::from_store(&error))?;
        found.ok_or(PageError::not_found("There is no such repository here."))
    }
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
