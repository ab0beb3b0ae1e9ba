//! Buckets on a real server of the S3 API.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use oras_bucket::{Bucket, BucketOptions, CloudOptions};
use oras_spec::MediaType;
use oras_store::{Content, ErrorKind, IngestOptions, IngestTarget, PushMode, Pushed, ReadStore, Target};
use oras_testkit::nodes::{blob, bytes, manifest, pieces, push_all, referrer};
use oras_testkit::object_server::ObjectServer;
use oras_testkit::suite::{self, Abilities};

fn open(server: &ObjectServer, prefix: &str) -> Bucket {
    let options = CloudOptions::new().settings(server.settings());
    let options = options.bucket(BucketOptions::new().part_size(5 << 20));
    Bucket::open(&format!("s3://mirror/{prefix}"), &options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_behaves_like_a_store() {
    let Some(server) = ObjectServer::open("s3_behaves_like_a_store") else { return };
    let next = AtomicUsize::new(0);
    let fresh = || open(&server, &format!("suite/app{}", next.fetch_add(1, Ordering::Relaxed)));
    let abilities = fresh().probe().await.unwrap();
    assert!(abilities.create_only && abilities.compare_and_swap && abilities.strong_listing);
    suite::run(Abilities::ALL, async || Arc::new(fresh()) as _).await;
    suite::run_ingest(async || Arc::new(fresh()) as _).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_blobs_are_visible_only_when_verified() {
    let Some(server) = ObjectServer::open("large_blobs_are_visible_only_when_verified") else { return };
    let bucket = open(&server, "app");
    let all = bytes(12_000_000);
    let good = blob(all.clone());
    let path = server.objects().join("app/blobs/sha256").join(good.descriptor().digest.encoded());
    let spoiled = pieces([all.slice(..11_999_999), "!".into()]);
    let bad = Content::once(good.descriptor().clone(), spoiled);
    let error = bucket.push(&bad, PushMode::Untagged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    assert!(!path.exists());
    assert_eq!(bucket.push(&good, PushMode::Untagged).await.unwrap(), Pushed::Copied);
    assert_eq!(bucket.push(&good, PushMode::Untagged).await.unwrap(), Pushed::Existed);
    assert_eq!(bucket.content(good.descriptor()).bytes(u64::MAX).await.unwrap(), all);

    // The server copies content that was hashed while it was uploaded.
    let other = open(&server, "other");
    let mut ingest = other.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    for piece in all.chunks(1_000_001) {
        ingest.write(vec![all.slice_ref(piece)]).await.unwrap();
    }
    assert_eq!(ingest.commit(None).await.unwrap(), *good.descriptor());
    assert_eq!(other.content(good.descriptor()).bytes(u64::MAX).await.unwrap(), all);
    let staged = std::fs::read_dir(server.objects().join("other/_uploads"));
    assert_eq!(staged.map_or(0, Iterator::count), 0);
}

#[tokio::test]
async fn twelve_writers_lose_no_tag_and_no_referrer() {
    let Some(server) = ObjectServer::open("twelve_writers_lose_no_tag_and_no_referrer") else { return };
    let subject = manifest("subject", &[]);
    let bucket = open(&server, "app");
    push_all(&bucket, &[&subject]).await;
    // Each thread has its own runtime and its own connections, as a process on another machine has.
    std::thread::scope(|scope| {
        for number in 0..12 {
            let (server, subject) = (&server, &subject);
            scope.spawn(move || write(server, subject, number));
        }
    });
    let tags: Vec<String> = bucket.tags_after(None).try_collect().await.unwrap();
    assert_eq!(tags.len(), 13, "{tags:?}");
    let referrers = bucket.predecessors(subject.descriptor(), None).await.unwrap();
    assert_eq!(referrers.len(), 8);
    for (tag, node) in bucket.tagged_nodes().try_collect::<Vec<_>>().await.unwrap() {
        assert!(bucket.content(&node).bytes(u64::MAX).await.is_ok(), "{tag}");
    }
}

#[tokio::test]
async fn errors_state_the_reason_of_the_server() {
    let Some(server) = ObjectServer::open("errors_state_the_reason_of_the_server") else { return };
    let mut settings = server.settings();
    settings.push(("AWS_SECRET_ACCESS_KEY".into(), "wrong".into()));
    let wrong = Bucket::open("s3://mirror/app", &CloudOptions::new().settings(settings)).unwrap();
    let error = wrong.resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    let expected = "failed to read app/_tags/v1: 403 Forbidden: SignatureDoesNotMatch: The request signature";
    assert!(error.chain().starts_with(expected) && error.chain().len() < 300, "{error:?}");

    let options = CloudOptions::new().settings(server.settings());
    let absent = Bucket::open("s3://absent/app", &options).unwrap();
    let error = absent.push(&blob("content"), PushMode::Untagged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.chain().contains("NoSuchBucket"), "{error:?}");
    let error = Bucket::open("s3://mirror/app", &options).unwrap().resolve("v1").await.unwrap_err();
    assert_eq!(error.chain(), "s3://mirror/app:v1: not found");
}

/// Pushes an image with its own tag, a referrer, and moves the tag `latest`.
#[tokio::main(flavor = "current_thread")]
async fn write(server: &ObjectServer, subject: &Content, number: usize) {
    let bucket = open(server, "app");
    let layer = blob(format!("layer {number}"));
    let image = manifest(&format!("image {number}"), &[&layer]);
    push_all(&bucket, &[&layer]).await;
    bucket.push(&image, PushMode::Tagged(&format!("v{number}"))).await.unwrap();
    bucket.push(&image, PushMode::Tagged("latest")).await.unwrap();
    if number < 8 {
        let signature = referrer(&format!("signature {number}"), "test/signature", subject);
        bucket.push(&signature, PushMode::Untagged).await.unwrap();
    }
}
