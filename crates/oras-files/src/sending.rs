//! A directory sent to a store while it is packed: its digest is known at the end, and no file is written in between.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt, ready};
use futures::join;
use oras_spec::{Algorithm, Descriptor, MediaType};
use oras_store::fsio::blocking;
use oras_store::{Error, Ingest, Kind, Progress, Pushed, Result, Sink};
use tokio::sync::mpsc::{Receiver, channel};

use crate::archive;
use crate::cancel::Cancel;
use crate::collection::Collection;
use crate::found::{Body, Found};

/// What a packed directory of this size is held in memory for: the store can be asked for it before it is sent.
const HELD: u64 = 2 << 20;
/// So much of all directories together is held.
const HELD_IN_ALL: u64 = 8 << 20;
/// Packed blocks between the packer and the store.
const QUEUE: usize = 2;

/// What became of a packed directory.
enum Taken {
    Held(Vec<Bytes>),
    Begun(Box<dyn Ingest>),
    /// Hashed only, as the store probably has it.
    Hashed,
}

impl Collection {
    /// Packs a directory and sends it meanwhile, unless it exists there; `None` when it is held, to be sent like
    /// any other node. What the network loses for good is packed into a temporary file, which can be sent again and again.
    pub(crate) async fn send_packed(
        &self,
        mut found: Found,
        target: &dyn Sink,
        (progress, earlier): (&Progress, BoxFuture<'_, Vec<Descriptor>>),
    ) -> Result<(Descriptor, Option<Pushed>)> {
        let mut sent = self.stream(&found, target, (progress, earlier)).await;
        if let Ok(None) = sent {
            // The target lacks the layer, or another compression made it: this time the layer is sent.
            sent = self.stream(&found, target, (progress, ready(Vec::new()).boxed())).await;
        }
        match sent.and_then(|sent| sent.ok_or_else(|| Error::new(Kind::Other, "a directory was not sent"))) {
            Err(error) if error.kind() == Kind::Network => Ok((self.describe(found).await?, None)),
            sent => {
                found.claim.done = sent.is_ok();
                sent
            }
        }
    }

    /// `None` if it was hashed only, and the store does not have it.
    async fn stream(
        &self,
        found: &Found,
        target: &dyn Sink,
        (progress, earlier): (&Progress, BoxFuture<'_, Vec<Descriptor>>),
    ) -> Result<Option<(Descriptor, Option<Pushed>)>> {
        let _turn = self.turn(found).await?;
        let cancel = Cancel::default();
        let most = HELD.min(HELD_IN_ALL.saturating_sub(self.state().held));
        let (to, from) = channel(QUEUE);
        let packing = {
            let (path, title, directories) = (found.path.clone(), found.title.clone(), self.directories);
            let cancelled = Arc::clone(&cancel.0);
            blocking(move || {
                archive::pack(&path, &title, directories, &cancelled, |bytes| {
                    to.blocking_send(bytes).map_err(|_| Error::new(Kind::Other, "nobody takes the bytes"))
                })
            })
        };
        let is_expected =
            async { found.is_directory_among(&earlier.await, self.directories, &cancel.0).await };
        let (packed, taken) =
            join!(packing, take(from, target, &found.media_type, most, (progress, is_expected)));
        // That nobody takes the bytes is why packing ended.
        let taken = taken?;
        let (packed, taken) = match (packed, taken) {
            (Err(error), Taken::Begun(ingest)) => {
                ingest.abort().await;
                return Err(error);
            }
            (packed, held) => (packed?, held),
        };
        let node = found.packed(&packed);
        match taken {
            Taken::Held(chunks) => {
                let mut state = self.state();
                state.held += packed.size;
                state.nodes.insert(node.digest.clone(), Body::Bytes(chunks.concat().into()));
                Ok(Some((node, None)))
            }
            Taken::Begun(ingest) => {
                if target.exists(&node).await? {
                    ingest.abort().await;
                    return Ok(Some((node, Some(Pushed::Existed))));
                }
                ingest.commit(Some(&node.digest)).await?;
                Ok(Some((node, Some(Pushed::Copied))))
            }
            Taken::Hashed => Ok(target.exists(&node).await?.then_some((node, Some(Pushed::Existed)))),
        }
    }
}

/// Holds at most `most` bytes. Content that is longer is hashed only if `is_expected` says that the target has it, and is sent to
/// `target` otherwise.
async fn take(
    mut from: Receiver<Bytes>,
    target: &dyn Sink,
    media_type: &MediaType,
    most: u64,
    (progress, is_expected): (&Progress, impl Future<Output = bool>),
) -> Result<Taken> {
    let (mut held, mut size) = (Vec::new(), 0);
    while size <= most {
        let Some(chunk) = from.recv().await else { return Ok(Taken::Held(held)) };
        size += chunk.len() as u64;
        held.push(chunk);
    }
    if is_expected.await {
        while from.recv().await.is_some() {}
        return Ok(Taken::Hashed);
    }
    let mut ingest = target.begin(media_type.clone(), Algorithm::Sha256).await?;
    for chunk in held {
        progress(chunk.len() as u64);
        ingest.write(chunk).await?;
    }
    while let Some(chunk) = from.recv().await {
        progress(chunk.len() as u64);
        ingest.write(chunk).await?;
    }
    Ok(Taken::Begun(ingest))
}
