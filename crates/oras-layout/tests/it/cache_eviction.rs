//! A cache evicts the least recently used blobs.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_layout::{Layout, LayoutOptions};
use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{Content, ErrorKind, PushMode, Source, Target};

use crate::{blob_path, index_of};

const KIB: u64 = 1024;

async fn push(layout: &Layout, byte: u8) -> Descriptor {
    let content = Content::of(MediaType::LAYER_TAR, vec![byte; 10 * 1024]);
    layout.push(&content, PushMode::Untagged).await.unwrap();
    content.descriptor().clone()
}

async fn manifest(layout: &Layout, config: &Descriptor) -> Content {
    let manifest = ImageManifest::new(config.clone(), Vec::new());
    let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
    layout.push(&manifest, PushMode::Untagged).await.unwrap();
    manifest
}

/// Sets both times of a blob to some minutes ago.
fn age(layout: &Path, node: &Descriptor, minutes: u64) {
    let then = SystemTime::now() - Duration::from_secs(minutes * 60);
    let file = File::open(blob_path(layout, &node.digest)).unwrap();
    file.set_times(FileTimes::new().set_accessed(then).set_modified(then)).unwrap();
}

fn has(layout: &Path, node: &Descriptor) -> bool {
    blob_path(layout, &node.digest).exists()
}

async fn open_limited(root: &Path, size_limit: u64) -> Layout {
    let options = LayoutOptions::default().size_limit(Some(size_limit));
    Layout::open_or_create_with(root, options).await.unwrap()
}

/// Changes the size file as if the blobs had been counted some minutes ago.
fn counted(layout: &Path, minutes: u64) {
    let text = std::fs::read_to_string(layout.join("cache-size")).unwrap();
    let (bytes, seconds) = text.trim().split_once(' ').unwrap();
    let seconds = seconds.parse::<u64>().unwrap() - minutes * 60;
    let text = format!("{bytes} {seconds}\n");
    oras_fs::replace(&layout.join("cache-size"), text.as_bytes(), 0o644).unwrap();
}

fn size(layout: &Path) -> u64 {
    let text = std::fs::read_to_string(layout.join("cache-size")).unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

#[tokio::test]
async fn evicts_the_least_recently_used_blobs() {
    let place = tempfile::tempdir().unwrap();
    let layout = open_limited(place.path(), 35 * KIB).await;
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
    // A touch changes the access time of a blob, but not its modification time.
    let written = std::fs::metadata(blob_path(root, &first.digest)).unwrap().modified().unwrap();
    assert!(written.elapsed().unwrap() > Duration::from_secs(29 * 60));
}

#[tokio::test]
async fn keeps_recently_used_blobs_above_the_limit() {
    let place = tempfile::tempdir().unwrap();
    let layout = open_limited(place.path(), 15 * KIB).await;
    let first = push(&layout, 1).await;
    counted(place.path(), 2);
    let second = push(&layout, 2).await;
    assert!(has(place.path(), &first) && has(place.path(), &second));
    assert_eq!(size(place.path()), 20 * KIB);
    // The blobs are not counted again immediately.
    age(place.path(), &first, 10);
    let third = push(&layout, 3).await;
    assert!(has(place.path(), &first));
    counted(place.path(), 2);
    push(&layout, 4).await;
    assert!(!has(place.path(), &first) && has(place.path(), &second) && has(place.path(), &third));
}

#[tokio::test]
async fn evicts_manifests_with_their_entries_but_not_tagged_content() {
    let place = tempfile::tempdir().unwrap();
    let plain = Layout::open_or_create(place.path()).await.unwrap();
    let (config, other) = (push(&plain, 1).await, push(&plain, 2).await);
    let (kept, gone) = (manifest(&plain, &config).await, manifest(&plain, &other).await);
    plain.push(&kept, PushMode::Tagged("v1")).await.unwrap();
    for node in [&config, &other, kept.descriptor(), gone.descriptor()] {
        age(place.path(), node, 60);
    }
    // The first write counts the blobs of other writers, too.
    let bounded = open_limited(place.path(), 5 * KIB).await;
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
async fn reads_an_evicted_blob_to_the_end() {
    const SIZE: usize = 2 << 20;
    let place = tempfile::tempdir().unwrap();
    let layout = open_limited(place.path(), SIZE as u64 + KIB).await;
    let content = Content::of(MediaType::LAYER_TAR, vec![7; SIZE]);
    layout.push(&content, PushMode::Untagged).await.unwrap();
    let node = content.descriptor();
    // The reader reads ahead, which is a use, until its buffer is full.
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
async fn counts_blobs_if_the_size_file_is_invalid() {
    let place = tempfile::tempdir().unwrap();
    let layout = open_limited(place.path(), 100 * KIB).await;
    for text in ["", "x", "1", "1 x", "-1 2", "5 99999999999999"] {
        push(&layout, 1).await;
        oras_fs::replace(&place.path().join("cache-size"), text.as_bytes(), 0o644).unwrap();
        std::fs::remove_file(blob_path(place.path(), &push(&layout, 1).await.digest)).unwrap();
        push(&layout, 1).await;
        assert_eq!(size(place.path()), 10 * KIB, "{text:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn does_not_evict_through_links() {
    let (place, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let other = Layout::open_or_create(elsewhere.path()).await.unwrap();
    let theirs = push(&other, 1).await;
    age(elsewhere.path(), &theirs, 60);
    let layout = open_limited(place.path(), 5 * KIB).await;
    let link = |from: &str, to: &Path| std::os::unix::fs::symlink(to, place.path().join(from)).unwrap();
    std::fs::create_dir_all(place.path().join("blobs")).unwrap();
    link("blobs/sha256", &elsewhere.path().join("blobs/sha256"));
    // A read of this file would never end.
    link("cache-size", Path::new("/dev/zero"));
    let content = Content::of(MediaType::LAYER_TAR, vec![2; 10 * 1024]);
    let refused = layout.push(&content, PushMode::Untagged).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied, "{refused:?}");
    assert!(has(elsewhere.path(), &theirs));
}
