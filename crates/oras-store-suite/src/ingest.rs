//! Writes of content whose digest is known only at the end.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, future};
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{ErrorKind, IngestName, IngestOptions, PushMode, Store, UnhashedContent};

use super::{Fresh, source};
use crate::nodes::{bytes, collect, empty, manifest, pieces, read, referrer};

/// Runs the checks of [`IngestTarget`](oras_store::IngestTarget) one after the other. `fresh` makes an empty store for
/// each of them.
///
/// # Panics
/// If the store violates a rule of the trait.
pub async fn run_ingest<F>(fresh: F)
where
    F: AsyncFn() -> Arc<dyn Store>,
{
    piecewise(&fresh().await).await;
    read_back(&fresh().await).await;
    committed(&fresh().await).await;
    rejected(&fresh().await).await;
    unhashed(&fresh().await).await;
    manifests(&fresh().await).await;
    named(&fresh().await).await;
}

async fn piecewise(store: &Fresh) {
    for length in [0, 10, 256 * 1024, 1_000_003] {
        let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.expect("begin");
        let all = bytes(length);
        for piece in all.chunks(50_001) {
            ingest.write(vec![all.slice_ref(piece)]).await.expect("write");
        }
        ingest.write(Vec::new()).await.expect("empty write");
        ingest.write(vec![Bytes::new()]).await.expect("empty write");
        assert_eq!(ingest.pause().size, length as u64);
        let descriptor = ingest.commit(None).await.expect("commit");
        assert_eq!((descriptor.digest, descriptor.size), (Digest::sha256(&all), length as u64));
        assert_eq!(descriptor.media_type, MediaType::LAYER_TAR);
    }
}

/// A range read from an unfinished ingest returns bytes written before, and no others.
async fn read_back(store: &Fresh) {
    let mut ingest = store.begin(IngestOptions::new(MediaType::OCTET_STREAM)).await.expect("begin");
    let Some(back) = ingest.pause().read_back else { return };
    assert!(collect(back(0..100)).await.expect("read back").is_empty());
    let all = bytes(300_000);
    ingest.write(vec![all.slice(..200_000)]).await.expect("write");
    for (range, found) in [(0..200_000, 0..200_000), (199_999..300_000, 199_999..200_000)] {
        assert_eq!(collect(back(range)).await.expect("read back"), all.slice(found));
    }
    ingest.write(vec![all.slice(200_000..)]).await.expect("write");
    assert_eq!(collect(back(150_000..250_000)).await.expect("read back"), all.slice(150_000..250_000));
    ingest.commit(Some(&Digest::sha256(&all))).await.expect("commit");
}

async fn committed(store: &Fresh) {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut ingest = store.begin(IngestOptions::new(MediaType::OCTET_STREAM)).await.expect("begin");
        ingest.write(vec![bytes(300_000)]).await.expect("write");
        // The algorithm of the expected digest may differ from that of the options.
        let expected = Digest::of(algorithm, &bytes(300_000));
        let descriptor = ingest.commit(Some(&expected)).await.expect("commit");
        assert_eq!(descriptor.digest, expected);
        assert!(store.exists(&descriptor).await.expect("exists"));
        assert_eq!(read(&source(store), &descriptor).await.expect("read"), bytes(300_000));
    }
}

