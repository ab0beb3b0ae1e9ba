//! `index.json` as a document: edited in place, so that fields ORAS does not know survive.

use std::collections::HashSet;
use std::fmt;

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, json};
use oras_store::{Error, Kind, Result};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::entry::Entry;

/// An `index.json` that is edited. Entries keep their order; new ones come last.
///
/// In memory it is little more than its text: entries are parts of it, and decoded when they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    document: Map<String, Value>,
    entries: Vec<Entry>,
    /// The digests that have an entry, once many are added; forgotten when one goes.
    listed: Option<HashSet<Digest>>,
}

/// The fields of an object with their text, in order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl Default for Index {
    fn default() -> Self {
        let mut document = Map::new();
        document.insert("schemaVersion".to_owned(), json!(2));
        document.insert("mediaType".to_owned(), json!(MediaType::IMAGE_INDEX.as_str()));
        Self { document, entries: Vec::new(), listed: None }
    }
}

impl Index {
    /// Reads an index; duplicate keys, and entries that are no descriptors, are errors.
    pub(crate) fn parse(bytes: impl Into<Bytes>) -> Result<Self> {
        let invalid = |error: serde_json::Error| {
            Error::new(Kind::InvalidContent, "invalid OCI Image Index: failed to decode index file")
                .with_source(error)
        };
        let bytes = bytes.into();
        json::check_strict(&bytes).map_err(invalid)?;
        let Fields(fields) = serde_json::from_slice(&bytes).map_err(invalid)?;
        let mut document = Map::new();
        let mut entries = Vec::new();
        for (key, value) in fields {
            if key != "manifests" {
                document.insert(key, serde_json::from_str(value.get()).map_err(invalid)?);
                continue;
            }
            if !value.get().starts_with('[') && value.get() != "null" {
                let message = "invalid OCI Image Index: manifests is not a list";
                return Err(Error::new(Kind::InvalidContent, message));
            }
            let listed: Option<Vec<&RawValue>> = serde_json::from_str(value.get()).map_err(invalid)?;
            let listed = listed.unwrap_or_default();
            entries.reserve_exact(listed.len());
            for entry in listed {
                let text = bytes.slice_ref(entry.get().as_bytes());
                entries.push(Entry::read(text).map_err(invalid)?);
            }
        }
        Ok(Self { document, entries, listed: None })
    }

    /// The document as it is written: compact, the list of manifests last unless it was elsewhere.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![b'{'];
        let mut listed = false;
        for (key, value) in &self.document {
            write_key(&mut out, key);
            out.extend(json::to_vec(value));
            // Where the specification's own writers put it: behind the types, before annotations.
            if key == "mediaType" && !self.document.contains_key("artifactType") || key == "artifactType" {
                self.write_entries(&mut out);
                listed = true;
            }
        }
        if !listed {
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

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The entry of that number.
    pub(crate) fn descriptor(&self, number: usize) -> Option<Descriptor> {
        self.entries.get(number).map(Entry::descriptor)
    }

    /// All entries, in order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().map(Entry::descriptor)
    }

    /// The entry with that tag; of several the last.
    pub(crate) fn tagged(&self, tag: &str) -> Option<Descriptor> {
        self.entries.iter().rev().find(|entry| entry.tag() == Some(tag)).map(Entry::descriptor)
    }

