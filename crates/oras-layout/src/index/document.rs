//! An `index.json` that is edited in place, so that fields unknown to ORAS are kept, and the changes to it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, json};
use oras_store::{Error, ErrorKind, Result};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::entry::IndexEntry;

/// An `index.json` that is edited. Entries keep their order; new ones come last.
///
/// It takes little more memory than its text: entries are slices of the text, and are decoded on demand.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    document: Map<String, Value>,
    entries: Vec<IndexEntry>,
    /// The offset behind the last entry in the text that was parsed.
    end_of_entries: usize,
    /// The digests that have an entry, cached so that adding many entries is fast. Any other change clears the cache.
    digests: Option<HashSet<Digest>>,
}

/// A change to `index.json`.
#[derive(Clone, Debug)]
pub(crate) enum IndexChange {
    /// Adds an untagged entry, unless the digest already has an entry.
    List(Descriptor),
    /// Moves a tag to a manifest.
    Tag(Descriptor, String),
    /// Removes a tag. A manifest that loses its last tag keeps an untagged entry.
    Untag(String),
    /// Removes all entries of a digest.
    Remove(Digest),
    /// Removes the untagged entries of these digests.
    Unlist(HashSet<Digest>),
    /// Removes all entries of a digest and of everything that only this digest needs, see
    /// [`crate::maintenance::prune`].
    Prune(Digest),
}

/// The fields of an index: the entries as texts, and all other fields in order.
#[derive(Deserialize)]
struct IndexFields<'a> {
    /// Go writes `null` for a list that was never set.
    #[serde(borrow)]
    manifests: Option<Vec<&'a RawValue>>,
    #[serde(flatten)]
    document: Map<String, Value>,
}

impl Default for Index {
    fn default() -> Self {
        let mut document = Map::new();
        document.insert("schemaVersion".to_owned(), json!(2));
        document.insert("mediaType".to_owned(), json!(MediaType::IMAGE_INDEX.as_str()));
        Self { document, entries: Vec::new(), end_of_entries: 0, digests: None }
    }
}

impl Index {
    /// Parses an index.
    ///
    /// # Errors
    /// `InvalidContent`, also for duplicate keys and for entries that are not descriptors.
    pub(crate) fn parse(bytes: impl Into<Bytes>) -> Result<Self> {
        let invalid = |error: serde_json::Error| {
            Error::new(ErrorKind::InvalidContent, "invalid OCI Image Index: failed to decode index file")
                .with_source(error)
        };
        let bytes = bytes.into();
        // Tools differ in which of two equal keys they use, so an index with duplicate keys is rejected.
        json::check_strict(&bytes).map_err(invalid)?;
        let IndexFields { manifests, document } = serde_json::from_slice(&bytes).map_err(invalid)?;
        let listed = manifests.unwrap_or_default();
        let mut entries = Vec::with_capacity(listed.len());
        for entry in listed {
            let text = bytes.slice_ref(entry.get().as_bytes());
            entries.push(IndexEntry::parse(text).map_err(invalid)?);
        }
        let end = |entry: &IndexEntry| entry.offset_in(&bytes) + entry.text_length();
        let end_of_entries = entries.last().map_or(0, end);
        Ok(Self { document, entries, end_of_entries, digests: None })
    }

