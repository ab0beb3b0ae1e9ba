//! Reads the entries of an `index.json` that is truncated or damaged.

use oras_spec::Descriptor;

/// Returns the entries before the damage, each with its tag in the annotations.
pub(super) fn salvaged_entries(text: &[u8]) -> Vec<Descriptor> {
    const KEY: &[u8] = b"\"manifests\"";
    let Some(key) = text.windows(KEY.len()).position(|part| part == KEY) else { return Vec::new() };
    let rest = &text[key + KEY.len()..];
    let Some(start) = rest.iter().position(|byte| *byte == b'[') else { return Vec::new() };
    let mut rest = &rest[start + 1..];
    let mut entries = Vec::new();
    loop {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<Descriptor>();
        // The end of the list is no descriptor either, so it ends the loop, too.
        let Some(Ok(entry)) = values.next() else { return entries };
        entries.push(entry);
        rest = rest[values.byte_offset()..].trim_ascii_start();
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
}

#[cfg(test)]
mod tests {
    use oras_spec::{MediaType, annotation};

    use super::*;
    use crate::index::{Index, IndexChange};

    #[test]
    fn reads_entries_before_the_damage() {
        let mut index = Index::default();
        for tag in ["v1", "v2", "v3"] {
            let node = Descriptor::of(MediaType::IMAGE_MANIFEST, tag.as_bytes());
            index.apply(&IndexChange::Tag(node, tag.to_owned()));
        }
        let text = index.to_bytes();
        let tags = |text: &[u8]| {
            let entries = salvaged_entries(text);
            entries.iter().map(|entry| entry.annotations[annotation::REF_NAME].clone()).collect::<Vec<_>>()
        };
        assert_eq!(tags(&text), ["v1", "v2", "v3"]);
        for end in 0..text.len() {
            let found = tags(&text[..end]);
            assert!(
                ["v1", "v2", "v3"].starts_with(&found.iter().map(String::as_str).collect::<Vec<_>>()),
                "{end}"
            );
        }
        assert_eq!(tags(&text[..text.len() - 10]), ["v1", "v2"]);
        for damaged in [&b""[..], b"{}", b"\"manifests\"", b"{\"manifests\":[", b"{\"manifests\":[1]}"] {
            assert!(tags(damaged).is_empty());
        }
    }
}
