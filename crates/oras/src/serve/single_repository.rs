//! A server with one repository: a layout in a directory or a tar archive.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oras_layout::Layout;
use oras_serve::{DigestsInUse, Stores, Warnings};
use oras_store::{Error, ErrorKind, ReadStore, Result, Store};

use super::disk_reserve::DiskReserve;
use super::garbage_collection::{GarbageCollection, maintain};
use super::readiness::check_readiness;

/// A layout as the only repository of a server.
pub(super) struct SingleRepository {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) store: Arc<dyn ReadStore>,
    /// The layout in a directory; `None` for a tar archive, which is read-only.
    pub(super) layout: Option<Arc<Layout>>,
    pub(super) collection: Option<GarbageCollection>,
    pub(super) reserve: DiskReserve,
}

#[async_trait]
impl Stores for SingleRepository {
    async fn repository(&self, name: &str, _warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok((name == self.name).then(|| Arc::clone(&self.store)))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        match &self.layout {
            None => Err(Error::new(ErrorKind::Unsupported, "a tar archive is only read")),
            Some(layout) if name == self.name => Ok(Some(Arc::clone(layout) as _)),
            // The name can never exist on this server, so this returns an error instead of `None` (unknown name).
            Some(_) if create => {
                let message = format!("this server has the repository {} and no other", self.name);
                Err(Error::new(ErrorKind::Denied, message))
            }
            Some(_) => Ok(None),
        }
    }

    async fn maintain(&self, in_use: &DigestsInUse) {
        if let Some(layout) = &self.layout {
            maintain(&self.name, layout, self.collection, in_use).await;
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
        check_readiness(self.path.clone(), writes && self.layout.is_some()).await
    }
}
