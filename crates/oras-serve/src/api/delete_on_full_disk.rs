//! Deletion that also works on a full disk.

use oras_store::{DeleteTarget, Result, Store};

use super::error::is_storage_full;
use crate::stores::Stores;

/// Deletes from a repository. A delete writes a new index. If the disk is full, the function releases the space that
/// `stores` reserved and retries.
pub(super) async fn delete(stores: &dyn Stores, store: &dyn Store, target: DeleteTarget<'_>) -> Result<()> {
    let deleted = store.delete(target).await;
    if !deleted.as_ref().is_err_and(is_storage_full) || !stores.release_reserve() {
        return deleted;
    }
    let deleted = store.delete(target).await;
    // The reserve was released for the retry, so it is refilled even if the retry failed.
    stores.refill_reserve().await;
    deleted
}
