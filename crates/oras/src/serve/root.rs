//! Many repositories below one directory: an OCI layout each, at the path that is its name.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use oras_layout::Layout;
use oras_serve::{Needed, Stores};
use oras_spec::layout::MARKER_FILE;
use oras_spec::reference::check_repository;
use oras_store::fsio::{self, blocking};
use oras_store::{Error, Kind, ReadStore, Result, Store};
use parking_lot::Mutex;

use super::check::check;
use super::collect::{Collection, TARGET, maintain};
use super::repository::{self, RESERVED};
use super::reserve::Reserve;

/// Directories that are looked through for layouts.
const MAX_DEPTH: usize = 16;

/// The layouts below a directory, those that other programs make there included.
#[derive(Debug)]
pub(super) struct LayoutRoot {
    root: PathBuf,
    read_only: bool,
    collection: Option<Collection>,
    /// None where nothing is written.
    reserve: Option<Reserve>,
    /// Kept, as one handle to a layout reads its index once as long as it does not change.
    open: Mutex<BTreeMap<String, Arc<Layout>>>,
}

impl LayoutRoot {
    /// The layouts below `root`, which is made if it is not there, unless it is only read.
    pub(super) async fn open(root: PathBuf, read_only: bool, collection: Option<Collection>) -> Result<Self> {
        let path = root.clone();
        blocking(move || {
            if read_only && found(&path)?.is_none_or(|found| !found.is_dir()) {
                return Err(Error::new(Kind::NotFound, format!("{} is not a directory", path.display())));
            }
            fsio::create_directories(&path)
        })
        .await?;
        let reserve = if read_only { None } else { Some(Reserve::new(root.clone()).await) };
        Ok(Self { root, read_only, collection, reserve, open: Mutex::default() })
    }

    async fn layout(&self, name: &str, create: bool) -> Result<Option<Arc<Layout>>> {
        if repository::check(name).is_err() {
            // Nothing has such a name, so nothing is found; but it can't be made either.
            return if create { repository::check(name).map(|()| None) } else { Ok(None) };
        }
        let path = self.root.join(name);
        let marker = path.join(MARKER_FILE);
        if !create && !blocking(move || Ok(found(&marker)?.is_some_and(|found| found.is_file()))).await? {
            return Ok(None);
        }
        if let Some(layout) = self.opened().get(name) {
            return Ok(Some(Arc::clone(layout)));
        }
        let (root, asked) = (self.root.clone(), name.to_owned());
        if !blocking(move || has_an_end(&root, &asked)).await? {
            return Ok(None);
        }
        let layout = match self.read_only {
            true => Layout::open(path).await?,
            // It also sweeps up what killed processes left.
            false => Layout::open_or_create(path).await?.noting_use(),
        };
        let layout = Arc::new(layout.as_repository());
        // Two that open it at once share the first handle: its journal writes what comes together in one step.
        Ok(Some(Arc::clone(self.opened().entry(name.to_owned()).or_insert(layout))))
    }

    /// Never held across an await.
    fn opened(&self) -> parking_lot::MutexGuard<'_, BTreeMap<String, Arc<Layout>>> {
        self.open.lock()
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
        let is_directory = move || Ok(found(&asked)?.is_some_and(|found| found.is_dir()));
        if repository::check(name).is_err() || !blocking(is_directory).await? {
            return Ok(None);
        }
        Ok(Some(Arc::new(Layout::open_or_create(path).await?)))
    }

    async fn maintain(&self, needed: &Needed) {
        let root = self.root.clone();
        let found = match blocking(move || directories(&root)).await {
            Ok(found) => found,
            Err(error) => {
                return tracing::warn!(target: TARGET, error = error.chain(), "no layouts were found");
            }
        };
        for Directory { name, is_layout } in found {
            if !is_layout {
                // Only uploads were begun here, or nothing was. Opening it sweeps up old ones.
                drop(Layout::open_or_create(self.root.join(&name)).await);
            } else if let Ok(Some(layout)) = self.layout(&name, false).await {
                maintain(&name, &layout, self.collection, needed).await;
            }
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
        let root = self.root.clone();
        let found = blocking(move || directories(&root)).await?;
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

/// What has that path, links followed; `None` if nothing does.
///
/// # Errors
/// Those of looking for it: nobody knows then whether it is there.
pub(super) fn found(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Error::io(format!("failed to look for {}", path.display()), error)),
    }
}

