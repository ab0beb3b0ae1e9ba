//! A registry over OCI layouts or memory, which may be a cache of others.

mod check;
mod collect;
mod proxy;
mod repository;
mod reserve;
mod root;
mod single;

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::{Archive, Layout};
use oras_memory::{Memory, MemoryBound};
use oras_serve::{Options, PerRepository, Server, Stores};
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::fsio::blocking;
use oras_store::{Error, Kind, Result};

pub use collect::Collection;
use proxy::Proxy;
pub use proxy::ProxyOptions;
use root::LayoutRoot;
use single::Single;

/// Where a server keeps its repositories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeFrom {
    /// In memory: gone when the server ends.
    Memory,
    /// At this path: one OCI layout for each repository below a directory; or the one repository of an OCI layout, in a
    /// directory or, for reading only, in a tar archive.
    Path(PathBuf),
}

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Where it listens, as `host:port`; port 0 is any free port.
    pub address: String,
    /// Where the repositories are.
    pub from: ServeFrom,
    /// The bytes that all repositories in memory may have together, with uploads that are open; without it, any number.
    pub memory_size: Option<u64>,
    /// The name of the repository when there is one layout only; by default it is made from the path.
    pub repository: Option<String>,
    /// Whether and how it removes what no manifest needs, where it keeps layouts in a directory.
    pub collection: Option<Collection>,
    /// The registries that it is a proxy of: then it keeps what is pulled through it, and takes nothing else.
    pub proxy: Option<ProxyOptions>,
    /// How it behaves.
    pub server: Options,
}

/// Opens the repositories and listens: from now on clients can connect, and are answered while [`Server::run`] runs.
///
/// A directory that is not there is made, unless the server is read-only or its name ends like that of an archive. The
/// layouts stay plain OCI layouts, complete at any time: other programs may read and, if they keep to the locks of layouts,
/// write them meanwhile.
///
/// # Errors
/// `NotFound` and those of opening a layout or an archive; `InvalidInput` for a malformed name of the repository, and for
/// a proxy of registries that can't be or that is to keep what it reads where it can't; `Network`
/// when the address can't be listened on or the certificate can't be used.
pub async fn serve(mut options: ServeOptions) -> Result<Server> {
    if let Some(collection) = &options.collection {
        options.server.maintenance = collection.interval;
    }
    let proxy = options.proxy.take();
    if proxy.is_some() && options.server.read_only {
        let message =
            "a proxy keeps what it reads, which a server that only reads can't; nobody can push to a proxy";
        return Err(Error::new(Kind::InvalidInput, message));
    }
    let mut stores = stores(&mut options, proxy.is_some()).await?;
    if let Some(proxy) = proxy {
        // What is fetched can be served.
        options.server.max_manifest_size =
            options.server.max_manifest_size.max(proxy.client.max_manifest_size);
        stores = Arc::new(Proxy::new(stores, proxy)?);
    }
    let bound = Server::bind(options.address.as_str(), options.server, stores).await;
    bound.map_err(|error| {
        if error.get_ref().is_some_and(|error| error.is::<oras_serve::Misconfigured>()) {
            return Error::new(Kind::InvalidInput, error.to_string());
        }
        Error::new(Kind::Network, format!("failed to serve on {:?}", options.address)).with_source(error)
    })
}

/// The stores; if there are to be `many`, not those of a single repository.
async fn stores(options: &mut ServeOptions, many: bool) -> Result<Arc<dyn Stores>> {
    let path = match &options.from {
        ServeFrom::Memory => {
            let bound = options.memory_size.map(MemoryBound::new);
            let memory = PerRepository::new(move |_| {
                let memory = bound.as_ref().map_or_else(Memory::new, Memory::bounded);
                async move { Ok(Arc::new(memory) as _) }
            });
            return Ok(Arc::new(memory));
        }
        ServeFrom::Path(path) => path.clone(),
    };
    let asked = path.clone();
    let (is_archive, is_layout) = blocking(move || {
        let is_layout = root::found(&asked.join(MARKER_FILE))?.is_some_and(|found| found.is_file());
        Ok((is_archive(&asked)?, is_layout))
    })
    .await?;
    if many && (is_archive || is_layout) {
        let message =
            format!("{} is one repository, and a proxy has many: give a directory for them", path.display());
        return Err(Error::new(Kind::InvalidInput, message));
    }
    if is_archive {
        if options.collection.is_some() {
            let message = format!("{} is only read: no garbage can be removed", path.display());
            return Err(Error::new(Kind::InvalidInput, message));
        }
        options.server.read_only = true;
        let archive = Arc::new(Archive::open(&path).await?.as_repository());
        return Ok(Arc::new(Single::archive(name(options, &path)?, path, archive)));
    }
    if is_layout {
        // The second one also sweeps up what killed writers left.
        let layout = match options.server.read_only {
            true => Layout::open(&path).await?,
            false => Layout::open_or_create(&path).await?.noting_use(),
        };
        let layout = layout.as_repository();
        let reserve =
            if options.server.read_only { None } else { Some(reserve::Reserve::new(path.clone()).await) };
        let name = name(options, &path)?;
        return Ok(Arc::new(Single::layout(name, path, layout, options.collection, reserve)));
    }
    if let Some(name) = &options.repository {
        let message = format!("{} is no OCI layout that could be the repository {name}", path.display());
        return Err(Error::new(Kind::InvalidInput, message));
    }
    Ok(Arc::new(LayoutRoot::open(path, options.server.read_only, options.collection).await?))
}

/// Whether that is an archive, or one was meant: a name that is misspelled makes no directory.
fn is_archive(path: &Path) -> Result<bool> {
    let is_named_so = path.extension().is_some_and(|extension| extension == "tar");
    let found = root::found(path)?;
    Ok(found.as_ref().is_some_and(Metadata::is_file)
        || (is_named_so && found.is_none_or(|found| !found.is_dir())))
}

/// The name of the only repository.
fn name(options: &ServeOptions, path: &Path) -> Result<String> {
    match &options.repository {
        Some(name) if check_repository(name).is_ok() => Ok(name.clone()),
        Some(name) => Err(Error::new(Kind::InvalidInput, format!("invalid repository name {name:?}"))),
        None => Ok(repository::named_after(path)),
    }
}
