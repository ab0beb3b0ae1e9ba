//! Buckets behave like every store.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod bucket;
mod counting_store;
mod requests;
#[cfg(feature = "cloud")]
mod s3;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use oras_bucket::{Bucket, BucketOptions};
use oras_testkit::suite::{self, Abilities};

/// Options with parts so small that the blobs of the suite have several.
fn small_parts() -> BucketOptions {
    BucketOptions::new().part_size(100_000)
}

/// Returns empty repositories in one object store.
fn repositories(store: Arc<dyn ObjectStore>, options: BucketOptions) -> impl Fn() -> Bucket {
    let next = AtomicUsize::new(0);
    move || {
        let prefix = format!("mirror/app{}", next.fetch_add(1, Ordering::Relaxed));
        Bucket::with_options(Arc::clone(&store), &prefix, options.clone())
    }
}

async fn run_suite(store: Arc<dyn ObjectStore>, options: BucketOptions) {
    let fresh = repositories(store, options);
    suite::run(Abilities::ALL, async || Arc::new(fresh()) as _).await;
    suite::run_ingest(async || Arc::new(fresh()) as _).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_behaves_like_a_store() {
    run_suite(Arc::new(InMemory::new()), BucketOptions::new()).await;
    run_suite(Arc::new(InMemory::new()), small_parts()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_behaves_like_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let files = LocalFileSystem::new_with_prefix(directory.path()).unwrap();
    // A file system has no compare-and-swap.
    run_suite(Arc::new(files), small_parts().single_writer(true)).await;
}
