//! Content without a digest: sent in chunks, or streamed while it is hashed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, ErrorKind, IngestOptions, IngestTarget, Pushed, Target, UnhashedContent};
use oras_testkit::registry::{Flavor, Process};
use oras_testkit::scripted::Reply;
use oras_testkit::suite;

use crate::cutting_proxy::Cutting;
use crate::scripted_registry::{breaks_after, serve};
use crate::{options, repository};

const MIB: usize = 1 << 20;

fn bytes(length: usize) -> Bytes {
    (0..length).map(|n| ((n % 251) ^ (n >> 12)) as u8).collect()
}

/// Returns content with the bytes `all`, whose stated size is `size`.
fn undigested(all: Bytes, size: u64) -> UnhashedContent {
    let opener = move |offset: u64| {
        let rest = all.slice(usize::try_from(offset).unwrap().min(all.len())..);
        let chunks: Vec<_> = rest.chunks(MIB / 4).map(|chunk| Ok(rest.slice_ref(chunk))).collect();
        async move { Ok(futures::stream::iter(chunks).boxed()) }.boxed()
    };
    UnhashedContent::new(MediaType::LAYER_TAR, size, Arc::new(opener))
}

#[tokio::test]
async fn passes_the_store_suite() {
    for flavor in [Flavor::Distribution, Flavor::Debian] {
        let Some(registry) = Process::open(flavor, "ingest") else { continue };
        let number = AtomicUsize::new(0);
        suite::run_ingest(async || {
            let name = format!("{}/a{}", registry.host(), number.fetch_add(1, Ordering::SeqCst));
            Arc::new(repository(options(), &name)) as _
        })
        .await;
    }
}

#[tokio::test]
async fn stores_content_of_many_chunks() {
    for flavor in Flavor::ALL {
        let Some(registry) = Process::open(flavor, "pieces") else { continue };
        let store = repository(options(), &format!("{}/a", registry.host()));
        for length in [8 * MIB, 8 * MIB + 1, 20 * MIB] {
            let all = bytes(length);
            let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
            for chunk in all.chunks(3 * MIB) {
                ingest.write(vec![all.slice_ref(chunk)]).await.unwrap();
            }
            let node = ingest.commit(None).await.unwrap();
            assert_eq!(node, Descriptor::of(MediaType::LAYER_TAR, &all));
            let back = Content::from_source(Arc::new(store.clone()), node);
            assert_eq!(back.bytes(u64::MAX).await.unwrap(), all, "{flavor:?}");
        }
    }
}