    /// The names of the entries that have one, each with the digest it names.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &Digest)> {
        self.entries.iter().filter_map(|entry| Some((entry.tag()?, &entry.digest)))
    }

    /// Whether the digest has an entry.
    pub(crate) fn lists(&self, digest: &Digest) -> bool {
        self.entries.iter().any(|entry| entry.digest == *digest)
    }

    /// An entry of that digest, without its tag.
    pub(crate) fn listed(&self, digest: &Digest) -> Option<Descriptor> {
        let entry = self.entries.iter().find(|entry| entry.digest == *digest)?;
        Some(entry.descriptor().plain())
    }

    /// The entries that have a tag, without it.
    pub(crate) fn tagged_nodes(&self) -> impl Iterator<Item = Descriptor> {
        self.entries.iter().filter(|entry| entry.tag().is_some()).map(|entry| entry.descriptor().plain())
    }

    /// The digests that have a tag.
    pub(crate) fn tagged_digests(&self) -> HashSet<Digest> {
        let tagged = self.entries.iter().filter(|entry| entry.tag().is_some());
        tagged.map(|entry| entry.digest.clone()).collect()
    }

    /// All tags, sorted.
    pub(crate) fn tags(&self) -> Vec<String> {
        let mut tags: Vec<_> =
            self.entries.iter().filter_map(|entry| entry.tag().map(ToOwned::to_owned)).collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// Applies a change; `false` when there was nothing to change. Tagged entries come first.
    pub(crate) fn apply(&mut self, change: &Change) -> bool {
        if let Change::List(descriptor) = change {
            return self.list(descriptor);
        }
        self.listed = None;
        let before = self.entries.len();
        let changed = match change {
            Change::Tag(descriptor, tag) => {
                let moved = self.untag(tag, Some(&descriptor.digest));
                let named = match self.entries.iter_mut().find(|entry| entry.tag() == Some(tag)) {
                    Some(entry) => entry.describe(descriptor),
                    None => {
                        self.entries.push(Entry::new(descriptor, Some(tag)));
                        true
                    }
                };
                // A tagged entry lists the digest: an untagged one would only repeat it.
                self.entries.retain(|entry| entry.tag().is_some() || entry.digest != descriptor.digest);
                moved || named
            }
            Change::Untag(tag) => self.untag(tag, None),
            Change::List(_) => false,
            Change::Remove(digest) | Change::Prune(digest) => {
                self.entries.retain(|entry| entry.digest != *digest);
                false
            }
            Change::Unlist(digests) => {
                self.entries.retain(|entry| entry.tag().is_some() || !digests.contains(&entry.digest));
                false
            }
        };
        self.entries.sort_by_key(|entry| entry.tag().is_none());
        changed || self.entries.len() != before
    }

    fn list(&mut self, descriptor: &Descriptor) -> bool {
        if self.listed.is_none() {
            self.entries.sort_by_key(|entry| entry.tag().is_none());
        }
        let digests = || self.entries.iter().map(|entry| entry.digest.clone()).collect();
        let new = self.listed.get_or_insert_with(digests).insert(descriptor.digest.clone());
        if new {
            self.entries.push(Entry::new(descriptor, None));
        }
        new
    }

    /// Takes the tag from whatever has it, but for `except`; a manifest that loses its last tag stays listed.
    fn untag(&mut self, tag: &str, except: Option<&Digest>) -> bool {
        let moves = |entry: &mut Entry| entry.tag() == Some(tag) && Some(&entry.digest) != except;
        let moved: Vec<_> = self.entries.extract_if(.., moves).collect();
        let any = !moved.is_empty();
        for mut entry in moved {
            if !self.lists(&entry.digest) {
                entry.set_tag(None);
                self.entries.push(entry);
            }
        }
        any
    }
}

fn write_key(out: &mut Vec<u8>, key: &str) {
    if out.len() > 1 {
        out.push(b',');
    }
    out.extend(json::to_vec(key));
    out.push(b':');
}

/// A change of the index.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The manifest is in the layout.
    List(Descriptor),
    /// The manifest has that tag.
    Tag(Descriptor, String),
    /// Nothing has that tag.
    Untag(String),
    /// The digest is gone.
    Remove(Digest),
    /// The digests are gone, but for those that have got a tag.
    Unlist(HashSet<Digest>),
    /// The digest is gone, with what [`crate::prune`] says nothing else needs.
    Prune(Digest),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, text.as_bytes())
    }

    #[test]
    fn written_like_go() {
        let mut index = Index::default();
        assert!(index.apply(&Change::List(descriptor("a"))));
        assert!(!index.apply(&Change::List(descriptor("a"))));
        assert!(index.apply(&Change::Tag(descriptor("a"), "v1".into())));
        let digest = Digest::sha256(b"a");
        assert_eq!(
            String::from_utf8(index.to_bytes()).unwrap(),
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":1,"annotations":{{"org.opencontainers.image.ref.name":"v1"}}}}]}}"#
            )
        );
    }

    #[test]
    fn unknown_fields_survive_and_tags_move() {
        let digest = Digest::sha256(b"a");
        let text = format!(
            r#"{{"schemaVersion":2,"x":{{"b":1,"a":2}},"manifests":[{{"mediaType":"m/t","size":1,"digest":"{digest}","y":[1],"annotations":null}}],"annotations":{{"k":"v"}}}}"#
        );
        let mut index = Index::parse(text).unwrap();
        index.apply(&Change::Tag(descriptor("b"), "v1".into()));
        index.apply(&Change::Tag(descriptor("c"), "v1".into()));
        let written = String::from_utf8(index.to_bytes()).unwrap();
        assert!(written.contains(r#""x":{"b":1,"a":2}"#), "{written}");
        assert!(written.contains(r#""y":[1]"#), "{written}");
        assert_eq!(index.tagged("v1").unwrap().digest, descriptor("c").digest);
        assert_eq!(index.tags(), ["v1"]);
        assert_eq!(index.descriptors().count(), 3);
        assert!(index.apply(&Change::Remove(digest)));
        assert_eq!(index.descriptors().count(), 2);
        index.apply(&Change::Tag(descriptor("c"), "v2".into()));
        for (tag, left) in [("v1", 2), ("v2", 2)] {
            assert!(index.apply(&Change::Untag(tag.into())));
            assert!(!index.apply(&Change::Untag(tag.into())));
            assert_eq!(index.descriptors().count(), left, "{tag}");
        }
        assert!(index.listed(&descriptor("c").digest).is_some());
    }

    #[test]
    fn hostile_indexes_are_refused() {
        for text in
            ["", "[]", r#"{"manifests":{}}"#, r#"{"manifests":[{}]}"#, r#"{"manifests":[],"manifests":[]}"#]
        {
            assert_eq!(Index::parse(text).unwrap_err().kind(), Kind::InvalidContent, "{text}");
        }
    }
}
