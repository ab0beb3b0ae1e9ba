//! Tags, referrers and the derived index of a bucket.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{FutureExt, StreamExt, TryStreamExt, future};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use oras_bucket::{Bucket, BucketOptions};
use oras_spec::{ImageIndex, MediaType};
use oras_store::{
    DeleteTarget, ErrorKind, IngestOptions, IngestTarget, Opener, Progress, ProgressUpdate, PushMode, Pushed,
    ReadStore, Store, Target, UnhashedContent,
};
use oras_testkit::nodes::{blob, bytes, manifest, pieces, push_all, referrer};

use crate::small_parts;

async fn keys(store: &InMemory) -> Vec<String> {
    store.list(None).map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap()
}

#[tokio::test]
async fn replaces_tag_only_if_it_names_the_expected_manifest() {
    let bucket = Bucket::new(Arc::new(InMemory::new()), "app");
    let (one, two) = (manifest("one", &[]), manifest("two", &[]));
    push_all(&bucket, &[&one, &two]).await;
    let (one, two) = (one.descriptor(), two.descriptor());
    let kind = async |node, expected| bucket.replace_tag("v1", node, expected).await.unwrap_err().kind();

    assert_eq!(kind(one, Some(&two.digest)).await, ErrorKind::NotFound);
    bucket.replace_tag("v1", one, None).await.unwrap();
    assert_eq!(kind(two, None).await, ErrorKind::AlreadyExists);
    assert_eq!(kind(two, Some(&two.digest)).await, ErrorKind::AlreadyExists);
    bucket.replace_tag("v1", two, Some(&one.digest)).await.unwrap();
    assert_eq!(bucket.resolve("v1").await.unwrap().digest, two.digest);
    assert_eq!(bucket.replace_tag("a/b", two, None).await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn nested_repositories_do_not_share_tags() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let node = manifest("image", &[]);
    for (prefix, tag) in [("app", "v1"), ("app/tags", "v2"), ("app2", "v3"), ("", "v4")] {
        let bucket = Bucket::new(Arc::clone(&store), prefix);
        push_all(&bucket, &[&node]).await;
        bucket.push(&node, PushMode::AddTag(tag)).await.unwrap();
    }
    for (prefix, tag) in [("app", "v1"), ("app/tags", "v2"), ("app2", "v3"), ("", "v4")] {
        assert_eq!(Bucket::new(Arc::clone(&store), prefix).tags().await.unwrap(), [tag], "{prefix}");
    }
}

#[tokio::test]
async fn interrupted_push_of_referrer_is_completed() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::new(Arc::clone(&store) as _, "app");
    let subject = manifest("subject", &[]);
    let signature = referrer("signature", "test/signature", &subject);
    push_all(&bucket, &[&subject]).await;
    // An interrupted push has stored only the bytes.
    let digest = &signature.descriptor().digest;
    let key = Path::from(format!("app/blobs/sha256/{}", digest.encoded()));
    store.put(&key, signature.in_memory().unwrap().clone().into()).await.unwrap();

    assert!(!bucket.exists(signature.descriptor()).await.unwrap());
    bucket.push(&signature, PushMode::Untagged).await.unwrap();
    let found = bucket.predecessors(subject.descriptor(), None).await.unwrap();
    assert_eq!(found.len(), 1);
    assert!(bucket.exists(signature.descriptor()).await.unwrap());
}

#[tokio::test]
async fn concurrent_writers_move_one_tag() {
    let bucket = Bucket::new(Arc::new(InMemory::new()), "app");
    let nodes: Vec<_> = (0..12).map(|number| manifest(&format!("{number}"), &[])).collect();
    push_all(&bucket, &[]).await;
    let pushes = nodes.iter().map(|node| bucket.push(node, PushMode::Tagged("latest")));
    futures::future::try_join_all(pushes).await.unwrap();
    let named = bucket.resolve("latest").await.unwrap();
    assert!(nodes.iter().any(|node| node.descriptor().digest == named.digest));
    assert_eq!(bucket.tags().await.unwrap(), ["latest"]);
}

