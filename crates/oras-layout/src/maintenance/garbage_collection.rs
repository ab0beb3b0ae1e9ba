//! Garbage collection: deletes blobs that no manifest of the layout reaches, while other processes read and write it.
//!
//! [`blob_removal`] explains how a blob is deleted without a lock while another process may be about to use it.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use oras_fs::blocking;
use oras_spec::layout::MARKER_FILE;
use oras_spec::{Descriptor, Digest, Manifest, MediaKind};
use oras_store::{Error, ErrorKind, Result};

use super::blob_removal::{self, is_in_use};
use super::stale_files::delete_stale;
use crate::disk::blobs;
use crate::disk::create_layout::exists;
use crate::disk::index_file::{index_stamp, read_index, replace_index};
use crate::disk::layout_lock::lock_layout;
use crate::index::{Index, IndexChange};
use crate::layout::Layout;
use crate::size_limits::MAX_STORED_MANIFEST;

/// The options of [`Layout::collect_garbage`]. [`GarbageOptions::after`] makes them, and setters change them.
///
/// ```
/// use std::time::Duration;
///
/// use oras_layout::{CollectedGarbage, GarbageOptions, Layout};
///
/// /// Deletes content without a tag that was not used for a day.
/// async fn delete_untagged(layout: &Layout) -> oras_layout::store::Result<()> {
///     let options = GarbageOptions::after(Duration::from_secs(86_400)).untagged(true);
///     let CollectedGarbage { blobs, bytes, manifests } = layout.collect_garbage(options).await?;
///     println!("{blobs} blobs with {bytes} bytes, {manifests} manifests");
///     Ok(())
/// }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct GarbageOptions {
    /// Content that was written, queried or untagged within this time stays: a client may be about to push the
    /// manifest that needs it.
    pub delay: Duration,
    /// Also deletes untagged manifests that no tag reaches and that do not refer to remaining content.
    pub untagged: bool,
    /// Returns true for content that this process needs, whatever its age. It is called right before a blob is
    /// deleted, by any thread.
    pub is_needed: Arc<dyn Fn(&Digest) -> bool + Send + Sync>,
}

impl GarbageOptions {
    /// Returns the options to delete unreachable content, and no manifests, after `delay`.
    pub fn after(delay: Duration) -> Self {
        Self { delay, untagged: false, is_needed: Arc::new(|_| false) }
    }

    oras_store::setters! {
        untagged: bool;
        is_needed: impl Fn(&Digest) -> bool + Send + Sync + 'static => Arc::new(is_needed);
    }
}

impl std::fmt::Debug for GarbageOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GarbageOptions")
            .field("delay", &self.delay)
            .field("untagged", &self.untagged)
            .finish_non_exhaustive()
    }
}

/// What [`Layout::collect_garbage`] deleted. Programs report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CollectedGarbage {
    /// The number of deleted blobs, including manifests.
    pub blobs: u64,
    /// Their total size in bytes.
    pub bytes: u64,
    /// The number of untagged manifests that were removed from the index.
    pub manifests: u64,
}

impl Layout {
    /// Deletes the blobs that no manifest in the index reaches and that were not used recently, and the unfinished
    /// files of killed processes. Other processes may read and write the layout at the same time.
    ///
    /// Finding a blob with a [`Layout`] records its use. Other programs do not record it: while they write, the delay
    /// must be longer than they take from the first blob to the manifest.
    ///
    /// # Errors
    /// `InvalidContent` if a manifest exists but cannot be read: it is unknown which blobs it needs, so nothing is
    /// deleted.
    pub async fn collect_garbage(&self, options: GarbageOptions) -> Result<CollectedGarbage> {
        let root = self.path().to_owned();
        blocking(move || {
            delete_stale(&root);
            collect(&root, &options)
        })
        .await
    }
}

