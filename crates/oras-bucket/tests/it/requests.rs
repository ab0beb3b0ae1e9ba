//! The number of requests, and stores that ignore the conditions of puts.

use std::sync::Arc;

use object_store::memory::InMemory;
use oras_bucket::{Bucket, BucketOptions};
use oras_store::{ErrorKind, PushMode, Pushed, Target};
use oras_testkit::nodes::{blob, bytes, empty, manifest, referrer};

use crate::counting_store::CountingStore;

#[tokio::test]
async fn pushes_with_few_requests() {
    let store = Arc::new(CountingStore::new(Arc::new(InMemory::new())));
    let bucket = Bucket::new(Arc::clone(&store) as _, "app");
    bucket.push(&empty(), PushMode::Untagged).await.unwrap();
    assert_eq!(store.take(), 3, "the marker, the check that puts are conditional, and the blob");

    let (small, large) = (blob(bytes(1000)), blob(bytes(100_000)));
    for (content, new, again) in [(&small, 1, 2), (&large, 2, 1)] {
        assert_eq!(bucket.push(content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert_eq!(store.take(), new);
        assert_eq!(bucket.push(content, PushMode::Untagged).await.unwrap(), Pushed::Existed);
        assert_eq!(store.take(), again);
    }

    let image = manifest("image", &[&small]);
    bucket.push(&image, PushMode::Untagged).await.unwrap();
    assert_eq!(store.take(), 2, "bytes and record");
    bucket.push(&manifest("tagged", &[&small]), PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(store.take(), 3, "bytes, record and tag");
    bucket.push(&referrer("signature", "test/signature", &image), PushMode::Untagged).await.unwrap();
    assert_eq!(store.take(), 3, "bytes, entry of the subject and record");
    bucket.resolve("v1").await.unwrap();
    assert_eq!(store.take(), 1);
    bucket.resolve(&image.descriptor().digest.to_string()).await.unwrap();
    assert_eq!(store.take(), 1);
}

#[tokio::test]
async fn refuses_store_that_ignores_conditions() {
    let store = Arc::new(CountingStore::ignoring_conditions(Arc::new(InMemory::new())));
    let bucket = Bucket::new(Arc::clone(&store) as _, "app");
    assert_eq!(bucket.probe().await.unwrap_err().kind(), ErrorKind::Unsupported);
    let error = bucket.push(&empty(), PushMode::Untagged).await.unwrap_err();
    assert!(error.to_string().contains("ignores conditional puts"), "{error}");

    let options = BucketOptions::new().single_writer(true);
    let bucket = Bucket::with_options(store, "app", options);
    let abilities = bucket.probe().await.unwrap();
    assert!(!abilities.create_only && !abilities.compare_and_swap && abilities.strong_listing);
    bucket.push(&empty(), PushMode::Untagged).await.unwrap();
    bucket.push(&manifest("image", &[]), PushMode::Tagged("v1")).await.unwrap();
    bucket.push(&manifest("other", &[]), PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(bucket.tags().await.unwrap(), ["v1"]);
}
