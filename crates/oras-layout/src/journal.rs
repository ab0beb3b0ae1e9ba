//! The one writer of `index.json`: changes of a process are gathered and written in one step, under a lock that
//! all processes share.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oras_spec::json;
use oras_spec::layout::{INDEX_FILE, MARKER_FILE, Marker};
use oras_store::fsio::{self, blocking};
use oras_store::{Error, Result};
use parking_lot::{Mutex, MutexGuard};

use crate::index::{Change, Index};
use crate::limits::{self, MAX_INDEX_SIZE, MAX_MARKER_SIZE};
use crate::marker;
use crate::place::absent;
use crate::prune::Needs;
use crate::{blobs, collect};

/// Files of an ingest that nobody has touched for so long belong to a process that is gone.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// Gathers changes and writes them.
#[derive(Debug)]
pub(crate) struct Journal {
    root: PathBuf,
    pending: Mutex<Pending>,
    /// Held by whoever writes; those behind it find their changes written.
    writing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct Pending {
    next: u64,
    changes: Vec<(u64, Vec<Change>)>,
    /// Those whose callers still wait: what nobody waits for is not made.
    wanted: HashSet<u64>,
}

impl Journal {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root, pending: Mutex::default(), writing: Arc::default() }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock()
    }

    /// Makes `changes` durable: when this returns, `index.json` has them. Changes that wait together are written
    /// together. When the future is dropped the changes are being written already, or never are.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<()> {
        let ticket = Ticket::new(self, changes);
        // The thread that writes keeps the guard, so that a dropped future does not let others overtake it.
        let guard = Arc::clone(&self.writing).lock_owned().await;
        let taken = {
            let mut pending = self.pending();
            if !pending.changes.iter().any(|(number, _)| *number == ticket.number) {
                return Ok(());
            }
            std::mem::take(&mut pending.changes)
        };
        let root = self.root.clone();
        let changes: Vec<_> = taken.iter().flat_map(|(_, changes)| changes).cloned().collect();
        let result = blocking(move || {
            let result = write(&root, &changes);
            drop(guard);
            result
        })
        .await;
        if result.is_err() {
            // The others try for themselves, and get an error of their own.
            let mut pending = self.pending();
            let others = taken.into_iter().filter(|(number, _)| *number != ticket.number);
            let others: Vec<_> = others.filter(|(number, _)| pending.wanted.contains(number)).collect();
            pending.changes.extend(others);
        }
        result
    }
}

/// Changes that their caller waits for; dropped, they are withdrawn.
struct Ticket<'a> {
    journal: &'a Journal,
    number: u64,
}

impl<'a> Ticket<'a> {
    fn new(journal: &'a Journal, changes: Vec<Change>) -> Self {
        let mut pending = journal.pending();
        pending.next += 1;
        let number = pending.next;
        pending.changes.push((number, changes));
        pending.wanted.insert(number);
        Self { journal, number }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut pending = self.journal.pending();
        pending.wanted.remove(&self.number);
        pending.changes.retain(|(number, _)| *number != self.number);
    }
}

/// Changes the index, under the lock.
pub(crate) fn write(root: &Path, changes: &[Change]) -> Result<()> {
    create(root)?;
    let _lock = lock(root)?;
    let mut index = read(root)?;
    let mut changed = false;
    // Prunings come last, so that they see what else is to be kept: of changes that wait together none was first.
    let (prunings, others): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| matches!(change, Change::Prune(_)));
    for change in others {
        note_loss(root, &index, change);
        changed |= index.apply(change);
    }
    let mut gone = HashSet::new();
    for change in prunings {
        let Change::Prune(target) = change else { continue };
        for digest in Needs::read(root, &index)?.without(target) {
            changed |= index.apply(&Change::Prune(digest.clone()));
            gone.insert(digest);
        }
    }
    if changed || !exists(&root.join(INDEX_FILE))? {
        replace(root, &index)?;
    }
    // Files last, and still under the lock: what `index.json` names is there at any time.
    gone.iter().try_for_each(|digest| blobs::remove(root, digest))
}

/// Notes on a manifest that it loses a tag: from now on it counts how long nothing names it.
fn note_loss(root: &Path, index: &Index, change: &Change) {
    let (tag, keeps) = match change {
        Change::Tag(node, tag) => (tag, Some(&node.digest)),
        Change::Untag(tag) => (tag, None),
        _ => return,
    };
    if let Some(loser) = index.tagged(tag).filter(|loser| Some(&loser.digest) != keeps) {
        // Best effort, as with whatever is noted.
        drop(blobs::claim(root, &loser.digest, None, Duration::ZERO));
    }
}

