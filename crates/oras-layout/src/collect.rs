//! Garbage: blobs that no manifest of the layout reaches, removed while others read and write.
//!
//! Whoever is about to rely on a blob claims it: notes the time on it, and looks once more whether it is there
//! ([`blobs::claim`](crate::blobs::claim)). What is to be removed is renamed first and looked at then: if somebody claimed it
//! it gets its name back, and a claim that comes later finds nothing. No lock is needed for that, and no process that is
//! killed leaves a claimed blob without its name for long: the next one that opens the layout gives it back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oras_spec::layout::MARKER_FILE;
use oras_spec::{Descriptor, Digest, Kind as MediaKind, Manifest};
use oras_store::fsio::{self, blocking};
use oras_store::{Error, Kind, Result};

use crate::graph::Stamp;
use crate::index::{Change, Index};
use crate::limits::MAX_STORED_MANIFEST;
use crate::{Layout, blobs, evict, journal};

/// A blob that is being removed: its digest follows, with `-` for the colon.
pub(crate) const ASIDE: &str = ".oras-gone-";

/// What [`Layout::collect`] removes.
#[derive(Clone)]
pub struct Garbage {
    /// What was written or asked for, or lost a tag, within this time stays: somebody may be about to push the manifest that
    /// needs it.
    pub delay: Duration,
    /// Also removes manifests without a tag that nothing with a tag reaches, and that don't refer to what stays.
    pub untagged: bool,
    /// What this process needs, whatever its age: asked right before something goes, by several threads.
    pub is_needed: Arc<dyn Fn(&Digest) -> bool + Send + Sync>,
}

impl std::fmt::Debug for Garbage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Garbage")
            .field("delay", &self.delay)
            .field("untagged", &self.untagged)
            .finish_non_exhaustive()
    }
}

/// What [`Layout::collect`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that are gone, manifests among them.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Manifests without a tag that are not listed any more.
    pub manifests: u64,
}

impl Layout {
    /// Removes the blobs that no manifest in the index reaches, but for those that were used lately, and what killed
    /// processes left half-written; others may read and write the layout meanwhile.
    ///
    /// A process that finds a blob here with a [`Layout`] has used it then. Other programs don't tell: while they write, the
    /// delay must be longer than they take from the first blob to the manifest.
    ///
    /// # Errors
    /// `InvalidContent` when a manifest is there and can't be read: nothing is removed then, as nobody knows what it needs.
    pub async fn collect(&self, garbage: Garbage) -> Result<Collected> {
        let root = self.path().to_owned();
        blocking(move || {
            journal::sweep(&root);
            collect(&root, &garbage)
        })
        .await
    }
}

fn collect(root: &Path, garbage: &Garbage) -> Result<Collected> {
    let mut collected = Collected::default();
    if !journal::exists(&root.join(MARKER_FILE))? {
        return Ok(collected);
    }
    let candidates = evict::count(root, |blob| blobs::is_younger(blob, garbage.delay)).1;
    if candidates.is_empty() {
        return Ok(collected);
    }
    // Mostly there is nothing to remove, which takes no lock to see.
    let seen = Stamp::of(root)?;
    let mut index = journal::read(root)?;
    let mut plan = Plan::of(root, &index, garbage)?;
    let is_garbage = |plan: &Plan| candidates.iter().any(|blob| !plan.reached.contains(&blob.digest));
    if !is_garbage(&plan) {
        return Ok(collected);
    }
    let _lock = journal::lock(root)?;
    if Stamp::of(root)? != seen {
        index = journal::read(root)?;
        plan.go_on(root, &index, garbage)?;
    }
    if !plan.unlisted.is_empty() {
        collected.manifests = plan.unlisted.len() as u64;
        // The index first: what it names is there at any time.
        index.apply(&Change::Unlist(std::mem::take(&mut plan.unlisted)));
        journal::replace(root, &index)?;
    }
    for blob in candidates.iter().filter(|blob| !plan.reached.contains(&blob.digest)) {
        if let Some(bytes) = remove(root, &blob.digest, garbage)? {
            collected.blobs += 1;
            collected.bytes += bytes;
        }
    }
    Ok(collected)
}

/// What stays in a layout.
#[derive(Default)]
struct Plan {
    reached: HashSet<Digest>,
    /// Entries of the index that go.
    unlisted: HashSet<Digest>,
}

impl Plan {
    fn of(root: &Path, index: &Index, garbage: &Garbage) -> Result<Self> {
        let mut plan = Self::default();
        plan.go_on(root, index, garbage)?;
        Ok(plan)
    }

