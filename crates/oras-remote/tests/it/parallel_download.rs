//! Downloads of one blob over several connections, from faulty servers.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use oras_remote::{ClientOptions, ParallelDownload, Repository};
use oras_store::{Content, Error, ErrorKind};
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::retry_and_resume::range_of;
use crate::{blob, options, repository};

const SIZE: usize = 3 << 20;

fn bytes() -> &'static [u8] {
    static BYTES: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..SIZE as u32).map(|n| (n % 65_521 % 251) as u8).collect());
    &BYTES
}

/// Returns options with which every connection counts as slow.
fn eager() -> ClientOptions {
    let parallel = ParallelDownload::default().connections(4).smallest(1 << 20).fast(u64::MAX);
    let parallel = parallel.measured(Duration::ZERO).window(512 << 10);
    options().parallel(parallel).idle_timeout(Duration::from_secs(3600))
}

fn honest(asked: &Asked) -> Reply {
    let reply = match range_of(asked) {
        Some((start, end)) => Reply::new(206)
            .header("Content-Range", format!("bytes {start}-{end}/{SIZE}"))
            .body(&bytes()[start..=end]),
        None => Reply::new(200).body(bytes()),
    };
    reply.header("ETag", "\"one\"")
}

async fn download(store: &Repository) -> Result<(), Error> {
    let descriptor = blob(bytes()).descriptor().clone();
    let content = Content::from_source(Arc::new(store.clone()), descriptor);
    assert!(content.bytes(1 << 30).await? == bytes());
    Ok(())
}

fn store(server: &Scripted) -> Repository {
    repository(eager(), &format!("{}/a", server.host()))
}

fn ranges(server: &Scripted) -> Vec<(usize, usize)> {
    server.asked().iter().filter_map(range_of).collect()
}

/// Answers the first request for a later part differently.
fn once(reply: impl Fn(&Asked) -> Reply + Send + Sync) -> impl Fn(&Asked) -> Reply + Send + Sync {
    let parts = AtomicUsize::new(0);
    move |asked: &Asked| match range_of(asked) {
        Some(_) if parts.fetch_add(1, Ordering::SeqCst) == 2 => reply(asked),
        _ => honest(asked),
    }
}

#[tokio::test]
async fn delivers_parts_in_order() {
    let server = Scripted::start(honest);
    download(&store(&server)).await.unwrap();
    let mut parts = ranges(&server);
    parts.sort_unstable();
    assert!(parts.len() > 3, "{parts:?}");
    // No byte is requested twice, and the parts continue after the first request.
    assert!(parts.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{parts:?}");
    assert_eq!(parts.last().map(|part| part.1), Some(SIZE - 1));
    let asked = server.asked();
    assert!(asked.iter().skip(1).all(|asked| asked.header("if-range") == Some("\"one\"")));
}

#[tokio::test]
async fn single_connection_sends_one_request() {
    let server = Scripted::start(honest);
    let options = eager();
    let parallel = options.parallel.connections(1);
    let store = repository(options.parallel(parallel), &format!("{}/a", server.host()));
    download(&store).await.unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn stops_requesting_ranges_from_a_server_without_them() {
    let whole = |_: &Asked| Reply::new(200).body(bytes());
    let refused = |asked: &Asked| match range_of(asked) {
        Some(_) => Reply::new(416),
        None => Reply::new(200).body(bytes()),
    };
    for server in [Scripted::start(whole), Scripted::start(refused)] {
        let store = store(&server);
        download(&store).await.unwrap();
        // Requests in flight when the first one was rejected may arrive late.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let asked = ranges(&server).len();
        assert!((1..=4).contains(&asked), "{asked}");
        download(&store).await.unwrap();
        assert_eq!(ranges(&server).len(), asked);
    }
    let server = Scripted::start(|asked: &Asked| honest(asked).header("Accept-Ranges", "none"));
    download(&store(&server)).await.unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn requests_a_stalled_part_again() {
    let hung = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&hung);
    let server = Scripted::start(once(move |asked| {
        *noted.lock().unwrap() = range_of(asked);
        Reply::silent()
    }));
    download(&store(&server)).await.unwrap();
    let stalled = hung.lock().unwrap().unwrap();
    let parts = ranges(&server);
    assert_eq!(parts.iter().filter(|part| **part == stalled).count(), 2, "{parts:?}");
}

#[tokio::test]
async fn resumes_only_the_broken_part() {
    let short = |asked: &Asked| {
        let (start, end) = range_of(asked).unwrap();
        Reply::new(206)
            .header("Content-Range", format!("bytes {start}-{end}/{SIZE}"))
            .body(&bytes()[start..start + 1000])
    };
    let long = |asked: &Asked| {
        let (start, end) = range_of(asked).unwrap();
        Reply::new(206)
            .header("Content-Range", format!("bytes {start}-{end}/{SIZE}"))
            .body([&bytes()[start..=end], b"more"].concat())
    };
    for server in [
        Scripted::start(once(|asked| honest(asked).cut_after(1000))),
        Scripted::start(once(short)),
        Scripted::start(once(long)),
        Scripted::start(once(|_| Reply::new(429).header("Retry-After", "0"))),
        Scripted::start(once(|_| Reply::new(503))),
    ] {
        download(&store(&server)).await.unwrap();
        assert!(server.asked().iter().filter(|asked| range_of(asked).is_none()).count() == 1);
    }
}

#[tokio::test]
async fn renews_expired_redirect_targets() {
    let (given, served) = (AtomicUsize::new(0), Mutex::new(Vec::<String>::new()));
    let server = Scripted::start(move |asked: &Asked| {
        if asked.path.starts_with("/v2/") {
            let number = given.fetch_add(1, Ordering::SeqCst);
            return Reply::new(307).header("Location", format!("/signed?key={number}"));
        }
        let mut served = served.lock().unwrap();
        served.push(asked.path.clone());
        match served.iter().filter(|path| **path == asked.path).count() {
            ..=4 => honest(asked),
            _ => Reply::new(403),
        }
    });
    download(&store(&server)).await.unwrap();
    let asked = server.asked();
    let signed: HashSet<_> =
        asked.iter().filter(|asked| asked.path.starts_with("/signed")).map(Asked::line).collect();
    let registry = asked.iter().filter(|asked| asked.path.starts_with("/v2/")).count();
    assert!(signed.len() > 1 && registry < ranges(&server).len() / 2, "{signed:?}, {registry}");
}

#[tokio::test]
async fn fails_when_the_content_changes() {
    for (server, text) in [
        (
            Scripted::start(once(|asked| honest(asked).without("ETag").header("ETag", "\"two\""))),
            "the blob changed",
        ),
        (
            Scripted::start(once(|asked| {
                let (start, end) = range_of(asked).unwrap();
                honest(asked)
                    .without("Content-Range")
                    .header("Content-Range", format!("bytes {start}-{end}/{}", SIZE + 1))
            })),
            "mismatch Content-Range",
        ),
        (
            Scripted::start(once(|_| {
                Reply::new(416).header("Content-Range", format!("bytes */{}", SIZE - 1))
            })),
            "the size of the blob changed",
        ),
    ] {
        let error = download(&store(&server)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidContent, "{error:?}");
        assert!(error.chain().contains(text), "{error:?}");
    }
}
