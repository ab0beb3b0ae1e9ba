//! Opens the stores that a server serves.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;

use oras_fs::blocking;
use oras_layout::{Archive, Layout, LayoutOptions};
use oras_memory::{Memory, MemoryBound};
use oras_serve::{PerRepository, Stores};
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::{Error, ErrorKind, Result};

use super::disk_reserve::DiskReserve;
use super::layout_root::LayoutRoot;
use super::options::{ServeFrom, ServeOptions};
use super::repository_dirs::metadata;
use super::repository_name::name_of;
use super::single_repository::SingleRepository;

/// Opens the stores. With `needs_many`, as for a proxy, a path of a single repository is an error.
pub(super) async fn open_stores(options: &mut ServeOptions, needs_many: bool) -> Result<Arc<dyn Stores>> {
    let path = match &options.from {
        ServeFrom::Memory { max_size } => return Ok(in_memory(*max_size)),
        ServeFrom::Path(path) => path.clone(),
    };
    let asked = path.clone();
    let (is_archive, is_layout) = blocking(move || {
        let is_layout = metadata(&asked.join(MARKER_FILE))?.is_some_and(|found| found.is_file());
        Ok((is_archive(&asked)?, is_layout))
    })
    .await?;
    if needs_many && (is_archive || is_layout) {
        let message =
            format!("{} is one repository, and a proxy has many: give a directory for them", path.display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    if is_archive {
        if options.garbage_collection.is_some() {
            let message = format!("{} is only read: no garbage can be removed", path.display());
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        // A tar archive is never changed in place.
        options.server.read_only = true;
        let archive = Arc::new(Archive::open(&path).await?.as_repository());
        return Ok(Arc::new(SingleRepository::archive(name(options, &path)?, path, archive)));
    }
    if is_layout {
        let read_only = options.server.read_only;
        let layout_options =
            LayoutOptions { record_use: !read_only, repository_tags: true, ..LayoutOptions::default() };
        let layout = match read_only {
            true => Layout::open_with(&path, layout_options).await?,
            // Opening for writing also deletes stale files of killed processes.
            false => Layout::open_or_create_with(&path, layout_options).await?,
        };
        let reserve =
            if options.server.read_only { None } else { Some(DiskReserve::new(path.clone()).await) };
        let name = name(options, &path)?;
        return Ok(Arc::new(SingleRepository::layout(
            name,
            path,
            layout,
            options.garbage_collection,
            reserve,
        )));
    }
    // Each repository below a directory is named by its path, so an explicit name means that the path is wrong.
    if let Some(name) = &options.repository {
        let message = format!("{} is no OCI layout that could be the repository {name}", path.display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(Arc::new(LayoutRoot::open(path, options.server.read_only, options.garbage_collection).await?))
}

/// Returns true for an archive, and for a missing path that ends with `.tar`: a misspelled name must not create a
/// directory.
fn is_archive(path: &Path) -> Result<bool> {
    let is_named_so = path.extension().is_some_and(|extension| extension == "tar");
    let found = metadata(path)?;
    Ok(found.as_ref().is_some_and(Metadata::is_file)
        || (is_named_so && found.is_none_or(|found| !found.is_dir())))
}

/// Returns the name of the single repository.
fn name(options: &ServeOptions, path: &Path) -> Result<String> {
    match &options.repository {
        Some(name) if check_repository(name).is_ok() => Ok(name.clone()),
        Some(name) => Err(Error::new(ErrorKind::InvalidInput, format!("invalid repository name {name:?}"))),
        None => Ok(name_of(path)),
    }
}

fn in_memory(max_size: Option<u64>) -> Arc<dyn Stores> {
    // All repositories share one limit, so that a client can't exceed it with many repositories.
    let bound = max_size.map(MemoryBound::new);
    Arc::new(PerRepository::new(move |_| {
        let memory = bound.as_ref().map_or_else(Memory::new, Memory::bounded);
        async move { Ok(Arc::new(memory) as _) }
    }))
}
