//! The entries of `index.json`, as written and as other tools write them.

use futures::TryStreamExt;
use oras_layout::{Layout, LayoutOptions};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, DeleteTarget, PushMode, ReadStore, Store, Target};
use oras_testkit::nodes::{blob, empty, index, manifest, push_all, referrer};
use serde_json::{Value, json};

use crate::{Directories, index_of, open_with};

fn pruning() -> LayoutOptions {
    LayoutOptions::default().prune_on_delete(true).link_blobs(true)
}

/// Returns each entry as its tag, or "-", and the name of its node.
fn entries(layout: &Layout, nodes: &[(&str, &Content)]) -> Vec<String> {
    let index = index_of(layout.path());
    let entry = |entry: &Value| {
        let tag = entry["annotations"]["org.opencontainers.image.ref.name"].as_str().unwrap_or("-");
        let digest = entry["digest"].as_str().unwrap();
        let node = nodes.iter().find(|(_, node)| node.descriptor().digest.to_string() == digest).unwrap();
        format!("{tag} {}", node.0)
    };
    index["manifests"].as_array().unwrap().iter().map(entry).collect()
}

#[tokio::test]
async fn lists_every_manifest_with_tagged_entries_first() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let (a, b) = (manifest("a", &[]), manifest("b", &[]));
    let both = index(&[&a, &b]);
    let named = [("a", &a), ("b", &b), ("both", &both)];
    push_all(&layout, &[&a, &b]).await;
    assert_eq!(entries(&layout, &named), ["- a", "- b"]);
    layout.push(&both, PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(entries(&layout, &named), ["v1 both", "- a", "- b"]);
    layout.push(&b, PushMode::Tagged("v2")).await.unwrap();
    layout.push(&b, PushMode::Tagged("v3")).await.unwrap();
    assert_eq!(entries(&layout, &named), ["v1 both", "v2 b", "v3 b", "- a"]);
    layout.push(&a, PushMode::Tagged("v2")).await.unwrap();
    assert_eq!(entries(&layout, &named), ["v1 both", "v3 b", "v2 a"]);
    layout.push(&a, PushMode::Tagged("v3")).await.unwrap();
    assert_eq!(entries(&layout, &named), ["v1 both", "v2 a", "v3 a", "- b"]);
    let before = index_of(layout.path());
    layout.push(&a, PushMode::Tagged("v3")).await.unwrap();
    layout.push(&b, PushMode::Untagged).await.unwrap();
    assert_eq!(index_of(layout.path()), before);
    layout.delete(DeleteTarget::Content(a.descriptor())).await.unwrap();
    assert_eq!(entries(&layout, &named), ["v1 both", "- b"]);
}

#[tokio::test]
async fn copies_descriptor_fields_to_entries() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let node = manifest("a", &[]);
    let mut described = node.descriptor().clone();
    described.artifact_type = Some(MediaType::new("test/type"));
    described.annotations.insert("key".into(), "<value>".into());
    described.annotations.insert("org.opencontainers.image.ref.name".into(), "of another layout".into());
    described.platform = Some("linux/arm64".parse().unwrap());
    let node = node.described_as(described.clone());
    push_all(&layout, &[&node]).await;
    let entry = index_of(layout.path())["manifests"][0].clone();
    assert_eq!(entry["annotations"], json!({"key": "<value>"}), "a push gives no tag");
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    described.annotations.insert("org.opencontainers.image.ref.name".into(), "v1".into());
    assert_eq!(layout.resolve("v1").await.unwrap(), described);
    assert_eq!(layout.resolve(&described.digest.to_string()).await.unwrap(), described.plain());
    let text = std::fs::read_to_string(layout.path().join("index.json")).unwrap();
    assert!(text.contains("\\u003cvalue\\u003e") && !text.ends_with('\n'), "{text}");

    // A descriptor with fewer fields does not remove fields of the entry.
    layout.push(&node.clone().described_as(described.plain()), PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(layout.resolve("v1").await.unwrap(), described);
}

