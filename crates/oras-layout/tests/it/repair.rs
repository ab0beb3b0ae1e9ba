//! A repair fetches what is damaged or missing, and never deletes a blob before its replacement is there.

use oras_layout::{
    CheckOptions, GarbageOptions, Layout, RepairOptions, RepairOutcome, RepairSource, check, repair,
};
use oras_store::{DeleteTarget, ErrorKind, PushMode, Store, Target};
use oras_testkit::nodes::{blob, manifest, push_all};

use crate::check::{SignedImage, overwrite};
use crate::garbage_collection::{age, has};
use crate::names;

/// Copies everything that the index reaches into another layout.
async fn copy_of(stored: &SignedImage) -> Layout {
    let copy = Layout::open_or_create(stored.place.path().join("copy")).await.unwrap();
    push_all(&copy, &[&stored.layers[0], &stored.layers[1], &stored.image, &stored.signature]).await;
    copy.push(&stored.image, PushMode::Tagged("v1")).await.unwrap();
    copy
}

fn from(source: &Layout) -> RepairOptions {
    RepairOptions::default().sources([RepairSource::new(source.clone(), "copy")])
}

#[tokio::test]
async fn replaces_damaged_and_missing_blobs() {
    let stored = SignedImage::store().await;
    let (layout, copy) = (stored.layout.path(), copy_of(&stored).await);
    assert_eq!(repair(layout, from(&copy)).await.unwrap().outcome(), RepairOutcome::Clean);
    overwrite(&stored.path_of(&stored.layers[0]), b"0ne");
    // What a missing manifest lists is known only after it was fetched.
    for content in [&stored.image, &stored.layers[1]] {
        std::fs::remove_file(stored.path_of(content)).unwrap();
    }
    let report = repair(layout, from(&copy)).await.unwrap();
    assert_eq!((report.outcome(), report.repaired.len()), (RepairOutcome::Repaired, 3));
    assert!(check(layout, CheckOptions::default()).await.unwrap().problems.is_empty());
    assert_eq!(names(layout), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn keeps_damaged_blobs_and_says_what_is_missing() {
    let stored = SignedImage::store().await;
    let layout = stored.layout.path();
    let copy = copy_of(&stored).await;
    copy.delete(DeleteTarget::Content(stored.layers[0].descriptor())).await.unwrap();
    overwrite(&stored.path_of(&stored.layers[0]), b"0ne");
    std::fs::remove_file(stored.path_of(&stored.layers[1])).unwrap();
    let report = repair(layout, from(&copy)).await.unwrap();
    assert_eq!((report.outcome(), report.repaired.len()), (RepairOutcome::Damaged, 1));
    assert_eq!(report.unavailable[0].digest, stored.layers[0].descriptor().digest);
    assert!(report.unavailable[0].reasons[0].starts_with("copy: "), "{:?}", report.unavailable);
    assert_eq!(std::fs::read(stored.path_of(&stored.layers[0])).unwrap(), b"0ne");
}

#[tokio::test]
async fn does_not_accept_damaged_content_of_a_source() {
    let stored = SignedImage::store().await;
    let copy = copy_of(&stored).await;
    let digest = &stored.layers[0].descriptor().digest;
    overwrite(&crate::blob_path(copy.path(), digest), b"0ne");
    std::fs::remove_file(stored.path_of(&stored.layers[0])).unwrap();
    let report = repair(stored.layout.path(), from(&copy)).await.unwrap();
    assert_eq!(report.outcome(), RepairOutcome::Damaged);
    assert!(!has(&stored.layout, &stored.layers[0]));
}

#[tokio::test]
async fn rebuilds_a_damaged_index() {
    let stored = SignedImage::store().await;
    let (layout, copy) = (stored.layout.path(), copy_of(&stored).await);
    let text = std::fs::read(layout.join("index.json")).unwrap();
    // The readable part of the index names the tag, so no source is needed.
    overwrite(&layout.join("index.json"), &text[..text.len() - 20]);
    let report = repair(layout, RepairOptions::default()).await.unwrap();
    assert_eq!((report.outcome(), report.restored_entries.len()), (RepairOutcome::Repaired, 2));
    assert_eq!(report.damaged_index.as_deref(), Some("index.json.damaged"));
    assert_eq!(std::fs::read(layout.join("index.json.damaged")).unwrap(), text[..text.len() - 20]);
    assert_eq!(Layout::open(layout).await.unwrap().tags().await.unwrap(), ["v1"]);
    // Without it, only a source knows the tag.
    std::fs::remove_file(layout.join("index.json.damaged")).unwrap();
    overwrite(&layout.join("index.json"), b"");
    let report = repair(layout, RepairOptions::default()).await.unwrap();
    assert_eq!(report.restored_entries.iter().filter(|entry| entry.tag.is_some()).count(), 0);
    assert_eq!(report.restored_entries.len(), 2);
    overwrite(&layout.join("index.json"), b"{");
    let report = repair(layout, from(&copy)).await.unwrap();
    assert_eq!(report.restored_entries[0].tag.as_deref(), Some("v1"));
    assert_eq!(report.damaged_index.as_deref(), Some("index.json.damaged.1"));
    assert!(check(layout, CheckOptions::default()).await.unwrap().problems.is_empty());
}

#[tokio::test]
async fn restores_the_marker_and_tags_that_a_source_names() {
    let stored = SignedImage::store().await;
    let (layout, copy) = (stored.layout.path(), copy_of(&stored).await);
    let extra = manifest("extra", &[&blob("three")]);
    push_all(&copy, &[&blob("three"), &extra]).await;
    copy.push(&extra, PushMode::Tagged("extra")).await.unwrap();
    std::fs::remove_file(layout.join("oci-layout")).unwrap();
    overwrite(&layout.join("index.json"), b"");
    // A tag that the source names is fetched, also if the layout did not have it.
    let source = RepairSource::new(copy, "copy").reference("extra".to_owned());
    let report = repair(layout, RepairOptions::default().sources([source])).await.unwrap();
    assert!(report.marker_rewritten && report.outcome() == RepairOutcome::Repaired, "{report:?}");
    assert_eq!(report.repaired.len(), 2);
    assert_eq!(Layout::open(layout).await.unwrap().tags().await.unwrap(), ["extra"]);
}

#[tokio::test]
async fn takes_blobs_from_the_quarantine() {
    let stored = SignedImage::store().await;
    let layout = stored.layout.path();
    let text = std::fs::read(layout.join("index.json")).unwrap();
    age(layout);
    let hour = std::time::Duration::from_secs(3600);
    let all = GarbageOptions::after(hour).quarantine(true).untagged(true).removed_tags(["v1".to_owned()]);
    assert_eq!(stored.layout.collect_garbage(all).await.unwrap().quarantined.blobs, 5);
    overwrite(&layout.join("index.json"), &text);
    let report = repair(layout, RepairOptions::default()).await.unwrap();
    assert_eq!((report.outcome(), report.repaired.len()), (RepairOutcome::Repaired, 5));
}

#[tokio::test]
async fn refuses_archives() {
    let stored = SignedImage::store().await;
    let path = stored.place.path().join("layout.tar");
    let writer = oras_layout::ArchiveWriter::create(&path).await.unwrap();
    writer.push(&stored.layers[0], PushMode::Untagged).await.unwrap();
    writer.finish().await.unwrap();
    assert!(check(&path, CheckOptions::default()).await.unwrap().is_clean());
    let error = repair(&path, RepairOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.chain().contains("extract it"), "{}", error.chain());
}
