//! Cancels an interrupted upload of an earlier run, locally and at the registry.

use oras_store::Result;

use crate::client::Client;
use crate::repository::repository::Repository;
use crate::repository::upload::unfinished_uploads::{UnfinishedUpload, UnfinishedUploads};
use crate::repository::upload::upload_session::UploadSession;

impl UnfinishedUploads {
    /// Deletes the state of an upload, unless a process is using it, and cancels it at the registry
    /// (distribution-spec main, "Canceling a blob upload"). Returns whether the registry confirmed that, or `None` if
    /// there was nothing to delete.
    ///
    /// An unreachable registry does not cause an error, because the session expires at the registry.
    ///
    /// # Errors
    /// `Io` if the file can't be deleted.
    pub async fn cancel(&self, client: &Client, upload: &UnfinishedUpload) -> Result<Option<bool>> {
        let taken = upload.clone();
        // Reads the state again under the lock: another run may have finished or replaced the upload since it was
        // listed.
        let Some((file, location)) = oras_fs::blocking(move || Ok(taken.take())).await? else {
            return Ok(None);
        };
        let cancelled = match (Repository::at_origin(client, &upload.registry, &upload.repository), location)
        {
            (Ok(repository), Some(location)) => {
                UploadSession { location, offset: 0 }.cancel(&repository).await
            }
            _ => false,
        };
        // The lock is held until the state is deleted, so that no other run resumes the upload during the
        // cancellation.
        let removed = upload.clone();
        let removed = oras_fs::blocking(move || {
            let removed = removed.remove_file();
            drop(file);
            removed
        });
        Ok(removed.await?.then_some(cancelled))
    }
}
