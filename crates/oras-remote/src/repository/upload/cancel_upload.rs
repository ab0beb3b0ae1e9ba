//! An upload of an earlier run that nobody wants any more: forgotten here, and by its registry.

use oras_store::{Result, fsio};
use url::Url;

use super::kept::{UnfinishedUpload, UnfinishedUploads};
use super::session::Session;
use crate::client::Client;
use crate::repository::Repository;

impl UnfinishedUploads {
    /// Forgets an upload, unless a process is at it, and asks its registry to forget it, too
    /// (distribution-spec main, "Canceling a blob upload"). Whether the registry says that it has; `None` when there was
    /// nothing to be forgotten.
    ///
    /// Best effort towards the registry: one that can't be reached forgets by itself.
    ///
    /// # Errors
    /// `Io` when the file can't be removed.
    pub async fn cancel(&self, client: &Client, upload: &UnfinishedUpload) -> Result<Option<bool>> {
        let taken = upload.clone();
        let Some((file, location)) = fsio::blocking(move || Ok(taken.take())).await? else { return Ok(None) };
        let cancelled = match (Repository::at(client, &upload.registry, &upload.repository), location) {
            (Ok(repository), Some(location)) => cancel(&repository, location).await,
            _ => false,
        };
        // Locked until now, so that no other run has gone on with it.
        let removed = upload.clone();
        let removed = fsio::blocking(move || {
            let removed = removed.remove_file();
            drop(file);
            removed
        });
        Ok(removed.await?.then_some(cancelled))
    }
}

async fn cancel(repository: &Repository, location: Url) -> bool {
    repository.cancel(&Session { location, offset: 0 }).await
}
