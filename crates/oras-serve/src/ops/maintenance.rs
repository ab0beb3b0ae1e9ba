//! The schedule of maintenance: garbage collection and the deletion of stale files.

use crate::registry::Registry;

/// Runs the maintenance of the stores at intervals, forever.
pub(crate) async fn run(registry: &Registry) {
    loop {
        tokio::time::sleep(registry.options.maintenance).await;
        // A read-only server must not change any file, so it does not collect garbage either.
        if !registry.options.read_only {
            registry.stores.maintain(&registry.digests_in_use).await;
        }
    }
}
