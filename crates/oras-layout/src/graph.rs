//! Which manifest refers to which: read from the layout when it is first asked for.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::iter::Peekable;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use oras_spec::layout::INDEX_FILE;
use oras_spec::{Descriptor, Digest, Manifest, MediaType};
use oras_store::{Error, MAX_MANIFEST_SIZE, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::index::Index;
use crate::place::{Place, Reader};

/// What identifies a version of `index.json`: every change replaces the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// That of an index which is not there yet is one, too.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let path = root.join(INDEX_FILE);
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            found => {
                Some(found.map_err(|error| Error::io(format!("failed to read {}", path.display()), error))?)
            }
        };
        #[cfg(unix)]
        let inode = metadata.as_ref().map_or(0, std::os::unix::fs::MetadataExt::ino);
        #[cfg(not(unix))]
        let inode = 0;
        Ok(Self {
            modified: metadata.as_ref().and_then(|metadata| metadata.modified().ok()),
            length: metadata.as_ref().map_or(0, fs::Metadata::len),
            inode,
        })
    }
}

/// What `index.json` reaches: small, for layouts have many manifests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    index: Arc<Index>,
    /// The manifests that others list.
    unlisted: HashMap<Digest, Descriptor>,
    /// Their digests, in the order in which they were found.
    found: Vec<Digest>,
    /// For each subject its referrers: numbers of entries of the index; those behind the last are in `found`.
    referrers: HashMap<Digest, Vec<u32>>,
}

/// Entries of the index that are read together, by as many threads as there are cores: at most so many, of so many
/// bytes, by so many threads.
const BATCH: usize = 512;
const BATCH_SIZE: u64 = MAX_MANIFEST_SIZE;
const READERS: usize = 4;
/// What one thread does sooner than another is started.
const SHARE: usize = 32;

impl Graph {
    /// What [`Graph::walk`] finds.
    pub(crate) fn build(place: &impl Place, index: &Arc<Index>) -> Result<Self> {
        let mut graph = Self { index: Arc::clone(index), ..Self::default() };
        let entries = index.len();
        Self::walk_those(is_related, &*place.reader(), index, |node, entry, manifest| {
            let Some(manifest) = manifest else { return };
            let number = entry.unwrap_or(entries + graph.found.len());
            if entry.is_none() {
                graph.unlisted.insert(node.digest.clone(), node.clone());
                graph.found.push(node.digest.clone());
            }
            if let (Some(subject), Ok(number)) = (manifest.subject(), u32::try_from(number)) {
                graph.referrers.entry(subject.digest.clone()).or_default().push(number);
            }
        })?;
        Ok(graph)
    }

    /// The manifest of that digest that others list.
    pub(crate) fn unlisted(&self, digest: &Digest) -> Option<Descriptor> {
        self.unlisted.get(digest).cloned()
    }

    /// The descriptors of the manifests whose subject has that digest, in the order of the index.
    pub(crate) fn referrers(&self, place: &impl Place, subject: &Digest) -> Result<Vec<Descriptor>> {
        let numbers = self.referrers.get(subject).map(Vec::as_slice).unwrap_or_default();
        let reader = place.reader();
        let described = numbers.iter().filter_map(|number| {
            let number = *number as usize;
            let node = match number.checked_sub(self.index.len()) {
                None => self.index.descriptor(number)?.plain(),
                Some(number) => self.unlisted(self.found.get(number)?)?,
            };
            let manifest = read(&*reader, &node).transpose()?;
            Some(manifest.map(|manifest| manifest.referrer_descriptor(&node)))
        });
        described.collect()
    }

    /// Reads every manifest that the index reaches, each once, and tells which entry it is, if it is one; `None`
    /// for one that is missing (layouts may be sparse), not what it is said to be, or too large: it can't be a
    /// referrer anybody could use.
    pub(crate) fn walk(
        reader: &Reader<'_>,
        index: &Index,
        visit: impl FnMut(&Descriptor, Option<usize>, Option<&Manifest>),
    ) -> Result<()> {
        Self::walk_those(|_| true, reader, index, visit)
    }