#[tokio::test]
async fn large_ingest_leaves_only_the_blob() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::with_options(Arc::clone(&store) as _, "app", small_parts());
    let all = bytes(1_000_000);
    let begin = async || bucket.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    let mut ingest = begin().await;
    ingest.write(vec![all.clone()]).await.unwrap();
    let node = ingest.commit(None).await.unwrap();
    assert_eq!(bucket.content(&node).bytes(u64::MAX).await.unwrap(), all);
    let mut other = begin().await;
    other.write(vec![all.slice(1..)]).await.unwrap();
    other.commit(Some(&node.digest)).await.unwrap_err();
    let blob = format!("app/blobs/sha256/{}", node.digest.encoded());
    assert_eq!(keys(&store).await, [blob.as_str(), "app/oci-layout"]);
}

#[tokio::test]
async fn existing_file_is_hashed_and_not_sent() {
    let bucket = Bucket::with_options(Arc::new(InMemory::new()), "app", small_parts());
    let all = bytes(1_000_000);
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let progress: Progress = Arc::new(move |update| {
        if let ProgressUpdate::Transferred(bytes) = update {
            counter.fetch_add(bytes, Ordering::Relaxed);
        }
    });
    let opened = all.clone();
    let open: Opener = Arc::new(move |_| future::ready(Ok(pieces([opened.clone()]))).boxed());
    let content = UnhashedContent::new(MediaType::LAYER_TAR, 1_000_000, open).with_progress(progress);
    for outcome in [Pushed::Copied, Pushed::Existed] {
        let (node, pushed) = bucket.ingest(&content).await.unwrap();
        assert_eq!(pushed, outcome);
        assert_eq!(bucket.content(&node).bytes(u64::MAX).await.unwrap(), all);
        assert_eq!(sent.load(Ordering::Relaxed), 1_000_000);
    }
}

#[tokio::test]
async fn index_lists_tags_and_other_manifests() {
    let store = Arc::new(InMemory::new());
    let bucket = Bucket::new(Arc::clone(&store) as _, "app");
    let (image, layer) = (manifest("image", &[]), blob("layer"));
    let signature = referrer("signature", "test/signature", &image);
    push_all(&bucket, &[&layer, &image, &signature]).await;
    for tag in ["v1", "latest"] {
        bucket.push(&image, PushMode::Tagged(tag)).await.unwrap();
    }
    // Concurrent calls all succeed.
    futures::stream::iter(0..4)
        .map(|_| bucket.write_index())
        .buffer_unordered(4)
        .try_collect::<()>()
        .await
        .unwrap();
    let index = store.get(&Path::from("app/index.json")).await.unwrap().bytes().await.unwrap();
    let index: ImageIndex = serde_json::from_slice(&index).unwrap();
    let name = |number: usize| index.manifests[number].annotations.get("org.opencontainers.image.ref.name");
    assert_eq!((name(0).unwrap().as_str(), name(1).unwrap().as_str(), name(2)), ("latest", "v1", None));
    assert_eq!(index.manifests[2], signature.descriptor().plain());
    assert_eq!(index.manifests.len(), 3);
}

#[tokio::test]
async fn keeps_index_of_concurrent_writers() {
    let store = Arc::new(InMemory::new());
    let open = || {
        let options = BucketOptions::new().keep_index(true);
        Bucket::with_options(Arc::clone(&store) as _, "app", options)
    };
    let image = manifest("image", &[]);
    push_all(&open(), &[&image]).await;
    let names: Vec<_> = (0..12).map(|number| format!("t{number:02}")).collect();
    let pushes = names.iter().map(|tag| {
        let (bucket, image) = (open(), &image);
        async move { bucket.push(image, PushMode::Tagged(tag)).await }
    });
    futures::future::try_join_all(pushes).await.unwrap();
    let signature = referrer("signature", "test/signature", &image);
    open().push(&signature, PushMode::Untagged).await.unwrap();
    open().delete(DeleteTarget::Tag("t05")).await.unwrap();

    let index = async || {
        let index = store.get(&Path::from("app/index.json")).await.unwrap().bytes().await.unwrap();
        let mut index: ImageIndex = serde_json::from_slice(&index).unwrap();
        index.manifests.sort_by(|one, other| one.annotations.cmp(&other.annotations));
        index.manifests
    };
    let kept = index().await;
    assert_eq!(kept.len(), 12, "eleven tags and the signature");
    open().write_index().await.unwrap();
    assert_eq!(kept, index().await, "the index that is written anew");
}
