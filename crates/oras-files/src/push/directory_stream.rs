//! Streams a directory to a store while it is packed. The digest is known at the end, and no temporary file is written.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::future::join;
use oras_fs::blocking;
use oras_spec::{Descriptor, MediaType};
use oras_store::{
    Error, ErrorKind, Ingest, IngestOptions, IngestTarget, Progress, ProgressUpdate, Pushed, Result,
};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::CancellationToken;

use super::collection::Collection;
use super::scanned_path::ScannedPath;
use crate::archive;

/// A packed directory of at most this size is kept in memory, so that the store can be queried for it before it is
/// sent.
const MAX_BUFFERED: u64 = 2 << 20;
/// The number of packed blocks between the packer and the store. It bounds the memory of one upload.
const QUEUE: usize = 2;

/// The store that receives directories, and the receiver of the progress.
pub(crate) struct DirectoryUpload<'a> {
    pub(crate) target: &'a dyn IngestTarget,
    pub(crate) progress: Progress,
}

/// The result of [`DirectoryUpload::stream`].
pub(crate) enum Sent {
    /// The node, and what the target did; `None` if the node is in memory and is still to be sent.
    Done(Box<Descriptor>, Option<Pushed>),
    /// The directory was only hashed, because the target was expected to have it. The target does not have it.
    Lacking,
}

/// What happened to the packed bytes.
enum PackedBytes {
    Buffered(Vec<Bytes>),
    Uploaded(Box<dyn Ingest>),
    /// The bytes were only hashed, because the target probably has them.
    Discarded,
}

impl DirectoryUpload<'_> {
    /// Packs a directory of `collection` and sends it at the same time.
    pub(crate) async fn stream(
        &self,
        collection: &Collection,
        scanned: &ScannedPath,
        known_layers: BoxFuture<'_, Arc<[Descriptor]>>,
    ) -> Result<Sent> {
        let _permit = collection.packing_permit(scanned).await?;
        let cancel = CancellationToken::new();
        let _guard = cancel.drop_guard_ref();
        let buffer_size = MAX_BUFFERED.min(collection.nodes.lock().room_for_packed());
        let directories = collection.directories;
        let (sender, receiver) = channel(QUEUE);
        let packing = {
            let (path, title) = (scanned.path.clone(), scanned.title().to_owned());
            let cancel = cancel.clone();
            blocking(move || {
                archive::pack_directory(&path, &title, directories, &cancel, |bytes| {
                    sender
                        .blocking_send(bytes)
                        .map_err(|_| Error::new(ErrorKind::Other, "the receiver was closed"))
                })
            })
        };
        let is_known = async { scanned.is_directory_among(&known_layers.await, directories, &cancel).await };
        let receiving = self.receive(receiver, &scanned.media_type, buffer_size, is_known);
        // Both must run at the same time, because the packer waits while the channel is full.
        let (packed, received) = join(packing, receiving).await;
        // The receiver's error is returned first, because it also made the packer fail.
        let received = received?;
        let (packed, received) = match (packed, received) {
            (Err(error), PackedBytes::Uploaded(ingest)) => {
                ingest.abort().await;
                return Err(error);
            }
            (packed, received) => (packed?, received),
        };
        let node = scanned.packed_descriptor(&packed);
        let ingest = match received {
            PackedBytes::Buffered(chunks) => {
                collection.nodes.lock().insert_packed(node.digest.clone(), chunks.concat().into());
                return Ok(Sent::Done(Box::new(node), None));
            }
            PackedBytes::Uploaded(ingest) => Some(ingest),
            PackedBytes::Discarded => None,
        };
        // The digest is known only now. If the target has the layer already, the upload is discarded.
        let exists = self.target.exists(&node).await?;
        match ingest {
            Some(ingest) if exists => ingest.abort().await,
            Some(ingest) => {
                ingest.commit(Some(&node.digest)).await?;
                return Ok(Sent::Done(Box::new(node), Some(Pushed::Copied)));
            }
            None if exists => {}
            None => return Ok(Sent::Lacking),
        }
        Ok(Sent::Done(Box::new(node), Some(Pushed::Existed)))
    }

    /// Buffers up to `buffer_size` bytes. Longer content is discarded if `is_known` returns true, because the target
    /// probably has it, and uploaded otherwise.
    async fn receive(
        &self,
        mut receiver: Receiver<Bytes>,
        media_type: &MediaType,
        buffer_size: u64,
        is_known: impl Future<Output = bool>,
    ) -> Result<PackedBytes> {
        let mut buffered = Vec::new();
        let mut size = 0;
        while size <= buffer_size {
            let Some(chunk) = receiver.recv().await else { return Ok(PackedBytes::Buffered(buffered)) };
            size += chunk.len() as u64;
            buffered.push(chunk);
        }
        // The directory is hashed for this check only here, so that a small directory is not read twice.
        if is_known.await {
            // The packer needs a receiver until the end to compute the digests.
            while receiver.recv().await.is_some() {}
            return Ok(PackedBytes::Discarded);
        }
        let mut ingest = self.target.begin(IngestOptions::new(media_type.clone())).await?;
        (self.progress)(ProgressUpdate::Transferred(size));
        ingest.write(buffered).await?;
        while let Some(chunk) = receiver.recv().await {
            (self.progress)(ProgressUpdate::Transferred(chunk.len() as u64));
            ingest.write(vec![chunk]).await?;
        }
        Ok(PackedBytes::Uploaded(ingest))
    }
}
