//! Garbage waits in a quarantine, and comes back if it is needed after all.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oras_layout::{BlobCount, CheckOptions, GarbageOptions, check};
use oras_store::{PushMode, Target};
use oras_testkit::nodes::{blob, manifest, push_all, referrer};

use crate::garbage_collection::{age, fresh, has};
use crate::names;

const HOUR: Duration = Duration::from_secs(3600);

fn quarantine() -> GarbageOptions {
    GarbageOptions::after(HOUR).quarantine(true)
}

/// Makes everything in the quarantine two hours old.
fn age_quarantine(layout: &Path) {
    let directory = layout.join(".oras-quarantine");
    let then = SystemTime::now() - 2 * HOUR;
    let then = then.duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (number, batch) in std::fs::read_dir(&directory).unwrap().enumerate() {
        let old = directory.join((then + number as u64).to_string());
        std::fs::rename(batch.unwrap().path(), old).unwrap();
    }
}

#[tokio::test]
async fn garbage_is_deleted_after_two_delays() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, spare] = ["one", "spare"].map(blob);
    push_all(&layout, &[&one, &spare, &manifest("image", &[&one])]).await;
    age(layout.path());
    let collected = layout.collect_garbage(quarantine()).await.unwrap();
    assert_eq!((collected.blobs, collected.quarantined), (0, BlobCount { blobs: 1, bytes: 5 }));
    assert!(!has(&layout, &spare) && has(&layout, &one));
    assert!(check(layout.path(), CheckOptions::default()).await.unwrap().problems.is_empty());
    // The delay of the quarantine is not over.
    assert_eq!(layout.collect_garbage(quarantine()).await.unwrap().blobs, 0);
    age_quarantine(layout.path());
    let collected = layout.collect_garbage(quarantine()).await.unwrap();
    assert_eq!((collected.blobs, collected.bytes, collected.quarantined.blobs), (1, 5, 0));
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

/// A writer that records no use finds a manifest and its layer, and stores the tag after the collection.
#[tokio::test]
async fn quarantine_returns_what_another_program_lists() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let one = blob("one");
    let image = manifest("image", &[&one]);
    push_all(&layout, &[&one, &image]).await;
    layout.push(&image, PushMode::Tagged("v1")).await.unwrap();
    let listed = std::fs::read(layout.path().join("index.json")).unwrap();
    age(layout.path());
    let removal = quarantine().removed_tags(["v1".to_owned()]).untagged(true);
    let dry = layout.collect_garbage(removal.clone().dry_run(true)).await.unwrap();
    assert_eq!((dry.tags, dry.manifests), (1, 1));
    assert!(layout.resolve("v1").await.is_ok());
    let collected = layout.collect_garbage(removal).await.unwrap();
    assert_eq!(collected, dry);
    assert!(!has(&layout, &image) && !has(&layout, &one) && layout.resolve("v1").await.is_err());

    std::io::Write::write_all(&mut std::fs::File::create(layout.path().join("index.json")).unwrap(), &listed)
        .unwrap();
    age_quarantine(layout.path());
    let collected = layout.collect_garbage(quarantine().untagged(true)).await.unwrap();
    assert_eq!((collected.restored.blobs, collected.blobs), (3, 0));
    assert!(check(layout.path(), CheckOptions::default()).await.unwrap().problems.is_empty());
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn removed_tags_take_their_referrers_along() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, two] = ["one", "two"].map(blob);
    let (old, new) = (manifest("old", &[&one]), manifest("new", &[&one, &two]));
    let [old_signature, new_signature] = [&old, &new].map(|subject| referrer("signature", "a/b", subject));
    push_all(&layout, &[&one, &two, &old, &new, &old_signature, &new_signature]).await;
    layout.push(&old, PushMode::Tagged("old")).await.unwrap();
    layout.push(&new, PushMode::Tagged("new")).await.unwrap();
    age(layout.path());
    let removal = GarbageOptions::after(Duration::ZERO).removed_tags(["old".to_owned()]).untagged(true);
    let collected = layout.collect_garbage(removal).await.unwrap();
    assert_eq!((collected.tags, collected.manifests, collected.blobs), (1, 2, 2));
    assert!(!has(&layout, &old) && !has(&layout, &old_signature));
    for stays in [&one, &two, &new, &new_signature] {
        assert!(has(&layout, stays), "{stays:?}");
    }
    assert!(check(layout.path(), CheckOptions::default()).await.unwrap().problems.is_empty());
}
