//! The events of leaves and the requests for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use oras_copy::{CopyOptions, Event, TagPolicy, copy_graph};
use oras_memory::Memory;
use oras_spec::{Descriptor, Digest, ImageManifest, MediaType};
use oras_store::{Content, PushMode, Pushed, Target};

use crate::recording::{Call, Recording, artifact, word};

/// Copies an artifact. Returns the events of its first leaf, whether the copy succeeded, and the requests.
async fn copy_and_record(target: Recording, sizes: &[usize]) -> (Vec<&'static str>, bool, Vec<Call>) {
    let (source, layers, manifest) = artifact(sizes).await;
    let (target, words) = (Arc::new(target), Arc::new(Mutex::new(Vec::new())));
    let (recorded, leaf) = (Arc::clone(&words), layers[0].digest.clone());
    let observer = Arc::new(move |event: Event<'_>| {
        let (word, node) = word(&event);
        if node == leaf {
            recorded.lock().unwrap().push(word);
        }
    });
    let options = CopyOptions::default().observer(observer);
    let done = copy_graph(source, target.clone(), vec![manifest], options).await.is_ok();
    let mut words = words.lock().unwrap().clone();
    words.dedup();
    (words, done, target.calls())
}

async fn leaf_of(sizes: &[usize]) -> Digest {
    artifact(sizes).await.1[0].digest.clone()
}

#[tokio::test]
async fn never_starts_an_existing_leaf() {
    for size in [10, 2 << 20] {
        let leaf = leaf_of(&[size]).await;
        let outcomes = HashMap::from([(leaf.clone(), Some(Pushed::Existed))]);
        let target = Recording { outcomes, ..Recording::default() };
        let (words, done, calls) = copy_and_record(target, &[size]).await;
        assert!(done);
        assert_eq!(words, ["existed"]);
        assert!(!calls.contains(&Call::Exists(leaf)), "unexpected existence check: {calls:?}");
    }
}

#[tokio::test]
async fn reports_a_copied_and_an_existing_leaf() {
    for size in [10, 2 << 20] {
        let (words, done, _) = copy_and_record(Recording::default(), &[size]).await;
        assert!(done);
        assert_eq!(words, ["started", "progress", "copied"]);
        let target = Recording::default();
        let (source, layers, _) = artifact(&[size]).await;
        let leaf = oras_store::Content::from_source(source, layers[0].clone());
        target.store.push(&leaf, PushMode::Untagged).await.unwrap();
        assert_eq!(copy_and_record(target, &[size]).await.0, ["existed"]);
    }
}

#[tokio::test]
async fn starts_a_node_without_transferred_bytes_when_it_finishes() {
    let leaf = leaf_of(&[10]).await;
    for (outcome, expected, succeeds) in
        [(Some(Pushed::Adopted), &["started", "adopted"][..], true), (None, &["started"], false)]
    {
        let outcomes = HashMap::from([(leaf.clone(), outcome)]);
        let target = Recording { outcomes, ..Recording::default() };
        let (words, done, _) = copy_and_record(target, &[10]).await;
        assert_eq!((&words[..], done), (expected, succeeds));
    }
}

#[tokio::test]
async fn skips_a_tag_that_already_names_the_root() {
    let (source, _, manifest) = artifact(&[10]).await;
    let target = Arc::new(Recording::default());
    let tagged = |tag: &str| CopyOptions::default().tag(TagPolicy::with_root(Some(tag)));
    for tag in ["v1", "v1", "v2"] {
        copy_graph(source.clone(), target.clone(), vec![manifest.clone()], tagged(tag)).await.unwrap();
    }
    let tags = |call: &Call| matches!(call, Call::Tag(_) | Call::Tagged(_));
    let calls: Vec<_> = target.calls().into_iter().filter(tags).collect();
    let [v1, v2] = ["v1", "v2"].map(str::to_owned);
    assert_eq!(
        calls,
        [Call::Tag(v1.clone()), Call::Tagged(v1), Call::Tagged(v2.clone()), Call::Tag(v2.clone())]
    );
    // Another manifest gets the tag.
    let (source, _, other) = artifact(&[11]).await;
    for tag in [TagPolicy::None, TagPolicy::OverwriteWithRoot("v2".to_owned())] {
        let options = CopyOptions::default().tag(tag);
        copy_graph(source.clone(), target.clone(), vec![other.clone()], options).await.unwrap();
    }
    assert_eq!(target.store.tagged("v2").await, Some(other.descriptor().digest.clone()));
    assert_eq!(target.calls().last(), Some(&Call::Tag(v2)));
}

#[tokio::test]
async fn makes_no_request_for_present_nodes() {
    let (source, layers, manifest) = artifact(&[10, 11]).await;
    let target = Arc::new(Recording::default());
    let sent = layers[0].digest.clone();
    let options = CopyOptions::default().present(vec![layers[0].clone()]);
    copy_graph(source, target.clone(), vec![manifest], options).await.unwrap();
    let calls = target.calls();
    assert!(!calls.contains(&Call::Exists(sent.clone())) && !calls.contains(&Call::Push(sent)));
    assert!(calls.contains(&Call::Push(layers[1].digest.clone())));
}

/// Copies manifests that list the same bytes under three media types. Returns the sorted events of these bytes.
async fn reported_types(concurrency: usize) -> Vec<(String, Pushed)> {
    let source = Arc::new(Memory::new());
    let empty = |media_type| Content::of(media_type, "{}");
    let types = [MediaType::EMPTY_JSON, MediaType::IMAGE_CONFIG, MediaType::LAYER_TAR];
    let mut roots = Vec::new();
    for (config, layer) in [(0, 1), (2, 0), (1, 2)] {
        let [config, layer] = [config, layer].map(|i: usize| empty(types[i].clone()).descriptor().clone());
        let manifest = ImageManifest::new(config, vec![layer]).to_bytes();
        roots.push(Content::of(MediaType::IMAGE_MANIFEST, manifest));
    }
    source.push(&empty(MediaType::EMPTY_JSON), PushMode::Untagged).await.unwrap();
    let (digest, reported) = (Descriptor::empty_json().digest, Arc::new(Mutex::new(Vec::new())));
    let observer = {
        let reported = Arc::clone(&reported);
        Arc::new(move |event: Event<'_>| match event {
            Event::Finished { node, outcome, .. } | Event::Twin { node, outcome }
                if node.digest == digest =>
            {
                reported.lock().unwrap().push((node.media_type.to_string(), outcome));
            }
            _ => {}
        })
    };
    let options = CopyOptions::default().concurrency(concurrency).observer(observer);
    let report = copy_graph(source, Arc::new(Memory::new()), roots, options).await.unwrap();
    assert_eq!(report.nodes.len(), 4);
    let mut reported = reported.lock().unwrap().clone();
    reported.sort_by(|(one, _), (other, _)| one.cmp(other));
    reported
}

#[tokio::test]
async fn reports_the_same_bytes_once_for_each_media_type() {
    let types = [MediaType::EMPTY_JSON, MediaType::IMAGE_CONFIG, MediaType::LAYER_TAR];
    let mut expected = types.map(|media_type| (media_type.to_string(), Pushed::Copied));
    expected.sort_by(|(one, _), (other, _)| one.cmp(other));
    for _ in 0..5 {
        assert_eq!(reported_types(0).await, expected);
    }
    // If nodes are copied one at a time, only the first type is transferred.
    let outcomes: Vec<_> = reported_types(1).await.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Pushed::Copied).count(), 1);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Pushed::Existed).count(), 2);
}
