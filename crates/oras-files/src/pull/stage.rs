//! Stages one layer: finds it at its path, copies it from a local file, or fetches and verifies it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use oras_fs::{Durability, PartialFile, blocking};
use oras_store::{Content, Origin, Result};
use tokio_util::sync::CancellationToken;

use super::existing_files::{copy_local_file, find_existing};
use super::staged_item::{Location, StagedItem};
use super::title_path::{Destination, Destinations};
use super::unpack_layer::{is_packed_directory, unpack_fetched, unpack_while_fetching};

/// A packed directory below this size is unpacked while it is fetched: fetching it again takes seconds. A larger one is
/// fetched into a partial file first, which a later run can resume, and is unpacked when it is complete.
const MAX_UNPACKED_WHILE_FETCHING: u64 = 64 << 20;
/// Smaller files are not copied from a local file: fetching, hashing and writing them takes no longer.
const MIN_LOCAL_COPY: u64 = 1 << 20;

/// Stages the content of `title`, unless the file or directory at its path already has that content.
pub(crate) async fn stage(
    destinations: &Arc<Destinations>,
    content: &Content,
    title: &str,
) -> Result<StagedItem> {
    let layer = content.descriptor();
    let options = destinations.options;
    let cancel = CancellationToken::new();
    let _guard = cancel.drop_guard_ref();
    let (destination, plan) = {
        let (destinations, content, title) = (Arc::clone(destinations), content.clone(), title.to_owned());
        let cancel = cancel.clone();
        blocking(move || {
            let destination = destinations.resolve(&title, is_packed_directory(content.descriptor()))?;
            let plan = StagingPlan::new(&destination, &content, &cancel)?;
            Ok((destination, plan))
        })
        .await?
    };
    let fetched = match plan {
        StagingPlan::Done(item) => {
            // Nothing is fetched, but the progress must reach the size of the layer.
            content.report_present(layer.size);
            return Ok(item);
        }
        StagingPlan::UnpackWhileFetching => {
            return unpack_while_fetching(content, destination, options, cancel.clone()).await;
        }
        StagingPlan::WriteFile(staged, file) => {
            // The content is opened separately, so that an open error is not reported as a failed copy.
            let stream = content.unverified(0..layer.size).await?;
            let opened = Content::once(layer.clone(), stream);
            let name = destination.path.display().to_string();
            let written = oras_fs::write_verified(&opened, file, name, |_| Ok(())).await;
            written.map_err(|error| destination.copy_failed(error))?;
            StagedItem::new(&destination, staged, Location::Staging)
        }
        StagingPlan::ResumePartial(partial) => {
            let name = destination.path.display().to_string();
            let written = partial.resume(content).await?.write(name, Durability::Relaxed).await;
            let file = written.map_err(|error| destination.copy_failed(error))?.into_whole();
            StagedItem::new(&destination, destination.output.new_staged_name(), Location::PartialFile(file))
        }
    };
    if is_packed_directory(layer) {
        return unpack_fetched(fetched, destination, layer, options, cancel.clone()).await;
    }
    Ok(fetched)
}

/// How one layer gets to the staging directory.
enum StagingPlan {
    /// Nothing is fetched.
    Done(StagedItem),
    WriteFile(PathBuf, File),
    ResumePartial(PartialFile),
    UnpackWhileFetching,
}

impl StagingPlan {
    fn new(destination: &Destination, content: &Content, cancel: &CancellationToken) -> Result<Self> {
        let layer = content.descriptor();
        if let Some(item) = find_existing(destination, layer, cancel) {
            return Ok(Self::Done(item));
        }
        if is_packed_directory(layer) && layer.size < MAX_UNPACKED_WHILE_FETCHING {
            return Ok(Self::UnpackWhileFetching);
        }
        if let Some(item) = copy_from_origin(destination, content, cancel) {
            return Ok(Self::Done(item));
        }
        if let Some(partial) = destination.output.claim_partial(content) {
            return Ok(Self::ResumePartial(partial));
        }
        let staged = destination.output.new_staged_name();
        let file = destination.output.create_staged(&staged)?;
        Ok(Self::WriteFile(staged, file))
    }
}

/// Copies a file from its origin, if the origin is a local file with the right content.
fn copy_from_origin(
    destination: &Destination,
    content: &Content,
    cancel: &CancellationToken,
) -> Option<StagedItem> {
    let layer = content.descriptor();
    let Origin::File { path } = content.origin() else { return None };
    if is_packed_directory(layer) || layer.size < MIN_LOCAL_COPY {
        return None;
    }
    let staged = destination.output.new_staged_name();
    // A copy with the wrong content is deleted with the staging directory.
    copy_local_file(&path, || destination.output.create_staged(&staged), layer, cancel)?;
    Some(StagedItem::new(destination, staged, Location::Staging))
}
