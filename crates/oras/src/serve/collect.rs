//! What a server does with its layouts now and then: it removes what killed processes left, and garbage if so told.

use std::sync::Arc;
use std::time::Duration;

use oras_layout::{Collected, Garbage, Layout};
use oras_serve::Needed;

/// How a server removes blobs that no manifest needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collection {
    /// How often.
    pub interval: Duration,
    /// What was written or asked for within this time stays: a client may be about to push the manifest that needs it.
    pub delay: Duration,
    /// Also removes manifests without a tag that nothing with a tag reaches and that don't refer to what stays.
    pub untagged: bool,
}

/// Beside the other events of a server.
pub(super) const TARGET: &str = "oras_serve::maintenance";

/// Puts a layout in order. What can't be done now is logged, and tried again the next time.
pub(super) async fn maintain(name: &str, layout: &Layout, collection: Option<Collection>, needed: &Needed) {
    let Some(Collection { delay, untagged, .. }) = collection else { return layout.sweep().await };
    let needed = needed.clone();
    let garbage = Garbage { delay, untagged, is_needed: Arc::new(move |digest| needed.contains(digest)) };
    match layout.collect(garbage).await {
        Ok(Collected { blobs: 0, manifests: 0, .. }) => {}
        Ok(Collected { blobs, bytes, manifests }) => {
            tracing::info!(target: TARGET, repository = name, blobs, bytes, manifests, "garbage was removed");
        }
        Err(error) => {
            tracing::warn!(target: TARGET, repository = name, error = error.chain(), "garbage was not removed");
        }
    }
}