fn collect(root: &Path, options: &GarbageOptions) -> Result<CollectedGarbage> {
    let mut collected = CollectedGarbage::default();
    if !exists(&root.join(MARKER_FILE))? {
        return Ok(collected);
    }
    let candidates = blobs::list(root, |blob| blobs::is_younger_than(blob, options.delay)).old;
    if candidates.is_empty() {
        return Ok(collected);
    }
    // Usually there is no garbage. This is detected without the lock, so that writers do not wait.
    let stamp = index_stamp(root)?;
    let mut index = read_index(root)?;
    let mut plan = CollectionPlan::default();
    plan.extend(root, &index, options)?;
    if candidates.iter().all(|blob| plan.reached.contains(&blob.digest)) {
        return Ok(collected);
    }
    // Another process may have changed the index while this waited for the lock.
    let _lock = lock_layout(root)?;
    if index_stamp(root)? != stamp {
        index = read_index(root)?;
        plan.extend(root, &index, options)?;
    }
    if !plan.unlisted.is_empty() {
        collected.manifests = plan.unlisted.len() as u64;
        // The index is written first, so that at any time every blob in it exists.
        index.apply(&IndexChange::Unlist(std::mem::take(&mut plan.unlisted)));
        replace_index(root, &index)?;
    }
    for blob in candidates.iter().filter(|blob| !plan.reached.contains(&blob.digest)) {
        let is_used = |path: &Path| is_in_use(path, &blob.digest, options.delay, &*options.is_needed);
        if let Some(bytes) = blob_removal::remove_unused(root, &blob.digest, is_used)? {
            collected.blobs += 1;
            collected.bytes += bytes;
        }
    }
    Ok(collected)
}

/// What stays in the layout, and what is removed from its index.
#[derive(Default)]
struct CollectionPlan {
    reached: HashSet<Digest>,
    /// Entries that are removed from the index.
    unlisted: HashSet<Digest>,
}

impl CollectionPlan {
    /// Adds what the index reaches. If a newer index is added later, content that only the older index reaches stays
    /// until the next collection.
    fn extend(&mut self, root: &Path, index: &Index, options: &GarbageOptions) -> Result<()> {
        if !options.untagged {
            return self.reach(root, index.descriptors().collect());
        }
        self.reach(root, index.tagged_nodes().collect())?;
        let tagged = index.tagged_digests();
        let mut untagged = Vec::new();
        for node in index.descriptors().filter(|node| !tagged.contains(&node.digest)) {
            let path = blobs::path(root, &node.digest);
            if is_in_use(&path, &node.digest, options.delay, &*options.is_needed) {
                self.reach(root, vec![node])?;
            } else {
                let manifest =
                    Manifest::parse(&node.media_type, read(root, &node)?.unwrap_or_default().into());
                let subject = manifest.ok().and_then(|manifest| Some(manifest.subject()?.digest.clone()));
                untagged.push((node, subject));
            }
        }
        // A referrer stays as long as its subject does. It can have referrers itself, so this repeats until nothing
        // is added.
        loop {
            let (stay, rest) = untagged.into_iter().partition::<Vec<_>, _>(|(node, subject)| {
                self.reached.contains(&node.digest)
                    || subject.as_ref().is_some_and(|subject| self.reached.contains(subject))
            });
            untagged = rest;
            if stay.is_empty() {
                break;
            }
            self.reach(root, stay.into_iter().map(|(node, _)| node).collect())?;
        }
        self.unlisted = untagged.into_iter().map(|(node, _)| node.digest).collect();
        Ok(())
    }

    /// Adds entries of the index and everything below them.
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
                // An entry of an unknown media type may be a manifest: every digest in its text stays.
                self.reached.extend(digests_in(&bytes));
                continue;
            }
            let manifest = Manifest::parse(&node.media_type, bytes.into())
                .map_err(|error| unreadable(&node.digest).with_source(error))?;
            let lists = node.media_type.kind() == MediaKind::Index;
            next.extend(manifest.children().into_iter().map(|child| (child, lists)));
        }
        Ok(())
    }
}

fn unreadable(digest: &Digest) -> Error {
    let message = format!("nothing was removed: what the manifest {digest} needs can't be told");
    Error::new(ErrorKind::InvalidContent, message)
}

/// Reads the blob of a node. Returns `None` if it is missing, because layouts may be sparse, or if it has an unknown
/// media type and is too large for a manifest.
fn read(root: &Path, node: &Descriptor) -> Result<Option<Vec<u8>>> {
    let blob = match blobs::open(root, &node.digest) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        blob => blob.map_err(|error| unreadable(&node.digest).with_source(error))?,
    };
    if blob.size > MAX_STORED_MANIFEST && !node.media_type.is_manifest() {
        return Ok(None);
    }
    let bytes = if blob.size > MAX_STORED_MANIFEST { None } else { blob.bytes(blob.size)? };
    bytes.map(|bytes| Some(bytes.into())).ok_or_else(|| unreadable(&node.digest))
}

/// Returns everything in a text that looks like a digest.
fn digests_in(bytes: &[u8]) -> impl Iterator<Item = Digest> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b":+._-=".contains(byte);
    bytes.split(move |byte| !is_part(byte)).filter_map(|word| std::str::from_utf8(word).ok()?.parse().ok())
}
