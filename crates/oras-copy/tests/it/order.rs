//! The order and the concurrency of transfers.

use std::sync::{Arc, Mutex};

use oras_copy::{CopyOptions, Event, copy_graph, referrers};
use oras_memory::Memory;
use oras_spec::{Digest, MediaType};
use oras_store::{Content, PushMode, ReadStore, Source, Target};

use crate::recording::{Recording, artifact, word};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn limits_small_and_large_leaves_separately() {
    let mut sizes = vec![100; 40];
    sizes.extend((0..8).map(|more| MIB + 1 + more));
    let (source, _, manifest) = artifact(&sizes).await;
    let target = Arc::new(Recording::default());
    copy_graph(source, target.clone(), vec![manifest], CopyOptions::default()).await.unwrap();
    let (small, large, _) = target.most();
    assert_eq!((small, large), (32, 5));
}

#[tokio::test]
async fn never_exceeds_the_given_concurrency() {
    let mut sizes = vec![100; 20];
    sizes.extend([MIB + 1, MIB + 2, MIB + 3, MIB + 4]);
    for limit in [1, 3, 20] {
        let (source, _, manifest) = artifact(&sizes).await;
        let target = Arc::new(Recording::default());
        let options = CopyOptions::default().concurrency(limit);
        copy_graph(source, target.clone(), vec![manifest], options).await.unwrap();
        assert_eq!(target.most().2, limit);
    }
}

#[tokio::test]
async fn sends_the_largest_leaf_first_unless_the_concurrency_is_1() {
    let sizes = [MIB + 1, 10, MIB + 3, MIB + 2, 11];
    let (source, layers, manifest) = artifact(&sizes).await;
    let digests = |places: &[usize]| places.iter().map(|at| layers[*at].digest.clone()).collect::<Vec<_>>();
    let listed = |target: &Recording| {
        let pushed = target.pushed().into_iter();
        pushed.filter(|digest| layers.iter().any(|layer| layer.digest == *digest)).collect::<Vec<Digest>>()
    };
    let target = Arc::new(Recording::default());
    let options = CopyOptions::default().concurrency(1);
    copy_graph(source.clone(), target.clone(), vec![manifest.clone()], options).await.unwrap();
    assert_eq!(listed(&target), digests(&[0, 1, 2, 3, 4]));

    // Nine large leaves of increasing size: the last is sent first.
    let sizes: Vec<_> = (0..9).map(|more| MIB + 1 + more).collect();
    let (source, mut layers, manifest) = artifact(&sizes).await;
    let target = Arc::new(Recording::default());
    copy_graph(source, target.clone(), vec![manifest], CopyOptions::default()).await.unwrap();
    layers.reverse();
    let large = |digest: &Digest| layers.iter().any(|layer| layer.digest == *digest);
    let pushed: Vec<_> = target.pushed().into_iter().filter(large).collect();
    assert_eq!(pushed, layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>());
}

#[tokio::test]
async fn opens_all_manifests_of_an_index_before_a_large_blob_is_done() {
    let target = Arc::new(Recording::default());
    let source = Arc::new(Memory::new());
    let mut entries = Vec::new();
    for size in [2 * MIB, 10, 20] {
        let (part, layers, manifest) = artifact(&[size]).await;
        for node in layers.into_iter().chain([oras_spec::Descriptor::empty_json()]) {
            source.push(&Content::from_source(part.clone(), node), PushMode::Untagged).await.unwrap();
        }
        source.push(&manifest, PushMode::Untagged).await.unwrap();
        entries.push(manifest.descriptor().clone());
    }
    let listed: Vec<_> = entries.iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
    let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, listed.join(","));
    let index = Content::of(MediaType::IMAGE_INDEX, text);
    let words = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&words);
    let observer = Arc::new(move |event: Event<'_>| recorded.lock().unwrap().push(word(&event)));
    let options = CopyOptions::default().observer(observer);
    copy_graph(source, target.clone(), vec![index.clone()], options).await.unwrap();
    let words = words.lock().unwrap();
    let place = |wanted: &str, node: &Digest| {
        words.iter().position(|(word, digest)| *word == wanted && digest == node).unwrap()
    };
    let opened = entries.iter().map(|entry| place("opened", &entry.digest)).max().unwrap();
    assert!(opened < place("copied", &entries[0].digest));
    let last_entry = entries.iter().map(|entry| place("copied", &entry.digest)).max().unwrap();
    assert!(last_entry < place("started", &index.descriptor().digest));
}

#[tokio::test]
async fn copies_more_manifests_than_fit_in_memory() {
    // Twelve manifests of 1 MiB each, of which the engine holds at most 8 MiB in memory. Some must wait for others.
    let (source, target) = (Arc::new(Memory::new()), Arc::new(Recording::default()));
    let mut roots = Vec::new();
    for number in 0..12 {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"n":"{number}","pad":"{}"}}}}"#,
            "x".repeat(MIB)
        );
        let index = Content::of(MediaType::IMAGE_INDEX, text);
        source.push(&index, PushMode::Untagged).await.unwrap();
        roots.push(Content::from_source(source.clone() as Arc<dyn Source>, index.descriptor().clone()));
    }
    copy_graph(source, target.clone(), roots.clone(), CopyOptions::default()).await.unwrap();
    for root in roots {
        assert!(target.store.exists(root.descriptor()).await.unwrap());
    }
}

#[tokio::test]
async fn finds_all_referrers_at_any_concurrency() {
    let (source, _, manifest) = artifact(&[10]).await;
    for number in 0..30 {
        let subject = serde_json::to_string(manifest.descriptor()).unwrap();
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[],"subject":{subject},"annotations":{{"n":"{number}"}}}}"#
        );
        source.push(&Content::of(MediaType::IMAGE_INDEX, text), PushMode::Untagged).await.unwrap();
    }
    let source = source as Arc<dyn ReadStore>;
    for limit in [0, 1, 4] {
        assert_eq!(referrers(&source, &manifest, limit).await.unwrap().len(), 30);
    }
}
