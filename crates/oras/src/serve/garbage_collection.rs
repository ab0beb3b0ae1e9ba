//! Maintenance of layouts: removes the files of killed processes and, if configured, garbage.

use std::time::Duration;

use oras_layout::{CollectedGarbage, GarbageOptions, Layout};
use oras_serve::DigestsInUse;

/// When a server removes blobs that no manifest needs. It is a field of [`ServeOptions`](crate::ServeOptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GarbageCollection {
    /// The time between two runs.
    pub interval: Duration,
    /// Content that was written or requested within this time stays: a client may be about to push the manifest that
    /// needs it.
    pub delay: Duration,
    /// Also removes manifests that no tag reaches, unless they refer to a manifest that stays.
    pub untagged: bool,
}

impl GarbageCollection {
    /// Returns the options to remove blobs that no manifest needs, but no manifests.
    pub fn new(interval: Duration, delay: Duration) -> Self {
        Self { interval, delay, untagged: false }
    }

    oras_store::setters! {
        untagged: bool;
    }
}

/// The target of the log events of maintenance.
pub(super) const LOG_TARGET: &str = "oras_serve::maintenance";

/// Maintains a layout. Errors are logged; the next run retries.
pub(super) async fn maintain(
    name: &str,
    layout: &Layout,
    collection: Option<GarbageCollection>,
    in_use: &DigestsInUse,
) {
    // Files of killed processes are useless in any case, so their deletion needs no option.
    let Some(GarbageCollection { delay, untagged, .. }) = collection else {
        return layout.delete_stale_files().await;
    };
    // Evaluated for each blob, so that content of requests that begin during the run also stays.
    let in_use = in_use.clone();
    let garbage =
        GarbageOptions::after(delay).untagged(untagged).is_needed(move |digest| in_use.contains(digest));
    match layout.collect_garbage(garbage).await {
        // Most runs find no garbage, so they are not logged.
        Ok(CollectedGarbage { blobs: 0, manifests: 0, .. }) => {}
        Ok(CollectedGarbage { blobs, bytes, manifests, .. }) => {
            tracing::info!(target: LOG_TARGET, repository = name, blobs, bytes, manifests, "garbage was removed");
        }
        Err(error) => {
            tracing::warn!(target: LOG_TARGET, repository = name, error = error.chain(), "garbage was not removed");
        }
    }
}