#[tokio::test]
async fn keeps_fields_that_other_tools_wrote() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let (a, b) = (manifest("a", &[]), manifest("b", &[]));
    push_all(&layout, &[&a, &b]).await;
    let entry = |node: &Content, annotations: Value| {
        let descriptor: &Descriptor = node.descriptor();
        json!({"x-entry": {"z": 1, "y": [null]}, "size": descriptor.size, "annotations": annotations,
               "digest": descriptor.digest, "mediaType": descriptor.media_type})
    };
    // Other tools write all of this: no mediaType, unknown fields, null annotations, unknown media types, indentation.
    let foreign = json!({"x-index": "kept", "manifests": [
        entry(&a, Value::Null), entry(&a, json!({"org.opencontainers.image.ref.name": "v1", "k": "v"})),
        {"mediaType": "application/x-unknown", "digest": blob("x").descriptor().digest, "size": 1}
    ], "schemaVersion": 2, "annotations": {"whole": "index"}});
    let path = layout.path().join("index.json");
    oras_fs::replace(&path, &serde_json::to_vec_pretty(&foreign).unwrap(), 0o666).unwrap();
    assert_eq!(layout.resolve("v1").await.unwrap().digest, a.descriptor().digest);

    layout.push(&b, PushMode::Tagged("v2")).await.unwrap();
    layout.push(&a, PushMode::Tagged("v1")).await.unwrap();
    let index = index_of(layout.path());
    assert_eq!((&index["x-index"], &index["annotations"]), (&json!("kept"), &json!({"whole": "index"})));
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.iter().filter(|entry| entry["x-entry"]["y"] == json!([null])).count(), 1);
    let v1 = entries.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == "v1");
    assert_eq!(v1.unwrap()["annotations"]["k"], "v");
    assert!(entries.iter().any(|entry| entry["mediaType"] == "application/x-unknown"));

    // If a tag moves away, the entry of the manifest stays with everything but the tag.
    layout.push(&b, PushMode::Tagged("v1")).await.unwrap();
    let index = index_of(layout.path());
    let entries = index["manifests"].as_array().unwrap();
    let moved = entries.iter().find(|entry| entry["digest"] == json!(a.descriptor().digest)).unwrap();
    assert_eq!(moved["annotations"], json!({"k": "v"}));
    assert!(moved["x-entry"].is_object(), "{moved}");
}

#[tokio::test]
async fn resolves_a_duplicate_tag_to_the_last_entry() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let (a, b) = (manifest("a", &[]), manifest("b", &[]));
    push_all(&layout, &[&a, &b]).await;
    let entry = |node: &Content| {
        let mut descriptor = node.descriptor().clone();
        descriptor.annotations.insert("org.opencontainers.image.ref.name".into(), "v1".into());
        descriptor
    };
    let twice = json!({"schemaVersion": 2, "manifests": [entry(&a), entry(&b)]});
    let path = layout.path().join("index.json");
    oras_fs::replace(&path, &serde_json::to_vec(&twice).unwrap(), 0o666).unwrap();
    assert_eq!(layout.resolve("v1").await.unwrap().digest, b.descriptor().digest);
    assert_eq!(layout.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), ["v1"]);
    layout.push(&a, PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(layout.resolve("v1").await.unwrap().digest, a.descriptor().digest);
}

