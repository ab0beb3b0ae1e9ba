//! Removes many tags from an index in one pass.

use std::collections::HashSet;

use oras_spec::{annotation, json};
use oras_store::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::index::{Index, IndexChange};

/// Up to this number, tags are removed one by one. Each removal takes time in proportion to the entries of the index.
const FEW: usize = 8;

/// Removes tags from an index, and returns their number. A manifest that loses its last tag keeps an untagged entry.
/// Unknown tags are ignored.
///
/// # Errors
/// `InvalidContent` if the index cannot be encoded and decoded again.
pub(super) fn remove_tags(index: &mut Index, tags: &[String]) -> Result<u64> {
    if tags.len() <= FEW {
        let removed = tags.iter().filter(|tag| index.apply(&IndexChange::Untag((*tag).clone())));
        return Ok(removed.count() as u64);
    }
    let tags: HashSet<&str> = tags.iter().map(String::as_str).collect();
    let invalid = |error| Error::new(ErrorKind::InvalidContent, "invalid index.json").with_source(error);
    let mut document: Value = serde_json::from_slice(&index.to_bytes()).map_err(invalid)?;
    let Some(Value::Array(entries)) = document.get_mut("manifests") else { return Ok(0) };
    let mut removed = HashSet::new();
    for entry in entries.iter_mut() {
        let Some(Value::Object(annotations)) = entry.get_mut("annotations") else { continue };
        let tag = annotations.get(annotation::REF_NAME).and_then(Value::as_str);
        let Some(tag) = tag.filter(|tag| tags.contains(tag)).map(ToOwned::to_owned) else { continue };
        annotations.shift_remove(annotation::REF_NAME);
        if annotations.is_empty()
            && let Value::Object(fields) = entry
        {
            fields.shift_remove("annotations");
        }
        removed.insert(tag);
    }
    drop_redundant(entries);
    *index = Index::parse(json::to_vec(&document))?;
    Ok(removed.len() as u64)
}

/// Removes each untagged entry whose digest has another entry, and moves tagged entries to the front.
fn drop_redundant(entries: &mut Vec<Value>) {
    let is_tagged = |entry: &Value| {
        entry["annotations"][annotation::REF_NAME].as_str().is_some_and(|tag| !tag.is_empty())
    };
    let digest = |entry: &Value| entry["digest"].as_str().unwrap_or_default().to_owned();
    let mut listed: HashSet<String> = entries.iter().filter(|entry| is_tagged(entry)).map(digest).collect();
    entries.retain(|entry| is_tagged(entry) || listed.insert(digest(entry)));
    // The sort is stable, so that entries keep their order.
    entries.sort_by_key(|entry| !is_tagged(entry));
}

#[cfg(test)]
mod tests {
    use oras_spec::{Descriptor, MediaType};

    use super::*;

    #[test]
    fn many_tags_are_removed_as_one_by_one() {
        let mut index = Index::default();
        for number in 0..40 {
            // Some manifests have several tags.
            let node = Descriptor::of(MediaType::IMAGE_MANIFEST, format!("{}", number % 15).as_bytes());
            index.apply(&IndexChange::Tag(node, format!("t{number}")));
        }
        index.apply(&IndexChange::List(Descriptor::of(MediaType::IMAGE_MANIFEST, b"untagged")));
        let tags: Vec<_> = (5..38).chain([99]).map(|number| format!("t{number}")).collect();
        let mut one_by_one = index.clone();
        let count: u64 = tags.chunks(1).map(|tag| remove_tags(&mut one_by_one, tag).unwrap()).sum();
        assert_eq!(remove_tags(&mut index, &tags).unwrap(), count);
        assert_eq!(count, 33);
        let sorted = |index: &Index| {
            let mut entries: Vec<_> = index.descriptors().map(|entry| json::to_vec(&entry)).collect();
            entries.sort();
            entries
        };
        assert_eq!(sorted(&index), sorted(&one_by_one));
        assert_eq!(index.tags(), one_by_one.tags());
    }
}
