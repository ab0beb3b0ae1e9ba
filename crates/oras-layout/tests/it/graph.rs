//! Layouts with many manifests, which are read once and listed in order.

use std::sync::Arc;

use oras_layout::Layout;
use oras_spec::{ImageManifest, MediaType};
use oras_store::{Content, PushMode, ReadStore, Target};

use crate::blob_path;

#[tokio::test]
async fn lists_referrers_in_index_order_without_missing_ones() {
    const COUNT: usize = 700;
    let place = tempfile::tempdir().unwrap();
    let layout = Arc::new(Layout::open_or_create(place.path()).await.unwrap());
    let config = Content::of(MediaType::EMPTY_JSON, "{}");
    layout.push(&config, PushMode::Untagged).await.unwrap();
    let subject = ImageManifest::new(config.descriptor().clone(), Vec::new());
    let subject = Content::of(MediaType::IMAGE_MANIFEST, subject.to_bytes());
    layout.push(&subject, PushMode::Untagged).await.unwrap();
    let mut referrers = Vec::new();
    for number in 0..COUNT {
        let mut manifest = ImageManifest::new(config.descriptor().clone(), Vec::new());
        manifest.subject = Some(subject.descriptor().clone());
        manifest.annotations.insert("number".to_owned(), number.to_string());
        let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
        layout.push(&manifest, PushMode::Deferred).await.unwrap();
        referrers.push(manifest.descriptor().digest.clone());
    }
    layout.sync().await.unwrap();
    // One manifest is missing, and another does not match its digest.
    let (gone, damaged) = (referrers.remove(600), referrers.remove(5));
    std::fs::remove_file(blob_path(place.path(), &gone)).unwrap();
    let path = blob_path(place.path(), &damaged);
    let other = std::fs::read(blob_path(place.path(), &referrers[0])).unwrap();
    oras_fs::replace(&path, &other, 0o444).unwrap();

    let layout = Layout::open(place.path()).await.unwrap();
    let found = layout.predecessors(subject.descriptor(), None).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|referrer| referrer.digest).collect();
    assert_eq!(found, referrers);
}
