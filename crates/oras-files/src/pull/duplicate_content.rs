//! Stages content under a second title by copying the staged file of the first.

use cap_std::fs::File as DirFile;
use oras_fs::failed_to;
use oras_spec::Descriptor;
use oras_store::{Error, ErrorKind, Result};
use tokio_util::sync::CancellationToken;

use super::existing_files::{copy_verified, find_existing};
use super::staged_item::{Location, StagedItem};
use super::title_path::Destinations;
use super::unpack_layer::is_packed_directory;

/// Copies the staged `original` to a new item for `title`, unless the file at its path already has the content.
///
/// # Errors
/// Those of resolving the title and of copying; `Unsupported` for a directory.
pub(crate) fn copy_duplicate(
    destinations: &Destinations,
    original: &StagedItem,
    layer: &Descriptor,
    title: &str,
) -> Result<StagedItem> {
    let destination = destinations.resolve(title, false)?;
    let never = CancellationToken::new();
    if !is_packed_directory(layer)
        && let Some(item) = find_existing(&destination, layer, &never)
    {
        return Ok(item);
    }
    let failed = failed_to("copy content to", &destination.path);
    let source = match &original.location {
        Location::PartialFile(file) => file.open(),
        Location::Staging => original.output.staging.open(&original.staged).map(DirFile::into_std),
        Location::Target => original.output.dir.open(&original.target).map(DirFile::into_std),
    };
    let mut source = source.map_err(failed)?;
    if source.metadata().map_err(failed)?.is_dir() {
        let message = format!("{title}: the same directory cannot be pulled under two names");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let staged = destination.output.new_staged_name();
    let mut file = destination.output.create_staged(&staged)?;
    // The original may be an existing file of the user, which another program can change: the copy is verified again.
    copy_verified(&mut source, &mut file, layer, &never).map_err(|error| destination.copy_failed(error))?;
    Ok(StagedItem::new(&destination, staged, Location::Staging))
}
