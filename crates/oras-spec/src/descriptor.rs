//! Descriptors, which name content by digest (image-spec, descriptor.md).
//!
//! Use a [`Descriptor`] to list content in a manifest, to fetch it from a store, and to verify it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::json::null_is_default;
use crate::{Digest, MediaType, Platform, annotation};

/// The media type, digest and size of a piece of content. Manifests list their children as descriptors, and stores find
/// and verify content by its descriptor.
///
/// JSON uses the field order of the Go tool and omits empty fields. Two descriptors of the same content can differ
/// in all fields but `digest`, so compare digests to compare content.
///
/// ```
/// use oras_spec::{Descriptor, Digest, MediaType, annotation};
///
/// let mut layer = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
/// layer.annotations.insert(annotation::TITLE.into(), "hi.txt".into());
/// assert_eq!((layer.size, layer.title()), (12, Some("hi.txt")));
///
/// // Of content that is stored elsewhere, only digest and size must be known.
/// let known = Descriptor::new(MediaType::LAYER_TAR, Digest::sha256(b"hello world\n"), 12);
/// assert_eq!(known, layer.plain());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The type of the content.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The length of the content in bytes. Readers verify the length of the content that they receive.
    pub size: u64,
    /// Other locations of the content.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself, which is not verified. [`Descriptor::embedded`] verifies it.
    #[serde(default, with = "base64_data", skip_serializing_if = "Option::is_none")]
    pub data: Option<Bytes>,
    /// The platform an image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The artifact type of a manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
}

impl Descriptor {
    /// Makes a descriptor from digest and size.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Makes the descriptor of `bytes` with their SHA-256 digest.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256(bytes), bytes.len() as u64)
    }

    /// Makes the descriptor of the empty JSON object with its content embedded, for a config or layer without content
    /// (image-spec, manifest.md "Guidance for an Empty Descriptor").
    pub fn empty_json() -> Self {
        Self { data: Some(Bytes::from_static(b"{}")), ..Self::of(MediaType::EMPTY_JSON, b"{}") }
    }

    /// Returns a descriptor with only media type, digest and size, as used in the field `subject`.
    pub fn plain(&self) -> Self {
        Self::new(self.media_type.clone(), self.digest.clone(), self.size)
    }

    /// Returns the path to which pull writes the content, if there is one.
    pub fn title(&self) -> Option<&str> {
        self.annotations.get(annotation::TITLE).map(String::as_str).filter(|title| !title.is_empty())
    }

    /// Returns the embedded content if it matches digest and size (image-spec: `data` "SHOULD be verified").
    pub fn embedded(&self) -> Option<&Bytes> {
        let data = self.data.as_ref()?;
        // The length is compared first, because hashing costs more. Data with an unknown algorithm cannot be verified
        // and is ignored.
        (data.len() as u64 == self.size && self.digest.verify(data) == Ok(true)).then_some(data)
    }
}

mod base64_data {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(data: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match data {
            Some(data) => serializer.serialize_str(&STANDARD.encode(data)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        // Go's `[]byte` is base64 with padding in JSON.
        text.map(|text| STANDARD.decode(text.as_bytes()).map(Bytes::from).map_err(de::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn writes_json_as_go() {
        let mut descriptor = Descriptor::empty_json();
        descriptor.annotations.insert("b".into(), "<&>\u{2028}é".into());
        descriptor.annotations.insert("a".into(), String::new());
        descriptor.artifact_type = Some(MediaType::new("x/y"));
        assert_eq!(
            String::from_utf8(json::to_vec(&descriptor)).unwrap(),
            concat!(
                r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e"#,
                r#"94fb4fc21fe77e8310c060f61caaff8a","size":2,"annotations":{"a":"","b":"\u003c\u0026\u003e\u2028é"},"#,
                r#""data":"e30=","artifactType":"x/y"}"#
            )
        );
    }

    #[test]
    fn reads_nulls_and_ignores_unknown_fields() {
        let text = r#"{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "size":2,"annotations":null,"urls":null,"data":null,"platform":null,"x":[1]}"#;
        let descriptor: Descriptor = serde_json::from_str(text).unwrap();
        assert_eq!(descriptor, Descriptor::of(MediaType::new("a/b"), b"{}"));
    }

    #[test]
    fn verifies_embedded_content() {
        let mut descriptor = Descriptor::empty_json();
        assert_eq!(descriptor.embedded().unwrap(), "{}");
        descriptor.data = Some(Bytes::from_static(b"[]"));
        assert_eq!(descriptor.embedded(), None);
    }

    #[test]
    fn rejects_negative_and_huge_sizes() {
        for size in ["-1", "1.5", "18446744073709551616", "\"2\""] {
            let text = format!(r#"{{"mediaType":"a/b","digest":"blake3:aa","size":{size}}}"#);
            assert!(serde_json::from_str::<Descriptor>(&text).is_err(), "{size}");
        }
    }
}
