//! Many repositories below one directory. Each repository is an OCI layout, and its name is its path.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use oras_fs::blocking;
use oras_layout::{Layout, LayoutOptions};
use oras_serve::{DigestsInUse, Stores, Warnings};
use oras_spec::layout::MARKER_FILE;
use oras_store::{Error, ErrorKind, ReadStore, Result, Store};
use parking_lot::Mutex;

use super::disk_reserve::DiskReserve;
use super::garbage_collection::{GarbageCollection, LOG_TARGET, maintain};
use super::readiness::check_readiness;
use crate::repository_dirs::{self, RepositoryDir, metadata};
use crate::repository_name::check_name;

/// The layouts below a directory, including those that other programs create there.
#[derive(Debug)]
pub(super) struct LayoutRoot {
    root: PathBuf,
    read_only: bool,
    collection: Option<GarbageCollection>,
    reserve: DiskReserve,
    /// Open layouts. A handle reads its index again only when it has changed.
    open: Mutex<BTreeMap<String, Arc<Layout>>>,
}

impl LayoutRoot {
    /// Opens the layouts below `root`, which is created if it does not exist, unless `read_only`.
    pub(super) async fn open(
        root: PathBuf,
        read_only: bool,
        collection: Option<GarbageCollection>,
    ) -> Result<Self> {
        let path = root.clone();
        blocking(move || {
            if read_only && metadata(&path)?.is_none_or(|found| !found.is_dir()) {
                let message = format!("{} is not a directory", path.display());
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            oras_fs::create_durable_directories(&path)
        })
        .await?;
        let reserve = DiskReserve::new(root.clone(), read_only).await;
        Ok(Self { root, read_only, collection, reserve, open: Mutex::default() })
    }

    /// Opens the layout of a repository, creating it if `create`.
    async fn layout(&self, name: &str, create: bool) -> Result<Option<Arc<Layout>>> {
        if let Err(error) = check_name(name) {
            // No repository can have this name: reads return `None`, and creating one returns an error.
            return if create { Err(error) } else { Ok(None) };
        }
        let path = self.root.join(name);
        // Checked even if a handle is open, because another program may delete the directory.
        let marker = path.join(MARKER_FILE);
        if !create && !blocking(move || Ok(metadata(&marker)?.is_some_and(|found| found.is_file()))).await? {
            return Ok(None);
        }
        if let Some(layout) = self.open.lock().get(name) {
            return Ok(Some(Arc::clone(layout)));
        }
        // A path with a cycle is not a repository, and `repositories` does not list it.
        let (root, asked) = (self.root.clone(), name.to_owned());
        if !blocking(move || repository_dirs::is_acyclic(&root, &asked)).await? {
            return Ok(None);
        }
        let layout = Arc::new(open_layout(path, self.read_only).await?);
        // Files are read without the lock, so two requests may open the layout. They share the first handle, whose
        // journal writes their changes in one step.
        Ok(Some(Arc::clone(self.open.lock().entry(name.to_owned()).or_insert(layout))))
    }
}

/// Opens the layout of a repository, creating it if it does not exist, unless `read_only`.
pub(super) async fn open_layout(path: PathBuf, read_only: bool) -> Result<Layout> {
    // Recording the use of content writes to the layout, which a read-only server must not do.
    let options = LayoutOptions::default().record_use(!read_only).repository_tags(true);
    match read_only {
        true => Layout::open_with(path, options).await,
        // This also deletes stale files of killed processes.
        false => Layout::open_or_create_with(path, options).await,
    }
}

#[async_trait]
impl Stores for LayoutRoot {
    async fn repository(&self, name: &str, _warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        Ok(self.layout(name, false).await?.map(|layout| layout as _))
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        Ok(self.layout(name, create).await?.map(|layout| layout as _))
    }

    /// A directory with uploads in progress becomes a layout only when the first content is committed.
    async fn upload_repository(&self, name: &str) -> Result<Option<Arc<dyn Store>>> {
        if let Some(layout) = self.layout(name, false).await? {
            return Ok(Some(layout));
        }
        let path = self.root.join(name);
        let asked = path.clone();
        let is_directory = move || Ok(metadata(&asked)?.is_some_and(|found| found.is_dir()));
        if check_name(name).is_err() || !blocking(is_directory).await? {
            return Ok(None);
        }
        Ok(Some(Arc::new(Layout::open_or_create(path).await?)))
    }

