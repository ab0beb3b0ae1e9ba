//! `index.json` as a document: edited in place, so that fields ORAS does not know survive.

use std::collections::HashSet;

use oras_spec::{Descriptor, Digest, MediaType, annotation, json};
use oras_store::{Error, Kind, Result};
use serde_json::{Map, Value, json};

/// An index larger than this is not an index: 64 MiB list 200,000 manifests.
pub(crate) const MAX_INDEX_SIZE: u64 = 64 * 1024 * 1024;

/// An `index.json` that is edited. Entries keep their order; new ones come last.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    document: Map<String, Value>,
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    raw: Value,
    descriptor: Descriptor,
}

impl Entry {
    fn new(descriptor: &Descriptor, tag: Option<&str>) -> Self {
        let mut descriptor = descriptor.clone();
        descriptor.data = None;
        let mut entry = Self { raw: serde_json::to_value(&descriptor).unwrap_or_default(), descriptor };
        // A tag of where the content came from is not one here.
        entry.set_tag(tag);
        entry
    }

    /// Adds what `descriptor` says beyond what is known; whether that is anything.
    fn describe(&mut self, descriptor: &Descriptor) -> bool {
        let mut described = self.descriptor.clone();
        let annotations = descriptor.annotations.iter().filter(|(key, _)| *key != annotation::REF_NAME);
        described.annotations.extend(annotations.map(|(key, value)| (key.clone(), value.clone())));
        described.artifact_type = descriptor.artifact_type.clone().or(described.artifact_type);
        described.platform = descriptor.platform.clone().or(described.platform);
        if described == self.descriptor {
            return false;
        }
        self.descriptor = described;
        if let (Value::Object(raw), Ok(Value::Object(fields))) =
            (&mut self.raw, serde_json::to_value(&self.descriptor))
        {
            raw.extend(fields);
        }
        true
    }

    fn set_tag(&mut self, tag: Option<&str>) {
        self.descriptor.annotations.remove(annotation::REF_NAME);
        if let Some(tag) = tag {
            self.descriptor.annotations.insert(annotation::REF_NAME.to_owned(), tag.to_owned());
        }
        let Value::Object(raw) = &mut self.raw else { return };
        let fields = serde_json::to_value(&self.descriptor).unwrap_or_default();
        match fields.get("annotations") {
            // Fields that are new go where a descriptor has them.
            Some(annotations) if raw.contains_key("annotations") => {
                raw.insert("annotations".to_owned(), annotations.clone());
            }
            Some(_) => {
                let mut ordered = fields.as_object().cloned().unwrap_or_default();
                for (key, value) in std::mem::take(raw) {
                    ordered.entry(key).or_insert(value);
                }
                *raw = ordered;
            }
            None => {
                raw.shift_remove("annotations");
            }
        }
    }

    fn tag(&self) -> Option<&str> {
        self.descriptor
            .annotations
            .get(annotation::REF_NAME)
            .map(String::as_str)
            .filter(|tag| !tag.is_empty())
    }
}

impl Default for Index {
    fn default() -> Self {
        let mut document = Map::new();
        document.insert("schemaVersion".to_owned(), json!(2));
        document.insert("mediaType".to_owned(), json!(MediaType::IMAGE_INDEX.as_str()));
        Self { document, entries: Vec::new() }
    }
}

