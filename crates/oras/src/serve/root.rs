//! Many repositories below one directory: an OCI layout each, at the path that is its name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use oras_layout::Layout;
use oras_serve::Stores;
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::fsio::{self, blocking};
use oras_store::{Error, Kind, ReadStore, Result, Store};

use super::check::check;
use super::repository::{self, RESERVED};

/// Directories that are looked through for layouts.
const MAX_DEPTH: usize = 16;

/// The layouts below a directory, those that other programs make there included.
#[derive(Debug)]
pub(super) struct LayoutRoot {
    root: PathBuf,
    /// Kept, as one handle to a layout reads its index once as long as it does not change.
    open: Mutex<BTreeMap<String, Arc<Layout>>>,
}

impl LayoutRoot {
    /// The layouts below `root`, which is made if it is not there, unless it is only read.
    pub(super) async fn open(root: PathBuf, read_only: bool) -> Result<Self> {
        let path = root.clone();
        blocking(move || {
            if read_only && !path.is_dir() {
                return Err(Error::new(Kind::NotFound, format!("{} is not a directory", path.display())));
            }
            fsio::create_directories(&path)
        })
        .await?;
        Ok(Self { root, open: Mutex::default() })
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
        let layout =
            Arc::new(if create { Layout::open_or_create(path).await? } else { Layout::open(path).await? });
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

    async fn repositories(&self) -> Result<Vec<String>> {
        let root = self.root.clone();
        blocking(move || Ok(layouts(&root))).await
    }

    async fn check(&self, writes: bool) -> Result<()> {
        check(self.root.clone(), writes).await
    }
}

/// The names of the layouts below `root`, sorted. Links are not followed, so that there is an end.
fn layouts(root: &Path) -> Vec<String> {
    let (mut names, mut next) = (Vec::new(), vec![(String::new(), 0)]);
    while let Some((name, depth)) = next.pop() {
        // What can't be read now is not there.
        let Ok(entries) = std::fs::read_dir(root.join(&name)) else { continue };
        for entry in entries.flatten() {
            let part = entry.file_name().to_string_lossy().into_owned();
            let Ok(kind) = entry.file_type() else { continue };
            if part == MARKER_FILE && kind.is_file() && !name.is_empty() {
                names.push(name.clone());
            } else if kind.is_dir() && depth < MAX_DEPTH && !RESERVED.contains(&part.as_str()) {
                let below = if name.is_empty() { part } else { format!("{name}/{part}") };
                if check_repository(&below).is_ok() {
                    next.push((below, depth + 1));
                }
            }
        }
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_spec::MediaType;
    use oras_store::{Content, Target};

    #[tokio::test]
    async fn repositories_come_and_go_as_directories_do() {
        let root = tempfile::tempdir().unwrap();
        let stores = LayoutRoot::open(root.path().join("new"), false).await.unwrap();
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
        let stores = LayoutRoot::open(root.path().to_owned(), false).await.unwrap();
        for name in ["a/blobs", "index.json", "a/oci-layout/b", "../a"] {
            assert!(stores.repository(name).await.unwrap().is_none(), "{name}");
            let refused = stores.writable(name, true).await.err().unwrap();
            assert_eq!(refused.kind(), Kind::InvalidInput, "{name}");
        }
        let absent = root.path().join("absent");
        assert_eq!(LayoutRoot::open(absent.clone(), true).await.unwrap_err().kind(), Kind::NotFound);
        assert!(!absent.exists());
    }
}
