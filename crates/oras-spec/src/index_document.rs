//! Indexes that are edited without losing unknown fields.

use serde_json::{Map, Value};

use crate::{Descriptor, Digest, ImageIndex, Manifest, ManifestError, MediaType, View, json};

// The fields that the typed structs write. All other fields of a document are unknown and are copied from the original.
const INDEX: [&str; 6] =
    ["schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations"];
const DESCRIPTOR: [&str; 8] =
    ["mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"];
const PLATFORM: [&str; 5] = ["architecture", "os", "os.version", "os.features", "variant"];

/// An index or Docker manifest list that can be edited and written. Use it to add or remove images of an index that
/// another tool made.
///
/// Fields of the specification are written as the Go tool writes them. Unknown fields of the index, its descriptors
/// and their platforms follow them. (The Go tool drops unknown fields.)
///
/// ```
/// use oras_spec::{Descriptor, IndexDocument, Manifest, ManifestError, MediaType};
///
/// # fn main() -> Result<(), ManifestError> {
/// let text = r#"{"schemaVersion":2,"manifests":[],"x":1}"#;
/// let index = Manifest::parse(&MediaType::IMAGE_INDEX, text.into())?;
/// let mut document = IndexDocument::of(&index)?.expect("the manifest is an index");
/// let image = Descriptor::of(MediaType::IMAGE_MANIFEST, b"...");
/// document.add(image.clone());
/// document.annotate("stage".into(), "test".into());
///
/// let edited = document.to_bytes();
/// assert!(edited.ends_with(br#""annotations":{"stage":"test"},"x":1}"#));
/// let edited = Manifest::parse(document.media_type(), edited.into())?;
/// assert_eq!(edited.manifests(), [image]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct IndexDocument {
    media_type: MediaType,
    known: ImageIndex,
    original: Map<String, Value>,
    entries: Vec<Entry>,
}

/// A descriptor and the JSON from which it was parsed.
#[derive(Clone, Debug)]
struct Entry {
    descriptor: Descriptor,
    original: Value,
}

impl IndexDocument {
    /// Makes an empty OCI index.
    pub fn new() -> Self {
        Self {
            media_type: MediaType::IMAGE_INDEX,
            known: ImageIndex::new(Vec::new()),
            original: Map::new(),
            entries: Vec::new(),
        }
    }

    /// Makes the document of `manifest`. Returns `None` if it is not an index.
    ///
    /// # Errors
    /// [`ManifestError::Json`] if the bytes of the manifest cannot be parsed as an object.
    pub fn of(manifest: &Manifest) -> Result<Option<Self>, ManifestError> {
        let View::Index(known) = manifest.view() else { return Ok(None) };
        let mut known = (**known).clone();
        // The entries are removed from the original, because each entry stores its own unknown fields.
        let mut original: Map<String, Value> = serde_json::from_slice(manifest.bytes())?;
        let originals = match original.remove("manifests") {
            Some(Value::Array(manifests)) => manifests,
            _ => Vec::new(),
        };
        // Both lists have the same length, because both were parsed from the same JSON array.
        let entries = std::mem::take(&mut known.manifests).into_iter().zip(originals);
        let entries = entries.map(|(descriptor, original)| Entry { descriptor, original }).collect();
        // Old indexes lack the field, but a written index always contains it.
        known.media_type = Some(manifest.media_type().clone());
        Ok(Some(Self { media_type: manifest.media_type().clone(), known, original, entries }))
    }

    /// Returns the media type of the index.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Sets or removes the artifact type.
    pub fn set_artifact_type(&mut self, artifact_type: Option<MediaType>) {
        self.known.artifact_type = artifact_type;
    }

    /// Sets an annotation of the index.
    pub fn annotate(&mut self, key: String, value: String) {
        self.known.annotations.insert(key, value);
    }

    /// Appends a manifest, even if the index already lists it.
    pub fn add(&mut self, descriptor: Descriptor) {
        // A new entry has no original JSON and therefore no unknown fields.
        self.entries.push(Entry { descriptor, original: Value::Null });
    }

