//! The layer of a directory on its way into the staging directory: while it arrives, or from a file that is whole.
//!
//! While it arrives nobody has verified its bytes. The digest is known before anybody sees what was unpacked, and an
//! archive that is verified is trusted no more than one that is not.

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::{Buf, Bytes};
use futures::join;
use oras_spec::{Descriptor, annotation};
use oras_store::fsio::{self, blocking};
use oras_store::{Content, Error, Result};

use crate::cancel::Cancel;
use crate::extract::{self, Archive};
use crate::publish::{Form, Item};
use crate::target::{Place, PullOptions};

/// Pieces between the network and the archive.
const QUEUE: usize = 8;

/// Unpacks the layer while it is fetched and verified.
///
/// That it is not what its descriptor says counts before whatever is wrong with the archive.
pub(crate) async fn in_flight(
    content: &Content,
    place: Place,
    options: PullOptions,
    cancel: Cancel,
) -> Result<Item> {
    let layer = content.descriptor().clone();
    // That the content can't be had at all is no failure of the copying.
    let stream = content.unverified(0..layer.size).await?;
    let opened = Content::once(layer.clone(), stream);
    let (place, cancelled) = (Arc::new(place), Arc::clone(&cancel.0));
    let unpacked = {
        let (place, layer) = (Arc::clone(&place), layer.clone());
        move |packed: Box<dyn Read + Send>| unpack(packed, &place, &layer, options, cancelled)
    };
    let shown = place.shown();
    if layer.size <= fsio::CHUNK as u64 {
        let bytes = opened.bytes(fsio::CHUNK as u64).await.map_err(|error| place.copy_failed(error))?;
        return blocking(move || unpacked(Box::new(Cursor::new(bytes)))).await;
    }
    let (feed, chunks) = sync_channel(QUEUE);
    let unpacking = blocking(move || unpacked(Box::new(Chunks { chunks, chunk: Bytes::new() })));
    let fetching = fsio::pour(&opened, Feed(Some(feed)), shown, |feed| {
        // The end of the archive.
        drop(feed);
        Ok(())
    });
    let (fetched, unpacked) = join!(fetching, unpacking);
    fetched.map_err(|error| place.copy_failed(error))?;
    unpacked
}

/// Unpacks the layer from where `packed` has it, verified.
pub(crate) async fn staged(
    packed: Item,
    place: Place,
    layer: &Descriptor,
    options: PullOptions,
    cancel: Cancel,
) -> Result<Item> {
    let (layer, cancelled) = (layer.clone(), Arc::clone(&cancel.0));
    blocking(move || {
        let staging = &place.base.staging;
        let failed = |error| place.unpack_failed(Error::io("failed to unpack", error));
        if let Form::Whole(whole) = &packed.form {
            let moved = place.base.staging_file().and_then(|staging| whole.move_to(&staging, &packed.staged));
            moved.map_err(failed)?;
        }
        let file = staging.open(&packed.staged).map_err(failed)?.into_std();
        let item = unpack(Box::new(file), &place, &layer, options, cancelled)?;
        staging.remove_file(&packed.staged).map_err(failed)?;
        Ok(item)
    })
    .await
}

/// Unpacks into a new directory in the staging directory.
fn unpack(
    packed: Box<dyn Read + Send>,
    place: &Place,
    layer: &Descriptor,
    options: PullOptions,
    cancelled: Arc<AtomicBool>,
) -> Result<Item> {
    let failed = |error| place.unpack_failed(Error::io("failed to unpack", error));
    let staging = &place.base.staging;
    let name = place.base.fresh();
    staging.create_dir(&name).map_err(failed)?;
    let root = staging.open_dir(&name).map_err(failed)?;
    let archive = Archive {
        title: layer.title().unwrap_or_default(),
        base: &place.base,
        place: &place.path,
        size: layer.size,
        content_digest: layer.annotations.get(annotation::CONTENT_DIGEST).map(String::as_str),
        limits: options.unpack,
        preserve_permissions: options.preserve_permissions,
        links_lead_out: options.allow_path_traversal,
    };
    let directories =
        extract::extract(packed, root, &archive, cancelled).map_err(|error| place.unpack_failed(error))?;
    Ok(Item { directories: Arc::new(directories), ..Item::new(place, name, Form::Staged) })
}

/// Hands on what is written to it, as long as somebody takes it: who does not has failed, and tells so itself.
struct Feed(Option<SyncSender<Bytes>>);

impl Write for Feed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.as_ref().is_some_and(|feed| feed.send(Bytes::copy_from_slice(bytes)).is_err()) {
            self.0 = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads what is fed, until there is no more.
struct Chunks {
    chunks: Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.chunks.recv() {
                Ok(chunk) => self.chunk = chunk,
                Err(_) => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Place {
    /// The path, for people.
    pub(crate) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub(crate) fn copy_failed(&self, error: Error) -> Error {
        error.context(format!("failed to copy content to {}", self.shown()))
    }

    fn unpack_failed(&self, error: Error) -> Error {
        error.context(format!("failed to extract tar to {}", self.shown()))
    }
}
