//! Keeps `index.json` up to date while tags and manifests are written.

use std::sync::PoisonError;
use std::time::Duration;

use object_store::PutMode;
use oras_spec::annotation::REF_NAME;
use oras_spec::{Descriptor, Digest, ImageIndex};
use oras_store::Result;

use crate::Bucket;
use crate::errors::{failed, lost_race};

/// Attempts to replace the index while other writers replace it, too. After them the whole index is written again.
const MAX_ATTEMPTS: u32 = 32;

/// The largest index that is updated. It has about 250,000 entries.
const MAX_INDEX_SIZE: u64 = 64 << 20;

/// A change of `index.json`.
#[derive(Clone, Debug)]
pub(crate) enum IndexChange {
    /// Lists a manifest, unless the index lists it.
    List(Descriptor),
    /// Lists a manifest with a tag, which no other entry has afterwards.
    Tag(Descriptor, String),
    /// Removes a tag. The manifest stays in the index.
    Untag(String),
    /// Removes all entries of a digest.
    Remove(Digest),
}

impl Bucket {
    /// Notes a change for the next call of [`Bucket::update_index`].
    pub(crate) fn note_change(&self, change: IndexChange) {
        if self.options().keep_index {
            self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
        }
    }

    fn take_changes(&self) -> Vec<IndexChange> {
        std::mem::take(&mut *self.inner.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes the noted changes to `index.json`.
    pub(crate) async fn update_index(&self) -> Result<()> {
        let changes = self.take_changes();
        if changes.is_empty() {
            return Ok(());
        }
        let key = self.keys().index();
        for attempt in 0..MAX_ATTEMPTS {
            let Some((bytes, version)) = self.read(&key, MAX_INDEX_SIZE).await? else { break };
            // An index that cannot be parsed is replaced by a new one.
            let Ok(mut index) = serde_json::from_slice::<ImageIndex>(&bytes) else { break };
            changes.iter().for_each(|change| apply(&mut index.manifests, change));
            let mode =
                if self.options().single_writer { PutMode::Overwrite } else { PutMode::Update(version) };
            match self.store().put_opts(&key, index.to_bytes().into(), mode.into()).await {
                Ok(_) => return Ok(()),
                Err(error) if lost_race(&error) => {
                    tokio::time::sleep(Duration::from_millis(u64::from(attempt.min(10)) * 5)).await;
                }
                Err(error) => return Err(failed("write", &key, error)),
            }
        }
        self.write_index().await
    }
}

fn apply(entries: &mut Vec<Descriptor>, change: &IndexChange) {
    match change {
        IndexChange::List(node) => {
            if entries.iter().all(|entry| entry.digest != node.digest) {
                entries.push(node.plain());
            }
        }
        IndexChange::Tag(node, tag) => {
            untag(entries, tag);
            // The tag takes the place of an entry without a tag.
            entries.retain(|entry| entry.digest != node.digest || entry.annotations.contains_key(REF_NAME));
            let mut entry = node.plain();
            entry.annotations.insert(REF_NAME.to_owned(), tag.clone());
            entries.push(entry);
        }
        IndexChange::Untag(tag) => untag(entries, tag),
        IndexChange::Remove(digest) => entries.retain(|entry| entry.digest != *digest),
    }
}

fn untag(entries: &mut Vec<Descriptor>, tag: &str) {
    let is_tagged = |entry: &Descriptor| entry.annotations.get(REF_NAME).is_some_and(|name| name == tag);
    let Some(position) = entries.iter().position(is_tagged) else { return };
    let mut entry = entries.remove(position);
    if entries.iter().all(|other| other.digest != entry.digest) {
        entry.annotations.remove(REF_NAME);
        entries.insert(position, entry);
    }
}

#[cfg(test)]
mod tests {
    use oras_spec::MediaType;

    use super::*;

    fn node(name: &str) -> Descriptor {
        Descriptor::of(MediaType::IMAGE_MANIFEST, name.as_bytes())
    }

    fn after(changes: &[IndexChange]) -> Vec<(Digest, Option<String>)> {
        let mut entries = Vec::new();
        changes.iter().for_each(|change| apply(&mut entries, change));
        entries.into_iter().map(|mut entry| (entry.digest, entry.annotations.remove(REF_NAME))).collect()
    }

    #[test]
    fn each_tag_has_one_entry_and_each_manifest_at_least_one() {
        let (one, two) = (node("one"), node("two"));
        let tag = |node: &Descriptor, tag: &str| IndexChange::Tag(node.clone(), tag.into());
        let entry = |node: &Descriptor, tag: Option<&str>| (node.digest.clone(), tag.map(str::to_owned));

        let listed = [IndexChange::List(one.clone()), IndexChange::List(one.clone()), tag(&one, "v1")];
        assert_eq!(after(&listed), [entry(&one, Some("v1"))]);
        let moved = [tag(&one, "v1"), tag(&one, "v1"), tag(&two, "v1")];
        assert_eq!(after(&moved), [entry(&one, None), entry(&two, Some("v1"))]);
        let two_tags = [tag(&one, "v1"), tag(&one, "v2"), IndexChange::Untag("v1".into())];
        assert_eq!(after(&two_tags), [entry(&one, Some("v2"))]);
        let untagged = [tag(&one, "v1"), IndexChange::Untag("v1".into()), IndexChange::Untag("v1".into())];
        assert_eq!(after(&untagged), [entry(&one, None)]);
        let removed = [tag(&one, "v1"), tag(&one, "v2"), IndexChange::Remove(one.digest.clone())];
        assert_eq!(after(&removed), []);
    }
}
