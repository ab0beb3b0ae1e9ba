//! The graph of a layout: which manifests the index reaches, and which are referrers. It is built on first use.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use oras_spec::{Descriptor, Digest, Manifest, MediaType};
use oras_store::{MAX_MANIFEST_SIZE, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::blob::BlobReader;
use crate::index::Index;
use crate::parallel::in_parallel;

/// The manifests that `index.json` reaches. A layout can have very many, so the graph stores little of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    index: Arc<Index>,
    /// The manifests without an entry in the index, which other manifests list.
    unlisted: HashMap<Digest, Descriptor>,
    /// The digests in `unlisted`, in the order in which `walk` visits them.
    unlisted_order: Vec<Digest>,
    /// The referrers of each subject, as numbers: first the entries of the index, then those of `unlisted_order`.
    referrers: HashMap<Digest, Vec<u32>>,
}

/// A batch of entries ends at the first of two limits: the number of entries, and their total size in bytes.
const BATCH: usize = 512;
const BATCH_SIZE: u64 = MAX_MANIFEST_SIZE;
/// The maximum number of reading threads.
const READERS: usize = 4;
/// The minimum number of manifests for each thread: starting a thread takes longer than reading fewer.
const MIN_SHARE: usize = 32;

impl Graph {
    /// Builds the graph of the manifests that [`walk`] visits.
    pub(crate) fn build(reader: &BlobReader<'_>, index: &Arc<Index>) -> Result<Self> {
        let mut graph = Self { index: Arc::clone(index), ..Self::default() };
        let entries = index.descriptors().enumerate().map(|(number, node)| (Some(number), node));
        graph.add(reader, entries)?;
        Ok(graph)
    }

    /// Adds entries that the index got later, and what they reach. They count as unlisted.
    #[cfg(unix)]
    pub(crate) fn extend(&mut self, reader: &BlobReader<'_>, entries: Vec<Descriptor>) -> Result<()> {
        self.add(reader, entries.into_iter().map(|node| (None, node)))
    }

    fn add(
        &mut self,
        reader: &BlobReader<'_>,
        entries: impl Iterator<Item = (Option<usize>, Descriptor)>,
    ) -> Result<()> {
        let listed = self.index.len();
        walk(may_have_relations, reader, entries, |node, entry, manifest| {
            let Some(manifest) = manifest else { return };
            // Entries of the index and unlisted manifests share one range of numbers, in which the entries come first.
            let number = entry.unwrap_or(listed + self.unlisted_order.len());
            if entry.is_none() {
                if self.unlisted.insert(node.digest.clone(), node.clone()).is_some() {
                    return;
                }
                self.unlisted_order.push(node.digest.clone());
            }
            if let (Some(subject), Ok(number)) = (manifest.subject(), u32::try_from(number)) {
                self.referrers.entry(subject.digest.clone()).or_default().push(number);
            }
        })
    }

    /// Returns the manifest of the digest if it has no entry in the index, but another manifest lists it.
    pub(crate) fn unlisted(&self, digest: &Digest) -> Option<Descriptor> {
        self.unlisted.get(digest).cloned()
    }

    /// Returns the referrers of the subject in the order of the index. Their annotations are read from the manifests.
    pub(crate) fn referrers(&self, reader: &BlobReader<'_>, subject: &Digest) -> Result<Vec<Descriptor>> {
        let numbers = self.referrers.get(subject).map(Vec::as_slice).unwrap_or_default();
        // A manifest that got a second entry later has two numbers.
        let mut seen = HashSet::new();
        let described = numbers.iter().filter_map(|number| {
            let number = *number as usize;
            let node = match number.checked_sub(self.index.len()) {
                None => self.index.descriptor(number)?.plain(),
                Some(number) => self.unlisted(self.unlisted_order.get(number)?)?,
            };
            if !seen.insert(node.digest.clone()) {
                return None;
            }
            let manifest = read_manifest(reader, &node).transpose()?;
            Some(manifest.map(|manifest| manifest.referrer_descriptor(&node)))
        });
        described.collect()
    }
}

