//! Sends a large file or directory while its digest is computed.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, ready};
use oras_spec::Descriptor;
use oras_store::{Error, ErrorKind, IngestTarget, Progress, Pushed, Result};

use super::collection::Collection;
use super::directory_stream::{DirectoryUpload, Sent};
use super::scanned_path::ScannedPath;

impl Collection {
    /// Sends a file to `target` while it is hashed, or a directory while it is packed, and reports each piece to
    /// `progress`. A later run can resume the upload of an unchanged file.
    ///
    /// Returns the descriptor and the outcome of the push. The outcome is `None` if nothing was sent: then the node was
    /// added to the collection, as [`Collection::describe`] does, and the caller sends it like any other node. This is
    /// the case for a small directory, and for content that resembles a known layer.
    ///
    /// `known_layers` gives layers that the target may have. Content that resembles one of them is hashed first and is
    /// skipped if the target has it. A layer with the same title but other content costs one more pass of hashing.
    ///
    /// # Errors
    /// The errors of [`Collection::add`], also if the file changes during the call, and those of the target.
    pub async fn send(
        &self,
        mut scanned: ScannedPath,
        target: &dyn IngestTarget,
        progress: Progress,
        known_layers: BoxFuture<'_, Arc<[Descriptor]>>,
    ) -> Result<(Descriptor, Option<Pushed>)> {
        if scanned.is_directory() {
            return self.send_directory(scanned, DirectoryUpload { target, progress }, known_layers).await;
        }
        if scanned.is_file_among(&known_layers.await) {
            return Ok((self.describe(scanned).await?, None));
        }
        let Some(content) = scanned.unhashed_content() else {
            return Err(Error::new(ErrorKind::InvalidInput, format!("{} is not a file", scanned.title())));
        };
        let (sent, pushed) = target.ingest(&content.with_progress(progress)).await?;
        // This checks the file again, because it may have changed while it was sent.
        let descriptor = scanned.sent_descriptor(&sent)?;
        scanned.claim.is_added = true;
        Ok((descriptor, Some(pushed)))
    }

    /// Packs a directory and sends it at the same time. After a network error the directory is packed into a temporary
    /// file, which can be sent any number of times.
    async fn send_directory(
        &self,
        mut scanned: ScannedPath,
        upload: DirectoryUpload<'_>,
        known_layers: BoxFuture<'_, Arc<[Descriptor]>>,
    ) -> Result<(Descriptor, Option<Pushed>)> {
        let mut sent = upload.stream(self, &scanned, known_layers).await;
        if let Ok(Sent::Lacking) = sent {
            // The target lacks the layer, or has it with another compression. The second attempt sends it.
            sent = upload.stream(self, &scanned, ready(Arc::default()).boxed()).await;
        }
        match sent {
            Err(error) if error.kind() == ErrorKind::Network => Ok((self.describe(scanned).await?, None)),
            Err(error) => Err(error),
            Ok(Sent::Lacking) => Err(Error::new(ErrorKind::Other, "a directory was not sent")),
            Ok(Sent::Done(descriptor, pushed)) => {
                scanned.claim.is_added = true;
                Ok((*descriptor, pushed))
            }
        }
    }
}
