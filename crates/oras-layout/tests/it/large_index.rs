//! A large index is edited in place: all writers and readers agree, other tools can read it, and no change is lost.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use futures::TryStreamExt;
use oras_layout::Layout;
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, DeleteTarget, PushMode, ReadStore, Store, Target};
use oras_testkit::files::write_file;
use oras_testkit::nodes::{index, manifest, push_all, referrer};
use serde_json::json;

use crate::parallel::{spawn, tags};
use crate::{index_of, names};

/// The number of manifests that a large layout has at first.
const MANIFESTS: usize = 300;

fn old(number: usize) -> Content {
    manifest(&format!("old {number}"), &[])
}

/// Makes a layout whose index is large, and returns the inode of the index.
async fn large_layout(path: &Path) -> (Layout, u64) {
    let layout = Layout::open_or_create(path).await.unwrap();
    for number in 0..MANIFESTS {
        layout.push(&old(number), PushMode::Deferred).await.unwrap();
    }
    layout.sync().await.unwrap();
    (layout, inode(path))
}

fn inode(path: &Path) -> u64 {
    std::fs::metadata(path.join("index.json")).unwrap().ino()
}

async fn referrers(layout: &Layout, subject: &Content) -> BTreeSet<String> {
    let found = layout.predecessors(subject.descriptor(), None).await.unwrap();
    found.iter().map(|node| node.digest.to_string()).collect()
}

#[tokio::test]
async fn finds_new_manifests_without_a_new_index() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, inode_before) = large_layout(&path).await;
    let reader = Layout::open(&path).await.unwrap();
    let subject = old(7);
    let mut expected = BTreeSet::new();
    for number in 0..20 {
        // The tag moves to each new manifest, and the second writer tags an earlier one again.
        let node = referrer(&format!("{number}"), "test/type", &subject);
        layout.push(&node, PushMode::Tagged("latest")).await.unwrap();
        expected.insert(node.descriptor().digest.to_string());
        let other = Layout::open(&path).await.unwrap();
        other.push(&node, PushMode::AddTag(&format!("t{number}"))).await.unwrap();
        for handle in [&layout, &reader, &other] {
            assert_eq!(referrers(handle, &subject).await, expected, "{number}");
            assert_eq!(handle.resolve("latest").await.unwrap().digest, node.descriptor().digest);
        }
    }
    assert_eq!(inode(&path), inode_before, "the index was replaced");
    // Another tool sees the same: each tag once, and every manifest.
    let document = index_of(&path);
    let entries = document["manifests"].as_array().unwrap();
    let named: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry["annotations"]["org.opencontainers.image.ref.name"].as_str())
        .collect();
    assert_eq!(named.len(), 21, "{named:?}");
    let digests: BTreeSet<_> = entries.iter().map(|entry| entry["digest"].as_str().unwrap()).collect();
    assert_eq!(digests.len(), MANIFESTS + 20);
}

#[tokio::test]
async fn finds_children_of_a_new_index() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, _) = large_layout(&path).await;
    let reader = Layout::open(&path).await.unwrap();
    let subject = old(1);
    // Builds the graph before the index is pushed.
    assert!(referrers(&reader, &subject).await.is_empty());
    let child = referrer("child", "test/type", &subject);
    let parent = index(&[&child]);
    // The child is a blob that only the new index lists.
    push_all(&layout, &[&child]).await;
    layout.delete(DeleteTarget::Content(child.descriptor())).await.unwrap();
    let path_of_child = crate::blob_path(&path, &child.descriptor().digest);
    write_file(&path_of_child, child.bytes(1 << 20).await.unwrap());
    layout.push(&parent, PushMode::Tagged("parent")).await.unwrap();
    assert_eq!(referrers(&reader, &subject).await.len(), 1);
    let found: Descriptor = reader.resolve(&child.descriptor().digest.to_string()).await.unwrap();
    assert_eq!(found.media_type, child.descriptor().media_type);
}

#[tokio::test]
async fn a_json_blob_is_no_manifest() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, _) = large_layout(&path).await;
    for text in [r#"{"architecture":"amd64","config":{}}"#, "{", "", "[]"] {
        let blob = Content::of(MediaType::OCTET_STREAM, text);
        push_all(&layout, &[&blob]).await;
        let found = layout.resolve(&blob.descriptor().digest.to_string()).await.unwrap();
        assert_eq!(found.media_type, MediaType::OCTET_STREAM, "{text}");
    }
}

#[tokio::test]
async fn keeps_deletions_and_fields_of_other_tools() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, _) = large_layout(&path).await;
    // Another tool adds fields, and writes the index with line breaks.
    let mut document = index_of(&path);
    document["annotations"] = json!({"k": "v"});
    document["manifests"][3]["x"] = json!({"b": 1});
    write_file(&path.join("index.json"), serde_json::to_vec_pretty(&document).unwrap());
    layout.push(&manifest("new", &[]), PushMode::Tagged("v1")).await.unwrap();
    for number in [0, 1, 2, MANIFESTS - 1] {
        layout.delete(DeleteTarget::Content(old(number).descriptor())).await.unwrap();
    }
    layout.delete(DeleteTarget::Tag("v1")).await.unwrap();
    let after = index_of(&path);
    assert_eq!(after["annotations"], json!({"k": "v"}));
    let entries = after["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), MANIFESTS - 4 + 1);
    assert!(entries.iter().any(|entry| entry["x"] == json!({"b": 1})));
}

#[tokio::test]
async fn keeps_the_tags_of_twelve_processes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, inode_before) = large_layout(&path).await;
    let expected: Vec<_> = (0..12).map(|number| format!("t{number:02}")).collect();
    let writers: Vec<_> = expected.iter().map(|name| spawn(&path, name)).collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    assert_eq!(tags(&path).await, expected);
    assert_eq!(inode(&path), inode_before);
    assert_eq!(names(&path), ["blobs", "index.json", "index.lookup", "oci-layout"]);
    drop(layout);
}

#[tokio::test]
async fn other_tools_can_read_it_while_writers_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("layout");
    let (layout, _) = large_layout(&path).await;
    let mut known = BTreeSet::new();
    for round in 0..10_u64 {
        let mut writers = [spawn(&path, "forever"), spawn(&path, "forever"), spawn(&path, "forever")];
        let end = std::time::Instant::now() + Duration::from_millis(150 + 17 * round);
        while std::time::Instant::now() < end {
            // The document is valid at any time, and never lacks a manifest that it had.
            let entries = index_of(&path)["manifests"].as_array().unwrap().len();
            assert!(entries >= MANIFESTS);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for writer in &mut writers {
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        index_of(&path);
        let now: BTreeSet<String> = tags(&path).await.into_iter().collect();
        assert!(known.is_subset(&now), "round {round}");
        for tag in now.difference(&known) {
            let node = layout.resolve(tag).await.unwrap();
            assert!(layout.exists(&node).await.unwrap(), "{tag}");
        }
        known = now;
    }
    assert!(known.len() > 10, "the writers wrote too little: {}", known.len());
    let (_, others): (Vec<_>, Vec<_>) = layout
        .tags_after(None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap()
        .into_iter()
        .partition(|tag| known.contains(tag));
    assert!(others.is_empty());
}