    async fn maintain(&self, in_use: &DigestsInUse) {
        let root = self.root.clone();
        let found = match blocking(move || repository_dirs::list(&root)).await {
            Ok(found) => found,
            Err(error) => {
                return tracing::warn!(target: LOG_TARGET, error = error.chain(), "no layouts were found");
            }
        };
        for RepositoryDir { name, is_layout } in found {
            if !is_layout {
                // The directory contains only uploads in progress. Opening it as a layout deletes expired uploads.
                drop(Layout::open_or_create(self.root.join(&name)).await);
            } else if let Ok(Some(layout)) = self.layout(&name, false).await {
                maintain(&name, &layout, self.collection, in_use).await;
            }
        }
    }

    fn release_reserve(&self) -> bool {
        self.reserve.release()
    }

    async fn refill_reserve(&self) {
        self.reserve.refill().await;
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        let root = self.root.clone();
        let found = blocking(move || repository_dirs::list(&root)).await?;
        Ok(found.into_iter().filter(|found| found.is_layout).map(|found| found.name).collect())
    }

    async fn check_readiness(&self, writes: bool) -> Result<()> {
        check_readiness(self.root.clone(), writes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use oras_spec::MediaType;
    use oras_store::{Content, PushMode, Target};

    #[tokio::test]
    async fn repositories_follow_the_directories() {
        let root = tempfile::tempdir().unwrap();
        let stores = LayoutRoot::open(root.path().join("new"), false, None).await.unwrap();
        assert!(stores.repository("a/b", &Warnings::default()).await.unwrap().is_none());
        let blob = Content::of(MediaType::OCTET_STREAM, "blob");
        stores.writable("a/b", true).await.unwrap().unwrap().push(&blob, PushMode::Untagged).await.unwrap();
        // Another program creates a layout.
        let other = Layout::open_or_create(root.path().join("new/a")).await.unwrap();
        other.push(&blob, PushMode::Untagged).await.unwrap();
        std::fs::create_dir_all(root.path().join("new/Not/valid")).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), ["a", "a/b"]);
        assert!(stores.repository("a", &Warnings::default()).await.unwrap().is_some());

        std::fs::remove_dir_all(root.path().join("new/a/b")).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), ["a"]);
        assert!(stores.repository("a/b", &Warnings::default()).await.unwrap().is_none());
        stores.writable("a/b", true).await.unwrap().unwrap().push(&blob, PushMode::Untagged).await.unwrap();
        assert!(stores.repository("a/b", &Warnings::default()).await.unwrap().is_some());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn repository_behind_a_link_is_listed_and_served() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let blob = Content::of(MediaType::OCTET_STREAM, "blob");
        for path in [other.path().join("a"), other.path().join("deep/b"), root.path().join("own")] {
            Layout::open_or_create(path).await.unwrap().push(&blob, PushMode::Untagged).await.unwrap();
        }
        let link = |from: &str, to: &Path| std::os::unix::fs::symlink(to, root.path().join(from)).unwrap();
        link("team", other.path());
        link("one", &other.path().join("a"));
        link("loop", root.path());
        link("nowhere", &other.path().join("nowhere"));
        std::fs::create_dir(root.path().join("file")).unwrap();
        link("file/oci-layout", &other.path().join("a/oci-layout"));
        link("file/index.json", &other.path().join("a/index.json"));
        let stores = LayoutRoot::open(root.path().to_owned(), true, None).await.unwrap();
        let listed = stores.repositories().await.unwrap();
        assert_eq!(listed, ["file", "one", "own", "team/a", "team/deep/b"]);
        for name in &listed {
            assert!(stores.repository(name, &Warnings::default()).await.unwrap().is_some(), "{name}");
        }
        for name in ["loop/own", "loop/loop/own", "nowhere", "own/oci", "loop/team/a"] {
            assert!(stores.repository(name, &Warnings::default()).await.unwrap().is_none(), "{name}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn unreadable_path_is_an_error_and_not_absent() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("round");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let stores = LayoutRoot::open(root.path().to_owned(), false, None).await.unwrap();
        assert_eq!(
            stores.repository("round", &Warnings::default()).await.err().unwrap().kind(),
            ErrorKind::Io
        );
        assert_eq!(stores.repositories().await.unwrap_err().kind(), ErrorKind::Io);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), [""; 0]);
    }

    #[tokio::test]
    async fn files_of_a_layout_are_no_repositories() {
        let root = tempfile::tempdir().unwrap();
        let stores = LayoutRoot::open(root.path().to_owned(), false, None).await.unwrap();
        for name in ["a/blobs", "index.json", "a/oci-layout/b", "../a"] {
            assert!(stores.repository(name, &Warnings::default()).await.unwrap().is_none(), "{name}");
            let refused = stores.writable(name, true).await.err().unwrap();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{name}");
        }
        let absent = root.path().join("absent");
        assert_eq!(
            LayoutRoot::open(absent.clone(), true, None).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert!(!absent.exists());
    }
}