#[tokio::test]
async fn resends_a_broken_chunk() {
    let faults = AtomicUsize::new(0);
    let (server, sessions) = serve(move |asked, sessions| {
        let number = if asked.method == "PATCH" { faults.fetch_add(1, Ordering::SeqCst) } else { 9 };
        [0, 2].contains(&number).then(|| breaks_after(asked, sessions, MIB * number))
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let all = bytes(20 * MIB);
    let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    ingest.write(vec![all.clone()]).await.unwrap();
    ingest.commit(None).await.unwrap();
    let node = Descriptor::of(MediaType::LAYER_TAR, &all);
    assert_eq!(sessions.lock().unwrap().blobs[&node.digest.to_string()], all);
}

#[tokio::test]
async fn fails_when_the_session_is_lost_after_chunks_were_dropped() {
    let faults = AtomicUsize::new(0);
    let (server, _) = serve(move |asked, sessions| {
        if asked.method == "PATCH" && faults.fetch_add(1, Ordering::SeqCst) == 1 {
            sessions.sessions.clear();
        }
        None
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    let error = match ingest.write(vec![bytes(20 * MIB)]).await {
        Ok(()) => ingest.commit(None).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.chain().contains("lost an upload"), "{error:?}");
}

#[tokio::test]
async fn spools_chunks_and_hashes_first_without_patch() {
    for status in [404, 405, 501, 400] {
        let (server, sessions) = serve(move |asked, _| (asked.method == "PATCH").then(|| Reply::new(status)));
        let all = bytes(20 * MIB);
        let node = Descriptor::of(MediaType::LAYER_TAR, &all);
        let store = repository(options(), &format!("{}/a", server.host()));
        let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
        ingest.write(vec![all.clone()]).await.unwrap();
        assert_eq!(ingest.commit(None).await.unwrap(), node);
        assert_eq!(sessions.lock().unwrap().blobs.remove(&node.digest.to_string()).unwrap(), all);
        let store = repository(options(), &format!("{}/a", server.host()));
        let content = undigested(all.clone(), all.len() as u64);
        assert_eq!(store.ingest(&content).await.unwrap(), (node.clone(), Pushed::Copied));
        let patches = server.asked().iter().filter(|asked| asked.method == "PATCH").count();
        assert_eq!(patches, 2, "each client finds out once");
        assert_eq!(store.ingest(&content).await.unwrap(), (node, Pushed::Existed));
    }
}

#[tokio::test]
async fn hashes_content_while_sending_it() {
    for flavor in Flavor::ALL {
        let Some(registry) = Process::open(flavor, "streams") else { continue };
        let store = repository(options(), &format!("{}/a", registry.host()));
        for length in [0, 1000, MIB, 20 * MIB] {
            let all = bytes(length);
            let (node, pushed) = store.ingest(&undigested(all.clone(), length as u64)).await.unwrap();
            assert_eq!((&node, pushed), (&Descriptor::of(MediaType::LAYER_TAR, &all), Pushed::Copied));
            let back = Content::from_source(Arc::new(store.clone()), node);
            assert_eq!(back.bytes(u64::MAX).await.unwrap(), all, "{flavor:?}");
        }
        for (has, says) in [(20 * MIB, 21 * MIB), (21 * MIB, 20 * MIB), (9, 10), (10, 9)] {
            let error = store.ingest(&undigested(bytes(has), says as u64)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SizeMismatch, "{error:?}");
        }
        let missing = Descriptor::of(MediaType::LAYER_TAR, &bytes(21 * MIB));
        assert!(!store.exists(&missing).await.unwrap());
    }
}

#[tokio::test]
async fn resumes_streamed_content_after_a_cut() {
    let Some(registry) = Process::open(Flavor::Distribution, "cut streams") else { return };
    let size = 24 * MIB as u64;
    let cutting = Cutting::start(registry.port(), &[size * 3 / 10, size * 6 / 10, size * 9 / 10]);
    let store = repository(options(), &format!("{}/a", cutting.host()));
    let all = bytes(24 * MIB);
    let (node, _) = store.ingest(&undigested(all.clone(), size)).await.unwrap();
    assert_eq!(node, Descriptor::of(MediaType::LAYER_TAR, &all));
    assert!(store.exists(&node).await.unwrap());
    assert!(cutting.sent() < size + 3 * 6 * MIB as u64, "{} of {size}", cutting.sent());
}

#[tokio::test]
async fn stops_streaming_when_the_blob_exists() {
    let all = bytes(20 * MIB);
    let node = Descriptor::of(MediaType::LAYER_TAR, &all);
    let (server, sessions) = serve(|_, _| None);
    sessions.lock().unwrap().blobs.insert(node.digest.to_string(), all.to_vec());
    let store = repository(options(), &format!("{}/a", server.host()));
    // The upload reads slowly, so the digest is known long before the end.
    let first = AtomicUsize::new(0);
    let opener = move |offset: u64| {
        let chunks = all.slice(usize::try_from(offset).unwrap()..);
        let slow = first.fetch_add(1, Ordering::SeqCst) == 1;
        let chunks: Vec<_> = chunks.chunks(MIB).map(|chunk| chunks.slice_ref(chunk)).collect();
        let stream = futures::stream::iter(chunks).then(move |chunk| async move {
            if slow {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(chunk)
        });
        async move { Ok(stream.boxed()) }.boxed()
    };
    let content = UnhashedContent::new(MediaType::LAYER_TAR, node.size, Arc::new(opener));
    assert_eq!(store.ingest(&content).await.unwrap(), (node, Pushed::Existed));
    let methods: Vec<_> = server.asked().iter().map(|asked| asked.method.clone()).collect();
    assert!(methods.contains(&"HEAD".to_owned()) && !methods.contains(&"PUT".to_owned()), "{methods:?}");
}

#[tokio::test]
async fn later_run_resumes_streamed_content() {
    let state = tempfile::tempdir().unwrap();
    let (server, sessions) = serve(|asked, sessions| {
        let is_first = asked.method == "PATCH" && asked.body.len() == 20 * MIB;
        is_first.then(|| {
            let _ = breaks_after(asked, sessions, 12 * MIB);
            Reply::silent()
        })
    });
    let all = bytes(20 * MIB);
    let content = undigested(all.clone(), all.len() as u64).identified_by("this very file".into());
    let options = || options().unfinished_uploads(state.path());
    let open = || repository(options(), &format!("{}/a", server.host()));
    let (first, second) = (open(), open());
    assert!(tokio::time::timeout(Duration::from_millis(900), first.ingest(&content)).await.is_err());
    let (node, pushed) = second.ingest(&content).await.unwrap();
    assert_eq!((&node, pushed), (&Descriptor::of(MediaType::LAYER_TAR, &all), Pushed::Copied));
    assert_eq!(sessions.lock().unwrap().blobs[&node.digest.to_string()], all);
    let sent: Vec<_> = server.asked().iter().map(|asked| asked.body.len()).filter(|sent| *sent > 0).collect();
    assert_eq!(sent, [20 * MIB, 8 * MIB]);
    assert!(second.resolve(&node.digest.to_string()).await.is_err());
}

#[tokio::test]
async fn abort_cancels_the_session() {
    let (server, sessions) = serve(|_, _| None);
    let store = repository(options(), &format!("{}/a", server.host()));
    let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    ingest.write(vec![bytes(9 * MIB)]).await.unwrap();
    ingest.abort().await;
    assert!(server.asked().iter().any(|asked| asked.method == "PATCH"));
    assert!(sessions.lock().unwrap().sessions.is_empty());
    assert!(sessions.lock().unwrap().blobs.is_empty());
}
