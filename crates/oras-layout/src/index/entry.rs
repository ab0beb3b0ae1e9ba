//! An entry of `index.json`: its original text, with the digest and the tag decoded.

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, annotation, json};
use serde_json::{Map, Value};

/// An entry that is edited in place, so that fields unknown to ORAS are kept.
#[derive(Clone, Debug)]
pub(crate) struct IndexEntry {
    /// The JSON of a descriptor. In an index that was parsed, this is a slice of its text.
    text: Bytes,
    /// Whether the text is in the form that ORAS writes.
    is_canonical: bool,
    pub(crate) digest: Digest,
    tag: Option<Box<str>>,
}

impl IndexEntry {
    /// Parses an entry.
    ///
    /// # Errors
    /// If the text is not a descriptor.
    pub(crate) fn parse(text: Bytes) -> Result<Self, serde_json::Error> {
        let descriptor: Descriptor = serde_json::from_slice(&text)?;
        Ok(Self { text, is_canonical: false, tag: tag_of(&descriptor), digest: descriptor.digest })
    }

    /// Creates an entry with the given tag. A tag in the annotations of `descriptor`, which is from the source of the
    /// content, is dropped.
    pub(crate) fn new(descriptor: &Descriptor, tag: Option<&str>) -> Self {
        let mut descriptor = descriptor.clone();
        // Embedded bytes would enlarge the index, and the layout has them as a blob.
        descriptor.data = None;
        descriptor.annotations.remove(annotation::REF_NAME);
        let annotation = tag.map(|tag| (annotation::REF_NAME.to_owned(), tag.to_owned()));
        descriptor.annotations.extend(annotation);
        Self::canonical(descriptor, Map::new())
    }

    /// Makes the entry with the fields of `descriptor` and with `kept` fields, which replace those of the descriptor.
    /// Unknown fields come last.
    fn canonical(descriptor: Descriptor, kept: Map<String, Value>) -> Self {
        let fields = serde_json::to_value(&descriptor).ok();
        let mut fields = fields.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        fields.extend(kept);
        let (text, tag) = (json::to_vec(&fields).into(), tag_of(&descriptor));
        Self { text, is_canonical: true, tag, digest: descriptor.digest }
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        // The text is always a descriptor, as it was checked when the entry was created.
        let fallback = |_| Descriptor::new(MediaType::OCTET_STREAM, self.digest.clone(), 0);
        serde_json::from_slice(&self.text).unwrap_or_else(fallback)
    }

    /// Returns the number of bytes of the text.
    pub(crate) fn text_length(&self) -> usize {
        self.text.len()
    }

    /// Returns the offset of the text in the document that it was parsed from.
    pub(super) fn offset_in(&self, document: &Bytes) -> usize {
        (self.text.as_ptr() as usize).saturating_sub(document.as_ptr() as usize)
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Adds annotations, artifact type and platform of `descriptor`. Returns false if the entry had them already.
    pub(crate) fn describe(&mut self, descriptor: &Descriptor) -> bool {
        let before = self.descriptor();
        let mut described = before.clone();
        let annotations = descriptor.annotations.iter().filter(|(key, _)| *key != annotation::REF_NAME);
        described.annotations.extend(annotations.map(|(key, value)| (key.clone(), value.clone())));
        described.artifact_type = descriptor.artifact_type.clone().or(described.artifact_type);
        described.platform = descriptor.platform.clone().or(described.platform);
        let is_changed = described != before;
        if is_changed {
            *self =
                Self::canonical(described, self.fields_except(&["annotations", "artifactType", "platform"]));
        }
        is_changed
    }

    pub(crate) fn remove_tag(&mut self) {
        let mut descriptor = self.descriptor();
        descriptor.annotations.remove(annotation::REF_NAME);
        *self = Self::canonical(descriptor, self.fields_except(&["annotations"]));
    }

    /// Appends the entry as compact JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_canonical {
            out.extend_from_slice(&self.text);
        } else {
            out.extend(json::to_vec(&self.fields_except(&[])));
        }
    }

    /// Returns the fields of the text, without those called `names`.
    fn fields_except(&self, names: &[&str]) -> Map<String, Value> {
        let mut fields: Map<_, _> = serde_json::from_slice(&self.text).unwrap_or_default();
        fields.retain(|name, _| !names.contains(&name.as_str()));
        fields
    }
}

fn tag_of(descriptor: &Descriptor) -> Option<Box<str>> {
    let tag = descriptor.annotations.get(annotation::REF_NAME).filter(|tag| !tag.is_empty());
    tag.map(|tag| tag.as_str().into())
}
