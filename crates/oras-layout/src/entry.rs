//! An entry of `index.json`: its text as it came, and what is asked of it most.

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, annotation, json};
use serde_json::Value;

/// An entry that is edited in place, so that fields ORAS does not know survive.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// JSON of a descriptor; of an index that was read a part of its text.
    text: Bytes,
    /// Whether the text is written as ORAS writes it.
    is_ours: bool,
    pub(crate) digest: Digest,
    tag: Option<Box<str>>,
}

impl Entry {
    /// The entry with that text, which must be a descriptor.
    pub(crate) fn read(text: Bytes) -> Result<Self, serde_json::Error> {
        let descriptor: Descriptor = serde_json::from_slice(&text)?;
        Ok(Self { text, is_ours: false, tag: tag_of(&descriptor), digest: descriptor.digest })
    }

    pub(crate) fn new(descriptor: &Descriptor, tag: Option<&str>) -> Self {
        let mut descriptor = descriptor.clone();
        descriptor.data = None;
        let mut open = Open { raw: serde_json::to_value(&descriptor).unwrap_or_default(), descriptor };
        // A tag of where the content came from is not one here.
        open.set_tag(tag);
        open.close()
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        // Always one: it was when the entry was made.
        let nothing = |_| Descriptor::new(MediaType::OCTET_STREAM, self.digest.clone(), 0);
        serde_json::from_slice(&self.text).unwrap_or_else(nothing)
    }

    pub(crate) fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Adds what `descriptor` says beyond what is known; whether that is anything.
    pub(crate) fn describe(&mut self, descriptor: &Descriptor) -> bool {
        let mut open = self.open();
        let described = open.describe(descriptor);
        if described {
            *self = open.close();
        }
        described
    }

    pub(crate) fn set_tag(&mut self, tag: Option<&str>) {
        let mut open = self.open();
        open.set_tag(tag);
        *self = open.close();
    }

    /// Appends the entry as it is written: compact.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.is_ours {
            out.extend_from_slice(&self.text);
        } else {
            out.extend(json::to_vec(&self.raw()));
        }
    }

    fn raw(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    fn open(&self) -> Open {
        Open { raw: self.raw(), descriptor: self.descriptor() }
    }
}

fn tag_of(descriptor: &Descriptor) -> Option<Box<str>> {
    let tag = descriptor.annotations.get(annotation::REF_NAME).filter(|tag| !tag.is_empty());
    tag.map(|tag| tag.as_str().into())
}

/// An entry that is changed.
struct Open {
    raw: Value,
    descriptor: Descriptor,
}

impl Open {
    fn close(self) -> Entry {
        let (text, tag) = (json::to_vec(&self.raw).into(), tag_of(&self.descriptor));
        Entry { text, is_ours: true, tag, digest: self.descriptor.digest }
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
}