#[tokio::test]
async fn lists_referrers_in_index_order() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let subject = manifest("subject", &[]);
    let referrers: Vec<_> =
        (0..10).map(|number| referrer(&format!("{number}"), "test/type", &subject)).collect();
    push_all(&layout, &[&subject]).await;
    push_all(&layout, &referrers.iter().collect::<Vec<_>>()).await;
    let digests = |nodes: Vec<Descriptor>| nodes.into_iter().map(|node| node.digest).collect::<Vec<_>>();
    let expected: Vec<_> = referrers.iter().map(|node| node.descriptor().digest.clone()).collect();
    assert_eq!(digests(layout.predecessors(subject.descriptor(), None).await.unwrap()), expected);
    // A handle sees the changes of another handle, and so does a new handle.
    let late = referrer("late", "test/type", &subject);
    Layout::open(layout.path()).await.unwrap().push(&late, PushMode::Untagged).await.unwrap();
    let expected = [expected, vec![late.descriptor().digest.clone()]].concat();
    assert_eq!(digests(layout.predecessors(subject.descriptor(), None).await.unwrap()), expected);
    let other = Layout::open(layout.path()).await.unwrap();
    assert_eq!(digests(other.predecessors(subject.descriptor(), None).await.unwrap()), expected);
}

#[tokio::test]
async fn resolves_manifests_that_only_an_index_lists() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let a = manifest("a", &[]);
    let subject = manifest("subject", &[]);
    let signature = referrer("signature", "test/signature", &subject);
    let outer = index(&[&index(&[&a, &signature])]);
    push_all(&layout, &[&a, &subject, &signature, &index(&[&a, &signature]), &outer]).await;
    let alone = json!({"schemaVersion": 2, "manifests": [outer.descriptor()]});
    let path = layout.path().join("index.json");
    oras_fs::replace(&path, &serde_json::to_vec(&alone).unwrap(), 0o666).unwrap();
    let resolved = layout.resolve(&a.descriptor().digest.to_string()).await.unwrap();
    assert_eq!(resolved, a.descriptor().plain());
    let found = layout.predecessors(subject.descriptor(), None).await.unwrap();
    assert_eq!(found[0].digest, signature.descriptor().digest);
    let config = oras_testkit::nodes::empty();
    let resolved = layout.resolve(&config.descriptor().digest.to_string()).await.unwrap();
    assert_eq!((resolved.media_type, resolved.size), (MediaType::OCTET_STREAM, 2));
}

#[tokio::test]
async fn prune_keeps_what_other_nodes_need() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let (shared, own) = (blob("shared"), blob("own"));
    let (a, b) = (manifest("a", &[&shared, &own]), manifest("b", &[&shared]));
    let both = index(&[&a, &b]);
    let signature = referrer("signature", "test/signature", &both);
    push_all(&layout, &[&empty(), &shared, &own, &a, &b, &both, &signature]).await;
    for (node, tag) in [(&both, "v1"), (&b, "b"), (&signature, "signature")] {
        layout.push(node, PushMode::Tagged(tag)).await.unwrap();
    }
    open_with(&layout, pruning()).await.delete(DeleteTarget::Content(both.descriptor())).await.unwrap();
    assert_eq!(entries(&layout, &[("b", &b)]), ["b b"]);
    for (node, stays) in
        [(&both, false), (&signature, false), (&a, false), (&own, false), (&shared, true), (&b, true)]
    {
        assert_eq!(layout.exists(node.descriptor()).await.unwrap(), stays, "{:?}", node.descriptor());
    }
    let error = open_with(&layout, pruning())
        .await
        .delete(DeleteTarget::Content(both.descriptor()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), oras_store::ErrorKind::NotFound);
}

#[tokio::test]
async fn prune_keeps_everything_while_a_manifest_is_unreadable() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let layer = blob("layer");
    let (a, b) = (manifest("a", &[&layer]), manifest("b", &[&layer]));
    push_all(&layout, &[&empty(), &layer, &a, &b]).await;
    let digest = &b.descriptor().digest;
    let path = layout.path().join("blobs").join(digest.algorithm_name()).join(digest.encoded());
    std::fs::remove_file(&path).unwrap();
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"broken").unwrap();
    open_with(&layout, pruning()).await.delete(DeleteTarget::Content(a.descriptor())).await.unwrap();
    assert!(!layout.exists(a.descriptor()).await.unwrap());
    assert!(layout.exists(layer.descriptor()).await.unwrap());
}