/// Visits every manifest that the entries reach, each once, with the number of its entry if it has one. The manifest is
/// `None` if it is missing, which is valid in a sparse layout, has the wrong digest, or is too large. An entry whose text
/// does not pass `filter` counts as missing.
pub(crate) fn walk(
    filter: fn(&[u8]) -> bool,
    reader: &BlobReader<'_>,
    entries: impl Iterator<Item = (Option<usize>, Descriptor)>,
    mut visit: impl FnMut(&Descriptor, Option<usize>, Option<&Manifest>),
) -> Result<()> {
    // The filter runs before the digest is verified, because it takes less time.
    let filtered = |node: &Descriptor| Ok(reader(node)?.filter(|bytes| filter(bytes)));
    let mut seen = HashSet::new();
    let mut entries = entries.map(|(number, entry)| (number, entry.plain()));
    loop {
        let batch = take_batch(&mut entries, &seen);
        if batch.is_empty() {
            return Ok(());
        }
        let manifests = read_all(&filtered, &batch)?;
        for ((number, node), manifest) in batch.into_iter().zip(manifests) {
            // Only the entry itself was read with the batch. Its children are read one by one.
            let mut already_read = Some(manifest);
            let mut next = vec![(node, number)];
            while let Some((node, entry)) = next.pop() {
                if !node.media_type.is_manifest() || !seen.insert(node.digest.clone()) {
                    continue;
                }
                let manifest = match already_read.take() {
                    Some(manifest) => manifest,
                    None => read_manifest(reader, &node)?,
                };
                visit(&node, entry, manifest.as_ref());
                let children = manifest.map(|manifest| manifest.children()).unwrap_or_default();
                // Reversed, because the last element is visited first.
                next.extend(children.into_iter().rev().map(|child| (child.plain(), None)));
            }
        }
    }
}

/// Returns the next entries that are manifests and were not visited yet; none at the end.
fn take_batch(
    entries: &mut impl Iterator<Item = (Option<usize>, Descriptor)>,
    seen: &HashSet<Digest>,
) -> Vec<(Option<usize>, Descriptor)> {
    let (mut batch, mut size) = (Vec::new(), 0_u64);
    while size < BATCH_SIZE
        && batch.len() < BATCH
        && let Some((number, node)) = entries.next()
    {
        if node.media_type.is_manifest() && !seen.contains(&node.digest) {
            // A larger manifest is not read.
            size += node.size.min(MAX_MANIFEST_SIZE);
            batch.push((number, node));
        }
    }
    batch
}

/// Reads the manifests of `entries` with several threads.
fn read_all(
    reader: &BlobReader<'_>,
    entries: &[(Option<usize>, Descriptor)],
) -> Result<Vec<Option<Manifest>>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(READERS);
    let threads = entries.len().div_ceil(MIN_SHARE).min(cores);
    in_parallel(entries.iter(), threads, |(_, node)| read_manifest(reader, node))
}

/// Reads and verifies a manifest. Returns `None` if it is missing, has the wrong digest, or is too large.
pub(crate) fn read_manifest(reader: &BlobReader<'_>, node: &Descriptor) -> Result<Option<Manifest>> {
    if node.size > MAX_MANIFEST_SIZE {
        return Ok(None);
    }
    let bytes = reader(node)?.filter(|bytes| node.digest.verify(bytes) == Ok(true));
    Ok(bytes.and_then(|bytes| Manifest::parse(&node.media_type, bytes).ok()))
}

/// Returns true if a manifest may have a subject or list manifests. Most manifests do neither, and this check takes a
/// fraction of the time of verifying and parsing them.
fn may_have_relations(text: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Glance<'a> {
        subject: Option<IgnoredAny>,
        #[serde(borrow)]
        config: Option<Child<'a>>,
        #[serde(borrow)]
        layers: Option<Vec<Child<'a>>>,
        manifests: Option<IgnoredAny>,
        blobs: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct Child<'a> {
        #[serde(borrow, rename = "mediaType")]
        media_type: Cow<'a, str>,
    }
    // The full parser handles every text that cannot be deserialized here.
    let Ok(glance) = serde_json::from_slice::<Glance<'_>>(text) else { return true };
    let mut children = glance.config.into_iter().chain(glance.layers.into_iter().flatten());
    let others = [glance.subject, glance.manifests, glance.blobs];
    others.iter().any(Option::is_some)
        || children.any(|child| MediaType::new(&*child.media_type).is_manifest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detects_manifests_with_relations() {
        let layer = r#"{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:0","size":1}"#;
        let index =
            r#"{"mediaType":"application\/vnd.oci.image.index.v1+json","digest":"sha256:0","size":1}"#;
        for (text, related) in [
            (
                format!(
                    r#"{{"schemaVersion":2,"config":{layer},"layers":[{layer},{layer}],"subject":null}}"#
                ),
                false,
            ),
            (format!(r#"{{"annotations":{{"subject":"x"}},"config":{layer},"layers":[]}}"#), false),
            (format!(r#"{{"config":{layer},"layers":[],"s\u0075bject":{layer}}}"#), true),
            (format!(r#"{{"config":{layer},"layers":[{layer},{index}]}}"#), true),
            (format!(r#"{{"config":{index},"layers":[]}}"#), true),
            (r#"{"manifests":[]}"#.to_owned(), true),
            (r#"{"blobs":[]}"#.to_owned(), true),
            (r#"{"layers":[{}]}"#.to_owned(), true),
            (r#"{"subject":null,"subject":{}}"#.to_owned(), true),
            ("[".to_owned(), true),
        ] {
            assert_eq!(may_have_relations(text.as_bytes()), related, "{text}");
        }
    }
}
