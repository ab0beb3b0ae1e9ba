//! The context of one request, which all handlers receive.

use std::fmt::Display;
use std::sync::Arc;

use http::request::Parts;
use oras_store::{ReadStore, Store};

use super::conditions::Conditions;
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::query::Query;
use super::route::MAX_NAME;
use super::warnings::Warnings;
use crate::auth::identity::Identity;
use crate::auth::scope::Action;
use crate::limits::client_id::ClientId;
use crate::limits::connection_activity::Peer;
use crate::registry_state::RegistryState;

/// A request without its body, and its sender. It is created once, after authorization.
pub(crate) struct RequestContext {
    pub(crate) registry: Arc<RegistryState>,
    pub(crate) peer: Peer,
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: Identity,
    pub(crate) head: Parts,
    pub(crate) query: Query,
    pub(crate) conditions: Conditions,
    /// The warnings that the response will carry.
    pub(crate) warnings: Warnings,
}

impl RequestContext {
    /// Returns the client whose share of the limits the request counts against.
    pub(crate) fn client_id(&self) -> ClientId {
        match self.identity.user() {
            Some(user) => ClientId::User(user.into()),
            None => ClientId::of_address(self.peer.address.ip()),
        }
    }

    /// Returns true if the sender may do `action` in a repository.
    pub(crate) fn may(&self, repository: &str, action: Action) -> bool {
        self.registry.access.may(&self.identity, repository, action)
    }

    /// Returns the path of an endpoint below `/v2/`, as clients see it.
    pub(crate) fn api_path(&self, rest: impl Display) -> String {
        format!("{}/v2/{rest}", self.registry.options.base_path)
    }

    /// Returns the repositories that the sender may read. A token for the catalog covers all of them.
    pub(crate) async fn readable_repositories(&self) -> oras_store::Result<Vec<String>> {
        let mut names = self.registry.stores.repositories().await?;
        // Not `may`: a token for the catalog contains no repositories, so only the user's rights count.
        let may_pull = |name: &str| self.registry.access.allows(self.identity.user(), name, Action::Pull);
        // Clients can't request repositories with longer names.
        names.retain(|name| name.len() <= MAX_NAME && may_pull(name));
        Ok(names)
    }

    /// Opens an existing repository for reading.
    pub(crate) async fn store(&self, name: &str) -> Result<Arc<dyn ReadStore>, ApiError> {
        known(name, self.registry.stores.repository(name, &self.warnings).await)
    }

    /// Opens an existing repository for reading blobs.
    pub(crate) async fn blob_store(&self, name: &str) -> Result<Arc<dyn ReadStore>, ApiError> {
        known(name, self.registry.stores.blob_repository(name, &self.warnings).await)
    }

    /// Opens a repository for writing, creating it if it does not exist and `create` is set.
    pub(crate) async fn writable(&self, name: &str, create: bool) -> Result<Arc<dyn Store>, ApiError> {
        known(name, self.registry.stores.writable(name, create).await)
    }
}

fn known<T>(name: &str, store: oras_store::Result<Option<T>>) -> Result<T, ApiError> {
    let store = store.map_err(|error| ApiError::from_store(error, ApiError::blob_unknown))?;
    store.ok_or_else(|| ApiError::name_unknown(name))
}
