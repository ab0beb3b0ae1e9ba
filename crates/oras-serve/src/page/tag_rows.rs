//! Reads the tags of a repository, and sorts them by what their manifests say, with bounded work.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, future, stream};
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, version_order};
use oras_store::ReadStore;

use super::list_query::{Sort, SortKey};
use super::manifest_summary::{MAX_MANIFEST, ManifestSummary};
use crate::registry_state::RegistryState;

/// The maximum number of tags that are listed.
const MAX_TAGS: usize = 50_000;
/// The number of manifests that are read at the same time.
const CONCURRENCY: usize = 8;
/// How long a request reads manifests in order to sort by them, and the maximum number of bytes that it reads. The page
/// then says how many tags it sorted; the next request continues, because summaries are cached.
const SORT_TIME: Duration = Duration::from_millis(100);
const MAX_SORT_READ: u64 = 64 << 20;
/// The maximum total size of the manifests that are read for the shown rows.
const MAX_READ: u64 = 4 << 20;

/// The names of tags that match a search.
pub(super) struct TagNames {
    /// In the order of versions, highest first.
    pub(super) found: Vec<String>,
    /// The number of tags of the repository, or of those that were read.
    pub(super) total: usize,
    /// Whether the repository has more tags than are listed.
    pub(super) is_cut: bool,
}

impl TagNames {
    /// Lists the tags that contain `search`.
    pub(super) async fn list(store: &dyn ReadStore, search: &str) -> oras_store::Result<Self> {
        let tags = store.tags_after(None).try_filter(|tag| future::ready(check_tag(tag).is_ok()));
        let mut tags: Vec<String> = tags.take(MAX_TAGS + 1).try_collect().await?;
        let is_cut = tags.len() > MAX_TAGS;
        tags.truncate(MAX_TAGS);
        let total = tags.len();
        tags.retain(|tag| tag.contains(search));
        tags.sort_unstable_by(|a, b| version_order::compare(b, a));
        Ok(Self { found: tags, total, is_cut })
    }
}

/// A tag, with its manifest if it could be read.
pub(super) struct TagRow {
    pub(super) tag: String,
    pub(super) node: Option<Descriptor>,
    pub(super) summary: Option<Arc<ManifestSummary>>,
}

impl TagRow {
    /// Compares two rows by a column. Rows without a value come last in both directions.
    fn compare(&self, other: &Self, sort: Sort) -> Ordering {
        let value = |row: &Self| {
            let summary = row.summary.as_ref()?;
            match sort.key {
                SortKey::Tag => None,
                SortKey::Created => summary.created.map(|time| time.as_nanosecond()),
                SortKey::Size => summary.size.map(i128::from),
            }
        };
        match (value(self), value(other)) {
            (Some(a), Some(b)) if sort.is_ascending => a.cmp(&b),
            (a, b) => b.cmp(&a),
        }
    }
}

/// Reads the manifests of tags.
pub(super) struct TagReader {
    pub(super) store: Arc<dyn ReadStore>,
    pub(super) registry: Arc<RegistryState>,
}

/// The rows in the requested order.
pub(super) struct SortedRows {
    pub(super) rows: Vec<TagRow>,
    /// The number of rows whose manifests were not read in time. They come last.
    pub(super) unread: usize,
}

impl TagReader {
    /// Sorts tags, which are in descending order of versions.
    pub(super) async fn sort(&self, tags: Vec<String>, sort: Sort) -> oras_store::Result<SortedRows> {
        if sort.key == SortKey::Tag {
            let row = |tag| TagRow { tag, node: None, summary: None };
            let mut rows: Vec<_> = tags.into_iter().map(row).collect();
            if sort.is_ascending {
                rows.reverse();
            }
            return Ok(SortedRows { rows, unread: 0 });
        }
        let mut nodes: HashMap<_, _> = self.store.tagged_nodes().take(MAX_TAGS).try_collect().await?;
        let row = |tag: String| {
            let node = nodes.remove(&tag);
            let summary = node.as_ref().and_then(|node| self.registry.manifest_summaries.get(&node.digest));
            TagRow { tag, node, summary }
        };
        let mut rows: Vec<_> = tags.into_iter().map(row).collect();
        let unread = self.read_in_time(&mut rows).await;
        // A stable sort: tags with equal values stay in the order of versions.
        rows.sort_by(|a, b| a.compare(b, sort));
        Ok(SortedRows { rows, unread })
    }

    /// Reads the manifests of rows until the limits are reached. Returns the number of the remaining rows.
    async fn read_in_time(&self, rows: &mut [TagRow]) -> usize {
        let limit =
            ReadLimit { until: Some(Instant::now() + SORT_TIME), bytes: AtomicU64::new(MAX_SORT_READ) };
        let missing = rows.iter().enumerate().filter(|(_, row)| row.summary.is_none());
        let missing = missing.filter_map(|(at, row)| Some((at, row.node.clone()?))).collect::<Vec<_>>();
        let mut left = missing.len();
        let reads = stream::iter(missing)
            .map(async |(at, node)| (at, self.summary(&node, &limit).await))
            .buffered(CONCURRENCY);
        let mut reads = std::pin::pin!(reads);
        while !limit.is_reached()
            && let Some((at, summary)) = reads.next().await
        {
            rows[at].summary = summary;
            left -= 1;
        }
        left
    }

    /// Reads the manifests of the shown rows that were not read yet.
    pub(super) async fn complete(&self, rows: Vec<TagRow>) -> Vec<TagRow> {
        let limit = ReadLimit { until: None, bytes: AtomicU64::new(MAX_READ) };
        let rows = stream::iter(rows).map(async |mut row: TagRow| {
            if row.node.is_none() {
                // A tag that was deleted after the listing, or that names an unreadable manifest, is still listed.
                row.node = self.store.resolve(&row.tag).await.ok();
            }
            if let (None, Some(node)) = (&row.summary, &row.node) {
                row.summary = self.summary(node, &limit).await;
            }
            row
        });
        rows.buffered(CONCURRENCY).collect().await
    }

    async fn summary(&self, node: &Descriptor, limit: &ReadLimit) -> Option<Arc<ManifestSummary>> {
        let cache = &self.registry.manifest_summaries;
        if let Some(found) = cache.get(&node.digest) {
            return Some(found);
        }
        if !node.media_type.is_manifest() || node.size > MAX_MANIFEST || !limit.allows(node.size) {
            return None;
        }
        let is_remote = self.registry.stores.is_remote();
        let summary = Arc::new(ManifestSummary::read(&self.store, node.clone(), is_remote).await?);
        cache.add(node.digest.clone(), Arc::clone(&summary));
        Some(summary)
    }
}

/// Limits how much a request reads.
struct ReadLimit {
    until: Option<Instant>,
    /// The number of bytes that may still be read.
    bytes: AtomicU64,
}

impl ReadLimit {
    fn is_reached(&self) -> bool {
        let is_late = self.until.is_some_and(|until| Instant::now() >= until);
        is_late || self.bytes.load(atomic::Ordering::Relaxed) < MAX_MANIFEST
    }

    /// Returns true if `size` more bytes may be read. They count before the read, so that failed reads also count.
    fn allows(&self, size: u64) -> bool {
        let order = atomic::Ordering::Relaxed;
        self.bytes.fetch_update(order, order, |left| left.checked_sub(size)).is_ok()
    }
}
