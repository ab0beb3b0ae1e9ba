//! Unpacks the layer of a directory into the staging directory, either while it is fetched or from a complete file.
//!
//! While a layer is fetched its bytes are not verified yet. The digest is checked before anything is published. A
//! verified archive may still be malicious, so its entries get the same checks.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use bytes::Bytes;
use futures::future::join;
use oras_fs::blocking;
use oras_spec::{Descriptor, annotation};
use oras_store::{Content, Error, Result};
use tokio_util::sync::CancellationToken;

use super::options::PullOptions;
use super::staged_item::{Location, StagedItem};
use super::title_path::Destination;
use crate::extract::{ExtractOptions, ReadAhead, extract_archive};

/// The number of chunks between the network and the archive reader. It bounds the memory of one layer.
const QUEUE: usize = 8;

/// Returns true if the layer is a packed directory, which a pull unpacks.
pub(crate) fn is_packed_directory(layer: &Descriptor) -> bool {
    layer.annotations.get(annotation::UNPACK).is_some_and(|unpack| unpack == "true")
}

/// Unpacks a layer while it is fetched and verified.
///
/// # Errors
/// Returns a digest mismatch rather than an error in the archive, because wrong bytes may have caused the latter.
pub(crate) async fn unpack_while_fetching(
    content: &Content,
    destination: Destination,
    options: PullOptions,
    cancel: CancellationToken,
) -> Result<StagedItem> {
    let layer = content.descriptor().clone();
    // The content is opened separately, so that an open error is not reported as a failed copy.
    let stream = content.unverified(0..layer.size).await?;
    let opened = Content::once(layer.clone(), stream);
    let destination = Arc::new(destination);
    let (sender, receiver) = sync_channel(QUEUE);
    let unpacking = {
        let destination = Arc::clone(&destination);
        blocking(move || unpack(Box::new(ReadAhead::new(receiver)), &destination, &layer, options, cancel))
    };
    let name = destination.path.display().to_string();
    let fetching = oras_fs::write_verified(&opened, ChunkWriter(Some(sender)), name, |writer| {
        // The reader treats the closed channel as the end of the archive.
        drop(writer);
        Ok(())
    });
    let (fetched, unpacked) = join(fetching, unpacking).await;
    fetched.map_err(|error| destination.copy_failed(error))?;
    unpacked
}

/// Unpacks a fetched and verified layer, and deletes the file with its bytes.
pub(crate) async fn unpack_fetched(
    fetched: StagedItem,
    destination: Destination,
    layer: &Descriptor,
    options: PullOptions,
    cancel: CancellationToken,
) -> Result<StagedItem> {
    let layer = layer.clone();
    blocking(move || {
        let output = &destination.output;
        let failed = |error| destination.unpack_failed(Error::io("failed to unpack", error));
        if let Some(file) = fetched.partial_file() {
            let moved = output.staging_file().and_then(|staging| file.move_to(&staging, &fetched.staged));
            moved.map_err(failed)?;
        }
        let file = output.staging.open(&fetched.staged).map_err(failed)?.into_std();
        let item = unpack(Box::new(file), &destination, &layer, options, cancel)?;
        output.staging.remove_file(&fetched.staged).map_err(failed)?;
        Ok(item)
    })
    .await
}

/// Unpacks `archive` into a new directory in the staging directory.
fn unpack(
    archive: Box<dyn Read + Send>,
    destination: &Destination,
    layer: &Descriptor,
    options: PullOptions,
    cancel: CancellationToken,
) -> Result<StagedItem> {
    let failed = |error| destination.unpack_failed(Error::io("failed to unpack", error));
    let output = &destination.output;
    let staged = output.new_staged_name();
    output.staging.create_dir(&staged).map_err(failed)?;
    let root = output.staging.open_dir(&staged).map_err(failed)?;
    let extract_options = ExtractOptions {
        title: layer.title().unwrap_or_default(),
        names: output.name_check(),
        destination: &destination.path,
        packed_size: layer.size,
        content_digest: layer.annotations.get(annotation::CONTENT_DIGEST).map(String::as_str),
        limits: options.unpack,
        preserve_permissions: options.preserve_permissions,
        allow_outside_links: options.allow_path_traversal,
    };
    let directories = extract_archive(archive, root, &extract_options, cancel)
        .map_err(|error| destination.unpack_failed(error))?;
    let item = StagedItem::new(destination, staged, Location::Staging);
    Ok(StagedItem { directories: Arc::new(directories), ..item })
}

/// Sends the fetched bytes to a [`ReadAhead`].
///
/// If the reader was dropped, unpacking has failed and returns its own error. The remaining bytes are only verified.
struct ChunkWriter(Option<SyncSender<io::Result<Bytes>>>);

impl Write for ChunkWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.as_ref().is_some_and(|sender| sender.send(Ok(Bytes::copy_from_slice(bytes))).is_err()) {
            self.0 = None;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
