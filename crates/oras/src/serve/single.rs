//! The one repository of a layout.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oras_layout::{Archive, Layout};
use oras_serve::{Needed, Stores};
use oras_store::{Error, Kind, ReadStore, Result, Store};

use super::check::check;
use super::collect::{Collection, maintain};
use super::reserve::Reserve;

/// One layout as the only repository of a server.
#[derive(Debug)]
pub(super) struct Single {
    name: String,
    path: PathBuf,
    place: Place,
    /// None where nothing is written.
    reserve: Option<Reserve>,
}

#[derive(Debug)]
enum Place {
    Directory(Arc<Layout>, Option<Collection>),
    Archive(Arc<Archive>),
}

impl Single {
    pub(super) fn layout(
        name: String,
        path: PathBuf,
        layout: Layout,
        collection: Option<Collection>,
        reserve: Option<Reserve>,
    ) -> Self {
        Self { name, path, place: Place::Directory(Arc::new(layout), collection), reserve }
    }

    /// A repository that can only be read.
    pub(super) fn archive(name: String, path: PathBuf, archive: Arc<Archive>) -> Self {
        Self { name, path, place: Place::Archive(archive), reserve: None }
    }
}

#[async_trait]
impl Stores for Single {
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok((name == self.name).then(|| match &self.place {
            Place::Directory(layout, _) => Arc::clone(layout) as _,
            Place::Archive(archive) => Arc::clone(archive) as _,
        }))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        match &self.place {
            Place::Archive(_) => Err(Error::new(Kind::Unsupported, "a tar archive is only read")),
            Place::Directory(layout, _) if name == self.name => Ok(Some(Arc::clone(layout) as _)),
            Place::Directory(..) if create => {
                let message = format!("this server has the repository {} and no other", self.name);
                Err(Error::new(Kind::Denied, message))
            }
            Place::Directory(..) => Ok(None),
        }
    }

    async fn maintain(&self, needed: &Needed) {
        if let Place::Directory(layout, collection) = &self.place {
            maintain(&self.name, layout, *collection, needed).await;
        }
    }

    fn release_room(&self) -> bool {
        self.reserve.as_ref().is_some_and(Reserve::release)
    }

    async fn keep_room(&self) {
        if let Some(reserve) = &self.reserve {
            reserve.keep().await;
        }
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        Ok(vec![self.name.clone()])
    }

    async fn check(&self, writes: bool) -> Result<()> {
        let writes = writes && matches!(self.place, Place::Directory(..));
        check(self.path.clone(), writes).await
    }
}