    /// Like [`Graph::walk`], but entries with a text that does not `matter` are told as if they were missing.
    fn walk_those(
        matters: fn(&[u8]) -> bool,
        reader: &Reader<'_>,
        index: &Index,
        mut visit: impl FnMut(&Descriptor, Option<usize>, Option<&Manifest>),
    ) -> Result<()> {
        let mut seen = HashSet::new();
        let mut entries = index.descriptors().map(|entry| entry.plain()).enumerate().peekable();
        while entries.peek().is_some() {
            let batch = take_batch(&mut entries, &seen);
            let manifests = read_all(matters, reader, &batch)?;
            for ((number, node), manifest) in batch.into_iter().zip(manifests) {
                let mut known = Some(manifest);
                let mut next = vec![(node, Some(number))];
                while let Some((node, entry)) = next.pop() {
                    if !node.media_type.is_manifest() || !seen.insert(node.digest.clone()) {
                        continue;
                    }
                    let manifest = match known.take() {
                        Some(manifest) => manifest,
                        None => read(reader, &node)?,
                    };
                    visit(&node, entry, manifest.as_ref());
                    let children = manifest.map(|manifest| manifest.children()).unwrap_or_default();
                    next.extend(children.into_iter().rev().map(|child| (child.plain(), None)));
                }
            }
        }
        Ok(())
    }
}

/// The next entries that are manifests which nobody has seen.
fn take_batch(
    entries: &mut Peekable<impl Iterator<Item = (usize, Descriptor)>>,
    seen: &HashSet<Digest>,
) -> Vec<(usize, Descriptor)> {
    let (mut batch, mut size) = (Vec::new(), 0_u64);
    while size < BATCH_SIZE
        && batch.len() < BATCH
        && let Some((number, node)) = entries.next()
    {
        if node.media_type.is_manifest() && !seen.contains(&node.digest) {
            // What is larger is not read.
            size += node.size.min(MAX_MANIFEST_SIZE);
            batch.push((number, node));
        }
    }
    batch
}

/// What [`read`] gives for each that matters.
fn read_all(
    matters: fn(&[u8]) -> bool,
    reader: &Reader<'_>,
    entries: &[(usize, Descriptor)],
) -> Result<Vec<Option<Manifest>>> {
    let read_share = |share: &[(usize, Descriptor)]| {
        share.iter().map(|(_, node)| read_those(matters, reader, node)).collect::<Result<Vec<_>>>()
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(READERS);
    let share = entries.len().div_ceil(cores).max(SHARE);
    let Some((mine, others)) = entries.split_at_checked(share) else { return read_share(entries) };
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            others.chunks(share).map(|share| scope.spawn(move || read_share(share))).collect();
        let mut found = read_share(mine)?;
        for thread in threads {
            match thread.join() {
                Ok(manifests) => found.extend(manifests?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(found)
    })
}

/// The manifest, if it is there and what it is said to be.
pub(crate) fn read(reader: &Reader<'_>, node: &Descriptor) -> Result<Option<Manifest>> {
    read_those(|_| true, reader, node)
}

fn read_those(
    matters: fn(&[u8]) -> bool,
    reader: &Reader<'_>,
    node: &Descriptor,
) -> Result<Option<Manifest>> {
    if node.size > MAX_MANIFEST_SIZE {
        return Ok(None);
    }
    let bytes = reader(node)?.filter(|bytes| matters(bytes) && node.digest.verify(bytes) == Ok(true));
    Ok(bytes.and_then(|bytes| Manifest::parse(&node.media_type, bytes).ok()))
}

/// Whether a manifest may have a subject, or list manifests. Most don't, and to find that out takes a fraction of the time
/// that it takes to verify and to parse them.
fn is_related(text: &[u8]) -> bool {
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
    // What can't be read like that is left to whoever reads it all.
    let Ok(glance) = serde_json::from_slice::<Glance<'_>>(text) else { return true };
    let mut children = glance.config.into_iter().chain(glance.layers.into_iter().flatten());
    let others = [glance.subject, glance.manifests, glance.blobs];
    others.iter().any(Option::is_some)
        || children.any(|child| MediaType::from(&*child.media_type).is_manifest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_tells_what_is_related() {
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
            assert_eq!(is_related(text.as_bytes()), related, "{text}");
        }
    }
}
