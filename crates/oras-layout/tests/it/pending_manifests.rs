//! Manifests that are stored together.

use std::sync::Arc;

use oras_layout::Layout;
use oras_spec::MediaType;
use oras_store::{Content, PushMode, Pushed, ReadStore, Source, Target};
use oras_testkit::nodes;

use crate::{blob_path, index_of, names};

struct Fresh {
    directory: tempfile::TempDir,
    layout: Layout,
}

async fn fresh() -> Fresh {
    let directory = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(directory.path().join("layout")).await.unwrap();
    layout.push(&nodes::empty(), PushMode::Untagged).await.unwrap();
    Fresh { directory, layout }
}

/// Returns the digests in `index.json`, in order.
fn listed(layout: &Layout) -> Vec<String> {
    let index = index_of(layout.path());
    let digest = |entry: &serde_json::Value| entry["digest"].as_str().unwrap().to_owned();
    index["manifests"].as_array().unwrap().iter().map(digest).collect()
}

fn digests(contents: &[&Content]) -> Vec<String> {
    contents.iter().map(|content| content.descriptor().digest.to_string()).collect()
}

#[tokio::test]
async fn lists_manifests_only_after_the_flush() {
    let Fresh { directory: _kept, layout } = fresh().await;
    let (a, b) = (nodes::manifest("a", &[]), nodes::manifest("b", &[]));
    for manifest in [&a, &b] {
        assert_eq!(layout.push(manifest, PushMode::Deferred).await.unwrap(), Pushed::Copied);
        assert!(layout.exists(manifest.descriptor()).await.unwrap());
    }
    assert_eq!(layout.push(&a, PushMode::Deferred).await.unwrap(), Pushed::Existed);
    assert_eq!(listed(&layout), digests(&[]));
    assert!(!blob_path(layout.path(), &a.descriptor().digest).exists());
    let other = Layout::open(layout.path()).await.unwrap();
    assert!(!other.exists(a.descriptor()).await.unwrap());

    layout.sync().await.unwrap();
    assert_eq!(listed(&layout), digests(&[&a, &b]));
    for manifest in [&a, &b] {
        assert!(other.exists(manifest.descriptor()).await.unwrap());
        let stored = std::fs::read(blob_path(layout.path(), &manifest.descriptor().digest)).unwrap();
        assert_eq!(&stored, manifest.in_memory().unwrap());
    }
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn stores_pending_manifests_with_a_tag_or_a_push() {
    let Fresh { directory: _kept, layout } = fresh().await;
    let (a, b, c) = (nodes::manifest("a", &[]), nodes::manifest("b", &[]), nodes::manifest("c", &[]));
    layout.push(&a, PushMode::Deferred).await.unwrap();
    layout.push(&b, PushMode::Untagged).await.unwrap();
    assert_eq!(listed(&layout), digests(&[&a, &b]));
    layout.push(&c, PushMode::Deferred).await.unwrap();
    layout.push(&c, PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(listed(&layout), digests(&[&c, &a, &b]));
}

#[tokio::test]
async fn finds_pending_manifests_through_the_same_handle() {
    let Fresh { directory: _kept, layout } = fresh().await;
    let subject = nodes::manifest("subject", &[]);
    let referrer = nodes::referrer("referrer", nodes::ARTIFACT_TYPE, &subject);
    layout.push(&subject, PushMode::Deferred).await.unwrap();
    let source: Arc<dyn Source> = Arc::new(layout.clone());
    let back = Content::from_source(source, subject.descriptor().clone()).bytes(4096).await.unwrap();
    assert_eq!(&back, subject.in_memory().unwrap());
    layout.push(&referrer, PushMode::Deferred).await.unwrap();
    let found = layout.predecessors(subject.descriptor(), None).await.unwrap();
    assert_eq!(found[0].digest, referrer.descriptor().digest);
}

#[tokio::test]
async fn stores_many_pending_bytes_early() {
    let Fresh { directory: _kept, layout } = fresh().await;
    let large = |number: u8| {
        let padding = number.to_string().repeat(1_500_000);
        let text = format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"padding":"{padding}"}}}}"#);
        Content::of(MediaType::IMAGE_INDEX, text)
    };
    for number in 0..3 {
        assert_eq!(listed(&layout).len(), 0);
        layout.push(&large(number), PushMode::Deferred).await.unwrap();
    }
    assert_eq!(listed(&layout).len(), 3);
}

#[tokio::test]
async fn keeps_pending_manifests_after_an_error() {
    let Fresh { directory, layout } = fresh().await;
    let manifest = nodes::manifest("a", &[]);
    layout.push(&manifest, PushMode::Deferred).await.unwrap();
    let aside = directory.path().join("aside");
    std::fs::rename(layout.path(), &aside).unwrap();
    std::fs::File::create(layout.path()).unwrap();
    layout.sync().await.unwrap_err();
    assert!(layout.exists(manifest.descriptor()).await.unwrap());
    std::fs::remove_file(layout.path()).unwrap();
    std::fs::rename(&aside, layout.path()).unwrap();
    layout.sync().await.unwrap();
    assert_eq!(listed(&layout), digests(&[&manifest]));
}

#[tokio::test]
async fn rejects_invalid_manifests_immediately() {
    let Fresh { directory: _kept, layout } = fresh().await;
    let wrong = Content::of(MediaType::IMAGE_MANIFEST, "[]");
    layout.push(&wrong, PushMode::Deferred).await.unwrap_err();
    layout.sync().await.unwrap();
    assert_eq!(listed(&layout).len(), 0);
}
