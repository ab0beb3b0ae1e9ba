//! A server with one repository: a layout in a directory or a tar archive.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oras_layout::{Archive, Layout};
use oras_serve::{DigestsInUse, Stores, Warnings};
use oras_store::{Error, ErrorKind, ReadStore, Result, Store};

use super::disk_reserve::DiskReserve;
use super::garbage_collection::{GarbageCollection, maintain};
use super::readiness::check_readiness;

/// A layout as the only repository of a server.
#[derive(Debug)]
pub(super) struct SingleRepository {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) source: LayoutSource,
    pub(super) reserve: DiskReserve,
}

#[derive(Debug)]
pub(super) enum LayoutSource {
    Directory(Arc<Layout>, Option<GarbageCollection>),
    /// A tar archive, which is read-only.
    Archive(Arc<Archive>),
}

#[async_trait]
impl Stores for SingleRepository {
    async fn repository(&self, name: &str, _warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok((name == self.name).then(|| match &self.source {
            LayoutSource::Directory(layout, _) => Arc::clone(layout) as _,
            LayoutSource::Archive(archive) => Arc::clone(archive) as _,
        }))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        match &self.source {
            LayoutSource::Archive(_) => Err(Error::new(ErrorKind::Unsupported, "a tar archive is only read")),
            LayoutSource::Directory(layout, _) if name == self.name => Ok(Some(Arc::clone(layout) as _)),
            // The name can never exist on this server, so this returns an error instead of `None` (unknown name).
            LayoutSource::Directory(..) if create => {
                let message = format!("this server has the repository {} and no other", self.name);
                Err(Error::new(ErrorKind::Denied, message))
            }
            LayoutSource::Directory(..) => Ok(None),
        }
    }

    async fn maintain(&self, in_use: &DigestsInUse) {
        if let LayoutSource::Directory(layout, collection) = &self.source {
            maintain(&self.name, layout, *collection, in_use).await;
        }
    }

    fn release_reserve(&self) -> bool {
        self.reserve.release()
    }

    async fn refill_reserve(&self) {
        self.reserve.refill().await;
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        Ok(vec![self.name.clone()])
    }

    async fn check_readiness(&self, writes: bool) -> Result<()> {
        // An archive is never written, so only reading it is checked.
        let writes = writes && matches!(self.source, LayoutSource::Directory(..));
        check_readiness(self.path.clone(), writes).await
    }
}