    /// Adds what an index reaches that is newer than the one before: what it does not reach any more is left to the next time.
    fn go_on(&mut self, root: &Path, index: &Index, garbage: &Garbage) -> Result<()> {
        if !garbage.untagged {
            return self.reach(root, index.descriptors().collect());
        }
        self.reach(root, index.tagged_nodes().collect())?;
        let tagged = index.tagged_digests();
        let mut others = Vec::new();
        for node in index.descriptors().filter(|node| !tagged.contains(&node.digest)) {
            if is_in_use(&blobs::path(root, &node.digest), &node.digest, garbage) {
                self.reach(root, vec![node])?;
            } else {
                let manifest =
                    Manifest::parse(&node.media_type, read(root, &node)?.unwrap_or_default().into());
                let subject = manifest.ok().and_then(|manifest| Some(manifest.subject()?.digest.clone()));
                others.push((node, subject));
            }
        }
        // A referrer stays as long as its subject does, and has referrers itself.
        loop {
            let before = others.len();
            let (stay, go) = others.into_iter().partition::<Vec<_>, _>(|(node, subject)| {
                self.reached.contains(&node.digest)
                    || subject.as_ref().is_some_and(|subject| self.reached.contains(subject))
            });
            self.reach(root, stay.into_iter().map(|(node, _)| node).collect())?;
            others = go;
            if others.len() == before {
                break;
            }
        }
        self.unlisted = others.into_iter().map(|(node, _)| node.digest).collect();
        Ok(())
    }

    /// Adds nodes of an index and everything below them.
    fn reach(&mut self, root: &Path, nodes: Vec<Descriptor>) -> Result<()> {
        let mut next: Vec<_> = nodes.into_iter().map(|node| (node, true)).collect();
        while let Some((node, is_listed)) = next.pop() {
            if !self.reached.insert(node.digest.clone()) {
                continue;
            }
            let is_manifest = node.media_type.is_manifest();
            if !is_manifest && !is_listed {
                continue;
            }
            let Some(bytes) = read(root, &node)? else { continue };
            if !is_manifest {
                // A manifest of a kind that we don't know: whatever looks like a digest in it stays.
                self.reached.extend(digests_in(&bytes));
                continue;
            }
            let manifest = Manifest::parse(&node.media_type, bytes.into())
                .map_err(|error| unread(&node.digest).with_source(error))?;
            let lists = node.media_type.kind() == MediaKind::Index;
            next.extend(manifest.children().into_iter().map(|child| (child, lists)));
        }
        Ok(())
    }
}

fn unread(digest: &Digest) -> Error {
    let message = format!("nothing was removed: what the manifest {digest} needs can't be told");
    Error::new(Kind::InvalidContent, message)
}

/// The bytes of a node that an index lists; `None` if it is not there, as layouts may be sparse, or too large for a manifest
/// that we don't know.
fn read(root: &Path, node: &Descriptor) -> Result<Option<Vec<u8>>> {
    let blob = match blobs::open(root, &node.digest) {
        Err(error) if error.kind() == Kind::NotFound => return Ok(None),
        blob => blob.map_err(|error| unread(&node.digest).with_source(error))?,
    };
    if blob.size > MAX_STORED_MANIFEST && !node.media_type.is_manifest() {
        return Ok(None);
    }
    let bytes = if blob.size > MAX_STORED_MANIFEST { None } else { blob.bytes(blob.size)? };
    bytes.map(|bytes| Some(bytes.into())).ok_or_else(|| unread(&node.digest))
}

/// Everything in a text that looks like a digest.
fn digests_in(bytes: &[u8]) -> impl Iterator<Item = Digest> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b":+._-=".contains(byte);
    bytes.split(move |byte| !is_part(byte)).filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}

/// Whether the file of a blob, wherever it is, was used lately, or is needed here.
fn is_in_use(path: &Path, digest: &Digest, garbage: &Garbage) -> bool {
    // One that can't be looked at may have been used just now.
    let is_young = fs::symlink_metadata(path).map_or_else(
        |error| error.kind() != std::io::ErrorKind::NotFound,
        |found| blobs::is_younger(&found, garbage.delay),
    );
    is_young || (garbage.is_needed)(digest)
}

/// Removes a blob that nobody uses; how large it was.
fn remove(root: &Path, digest: &Digest, garbage: &Garbage) -> Result<Option<u64>> {
    let path = blobs::path(root, digest);
    let aside = root.join(format!("{ASIDE}{}", digest.to_string().replacen(':', "-", 1)));
    let failed = |error| Error::io(format!("failed to remove {}", path.display()), error);
    match fs::rename(&path, &aside) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        renamed => renamed.map_err(failed)?,
    }
    if is_in_use(&aside, digest, garbage) {
        give_back(&aside, &path)?;
        return Ok(None);
    }
    let size = fs::symlink_metadata(&aside).map_or(0, |found| found.len());
    fs::remove_file(&aside).map_err(failed)?;
    Ok(Some(size))
}

fn give_back(aside: &Path, path: &Path) -> Result<()> {
    fs::rename(aside, path)
        .map_err(|error| Error::io(format!("failed to keep {}", path.display()), error))?;
    path.parent().map_or(Ok(()), fsio::sync_directory)
}

/// Gives blobs their names back that a process was removing when it was killed: one of them may have been claimed. Best
/// effort; does nothing while somebody changes the layout.
pub(crate) fn recover(root: &Path) {
    let is_aside = |entry: &fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(ASIDE.as_bytes());
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found = entries.filter(is_aside).peekable();
    let lock = || fs::File::open(root.join(MARKER_FILE)).ok().filter(|marker| marker.try_lock().is_ok());
    let Some(_lock) = found.peek().and_then(|_| lock()) else { return };
    for entry in found {
        let name = entry.file_name().to_string_lossy().replacen(ASIDE, "", 1);
        if let Ok(digest) = name.replacen('-', ":", 1).parse() {
            drop(give_back(&entry.path(), &blobs::path(root, &digest)));
        }
    }
}
