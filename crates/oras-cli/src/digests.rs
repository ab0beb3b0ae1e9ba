//! The digests of files that were hashed before, one cache for a whole command.

use std::sync::{Arc, LazyLock};

use oras::store::DigestCache;

use crate::env;

/// The cache; nothing is read before it is asked.
pub(crate) fn cache() -> Arc<DigestCache> {
    static CACHE: LazyLock<Arc<DigestCache>> =
        LazyLock::new(|| Arc::new(env::digest_cache().map_or_else(DigestCache::new, DigestCache::at)));
    Arc::clone(&CACHE)
}
