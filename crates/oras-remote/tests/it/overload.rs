//! The number of concurrent requests adapts to an overloaded registry, and is unlimited otherwise.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use oras_remote::Repository;
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Content, PushMode, Result, Source, Target};
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::scripted_registry::Sessions;
use crate::{blob, collect, options, repository};

const BLOBS: usize = 1000;
/// The number of transfers that start at the same time.
const TRANSFERS: usize = 32;
/// The number of concurrent requests that the registry accepts.
const BORNE: usize = 8;

#[derive(Default)]
struct Counts {
    under_way: AtomicUsize,
    /// The maximum number of concurrent requests so far.
    peak: AtomicUsize,
    asked: AtomicUsize,
    refused: AtomicUsize,
}

/// Rejects requests beyond `most` concurrent ones; each answer takes some time.
fn bearing(
    most: usize,
    reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Arc<Counts>, impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
    let counts = Arc::new(Counts::default());
    let shared = Arc::clone(&counts);
    let handler = move |asked: &Asked| {
        let now = counts.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        counts.peak.fetch_max(now, Ordering::SeqCst);
        counts.asked.fetch_add(1, Ordering::SeqCst);
        let reply = if now > most {
            counts.refused.fetch_add(1, Ordering::SeqCst);
            Reply::new(429)
        } else {
            std::thread::sleep(Duration::from_millis(3));
            reply(asked)
        };
        counts.under_way.fetch_sub(1, Ordering::SeqCst);
        reply
    };
    (shared, handler)
}

fn contents() -> Vec<Content> {
    (0..BLOBS).map(|number| blob(format!("blob {number}").repeat(400))).collect()
}

fn check(most: usize, counts: &Counts) {
    let [asked, refused, peak] =
        [&counts.asked, &counts.refused, &counts.peak].map(|count| count.load(Ordering::SeqCst));
    let shown = format!("{asked} requests, {refused} refused, {peak} at the same time");
    if most == BORNE {
        assert!(refused > 0 && refused * 20 < asked, "{shown}");
    } else {
        assert!(refused == 0 && peak > TRANSFERS / 2, "{shown}");
    }
}

async fn push_all(store: &Repository) -> Result<()> {
    let pushes = futures::stream::iter(contents())
        .map(|content| async move { store.push(&content, PushMode::Untagged).await });
    pushes.buffer_unordered(TRANSFERS).try_for_each(|_| async { Ok(()) }).await
}

async fn fetch_all(store: &Repository) -> Result<()> {
    let fetches = futures::stream::iter(contents()).map(|content| async move {
        let node = Descriptor::of(MediaType::OCTET_STREAM, content.in_memory().unwrap());
        let bytes = collect(store.fetch(&node, 0..node.size).await?).await?;
        assert_eq!(Digest::sha256(&bytes), node.digest);
        Ok(())
    });
    fetches.buffer_unordered(TRANSFERS).try_collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn push_adapts_concurrency_to_an_overloaded_registry() {
    for most in [BORNE, usize::MAX] {
        let sessions = Arc::new(Mutex::new(Sessions::default()));
        let answering = Arc::clone(&sessions);
        let (counts, handler) = bearing(most, move |asked| answering.lock().unwrap().reply(asked));
        let server = Scripted::start(handler);
        push_all(&repository(options(), &format!("{}/a", server.host()))).await.unwrap();
        assert_eq!(sessions.lock().unwrap().blobs.len(), BLOBS);
        check(most, &counts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_adapts_concurrency_to_an_overloaded_registry() {
    for most in [BORNE, usize::MAX] {
        let memory = MemoryRegistry::new();
        for content in contents() {
            memory.blob("a", content.in_memory().unwrap().to_vec());
        }
        let (counts, handler) = bearing(most, move |asked| memory.reply(asked));
        let server = Scripted::start(handler);
        fetch_all(&repository(options(), &format!("{}/a", server.host()))).await.unwrap();
        check(most, &counts);
    }
}