/// Whether nothing has a path, or a file is where it has a directory.
fn is_absence(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What tells one directory from another, whatever leads to it.
#[cfg(unix)]
fn identity(_: &Path, found: &Metadata) -> Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    Ok((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::io(format!("failed to look for {}", path.display()), error))
}

/// Whether the path of a repository comes to no directory twice, as links could lead it: such names have no end, and are
/// not listed either.
fn has_an_end(root: &Path, name: &str) -> Result<bool> {
    let (mut path, mut trail) = (root.to_owned(), Vec::new());
    for part in std::iter::once("").chain(name.split('/')) {
        path.push(part);
        let Some(found) = found(&path)? else { return Ok(true) };
        let identity = identity(&path, &found)?;
        if trail.contains(&identity) {
            return Ok(false);
        }
        trail.push(identity);
    }
    Ok(true)
}

/// The layouts and begun uploads below `root`, sorted by their names. Links to directories are followed, but never to a
/// directory that the path has come through, so that there is an end.
///
/// # Errors
/// Those of a directory that is there and can't be read.
fn directories(root: &Path) -> Result<Vec<Directory>> {
    let (mut listed, mut next) = (Vec::new(), vec![(String::new(), Vec::new())]);
    while let Some((name, mut trail)) = next.pop() {
        let path = root.join(&name);
        let Some(directory) = found(&path)?.filter(Metadata::is_dir) else { continue };
        let identity = identity(&path, &directory)?;
        if trail.contains(&identity) {
            continue;
        }
        trail.push(identity);
        let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
        let entries = match std::fs::read_dir(&path) {
            // It was removed just now.
            Err(error) if is_absence(&error) => continue,
            entries => entries.map_err(failed)?,
        };
        let (mut is_layout, mut is_begun) = (false, false);
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let part = entry.file_name().to_string_lossy().into_owned();
            let mut kind = entry.file_type().map_err(failed)?;
            if kind.is_symlink() {
                // A link that leads nowhere is nothing.
                let Some(found) = found(&entry.path())? else { continue };
                kind = found.file_type();
            }
            if kind.is_file() {
                is_layout |= part == MARKER_FILE;
                is_begun |= part.starts_with(".oras-");
            } else if kind.is_dir() && trail.len() <= MAX_DEPTH && !RESERVED.contains(&part.as_str()) {
                let below = if name.is_empty() { part } else { format!("{name}/{part}") };
                if check_repository(&below).is_ok() {
                    next.push((below, trail.clone()));
                }
            }
        }
        if (is_layout || is_begun) && !name.is_empty() {
            listed.push(Directory { name, is_layout });
        }
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_repository_behind_a_link_is_listed_and_served() {
        let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let blob = Content::of(MediaType::OCTET_STREAM, "blob");
        for path in [other.path().join("a"), other.path().join("deep/b"), root.path().join("own")] {
            Layout::open_or_create(path).await.unwrap().push(&blob).await.unwrap();
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
            assert!(stores.repository(name).await.unwrap().is_some(), "{name}");
        }
        for name in ["loop/own", "loop/loop/own", "nowhere", "own/oci", "loop/team/a"] {
            assert!(stores.repository(name).await.unwrap().is_none(), "{name}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn what_can_not_be_looked_for_is_an_error_and_not_absent() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("round");
        std::os::unix::fs::symlink(&path, &path).unwrap();
        let stores = LayoutRoot::open(root.path().to_owned(), false, None).await.unwrap();
        assert_eq!(stores.repository("round").await.err().unwrap().kind(), Kind::Io);
        assert_eq!(stores.repositories().await.unwrap_err().kind(), Kind::Io);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(stores.repositories().await.unwrap(), [""; 0]);
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