impl Index {
    /// Reads an index; duplicate keys, and entries that are no descriptors, are errors.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let invalid = |error: serde_json::Error| {
            Error::new(Kind::InvalidContent, "invalid OCI Image Index: failed to decode index file")
                .with_source(error)
        };
        json::check_strict(bytes).map_err(invalid)?;
        let mut document: Map<String, Value> = serde_json::from_slice(bytes).map_err(invalid)?;
        let manifests = match document.shift_remove("manifests") {
            Some(Value::Array(manifests)) => manifests,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => {
                return Err(Error::new(
                    Kind::InvalidContent,
                    "invalid OCI Image Index: manifests is not a list",
                ));
            }
        };
        let entry = |raw: Value| {
            let descriptor = Descriptor::deserialize_from(&raw).map_err(invalid)?;
            Ok(Entry { raw, descriptor })
        };
        Ok(Self { document, entries: manifests.into_iter().map(entry).collect::<Result<_>>()? })
    }

    /// The document as it is written: compact, the list of manifests last unless it was elsewhere.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut document = Map::new();
        let manifests = Value::Array(self.entries.iter().map(|entry| entry.raw.clone()).collect());
        let mut manifests = Some(manifests);
        for (key, value) in &self.document {
            document.insert(key.clone(), value.clone());
            // Where the specification's own writers put it: behind the types, before annotations.
            if key == "mediaType" && !self.document.contains_key("artifactType") || key == "artifactType" {
                document.extend(manifests.take().map(|manifests| ("manifests".to_owned(), manifests)));
            }
        }
        document.extend(manifests.take().map(|manifests| ("manifests".to_owned(), manifests)));
        json::to_vec(&document)
    }

    /// All entries, in order.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &Descriptor> {
        self.entries.iter().map(|entry| &entry.descriptor)
    }

    /// The entry with that tag; of several the last.
    pub(crate) fn tagged(&self, tag: &str) -> Option<&Descriptor> {
        self.entries.iter().rev().find(|entry| entry.tag() == Some(tag)).map(|entry| &entry.descriptor)
    }

    /// An entry of that digest, without its tag.
    pub(crate) fn listed(&self, digest: &Digest) -> Option<Descriptor> {
        self.descriptors().find(|descriptor| descriptor.digest == *digest).map(Descriptor::plain)
    }

    /// The digests that have a tag.
    pub(crate) fn tagged_digests(&self) -> HashSet<Digest> {
        let tagged = self.entries.iter().filter(|entry| entry.tag().is_some());
        tagged.map(|entry| entry.descriptor.digest.clone()).collect()
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
        let before = self.entries.len();
        let changed = match change {
            Change::List(descriptor) => {
                let new = !self.descriptors().any(|listed| listed.digest == descriptor.digest);
                if new {
                    self.entries.push(Entry::new(descriptor, None));
                }
                new
            }
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
                self.entries
                    .retain(|entry| entry.tag().is_some() || entry.descriptor.digest != descriptor.digest);
                moved || named
            }
            Change::Untag(tag) => self.untag(tag, None),
            Change::Remove(digest) | Change::Prune(digest) => {
                self.entries.retain(|entry| entry.descriptor.digest != *digest);
                false
            }
        };
        self.entries.sort_by_key(|entry| entry.tag().is_none());
        changed || self.entries.len() != before
    }

    /// Takes the tag from whatever has it, but for `except`; a manifest that loses its last tag stays listed.
    fn untag(&mut self, tag: &str, except: Option<&Digest>) -> bool {
        let stays = |entry: &Entry| entry.tag() != Some(tag) || Some(&entry.descriptor.digest) == except;
        let (kept, moved): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries).into_iter().partition(stays);
        self.entries = kept;
        let any = !moved.is_empty();
        for mut entry in moved {
            if !self.descriptors().any(|listed| listed.digest == entry.descriptor.digest) {
                entry.set_tag(None);
                self.entries.push(entry);
            }
        }
        any
    }
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
    /// The digest is gone, with what [`crate::prune`] says nothing else needs.
    Prune(Digest),
}

/// Reads a descriptor out of a value without cloning the value.
trait FromValue: Sized {
    fn deserialize_from(value: &Value) -> Result<Self, serde_json::Error>;
}

impl FromValue for Descriptor {
    fn deserialize_from(value: &Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value.clone())
    }
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
        let mut index = Index::parse(text.as_bytes()).unwrap();
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
            assert_eq!(Index::parse(text.as_bytes()).unwrap_err().kind(), Kind::InvalidContent, "{text}");
        }
    }
}
