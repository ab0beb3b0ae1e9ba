//! The index of a subject's referrers in the tag schema: its tag, entries and encoding.

use std::collections::HashSet;

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, ImageIndex, ManifestError, MediaType, json};
use oras_store::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// Returns the tag of a subject's index: algorithm and hash, each truncated to what a tag can hold.
pub(crate) fn tag_of(subject: &Digest) -> String {
    // A tag has at most 128 characters of this alphabet (distribution-spec, "Referrers Tag Schema").
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let algorithm = subject.algorithm_name().chars().take(32);
    let encoded = subject.encoded();
    algorithm.chain(['-']).chain(encoded.chars().take(64)).map(allowed).collect()
}

/// Returns the referrers that an index lists, without the entries that [`IndexDocument::clean`] drops. Parses
/// entries one by one, so that a long list is in memory only once.
pub(crate) fn referrers_in(bytes: &[u8]) -> Result<Vec<Descriptor>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Listed {
        media_type: Option<MediaType>,
        manifests: Option<Vec<Entry>>,
    }
    struct Entry(Option<Descriptor>);
    impl<'de> Deserialize<'de> for Entry {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            // Entries without a digest are skipped; any other malformed entry is an error.
            let entry = Value::deserialize(deserializer)?;
            let descriptor = digest_of(&entry).map(|_| serde_json::from_value(entry)).transpose();
            descriptor.map(Self).map_err(serde::de::Error::custom)
        }
    }
    json::check_strict(bytes).map_err(malformed)?;
    let listed: Listed = serde_json::from_slice(bytes).map_err(malformed)?;
    if let Some(found) =
        listed.media_type.filter(|found| !["", MediaType::IMAGE_INDEX.as_str()].contains(&found.as_str()))
    {
        let error = ManifestError::MediaType { expected: MediaType::IMAGE_INDEX, found };
        return Err(error.into());
    }
    let mut seen = HashSet::new();
    let entries = listed.manifests.unwrap_or_default().into_iter().filter_map(|entry| entry.0);
    Ok(entries.filter(|referrer| seen.insert(referrer.digest.clone())).collect())
}

fn malformed(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::InvalidContent, "malformed index of referrers").with_source(error)
}

/// An index of referrers that keeps unknown fields.
pub(crate) struct IndexDocument(Value);

impl Default for IndexDocument {
    fn default() -> Self {
        Self(serde_json::to_value(ImageIndex::new(Vec::new())).unwrap_or_else(|_| json!({})))
    }
}

impl IndexDocument {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        json::check_strict(bytes).map_err(malformed)?;
        let mut index = Self(serde_json::from_slice(bytes).map_err(malformed)?);
        index.clean();
        Ok(index)
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        json::to_vec(&self.0).into()
    }

    fn entries(&mut self) -> Option<&mut Vec<Value>> {
        let index = self.0.as_object_mut()?;
        let entries = index.entry("manifests").or_insert_with(|| json!([]));
        if entries.is_null() {
            *entries = json!([]);
        }
        entries.as_array_mut()
    }

    /// Drops entries without a digest, which old clients wrote, and duplicates.
    fn clean(&mut self) {
        let mut seen = HashSet::new();
        if let Some(entries) = self.entries() {
            entries.retain(|entry| digest_of(entry).is_some_and(|digest| seen.insert(digest)));
        }
    }

    /// Adds the missing entries; returns true if there were any.
    pub(crate) fn add_all<'a>(&mut self, referrers: impl IntoIterator<Item = &'a Descriptor>) -> bool {
        let Some(entries) = self.entries() else { return false };
        let before = entries.len();
        let mut known: HashSet<String> = entries.iter().filter_map(digest_of).collect();
        for referrer in referrers {
            if known.insert(referrer.digest.to_string())
                && let Ok(entry) = serde_json::to_value(referrer)
            {
                entries.push(entry);
            }
        }
        entries.len() > before
    }

    /// Removes an entry; returns true if it was present.
    pub(crate) fn remove(&mut self, referrer: &Digest) -> bool {
        let digest = referrer.to_string();
        let Some(entries) = self.entries() else { return false };
        let before = entries.len();
        // Compares the text of the digest, because an old entry need not parse as a descriptor.
        entries.retain(|entry| digest_of(entry).as_ref() != Some(&digest));
        entries.len() != before
    }
}

fn digest_of(entry: &Value) -> Option<String> {
    entry.get("digest")?.as_str().filter(|digest| !digest.is_empty()).map(ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_encodes_digest() {
        let hex = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (digest, tag) in [
            (format!("sha256:{hex}"), format!("sha256-{hex}")),
            (format!("sha512:{hex}{hex}"), format!("sha512-{hex}")),
            (format!("{}:a", "x".repeat(40)), format!("{}-a", "x".repeat(32))),
            ("sha256+b64u:a_b=".to_owned(), "sha256-b64u-a_b-".to_owned()),
        ] {
            let tag_found = tag_of(&digest.parse().unwrap());
            assert_eq!(tag_found, tag);
            assert!(oras_spec::reference::check_tag(&tag_found).is_ok());
        }
    }

    #[test]
    fn keeps_unknown_fields_when_adding() {
        let one = Descriptor::of(MediaType::new("a/b"), b"1");
        let text = format!(
            r#"{{"schemaVersion":2,"x":1,"manifests":[{{"mediaType":"","digest":"","size":0}},{{"digest":"{0}","y":2}},{{"digest":"{0}"}}]}}"#,
            one.digest
        );
        let mut index = IndexDocument::parse(text.as_bytes()).unwrap();
        assert!(!index.add_all([&one]));
        let two = Descriptor::of(MediaType::new("a/<b>"), b"22");
        assert!(index.add_all([&two]) && !index.add_all([&two]));
        let expected = format!(
            r#"{{"schemaVersion":2,"x":1,"manifests":[{{"digest":"{}","y":2}},{{"mediaType":"a/\u003cb\u003e","digest":"{}","size":2}}]}}"#,
            one.digest, two.digest
        );
        assert_eq!(index.to_bytes(), expected);
        assert!(index.remove(&one.digest) && !index.remove(&one.digest));
        assert!(IndexDocument::parse(br#"{"manifests":[],"manifests":[]}"#).is_err());
        assert!(IndexDocument::parse(br#"{"manifests":null}"#).unwrap().add_all([&one]));
    }

    #[test]
    fn encodes_new_index_like_go() {
        assert_eq!(
            IndexDocument::default().to_bytes(),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
