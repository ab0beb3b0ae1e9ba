//! Rebuilds a damaged `index.json` from what is known: the readable part of it, the sources, and the manifests among
//! the blobs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use futures::TryStreamExt;
use oras_fs::{blocking, failed_to};
use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest, Manifest, MediaType, annotation};
use oras_store::{Error, ErrorKind, Result};
use serde::Deserialize;

use super::repair_layout::RepairSource;
use super::repair_report::RestoredEntry;
use super::salvaged_entries::salvaged_entries;
use crate::blob::Blob;
use crate::check::Checked;
use crate::disk::index_file::replace_index;
use crate::disk::layout_lock::lock_layout;
use crate::index::{Index, IndexChange};
use crate::size_limits::{MAX_INDEX_SIZE, MAX_STORED_MANIFEST};
use crate::survey::layout_parts::LayoutParts;
use crate::survey::stored_blobs::DAMAGED_INDEX;

/// Blobs up to this size are searched for manifests. A manifest is rarely larger than a few KiB.
const MAX_MANIFEST: u64 = 4 << 20;
/// The maximum number of copies of damaged indexes in one layout.
const MAX_COPIES: u32 = 100;

/// An index under construction.
#[derive(Default)]
pub(super) struct RebuiltIndex {
    index: Index,
    tags: HashSet<String>,
    pub(super) entries: Vec<RestoredEntry>,
}

impl RebuiltIndex {
    /// Makes a new index. Entries of the damaged index come first, then those of the sources, then manifests that nothing
    /// else lists.
    pub(super) async fn collect(root: &Path, sources: &[RepairSource], checked: &Checked) -> Result<Self> {
        let mut rebuilt = Self::default();
        let damaged = read_damaged(root);
        for entry in salvaged_entries(&damaged) {
            let tag = entry.annotations.get(annotation::REF_NAME).filter(|tag| !tag.is_empty()).cloned();
            rebuilt.add(&entry, tag, INDEX_FILE);
        }
        for source in sources {
            rebuilt.add_source(source, checked).await?;
        }
        let found = manifests_among(root, checked)?;
        for node in found {
            rebuilt.add(&node, None, "blobs");
        }
        Ok(rebuilt)
    }

    fn add(&mut self, node: &Descriptor, tag: Option<String>, from: &str) {
        let change = match &tag {
            Some(tag) if !self.tags.insert(tag.clone()) => return,
            Some(tag) => IndexChange::Tag(node.clone(), tag.clone()),
            None => IndexChange::List(node.clone()),
        };
        if self.index.apply(&change) {
            let (digest, from) = (node.digest.clone(), from.to_owned());
            self.entries.push(RestoredEntry { tag, digest, from });
        }
    }

    /// Adds the reference of a source, or without one the tags whose manifests the layout has.
    async fn add_source(&mut self, source: &RepairSource, checked: &Checked) -> Result<()> {
        let Some(reference) = &source.reference else {
            let mut tags = source.store.tagged_nodes();
            while let Some((tag, node)) = tags.try_next().await? {
                if checked.stored.blobs.contains_key(&node.digest) {
                    self.add(&node.plain(), Some(tag), &source.name);
                }
            }
            return Ok(());
        };
        let node = match source.store.resolve(reference).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            node => node?.plain(),
        };
        let is_digest = reference.parse::<Digest>().is_ok();
        if node.media_type.is_manifest() {
            self.add(&node, (!is_digest).then(|| reference.clone()), &source.name);
        }
        Ok(())
    }

    /// Writes the index. The damaged one is copied first; returns the name of the copy.
    ///
    /// # Errors
    /// `Io`; `TooLarge`. The damaged index stays then.
    pub(super) async fn write(self, root: &Path) -> Result<Option<String>> {
        let root = root.to_owned();
        blocking(move || {
            let _lock = lock_layout(&root)?;
            let copy = keep_damaged(&root)?;
            replace_index(&root, &self.index)?;
            Ok(copy)
        })
        .await
    }
}

/// Reads what is left of the index, or else of the copy that an interrupted repair made.
fn read_damaged(root: &Path) -> Vec<u8> {
    let names = [INDEX_FILE, DAMAGED_INDEX];
    let read = |name: &&str| oras_fs::read_limited(&root.join(name), MAX_INDEX_SIZE).ok();
    names.iter().find_map(read).unwrap_or_default()
}

/// Links the damaged index under another name, since it may have entries that a person can read.
fn keep_damaged(root: &Path) -> Result<Option<String>> {
    let path = root.join(INDEX_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    for number in 0..MAX_COPIES {
        let name = if number == 0 { DAMAGED_INDEX.to_owned() } else { format!("{DAMAGED_INDEX}.{number}") };
        let linked = fs::hard_link(&path, root.join(&name)).or_else(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Err(error),
            // A file system without links, such as FAT.
            _ if !root.join(&name).exists() => fs::copy(&path, root.join(&name)).map(drop),
            _ => Err(error),
        });
        match linked {
            Ok(()) => return Ok(Some(name)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed_to("copy", &path)(error)),
        }
    }
    let message = format!("{} has {MAX_COPIES} copies of damaged indexes: delete some", root.display());
    Err(Error::new(ErrorKind::AlreadyExists, message))
}

/// Returns the manifests among the intact blobs that no other one lists, sorted by digest.
fn manifests_among(root: &Path, checked: &Checked) -> Result<Vec<Descriptor>> {
    let parts = LayoutParts::Directory(root.to_owned());
    let mut found = HashMap::new();
    let mut listed = HashSet::new();
    for (digest, stored) in &checked.stored.blobs {
        if stored.size > MAX_MANIFEST.min(MAX_STORED_MANIFEST) || !checked.intact.contains(digest) {
            continue;
        }
        let Ok(blob) = parts.open_blob(digest) else { continue };
        let Some(manifest) = parse_manifest(&blob)? else { continue };
        let children = manifest.layers().iter().chain(manifest.manifests()).chain(manifest.config());
        listed.extend(children.map(|child| child.digest.clone()));
        found.insert(
            digest.clone(),
            Descriptor::new(manifest.media_type().clone(), digest.clone(), stored.size),
        );
    }
    let mut roots: Vec<_> =
        found.into_iter().filter(|(digest, _)| !listed.contains(digest)).map(|(_, node)| node).collect();
    roots.sort_by(|a, b| a.digest.cmp(&b.digest));
    Ok(roots)
}

/// The fields that show whether a document is a manifest, and of which kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: Option<u32>,
    media_type: Option<MediaType>,
    config: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

fn parse_manifest(blob: &Blob) -> Result<Option<Manifest>> {
    let mut first = [0];
    let is_object = oras_fs::read_at(&blob.file, &mut first, blob.start).is_ok() && first == *b"{";
    // Most blobs are compressed layers, which one byte tells.
    let Some(bytes) = (if is_object { blob.bytes(blob.size)? } else { None }) else { return Ok(None) };
    let Ok(shape) = serde_json::from_slice::<Shape>(&bytes) else { return Ok(None) };
    let media_type = match shape {
        Shape { media_type: Some(media_type), .. } if media_type.is_manifest() => media_type,
        // The field is optional in OCI manifests.
        Shape { schema_version: Some(2), config: Some(_), layers: Some(_), media_type: None, .. } => {
            MediaType::IMAGE_MANIFEST
        }
        Shape { schema_version: Some(2), manifests: Some(_), media_type: None, .. } => MediaType::IMAGE_INDEX,
        _ => return Ok(None),
    };
    Ok(Manifest::parse(&media_type, bytes).ok())
}
