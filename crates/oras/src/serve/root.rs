//! Many repositories below one directory: an OCI layout each, at the path that is its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use oras_layout::Layout;
use oras_serve::{Needed, Stores};
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::fsio::{self, blocking};
use oras_store::{Error, Kind, ReadStore, Result, Store};

use super::check::check;
use super::collect::{Collection, maintain};
use super::repository::{self, RESERVED};

/// Directories that are looked through for layouts.
const MAX_DEPTH: usize = 16;

/// The layouts below a directory, those that other programs make there included.
#[derive(Debug)]
pub(super) struct LayoutRoot {
    root: PathBuf,
    read_only: bool,
    collection: Option<Collection>,
    /// Kept, as one handle to a layout reads its index once as long as it does not change.
    open: Mutex<BTreeMap<String, Arc<Layout>>>,
}

impl LayoutRoot {
    /// The layouts below `root`, which is made if it is not there, unless it is only read.
    pub(super) async fn open(root: PathBuf, read_only: bool, collection: Option<Collection>) -> Result<Self> {
        let path = root.clone();
        blocking(move || {
            if read_only && !path.is_dir() {
                return Err(Error::new(Kind::NotFound, format!("{} is not a directory", path.display())));
            }
            fsio::create_directories(&path)
        })
        .await?;
        Ok(Self { root, read_only, collection, open: Mutex::default() })
    }

    async fn layout(&self, name: &str, create: bool) -> Result<Option<Arc<Layout>>> {
        if repository::check(name).is_err() {
            // Nothing has such a name, so nothing is found; but it can't be made either.
            return if create { repository::check(name).map(|()| None) } else { Ok(None) };
        }
        let path = self.root.join(name);
        let marker = path.join(MARKER_FILE);
        if !create && !blocking(move || Ok(marker.is_file())).await? {
            return Ok(None);
        }
        if let Some(layout) = self.opened().get(name) {
            return Ok(Some(Arc::clone(layout)));
        }
        let layout = Arc::new(match self.read_only {
            true => Layout::open(path).await?,
            // It also sweeps up what killed processes left.
            false => Layout::open_or_create(path).await?.noting_use(),
        });
        // Two that open it at once share the first handle: its journal writes what comes together in one step.
        Ok(Some(Arc::clone(self.opened().entry(name.to_owned()).or_insert(layout))))
    }

    /// Never held across an await.
    fn opened(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Layout>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Stores for LayoutRoot {
    async fn repository(&self, name: &str) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.layout(name, false).await?.map(|layout| layout as _))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        Ok(self.layout(name, create).await?.map(|layout| layout as _))
    }

    /// A directory in which something was begun is no layout before the first content is whole.
    async fn uploading(&self, name: &str) -> Result<Option<Arc<dyn Store>>> {
        if let Some(layout) = self.layout(name, false).await? {
            return Ok(Some(layout));
        }
        let path = self.root.join(name);
        let asked = path.clone();
        if repository::check(name).is_err() || !blocking(move || Ok(asked.is_dir())).await? {
            return Ok(None);
        }
        Ok(Some(Arc::new(Layout::open_or_create(path).await?)))
    }

    async fn maintain(&self, needed: &Needed) {
        let root = self.root.clone();
        let found = blocking(move || Ok(directories(&root))).await.unwrap_or_default();
        for Directory { name, is_layout } in found {
            if !is_layout {
                // Only uploads were begun here, or nothing was. Opening it sweeps up old ones.
                drop(Layout::open_or_create(self.root.join(&name)).await);
            } else if let Ok(Some(layout)) = self.layout(&name, false).await {
                maintain(&name, &layout, self.collection, needed).await;
            }
        }
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        let root = self.root.clone();
        let found = blocking(move || Ok(directories(&root))).await?;
        Ok(found.into_iter().filter(|found| found.is_layout).map(|found| found.name).collect())
    }

    async fn check(&self, writes: bool) -> Result<()> {
        check(self.root.clone(), writes).await
    }
}

/// A directory that is a layout, or in which uploads were begun.
struct Directory {
    name: String,
    is_layout: bool,
}

/// Those below `root`, sorted by their names. Links are not followed, so that there is an end.
fn directories(root: &Path) -> Vec<Directory> {
    let (mut found, mut next) = (Vec::new(), vec![(String::new(), 0)]);
    while let Some((name, depth)) = next.pop() {
        // What can't be read now is not there.
        let Ok(entries) = std::fs::read_dir(root.join(&name)) else { continue };
        let (mut is_layout, mut is_begun) = (false, false);
        for entry in entries.flatten() {
            let part = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_file() {
                is_layout |= part == MARKER_FILE;
                is_begun |= part.starts_with(".oras-");
            } else if kind.is_dir() && depth < MAX_DEPTH && !RESERVED.contains(&part.as_str()) {
                let below = if name.is_empty() { part } else { format!("{name}/{part}") };
                if check_repository(&below).is_ok() {
                    next.push((below, depth + 1));
                }
            }
        }
        if (is_layout || is_begun) && !name.is_empty() {
            found.push(Directory { name, is_layout });
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::MediaType;
    use oras_store::{Content, Target};

    #[tokio::test]
    async fn repositories_come_and_go_as_directories_do() {
        let root = tempfile::tempdir().unwrap();
        let stores = LayoutRoot::open(root.path().join("new"), false, None).await.unwrap();
        assert!(stores.repository("a/b").await.unwrap().is_none());
        let blob = Content::of(MediaType::OCTET_STREAM, "blob");
        stores.writable("a/b", true).await.unwrap().unwrap().push(&blob).await.unwrap();
        // Another program makes one.
        let other = Layout::open_or_create(root.path().join("new/a")).await.unwrap();
        other.push(&blob).await.unwrap();
        std::fs::create_dir_all(root.path().join("new/Not/valid")).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), ["a", "a/b"]);
        assert!(stores.repository("a").await.unwrap().is_some());

        std::fs::remove_dir_all(root.path().join("new/a/b")).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), ["a"]);
        assert!(stores.repository("a/b").await.unwrap().is_none());
        stores.writable("a/b", true).await.unwrap().unwrap().push(&blob).await.unwrap();
        assert!(stores.repository("a/b").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_belongs_to_a_layout_is_no_repository() {
        let root = tempfile::tempdir().unwrap();
        let stores = LayoutRoot::open(root.path().to_owned(), false, None).await.unwrap();
        for name in ["a/blobs", "index.json", "a/oci-layout/b", "../a"] {
            assert!(stores.repository(name).await.unwrap().is_none(), "{name}");
            let refused = stores.writable(name, true).await.err().unwrap();
            assert_eq!(refused.kind(), Kind::InvalidInput, "{name}");
        }
        let absent = root.path().join("absent");
        assert_eq!(LayoutRoot::open(absent.clone(), true, None).await.unwrap_err().kind(), Kind::NotFound);
        assert!(!absent.exists());
    }
}
