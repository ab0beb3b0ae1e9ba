//! A bounded cache loses what was not used for longest, and nothing else.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_layout::Layout;
use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{Content, Kind, Source, Target};

use crate::{blob_path, index_of};

const KIB: u64 = 1024;

async fn push(layout: &Layout, byte: u8) -> Descriptor {
    let content = Content::of(MediaType::LAYER_TAR, vec![byte; 10 * 1024]);
    layout.push(&content).await.unwrap();
    content.descriptor().clone()
}

async fn manifest(layout: &Layout, config: &Descriptor) -> Content {
    let manifest = ImageManifest::new(config.clone(), Vec::new());
    let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
    layout.push(&manifest).await.unwrap();
    manifest
}

/// Makes a blob as old as that, both times.
fn age(layout: &Path, node: &Descriptor, minutes: u64) {
    let then = SystemTime::now() - Duration::from_secs(minutes * 60);
    let file = File::open(blob_path(layout, &node.digest)).unwrap();
    file.set_times(FileTimes::new().set_accessed(then).set_modified(then)).unwrap();
}

fn has(layout: &Path, node: &Descriptor) -> bool {
    blob_path(layout, &node.digest).exists()
}

/// The file that says how large the cache is, as if it had been counted some time ago.
fn counted(layout: &Path, minutes: u64) {
    let text = std::fs::read_to_string(layout.join("cache-size")).unwrap();
    let (bytes, seconds) = text.trim().split_once(' ').unwrap();
    let seconds = seconds.parse::<u64>().unwrap() - minutes * 60;
    let text = format!("{bytes} {seconds}\n");
    oras_store::fsio::replace(&layout.join("cache-size"), text.as_bytes(), 0o644).unwrap();
}

fn size(layout: &Path) -> u64 {
    let text = std::fs::read_to_string(layout.join("cache-size")).unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes() {
    let place = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(place.path()).await.unwrap().bounded(35 * KIB);
    let root = place.path();
    let (first, second, third) = (push(&layout, 1).await, push(&layout, 2).await, push(&layout, 3).await);
    for (node, minutes) in [(&first, 30), (&second, 20), (&third, 10)] {
        age(root, node, minutes);
    }
    layout.touch(&first.digest).await;
    assert_eq!(size(root), 30 * KIB);
    counted(root, 2);
    let fourth = push(&layout, 4).await;
    assert!(has(root, &first) && !has(root, &second) && has(root, &third) && has(root, &fourth));
    assert_eq!(size(root), 30 * KIB);
    // A touch changes when a blob was used, not what is in it or when it was written.
    let written = std::fs::metadata(blob_path(root, &first.digest)).unwrap().modified().unwrap();
    assert!(written.elapsed().unwrap() > Duration::from_secs(29 * 60));
}

#[tokio::test]
async fn what_was_used_lately_stays_whatever_the_size() {
    let place = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(place.path()).await.unwrap().bounded(15 * KIB);
    let first = push(&layout, 1).await;
    counted(place.path(), 2);
    let second = push(&layout, 2).await;
    assert!(has(place.path(), &first) && has(place.path(), &second));
    assert_eq!(size(place.path()), 20 * KIB);
    // Blobs are not counted again at once.
    age(place.path(), &first, 10);
    let third = push(&layout, 3).await;
    assert!(has(place.path(), &first));
    counted(place.path(), 2);
    push(&layout, 4).await;
    assert!(!has(place.path(), &first) && has(place.path(), &second) && has(place.path(), &third));
}

#[tokio::test]
async fn manifests_go_with_their_entries_and_what_a_tag_reaches_stays() {
    let place = tempfile::tempdir().unwrap();
    let plain = Layout::open_or_create(place.path()).await.unwrap();
    let (config, other) = (push(&plain, 1).await, push(&plain, 2).await);
    let (kept, gone) = (manifest(&plain, &config).await, manifest(&plain, &other).await);
    plain.tag(&kept, "v1").await.unwrap();
    for node in [&config, &other, kept.descriptor(), gone.descriptor()] {
        age(place.path(), node, 60);
    }
    // Another writer's blobs are counted with the first that is added.
    let bounded = plain.clone().bounded(5 * KIB);
    let new = push(&bounded, 3).await;
    for (node, there) in [
        (&config, true),
        (&other, false),
        (kept.descriptor(), true),
        (gone.descriptor(), false),
        (&new, true),
    ] {
        assert_eq!(has(place.path(), node), there, "{node:?}");
    }
    let listed = index_of(place.path())["manifests"].as_array().unwrap().clone();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(plain.resolve("v1").await.unwrap().digest, kept.descriptor().digest);
}

#[tokio::test]
async fn who_reads_a_blob_that_goes_reads_it_to_its_end() {
    const SIZE: usize = 2 << 20;
    let place = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(place.path()).await.unwrap().bounded(SIZE as u64 + KIB);
    let content = Content::of(MediaType::LAYER_TAR, vec![7; SIZE]);
    layout.push(&content).await.unwrap();
    let node = content.descriptor();
    // Reads ahead, which is a use, until so much waits to be taken.
    let reader = layout.fetch(node, 0..node.size).await.unwrap();
    for byte in 8..100 {
        age(place.path(), node, 10);
        counted(place.path(), 2);
        push(&layout, byte).await;
        if !has(place.path(), node) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!has(place.path(), node));
    let read: Vec<_> = futures::TryStreamExt::try_collect(reader).await.unwrap();
    assert!(read.concat() == vec![7; SIZE]);
}

#[tokio::test]
async fn a_size_that_cannot_be_read_is_counted() {
    let place = tempfile::tempdir().unwrap();
    let layout = Layout::open_or_create(place.path()).await.unwrap().bounded(100 * KIB);
    for text in ["", "x", "1", "1 x", "-1 2", "5 99999999999999"] {
        push(&layout, 1).await;
        oras_store::fsio::replace(&place.path().join("cache-size"), text.as_bytes(), 0o644).unwrap();
        std::fs::remove_file(blob_path(place.path(), &push(&layout, 1).await.digest)).unwrap();
        push(&layout, 1).await;
        assert_eq!(size(place.path()), 10 * KIB, "{text:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_links_lead_to_stays() {
    let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = Layout::open_or_create(elsewhere.path()).await.unwrap();
    let theirs = push(&other, 1).await;
    age(elsewhere.path(), &theirs, 60);
    let layout = Layout::open_or_create(place.path()).await.unwrap().bounded(5 * KIB);
    let link = |from: &str, to: &Path| std::os::unix::fs::symlink(to, place.path().join(from)).unwrap();
    std::fs::create_dir_all(place.path().join("blobs")).unwrap();
    link("blobs/sha256", &elsewhere.path().join("blobs/sha256"));
    // It would never end.
    link("cache-size", Path::new("/dev/zero"));
    let content = Content::of(MediaType::LAYER_TAR, vec![2; 10 * 1024]);
    let refused = layout.push(&content).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Denied, "{refused:?}");
    assert!(has(elsewhere.path(), &theirs));
}
