//! One request for a page.

use std::sync::Arc;

use http::HeaderMap;
use oras_store::ReadStore;

use super::page_error::PageError;
use crate::api::query::Query;
use crate::api::request_context::RequestContext;
use crate::auth::scope::Action;

/// One request for a page.
pub(super) struct PageRequest<'a> {
    pub(super) context: &'a RequestContext,
    pub(super) headers: &'a HeaderMap,
    pub(super) query: &'a Query,
}

impl PageRequest<'_> {
    /// Returns true if the visitor may pull from a repository.
    pub(super) fn may_pull(&self, name: &str) -> bool {
        self.context.may(name, Action::Pull)
    }

    /// Returns the text that the visitor searches for.
    pub(super) fn search(&self) -> &str {
        self.query.get("q").unwrap_or_default()
    }

    /// Returns the name after which the page of a list begins.
    pub(super) fn after(&self) -> Option<&str> {
        self.query.get("last")
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