    /// Appends all entries of `other`, with their unknown fields.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Removes all entries with a digest. Returns true if there was one.
    pub fn remove(&mut self, digest: &Digest) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.descriptor.digest != *digest);
        self.entries.len() != before
    }

    /// Returns compact JSON. Without unknown fields it is equal to that of [`ImageIndex::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        // Known fields come first in the order of the Go tool, then unknown ones in their original order.
        let mut document = value(&self.known);
        let original = Value::Object(self.original.clone());
        if let Some(fields) = document.as_object_mut() {
            let entries = self.entries.iter().map(|entry| written(&entry.descriptor, &entry.original));
            fields.insert("manifests".to_owned(), entries.collect());
            if let (Some(subject), Some(original)) = (&self.known.subject, self.original.get("subject")) {
                fields.insert("subject".to_owned(), written(subject, original));
            }
        }
        keep_unknown(&mut document, &original, &INDEX);
        json::to_vec(&document)
    }
}

impl Default for IndexDocument {
    fn default() -> Self {
        Self::new()
    }
}

/// Serializes one of the types of this crate, which cannot fail.
fn value<T: serde::Serialize>(known: &T) -> Value {
    serde_json::to_value(known).unwrap_or_default()
}

fn written(descriptor: &Descriptor, original: &Value) -> Value {
    let mut written = value(descriptor);
    if let (Some(platform), Some(original)) = (written.get_mut("platform"), original.get("platform")) {
        keep_unknown(platform, original, &PLATFORM);
    }
    keep_unknown(&mut written, original, &DESCRIPTOR);
    written
}

/// Appends the fields of `original` that are not in `fields`.
fn keep_unknown(written: &mut Value, original: &Value, fields: &[&str]) {
    if let (Value::Object(written), Value::Object(original)) = (written, original) {
        let unknown = original.iter().filter(|(key, _)| !fields.contains(&key.as_str()));
        written.extend(unknown.map(|(key, value)| (key.clone(), value.clone())));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn document(media_type: MediaType, text: &str) -> IndexDocument {
        let manifest = Manifest::parse(&media_type, Bytes::copy_from_slice(text.as_bytes())).unwrap();
        IndexDocument::of(&manifest).unwrap().unwrap()
    }

    fn text(document: &IndexDocument) -> String {
        String::from_utf8(document.to_bytes()).unwrap()
    }

    #[test]
    fn writes_known_fields_as_go() {
        let mut index = ImageIndex::new(vec![Descriptor::empty_json()]);
        index.manifests[0].platform = Some("linux/arm/v7:10.0".parse().unwrap());
        index.annotations.insert("<".into(), "\u{2028}".into());
        index.subject = Some(Descriptor::empty_json());
        index.artifact_type = Some(MediaType::new("a/b"));
        let bytes = index.to_bytes();
        let pretty = json::to_vec_pretty(&serde_json::from_slice::<Value>(&bytes).unwrap());
        for text in [bytes.to_vec(), pretty] {
            let document = document(MediaType::IMAGE_INDEX, std::str::from_utf8(&text).unwrap());
            assert_eq!(document.to_bytes(), bytes);
        }
        assert_eq!(IndexDocument::new().to_bytes(), ImageIndex::new(Vec::new()).to_bytes());
    }

    #[test]
    fn keeps_unknown_fields() {
        let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        let entry = format!(
            r#"{{"x":[1],"mediaType":"m/t","digest":"{digest}","size":2,"urls":[],"platform":{{"features":["sse"],"os":"linux","architecture":"amd64"}}}}"#
        );
        let mut list = document(
            MediaType::DOCKER_MANIFEST_LIST,
            &format!(
                r#"{{"y":{{"b":1,"a":null}},"manifests":[{entry}],"schemaVersion":2,"annotations":null}}"#
            ),
        );
        let mut other = IndexDocument::new();
        other.add(Descriptor::of(MediaType::new("n/t"), b"n"));
        let added = format!(r#"{{"mediaType":"n/t","digest":"{}","size":1}}"#, Digest::sha256(b"n"));
        list.merge(other);
        let kept = format!(
            r#"{{"mediaType":"m/t","digest":"{digest}","size":2,"platform":{{"architecture":"amd64","os":"linux","features":["sse"]}},"x":[1]}}"#
        );
        let expected = |entries: &str| {
            format!(
                r#"{{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.list.v2+json","manifests":[{entries}],"y":{{"b":1,"a":null}}}}"#
            )
        };
        assert_eq!(text(&list), expected(&format!("{kept},{added}")));
        assert!(list.remove(&digest.parse().unwrap()));
        assert!(!list.remove(&digest.parse().unwrap()));
        assert_eq!(text(&list), expected(&added));
    }
}