/// Replaces the index; whoever does so has the lock.
///
/// # Errors
/// `TooLarge` for an index that could not be read any more: the old one stays.
pub(crate) fn replace(root: &Path, index: &Index) -> Result<()> {
    let (path, bytes) = (root.join(INDEX_FILE), index.to_bytes());
    limits::check_index(&path.display().to_string(), &bytes)?;
    fsio::replace(&path, &bytes, 0o666)
}

/// Returns true if the path exists; below something that is not a directory nothing exists.
///
/// # Errors
/// `Io` if the system cannot tell.
pub(crate) fn exists(path: &Path) -> Result<bool> {
    match path.try_exists() {
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        found => found.map_err(|error| Error::io(format!("failed to look for {}", path.display()), error)),
    }
}

/// Waits until no other process changes the layout; none does until what this gives is dropped, unless the file system has no
/// locks.
pub(crate) fn lock(root: &Path) -> Result<File> {
    let marker = root.join(MARKER_FILE);
    let (lock, _) = fsio::open_linked(&marker)
        .map_err(|error| Error::io(format!("failed to open {}", marker.display()), error))?;
    fsio::lock(&lock).map_err(|error| Error::io(format!("failed to lock {}", marker.display()), error))?;
    Ok(lock)
}

/// Makes the marker file and an empty index, if they are not there; two processes at once are fine.
pub(crate) fn create(root: &Path) -> Result<()> {
    fsio::create_directories(root)?;
    let marker = json::to_vec(&Marker::default());
    let made =
        make(&root.join(MARKER_FILE), &marker)? | make(&root.join(INDEX_FILE), &Index::default().to_bytes())?;
    if made { fsio::sync_directory(root) } else { Ok(()) }
}

/// Makes a file unless one has that name: the lock of other processes is on the one that is there first.
fn make(path: &Path, bytes: &[u8]) -> Result<bool> {
    if exists(path)? {
        return Ok(false);
    }
    let mut staged = fsio::Staged::create(path.parent().unwrap_or(path))?;
    std::io::Write::write_all(staged.file_mut(), bytes)
        .map_err(|error| Error::io(format!("failed to write {}", path.display()), error))?;
    staged.sync()?;
    staged.publish_new(path)
}

/// Checks that the directory is a layout of the version we know.
pub(crate) fn check(root: &Path) -> Result<()> {
    if !exists(root)? {
        return Err(absent(root));
    }
    let bytes =
        fsio::read_limited(&root.join(MARKER_FILE), MAX_MARKER_SIZE).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                marker::invalid("failed to open OCI layout file: open oci-layout: no such file or directory")
            }
            _ => marker::invalid("failed to open OCI layout file").with_source(error),
        })?;
    marker::check(&bytes)
}

/// The index as it is on disk; none yet is an empty one.
pub(crate) fn read(root: &Path) -> Result<Index> {
    let path = root.join(INDEX_FILE);
    let failed = |error| Error::io(format!("failed to read {}", path.display()), error);
    match fsio::read_limited(&path, MAX_INDEX_SIZE) {
        Ok(bytes) => {
            Index::parse(bytes).map_err(|error| error.context(format!("failed to read {}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Index::default()),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            let size = fs::metadata(&path).map_or(0, |metadata| metadata.len());
            Err(limits::too_large(&path.display().to_string(), size, MAX_INDEX_SIZE))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Removes what processes that are gone left half-written, ours and those of the Go tool.
pub(crate) fn sweep(root: &Path) {
    collect::recover(root);
    let ours = |name: &std::ffi::OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(b".oras-") && !name.starts_with(collect::ASIDE.as_bytes())
    };
    sweep_directory(root, ours);
    sweep_directory(&root.join("ingest"), |_| true);
    fsio::sweep_partials(root);
}

fn sweep_directory(directory: &Path, is_staged: impl Fn(&std::ffi::OsStr) -> bool) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().filter(|entry| is_staged(&entry.file_name())) {
        let Some(found) = entry.metadata().ok().filter(|found| found.is_file() && !is_linked(found)) else {
            continue;
        };
        let age = found.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > STALE) {
            // Best effort: a file that can't be removed harms nobody.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Whether the file has another name: it may be a blob that is being adopted, is as old as that, and takes no room.
#[cfg(unix)]
fn is_linked(metadata: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(metadata) > 1
}

#[cfg(not(unix))]
fn is_linked(_: &fs::Metadata) -> bool {
    false
}