    /// Returns the document as compact JSON.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        let mut has_entries = false;
        for (key, value) in &self.document {
            write_key(&mut out, key);
            out.extend(json::to_vec(value));
            // The reference implementation writes `manifests` after the types and before the annotations.
            if key == "mediaType" && !self.document.contains_key("artifactType") || key == "artifactType" {
                self.write_entries(&mut out);
                has_entries = true;
            }
        }
        if !has_entries {
            self.write_entries(&mut out);
        }
        out.push(b'}');
        out
    }

    fn write_entries(&self, out: &mut Vec<u8>) {
        write_key(out, "manifests");
        out.push(b'[');
        for (number, entry) in self.entries.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            entry.write(out);
        }
        out.push(b']');
    }

    /// Returns the offset behind the last entry in the text that was parsed; 0 without entries.
    pub(crate) fn end_of_entries(&self) -> usize {
        self.end_of_entries
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the entry with the given number.
    pub(crate) fn descriptor(&self, number: usize) -> Option<Descriptor> {
        self.entries.get(number).map(IndexEntry::descriptor)
    }

    /// Returns all entries in order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().map(IndexEntry::descriptor)
    }

    /// Returns the entries with their offsets in `document`, from which this index was parsed.
    pub(crate) fn placed_entries(&self, document: &Bytes) -> impl Iterator<Item = (usize, &IndexEntry)> {
        self.entries.iter().map(move |entry| (entry.offset_in(document), entry))
    }

    /// Returns the entry with the tag; the last one if there are several.
    pub(crate) fn tagged(&self, tag: &str) -> Option<Descriptor> {
        self.entries.iter().rev().find(|entry| entry.tag() == Some(tag)).map(IndexEntry::descriptor)
    }

    /// Returns the tags in the order of the entries, each with its digest.
    pub(crate) fn tags_with_digests(&self) -> impl Iterator<Item = (&str, &Digest)> {
        self.entries.iter().filter_map(|entry| Some((entry.tag()?, &entry.digest)))
    }

    /// Returns true if the digest has an entry.
    pub(crate) fn contains(&self, digest: &Digest) -> bool {
        self.entries.iter().any(|entry| entry.digest == *digest)
    }

    /// Returns the first entry of the digest, without its tag.
    pub(crate) fn find(&self, digest: &Digest) -> Option<Descriptor> {
        let entry = self.entries.iter().find(|entry| entry.digest == *digest)?;
        Some(entry.descriptor().plain())
    }

    /// Returns the tagged entries, without their tags.
    pub(crate) fn tagged_nodes(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().filter(|entry| entry.tag().is_some()).map(|entry| entry.descriptor().plain())
    }

    /// Returns the digests that have a tag.
    pub(crate) fn tagged_digests(&self) -> HashSet<Digest> {
        let tagged = self.entries.iter().filter(|entry| entry.tag().is_some());
        tagged.map(|entry| entry.digest.clone()).collect()
    }

    /// Returns all tags, sorted.
    pub(crate) fn tags(&self) -> Vec<String> {
        let tags: BTreeSet<_> = self.entries.iter().filter_map(IndexEntry::tag).collect();
        tags.into_iter().map(ToOwned::to_owned).collect()
    }

    /// Returns all tags with the entries that [`tagged`](Self::tagged) returns for them.
    pub(crate) fn nodes_by_tag(&self) -> BTreeMap<String, Descriptor> {
        // The last entry of a tag replaces earlier ones.
        self.entries.iter().filter_map(|entry| Some((entry.tag()?.to_owned(), entry.descriptor()))).collect()
    }

    /// Applies a change and moves tagged entries to the front. Returns false if nothing changed.
    pub(crate) fn apply(&mut self, change: &IndexChange) -> bool {
        if !matches!(change, IndexChange::List(_)) {
            self.digests = None;
        }
        let before = self.entries.len();
        let is_changed = match change {
            IndexChange::List(descriptor) => return self.list(descriptor),
            IndexChange::Tag(descriptor, tag) => {
                let is_moved = self.untag(tag, Some(&descriptor.digest));
                let is_entry_changed = match self.entries.iter_mut().find(|entry| entry.tag() == Some(tag)) {
                    Some(entry) => entry.describe(descriptor),
                    None => {
                        self.entries.push(IndexEntry::new(descriptor, Some(tag)));
                        true
                    }
                };
                // The tagged entry lists the digest, so an untagged one is redundant.
                self.entries.retain(|entry| entry.tag().is_some() || entry.digest != descriptor.digest);
                is_moved || is_entry_changed
            }
            IndexChange::Untag(tag) => self.untag(tag, None),
            IndexChange::Remove(digest) | IndexChange::Prune(digest) => {
                self.entries.retain(|entry| entry.digest != *digest);
                false
            }
            IndexChange::Unlist(digests) => {
                self.entries.retain(|entry| entry.tag().is_some() || !digests.contains(&entry.digest));
                false
            }
        };
        // The sort is stable, so that entries keep their order.
        self.entries.sort_by_key(|entry| entry.tag().is_none());
        is_changed || self.entries.len() != before
    }

    fn list(&mut self, descriptor: &Descriptor) -> bool {
        // Many additions in a row sort only once, because a new untagged entry belongs at the end.
        if self.digests.is_none() {
            self.entries.sort_by_key(|entry| entry.tag().is_none());
        }
        let digests = || self.entries.iter().map(|entry| entry.digest.clone()).collect();
        let is_new = self.digests.get_or_insert_with(digests).insert(descriptor.digest.clone());
        if is_new {
            self.entries.push(IndexEntry::new(descriptor, None));
        }
        is_new
    }

    /// Removes the tag from all entries, except those of the digest `except`. A manifest that loses its last tag
    /// keeps an untagged entry.
    fn untag(&mut self, tag: &str, except: Option<&Digest>) -> bool {
        let loses_tag = |entry: &mut IndexEntry| entry.tag() == Some(tag) && Some(&entry.digest) != except;
        let untagged: Vec<_> = self.entries.extract_if(.., loses_tag).collect();
        let is_changed = !untagged.is_empty();
        for mut entry in untagged {
            if !self.contains(&entry.digest) {
                entry.remove_tag();
                self.entries.push(entry);
            }
        }
        is_changed
    }
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend(json::to_vec(key));
    out.push(b':');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, text.as_bytes())
    }

    #[test]
    fn writes_the_same_json_as_go() {
        let mut index = Index::default();
        assert!(index.apply(&IndexChange::List(descriptor("a"))));
        assert!(!index.apply(&IndexChange::List(descriptor("a"))));
        assert!(index.apply(&IndexChange::Tag(descriptor("a"), "v1".into())));
        let digest = Digest::sha256(b"a");
        assert_eq!(
            String::from_utf8(index.to_bytes()).unwrap(),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#
            )
        );
    }

    #[test]
    fn keeps_unknown_fields_and_moves_tags() {
        let digest = Digest::sha256(b"a");
        let text = format!(
            r#"{{"schemaVersion":2,"x":{{"b":1,"a":2}},"manifests":[{{"mediaType":"m/t","size":1,"digest":"{digest}","y":[1],"annotations":null}}],"annotations":{{"k":"v"}}}}"#
        );
        let mut index = Index::parse(text).unwrap();
        index.apply(&IndexChange::Tag(descriptor("b"), "v1".into()));
        index.apply(&IndexChange::Tag(descriptor("c"), "v1".into()));
        let written = String::from_utf8(index.to_bytes()).unwrap();
        assert!(written.contains(r#""x":{"b":1,"a":2}"#), "{written}");
        assert!(written.contains(r#""y":[1]"#), "{written}");
        assert_eq!(index.tagged("v1").unwrap().digest, descriptor("c").digest);
        assert_eq!(index.tags(), ["v1"]);
        assert_eq!(index.descriptors().count(), 3);
        assert!(index.apply(&IndexChange::Remove(digest)));
        assert_eq!(index.descriptors().count(), 2);
        index.apply(&IndexChange::Tag(descriptor("c"), "v2".into()));
        for (tag, left) in [("v1", 2), ("v2", 2)] {
            assert!(index.apply(&IndexChange::Untag(tag.into())));
            assert!(!index.apply(&IndexChange::Untag(tag.into())));
            assert_eq!(index.descriptors().count(), left, "{tag}");
        }
        assert!(index.find(&descriptor("c").digest).is_some());
    }

    #[test]
    fn rejects_malformed_indexes() {
        for text in
            ["", "[]", r#"{"manifests":{}}"#, r#"{"manifests":[{}]}"#, r#"{"manifests":[],"manifests":[]}"#]
        {
            assert_eq!(Index::parse(text).unwrap_err().kind(), ErrorKind::InvalidContent, "{text}");
        }
    }
}