async fn rejected(store: &Fresh) {
    let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.expect("begin");
    ingest.write(vec![bytes(300_000)]).await.expect("write");
    let error = ingest.commit(Some(&Digest::sha256(b"other"))).await.expect_err("another digest");
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");

    let mut dropped = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.expect("begin");
    dropped.write(vec![bytes(300_000)]).await.expect("write");
    drop(dropped);
    for digest in [Digest::sha256(&bytes(300_000)), Digest::sha256(b"other")] {
        let error = store.resolve(&digest.to_string()).await.expect_err("nothing is visible");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
}

/// Content with a known size is stored under its SHA-256 digest, and rejected if it has another size.
async fn unhashed(store: &Fresh) {
    let all = bytes(300_000);
    let opened = all.clone();
    let open = move |offset: u64| {
        let rest = opened.slice(usize::try_from(offset).expect("small")..);
        future::ready(Ok(pieces([rest]))).boxed()
    };
    let content = |size| UnhashedContent::new(MediaType::LAYER_TAR, size, Arc::new(open.clone()));
    for size in [299_999, 300_001] {
        let error = store.ingest(&content(size)).await.expect_err("another size");
        assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
        let error = store.resolve(&Digest::sha256(&all).to_string()).await.expect_err("rejected content");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    let (descriptor, _) = store.ingest(&content(300_000)).await.expect("ingest");
    assert_eq!(descriptor, Descriptor::of(MediaType::LAYER_TAR, &all));
    assert_eq!(read(&source(store), &descriptor).await.expect("read"), all);
}

/// A named ingest resumes at the offset at which it was dropped, or is unknown.
async fn named(store: &Fresh) {
    let all = bytes(300_000);
    let open = |name| store.begin(IngestOptions::new(MediaType::OCTET_STREAM).name(name));
    let begin = async |name| open(IngestName::New(name)).await.expect("begin with a name");
    let resume = async |name| match open(IngestName::Resume(name)).await {
        Ok(ingest) => Ok(Some(ingest)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let mut ingest = begin("abc1").await;
        ingest.write(vec![all.slice(..100_000)]).await.expect("write");
        drop(ingest);
        assert!(resume("abc2").await.expect("resume").is_none(), "another name");
        let Some(mut ingest) = resume("abc1").await.expect("resume") else { continue };
        assert_eq!(
            resume("abc1").await.err().expect("another ingest writes it").kind(),
            ErrorKind::AlreadyExists
        );
        assert_eq!(ingest.pause().size, 100_000);
        ingest.write(vec![all.slice(100_000..)]).await.expect("write");
        drop(ingest);
        let ingest = resume("abc1").await.expect("resume").expect("not committed yet");
        let descriptor = ingest.commit(Some(&Digest::of(algorithm, &all))).await.expect("commit");
        assert_eq!(read(&source(store), &descriptor).await.expect("read"), all);
        assert!(resume("abc1").await.expect("resume").is_none(), "committed");
    }
    let wrong = begin("abc3").await;
    wrong.commit(Some(&Digest::sha256(b"other"))).await.expect_err("another digest");
    begin("abc4").await.abort().await;
    if let Some(ingest) = {
        drop(begin("abc5").await);
        resume("abc5").await.expect("resume")
    } {
        ingest.abort().await;
    }
    for name in ["abc3", "abc4", "abc5"] {
        assert!(resume(name).await.expect("resume").is_none(), "{name} was deleted");
    }
    for name in ["", "..", "a/b", "A", "index.json"] {
        let found = resume(name).await;
        assert!(found.is_ok_and(|found| found.is_none()) || resume(name).await.is_err(), "{name:?}");
    }
}

async fn manifests(store: &Fresh) {
    let subject = manifest("subject", &[]);
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    store.push(&subject, PushMode::Untagged).await.expect("push");
    let node = referrer("node", "test/node", &subject);
    let mut ingest = store.begin(IngestOptions::new(MediaType::IMAGE_MANIFEST)).await.expect("begin");
    ingest.write(vec![node.in_memory().cloned().unwrap_or_default()]).await.expect("write");
    let descriptor = ingest.commit(Some(&node.descriptor().digest)).await.expect("commit");
    assert_eq!(descriptor, node.descriptor().plain());
    assert!(store.exists(&descriptor).await.expect("exists"));
    let found = store.predecessors(subject.descriptor(), None).await.expect("predecessors");
    assert_eq!(found.len(), 1, "{found:?}");

    let mut bad = store.begin(IngestOptions::new(MediaType::IMAGE_MANIFEST)).await.expect("begin");
    bad.write(vec![Bytes::from_static(b"not JSON")]).await.expect("write");
    let error = bad.commit(None).await.expect_err("malformed manifest");
    assert_eq!(error.kind(), ErrorKind::InvalidContent, "{error:?}");
}
