//! An entry of `index.json`: its original text, with the digest and the tag decoded.

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, annotation, json};
use serde_json::Value;

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
        let mut open = OpenEntry { raw: serde_json::to_value(&descriptor).unwrap_or_default(), descriptor };
        open.set_tag(tag);
        open.close()
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        // The text is always a descriptor, as it was checked when the entry was created.
        let fallback = |_| Descriptor::new(MediaType::OCTET_STREAM, self.digest.clone(), 0);
        serde_json::from_slice(&self.text).unwrap_or_else(fallback)
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Adds annotations, artifact type and platform of `descriptor`. Returns false if the entry had them already.
    pub(crate) fn describe(&mut self, descriptor: &Descriptor) -> bool {
        let mut open = self.open();
        let is_changed = open.describe(descriptor);
        if is_changed {
            *self = open.close();
        }
        is_changed
    }

    pub(crate) fn set_tag(&mut self, tag: Option<&str>) {
        let mut open = self.open();
        open.set_tag(tag);
        *self = open.close();
    }

    /// Appends the entry as compact JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_canonical {
            out.extend_from_slice(&self.text);
        } else {
            out.extend(json::to_vec(&self.raw()));
        }
    }

    fn raw(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    fn open(&self) -> OpenEntry {
        OpenEntry { raw: self.raw(), descriptor: self.descriptor() }
    }
}

fn tag_of(descriptor: &Descriptor) -> Option<Box<str>> {
    let tag = descriptor.annotations.get(annotation::REF_NAME).filter(|tag| !tag.is_empty());
    tag.map(|tag| tag.as_str().into())
}

/// An entry that is being changed.
struct OpenEntry {
    raw: Value,
    descriptor: Descriptor,
}

impl OpenEntry {
    fn close(self) -> IndexEntry {
        let (text, tag) = (json::to_vec(&self.raw).into(), tag_of(&self.descriptor));
        IndexEntry { text, is_canonical: true, tag, digest: self.descriptor.digest }
    }

    /// See [`IndexEntry::describe`].
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
            // A new field is inserted in the order that descriptors have.
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
                // Unlike a plain removal, this keeps the order of the other fields.
                raw.shift_remove("annotations");
            }
        }
    }
}
