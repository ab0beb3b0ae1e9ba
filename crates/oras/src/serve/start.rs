//! Opens the repositories and starts the server.

use std::fs::Metadata;
use std::path::Path;
use std::sync::Arc;

use oras_fs::blocking;
use oras_layout::Archive;
use oras_memory::{Memory, MemoryBound};
use oras_serve::{PerRepository, Registry, Server, ServerOptions, Stores};
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::{Error, ErrorKind, ReadStore, Result};

use super::bundle_repositories::BundleRepositories;
use super::disk_reserve::DiskReserve;
use super::layout_root::{LayoutRoot, open_layout};
use super::options::{ServeFrom, ServeOptions};
use super::proxy::Proxy;
use super::single_repository::SingleRepository;
use crate::bundle::{Bundle, NotBundle};
use crate::repository_dirs::metadata;
use crate::repository_name::name_of;

/// Opens the repositories and listens. Clients can connect after this call; [`Server::run`] handles their requests.
///
/// A missing directory is created, unless the server is read-only or the path ends with `.tar`. The layouts are
/// complete OCI layouts at any time. Other programs may read them at the same time. They may also write them if they
/// use the locks of layouts.
///
/// # Errors
/// `NotFound` and the errors of opening a layout or an archive. `InvalidInput` for a malformed name of the repository,
/// and for upstreams that can't be proxied or whose content can't be cached. `Network` if the server can't listen on
/// the address.
pub async fn serve(options: ServeOptions) -> Result<Server> {
    let address = options.address.clone();
    let (server, stores) = open(options).await?;
    Server::bind(address.as_str(), server, stores).await.map_err(|error| start_error(error, &address))
}

/// Opens the repositories for a program that answers their requests in its own server, see [`Registry`]. The address
/// of the options is not used.
///
/// ```
/// use oras::{ServeFrom, ServeOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let registry = oras::registry(ServeOptions::new("", ServeFrom::Memory { max_size: Some(1 << 30) })).await?;
/// // A `Registry` is a tower service, and has axum routes with the feature `axum`.
/// registry.finish_writes().await;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Those of [`serve`], except for the address.
pub async fn registry(options: ServeOptions) -> Result<Registry> {
    let address = options.address.clone();
    let (server, stores) = open(options).await?;
    Registry::new(server, stores).map_err(|error| start_error(error, &address))
}

/// Returns an error of the start. A wrong option is a mistake of the caller. All other errors are those of the address,
/// except for a system without random numbers for the key that signs tokens.
fn start_error(error: std::io::Error, address: &str) -> Error {
    if error.get_ref().is_some_and(|error| error.is::<oras_serve::Misconfigured>()) {
        return Error::new(ErrorKind::InvalidInput, error.to_string());
    }
    Error::new(ErrorKind::Network, format!("failed to serve on {address:?}")).with_source(error)
}

/// Opens the stores, and returns the options of the server for them.
async fn open(mut options: ServeOptions) -> Result<(ServerOptions, Arc<dyn Stores>)> {
    if let Some(collection) = &options.garbage_collection {
        options.server.maintenance = collection.interval;
    }
    let proxy = options.proxy.take();
    if proxy.is_some() && options.server.read_only {
        let message =
            "a proxy cannot be read-only, because it writes to its cache; clients can never push to a proxy";
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let mut stores = open_stores(&mut options, proxy.is_some()).await?;
    if let Some(proxy) = proxy {
        // Raises the server's limit so that it can serve every manifest that the proxy can fetch.
        options.server.max_manifest_size =
            options.server.max_manifest_size.max(proxy.client.max_manifest_size);
        stores = Arc::new(Proxy::new(stores, proxy)?);
    }
    Ok((options.server, stores))
}

/// Opens the stores. With `needs_many`, as for a proxy, a path of a single repository is an error.
async fn open_stores(options: &mut ServeOptions, needs_many: bool) -> Result<Arc<dyn Stores>> {
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
    }
    // With a name for its repository, a bundle is served as any other archive.
    if is_archive && options.repository.is_none() {
        match Bundle::open(&path).await {
            Ok(bundle) => return Ok(Arc::new(BundleRepositories::new(bundle)?)),
            Err(error) if error.find::<NotBundle>().is_some() => {}
            Err(error) => return Err(error),
        }
    }
    let read_only = options.server.read_only;
    if is_archive || is_layout {
        let (store, layout): (Arc<dyn ReadStore>, _) = if is_archive {
            (Arc::new(Archive::open_as_repository(&path).await?), None)
        } else {
            let layout = Arc::new(open_layout(path.clone(), read_only).await?);
            (Arc::clone(&layout) as _, Some(layout))
        };
        let reserve = DiskReserve::new(path.clone(), read_only).await;
        let (name, collection) = (name(options, &path)?, options.garbage_collection);
        return Ok(Arc::new(SingleRepository { name, path, store, layout, collection, reserve }));
    }
    // Each repository below a directory is named by its path, so an explicit name means that the path is wrong.
    if let Some(name) = &options.repository {
        let message = format!("{} is no OCI layout that could be the repository {name}", path.display());
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    Ok(Arc::new(LayoutRoot::open(path, read_only, options.garbage_collection).await?))
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
