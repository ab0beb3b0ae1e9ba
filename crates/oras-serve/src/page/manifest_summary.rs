//! What the table of tags shows of a manifest, and a cache of it.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use oras_spec::{Descriptor, Digest, Manifest, View, annotation};
use oras_store::{Content, ReadStore, Source};
use parking_lot::Mutex;
use serde::Deserialize;

use super::overview::Overview;

/// The maximum size of a manifest that is read for the table.
pub(super) const MAX_MANIFEST: u64 = 1 << 20;
/// The maximum size of a config of an image that is read for its creation time.
const MAX_CONFIG: u64 = 256 << 10;

/// What the table of tags shows of a manifest.
pub(crate) struct ManifestSummary {
    /// A common name, or the artifact type.
    pub(super) description: String,
    /// The size of the config and the layers together; `None` for an index.
    pub(super) size: Option<u64>,
    pub(super) created: Option<Timestamp>,
}

impl ManifestSummary {
    /// Reads the manifest `node`, and the config of an image for its creation time. If reads may cause requests to
    /// another registry, reads only the manifest. Returns `None` if the manifest can't be read.
    pub(super) async fn read(store: &Arc<dyn ReadStore>, node: Descriptor, is_remote: bool) -> Option<Self> {
        let manifest = content(store, node).manifest(MAX_MANIFEST).await.ok()?;
        let Overview { description, size, .. } = Overview::of(&manifest);
        let mut created = created_annotation(&manifest);
        if created.is_none() && !is_remote {
            created = created_of_image(store, &manifest).await;
        }
        Some(Self { description, size, created })
    }
}

fn content(store: &Arc<dyn ReadStore>, node: Descriptor) -> Content {
    Content::from_source(Arc::clone(store) as Arc<dyn Source>, node)
}

fn created_annotation(manifest: &Manifest) -> Option<Timestamp> {
    time(manifest.annotations().get(annotation::CREATED)?)
}

/// Parses a time. Tools for reproducible builds write the Unix epoch or the year 1 instead of a creation time.
fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}

/// Returns the creation time of an image, or of the first image that an index lists.
async fn created_of_image(store: &Arc<dyn ReadStore>, manifest: &Manifest) -> Option<Timestamp> {
    let View::Index(index) = manifest.view() else { return created_of_config(store, manifest).await };
    let is_attestation =
        |node: &Descriptor| node.annotations.contains_key(annotation::DOCKER_REFERENCE_DIGEST);
    let is_read = |node: &&Descriptor| {
        node.media_type.is_manifest() && node.size <= MAX_MANIFEST && !is_attestation(node)
    };
    let first = index.manifests.iter().find(is_read)?.clone();
    let first = content(store, first).manifest(MAX_MANIFEST).await.ok()?;
    match created_annotation(&first) {
        Some(created) => Some(created),
        None => created_of_config(store, &first).await,
    }
}

async fn created_of_config(store: &Arc<dyn ReadStore>, image: &Manifest) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Config {
        created: String,
    }

    let config = image.config()?;
    if !config.media_type.is_image_config() || config.size > MAX_CONFIG {
        return None;
    }
    let bytes = content(store, config.clone()).bytes(MAX_CONFIG).await.ok()?;
    time(&serde_json::from_slice::<Config>(&bytes).ok()?.created)
}

/// The number of summaries of one generation. Two of them with texts of the maximum length need about 12 MiB.
const MAX_RECENT: usize = 16_384;

/// The summaries of the manifests that were shown or sorted last, by digest. A digest names the same content in every
/// repository. The callers look up only manifests that the visitor's repository has.
#[derive(Default)]
pub(crate) struct SummaryCache(Mutex<Generations>);

/// When `recent` is full, it replaces `older`, so an unused summary is dropped after at most two generations.
#[derive(Default)]
struct Generations {
    recent: HashMap<Digest, Arc<ManifestSummary>>,
    older: HashMap<Digest, Arc<ManifestSummary>>,
}

impl SummaryCache {
    /// Returns the summary of a manifest if it is cached.
    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<ManifestSummary>> {
        let mut generations = self.0.lock();
        if let Some(found) = generations.recent.get(digest) {
            return Some(Arc::clone(found));
        }
        let found = generations.older.remove(digest)?;
        generations.add(digest.clone(), Arc::clone(&found), MAX_RECENT);
        Some(found)
    }

    /// Adds the summary of a manifest.
    pub(super) fn add(&self, digest: Digest, summary: Arc<ManifestSummary>) {
        self.0.lock().add(digest, summary, MAX_RECENT);
    }
}

impl Generations {
    fn add(&mut self, digest: Digest, summary: Arc<ManifestSummary>, limit: usize) {
        if self.recent.len() >= limit {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(digest, summary);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignores_times_of_reproducible_builds() {
        for text in ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "yesterday", ""] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(time("2026-11-28T20:15:03.5+01:00").unwrap().to_string(), "2026-11-28T19:15:03.5Z");
    }

    #[test]
    fn cache_keeps_used_summaries_and_is_bounded() {
        let summary = || Arc::new(ManifestSummary { description: String::new(), size: None, created: None });
        let digest = |number: usize| Digest::sha256(&number.to_le_bytes());
        let cache = SummaryCache::default();
        cache.add(digest(0), summary());
        for number in 1..5 * MAX_RECENT {
            cache.add(digest(number), summary());
            if number % 1000 == 0 {
                assert!(cache.get(&digest(0)).is_some(), "{number}");
            }
        }
        assert!(cache.get(&digest(1)).is_none());
        let generations = cache.0.lock();
        assert!(generations.recent.len() <= MAX_RECENT && generations.older.len() <= MAX_RECENT);
    }
}
