//! Uploads that break, are too large, or are resumed by a later run; and the number of requests for small blobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use oras_remote::{Client, Repository, ResolveOverride, UnfinishedUploads};
use oras_store::{Content, ErrorKind, ProgressUpdate, PushMode, Pushed, Source, Target};
use oras_testkit::registry::{Flavor, Process};
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::cutting_proxy::Cutting;
use crate::scripted_registry::{breaks_after, serve};
use crate::{blob, options, repository};

const MIB: usize = 1 << 20;

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| ((n % 251) ^ (n >> 12)) as u8).collect()
}

/// Returns the method, path without query, `Content-Range` and body length of each request.
fn steps(server: &Scripted) -> Vec<String> {
    let step = |asked: Asked| {
        let path = asked.path.split('?').next().unwrap_or_default();
        let path = path.rsplit('/').next().unwrap_or_default();
        let range = asked.header("content-range").map(|range| format!(" {range}")).unwrap_or_default();
        let path = if path.starts_with("sha256:") { "blob" } else { path };
        format!("{} {path}{range} {}", asked.method, asked.body.len())
    };
    server.asked().into_iter().map(step).collect()
}

#[tokio::test]
async fn resumes_a_broken_upload_at_the_registry_offset() {
    type Fault = fn(&Asked, &mut crate::scripted_registry::Sessions) -> Reply;
    let faults: [Fault; 3] = [
        |asked, sessions| breaks_after(asked, sessions, asked.body.len() / 2),
        |asked, sessions| {
            let _ = breaks_after(asked, sessions, asked.body.len() / 2);
            Reply::new(503)
        },
        |asked, sessions| {
            let _ = breaks_after(asked, sessions, asked.body.len() / 2);
            Reply::new(429).header("Retry-After", "0")
        },
    ];
    for fault in faults {
        let faults = AtomicUsize::new(0);
        let (server, sessions) = serve(move |asked, sessions| {
            let is_sent = !asked.body.is_empty() && faults.fetch_add(1, Ordering::SeqCst) < 2;
            is_sent.then(|| fault(asked, sessions))
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let content = blob(bytes(MIB));
        assert_eq!(store.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert_eq!(sessions.lock().unwrap().blobs.len(), 1);
        assert_eq!(
            steps(&server),
            [
                "HEAD blob 0",
                "POST  0",
                "PUT u0 1048576",
                "GET u0 0",
                "GET u0 0",
                "PATCH u0 524288-1048575 524288",
                "GET u0 0",
                "GET u0 0",
                "PATCH u0 786432-1048575 262144",
                "PUT u0 0",
            ]
        );
    }
}

#[tokio::test]
async fn waits_until_the_offset_settles() {
    let (faults, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (server, _) = serve(move |asked, sessions| match asked.method.as_str() {
        "PUT" if faults.fetch_add(1, Ordering::SeqCst) == 0 => Some(breaks_after(asked, sessions, 600_000)),
        "GET" if failures.fetch_add(1, Ordering::SeqCst) < 3 => Some(Reply::new(503)),
        _ => None,
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap();
    let sent: usize = server.asked().iter().map(|asked| asked.body.len()).sum();
    assert_eq!(sent, 2 * MIB - 600_000, "{:?}", steps(&server));
}

#[tokio::test]
async fn detects_success_after_a_lost_answer() {
    let faults = AtomicUsize::new(0);
    let (server, _) = serve(move |asked, sessions| {
        if asked.method == "PUT" && faults.fetch_add(1, Ordering::SeqCst) == 0 {
            let _ = sessions.reply(asked);
            return Some(Reply::new(502));
        }
        None
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap();
    assert_eq!(
        steps(&server),
        ["HEAD blob 0", "POST  0", "PUT u0 1048576", "GET u0 0", "DELETE u0 0", "HEAD blob 0"]
    );
}

#[tokio::test]
async fn shrinks_chunks_that_are_too_large() {
    for status in [413, 416] {
        let (server, sessions) =
            serve(move |asked, _| (asked.body.len() > 300_000).then(|| Reply::new(status)));
        let client = Client::new(options()).unwrap();
        let store = Repository::new(&client, &format!("{}/a", server.host()).parse().unwrap()).unwrap();
        store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap();
        assert_eq!(
            steps(&server)[..8],
            [
                "HEAD blob 0",
                "POST  0",
                "PUT u0 1048576",
                "GET u0 0",
                "DELETE u0 0",
                "POST  0",
                "PATCH u1 0-524287 524288",
                "GET u1 0",
            ]
        );
        // The client caches the limit for the next blob.
        let before = server.asked().len();
        store.push(&blob(bytes(MIB + 1)), PushMode::Untagged).await.unwrap();
        let later = &steps(&server)[before..];
        assert_eq!(later[0..3], ["HEAD blob 0", "POST  0", "PATCH u3 0-262143 262144"], "{later:?}");
        assert_eq!(later.last().unwrap(), "PUT u3 0");
        assert_eq!(sessions.lock().unwrap().blobs.len(), 2);
    }
}

#[tokio::test]
async fn respects_the_minimum_chunk_size() {
    let (server, _) = serve(|asked, sessions| match asked.method.as_str() {
        "POST" => Some(sessions.reply(asked).header("OCI-Chunk-Min-Length", 700_000)),
        _ => (asked.body.len() > 800_000).then(|| Reply::new(413)),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap();
    let pieces: Vec<_> = steps(&server).into_iter().filter(|step| step.starts_with("PATCH")).collect();
    assert_eq!(pieces, ["PATCH u1 0-699999 700000", "PATCH u1 700000-1048575 348576"]);
}

#[tokio::test]
async fn gives_up_when_the_smallest_chunk_is_too_large() {
    let (server, _) = serve(|asked, _| (!asked.body.is_empty()).then(|| Reply::new(413)));
    let store = repository(options(), &format!("{}/a", server.host()));
    let error = store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert!(server.asked().len() < 30, "{:?}", steps(&server));
    assert_eq!(steps(&server).last().unwrap().split(' ').next(), Some("DELETE"));
}

#[tokio::test]
async fn ignores_impossible_offsets() {
    for range in ["0-99999999", "bytes 5-9", "0-18446744073709551615", "x", "9-1"] {
        let faults = AtomicUsize::new(0);
        let (server, sessions) = serve(move |asked, sessions| match asked.method.as_str() {
            "PUT" if faults.fetch_add(1, Ordering::SeqCst) == 0 => Some(breaks_after(asked, sessions, 9)),
            "GET" => Some(Reply::new(204).header("Range", range)),
            _ => None,
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        store.push(&blob(bytes(MIB)), PushMode::Untagged).await.unwrap();
        assert_eq!(sessions.lock().unwrap().blobs.len(), 1, "{range}");
        assert_eq!(steps(&server).last().unwrap(), "PUT u1 1048576");
    }
}

#[tokio::test]
async fn resends_few_bytes_after_cut_connections() {
    for flavor in [Flavor::Distribution, Flavor::Debian] {
        let Some(registry) = Process::open(flavor, "cut connections") else { continue };
        let size = 24 * MIB as u64;
        let cutting = Cutting::start(registry.port(), &[size * 3 / 10, size * 6 / 10, size * 9 / 10]);
        let store = repository(options(), &format!("{}/a", cutting.host()));
        let content = blob(bytes(24 * MIB));
        assert_eq!(store.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert!(store.exists(content.descriptor()).await.unwrap());
        // The bytes in flight at a cut do not shrink with the blob.
        let sent = cutting.sent();
        // 2.8.2 drops an upload if a request uses another location than the latest, so the upload starts
        // again.
        assert!(flavor == Flavor::Debian || sent < size + 3 * 6 * MIB as u64, "{flavor:?}: {sent} of {size}");
    }
}

/// If bytes are lost between the client and the destination, the client sends them again from memory. The
/// download continues.
#[tokio::test]
async fn downloads_once_when_the_destination_is_cut() {
    let size = 24 * MIB as u64;
    let content = bytes(24 * MIB);
    let served = content.clone();
    let source = Scripted::start(move |asked: &Asked| match asked.header("range") {
        Some(range) => {
            let (start, end) = range.trim_start_matches("bytes=").split_once('-').unwrap();
            let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
            let part = served[start..=end].to_vec();
            Reply::new(206)
                .header("Content-Range", format!("bytes {start}-{end}/{}", served.len()))
                .body(part)
        }
        None => Reply::new(200).body(served.clone()),
    });
    let registry = Process::ours(&[]);
    let cutting = Cutting::start(registry.port(), &[size * 3 / 10, size * 6 / 10, size * 9 / 10]);
    let from: Arc<dyn Source> = Arc::new(repository(options(), &format!("{}/a", source.host())));
    let to = repository(options(), &format!("{}/a", cutting.host()));
    let passed = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&passed);
    let progress = Arc::new(move |update| {
        let ProgressUpdate::Transferred(bytes) = update else { return };
        counted.fetch_add(usize::try_from(bytes).unwrap(), Ordering::Relaxed);
    });
    let node = blob(content).descriptor().clone();
    let relayed = Content::from_source(from, node.clone()).with_progress(progress);
    assert_eq!(to.push(&relayed, PushMode::Untagged).await.unwrap(), Pushed::Copied);
    assert!(to.exists(&node).await.unwrap());
    let asked = source.asked();
    assert_eq!(asked.iter().filter(|asked| asked.header("range").is_none()).count(), 1);
    // Two or three MiB are in flight at each cut.
    let again = passed.load(Ordering::Relaxed) as u64 - size;
    assert!(again < MIB as u64, "{again} bytes once more");
}

#[tokio::test]
async fn later_run_resumes_an_upload() {
    let state = tempfile::tempdir().unwrap();
    let uploads = UnfinishedUploads::new(state.path());
    let (server, sessions) = serve(|asked, sessions| {
        let is_first = asked.method == "PUT" && sessions.blobs.is_empty() && asked.body.len() > 9 * MIB;
        is_first.then(|| {
            let _ = breaks_after(asked, sessions, 6 * MIB);
            Reply::silent()
        })
    });
    let content = blob(bytes(10 * MIB));
    let run = || {
        let options = options().unfinished_uploads(state.path());
        repository(options, &format!("{}/a", server.host()))
    };
    // The upload is dropped in the middle, as after Ctrl-C.
    let (first, second) = (run(), run());
    let cut =
        tokio::time::timeout(Duration::from_millis(600), first.push(&content, PushMode::Untagged)).await;
    assert!(cut.is_err());
    let kept = uploads.list().unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].name, content.descriptor().digest.to_string());
    assert_eq!((kept[0].repository.as_str(), kept[0].size), ("a", 10 * MIB as u64));
    assert_eq!(second.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
    assert_eq!(
        steps(&server)[3..],
        ["HEAD blob 0", "GET u0 0", "GET u0 0", "PATCH u0 6291456-10485759 4194304", "PUT u0 0"],
        "{:?}",
        steps(&server)
    );
    assert_eq!(uploads.list().unwrap(), []);
    assert_eq!(sessions.lock().unwrap().blobs.len(), 1);
}

#[tokio::test]
async fn does_not_save_a_state_that_is_too_large_to_read() {
    // Like some registries, this one stores its state in the location, up to the longest URL that a client
    // sends.
    let long = format!("/u0?_state={}", "x".repeat(65_400));
    let faults = AtomicUsize::new(0);
    let (server, sessions) = {
        let long = long.clone();
        serve(move |asked, sessions| match asked.method.as_str() {
            "POST" => Some(sessions.reply(asked).without("Location").header("Location", &long)),
            "PUT" if faults.fetch_add(1, Ordering::SeqCst) == 0 => {
                Some(breaks_after(asked, sessions, 6 * MIB))
            }
            _ => None,
        })
    };
    let state = tempfile::tempdir().unwrap();
    let options = options().unfinished_uploads(state.path());
    let store = repository(options, &format!("{}/a", server.host()));
    let content = blob(bytes(10 * MIB));
    let files = || {
        let entries = std::fs::read_dir(state.path()).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).collect::<Vec<_>>()
    };
    let mut push = std::pin::pin!(store.push(&content, PushMode::Untagged));
    // The state is read while the upload runs, because its end deletes the file.
    let pushed = loop {
        match tokio::time::timeout(Duration::from_millis(1), &mut push).await {
            Ok(pushed) => break pushed,
            Err(_) => assert!(files().iter().all(|length| *length == 0), "{:?}", files()),
        }
    };
    assert_eq!(pushed.unwrap(), Pushed::Copied);
    assert_eq!(
        steps(&server)[2..],
        ["PUT u0 10485760", "GET u0 0", "GET u0 0", "PATCH u0 6291456-10485759 4194304", "PUT u0 0"]
    );
    assert!(server.asked()[2].path.starts_with(&long));
    assert_eq!((sessions.lock().unwrap().blobs.len(), files()), (1, Vec::new()));
}

#[tokio::test]
async fn does_not_trust_saved_states() {
    let state = tempfile::tempdir().unwrap();
    let content = blob(bytes(10 * MIB));
    // The registry has wrong bytes, or has lost the upload.
    for (spoil, gone) in [(true, false), (false, true)] {
        let (server, sessions) = serve(|asked, sessions| {
            let is_first = asked.path.starts_with("/u0?") && asked.body.len() > 9 * MIB;
            is_first.then(|| {
                let _ = breaks_after(asked, sessions, 6 * MIB);
                Reply::silent()
            })
        });
        let options = options().unfinished_uploads(state.path());
        let store = repository(options, &format!("{}/a", server.host()));
        let cut =
            tokio::time::timeout(Duration::from_millis(600), store.push(&content, PushMode::Untagged)).await;
        assert!(cut.is_err());
        if let Some(bytes) = sessions.lock().unwrap().sessions.get_mut("/u0").filter(|_| spoil) {
            bytes[5] ^= 1;
        }
        if gone {
            sessions.lock().unwrap().sessions.clear();
        }
        assert_eq!(store.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert_eq!(sessions.lock().unwrap().blobs.len(), 1, "{:?}", steps(&server));
        assert_eq!(UnfinishedUploads::new(state.path()).list().unwrap(), []);
    }
}

#[tokio::test]
async fn later_run_resumes_at_a_real_registry() {
    // 2.8.2 is not tested, because it drops an upload if a request uses another location than the latest.
    for flavor in [Flavor::Distribution] {
        let Some(registry) = Process::open(flavor, "a later run") else { continue };
        let size = 24 * MIB as u64;
        let state = tempfile::tempdir().unwrap();
        let content = blob(bytes(24 * MIB));
        let push = async |cutting: &Cutting, retries| {
            let mut options = options().unfinished_uploads(state.path());
            options.retry.retries = retries;
            // Both runs use the same name for the registry.
            let port = cutting.host().rsplit(':').next().unwrap().parse().unwrap();
            options.resolve = vec![ResolveOverride::new("localhost", 5000, ([127, 0, 0, 1], port).into())];
            repository(options, "localhost:5000/a").push(&content, PushMode::Untagged).await
        };
        let first = Cutting::start(registry.port(), &[size * 6 / 10]);
        assert_eq!(push(&first, 0).await.unwrap_err().kind(), ErrorKind::Network);
        let second = Cutting::start(registry.port(), &[]);
        assert_eq!(push(&second, 5).await.unwrap(), Pushed::Copied);
        let sent = second.sent();
        assert!(sent < size * 45 / 100 + 4 * MIB as u64, "{flavor:?}: {sent} of {size}");
        assert_eq!(UnfinishedUploads::new(state.path()).list().unwrap(), []);
    }
}

#[tokio::test]
async fn sends_small_blobs_in_few_requests() {
    for (flavor, most) in [(Flavor::Distribution, 2.1), (Flavor::Debian, 2.1), (Flavor::Crane, 1.2)] {
        let Some(registry) = Process::open(flavor, "small blobs") else { continue };
        let proxy = oras_testkit::recorder::Recorder::new(registry.port());
        let store = repository(options(), &format!("localhost:{}/a", proxy.port()));
        let contents: Vec<_> = (0..100_u32).map(|n| blob(n.to_le_bytes().repeat(1024))).collect();
        for content in &contents {
            assert_eq!(store.push(content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        }
        let count = proxy.take().len();
        assert!(count as f64 <= most * 100.0, "{flavor:?}: {count} requests");
        for content in &contents {
            assert!(store.exists(content.descriptor()).await.unwrap());
        }
        let expected = if flavor == Flavor::Crane { Pushed::Copied } else { Pushed::Existed };
        assert_eq!(store.push(&contents[0], PushMode::Untagged).await.unwrap(), expected, "{flavor:?}");
    }
}

#[tokio::test]
async fn uploads_after_a_refused_mount() {
    for status in [400, 404, 405, 500] {
        let (server, _) = serve(move |asked, _| asked.path.contains("mount=").then(|| Reply::new(status)));
        let store = repository(options(), &format!("{}/a", server.host()));
        store.push(&blob("one"), PushMode::Untagged).await.unwrap();
        let before = server.asked().len();
        store.push(&blob("two"), PushMode::Untagged).await.unwrap();
        assert_eq!(steps(&server)[before..], ["POST  0", "PUT u1 3"]);
    }
}

#[tokio::test]
async fn detects_existing_blob_after_a_refused_mount() {
    let (server, sessions) = serve(|_, _| None);
    let (from, to) = (
        repository(options(), &format!("{}/from", server.host())),
        repository(options(), &format!("{}/to", server.host())),
    );
    let content = blob(bytes(MIB));
    let digest = content.descriptor().digest.to_string();
    sessions.lock().unwrap().blobs.insert(digest, bytes(MIB));
    let there = Content::from_source(std::sync::Arc::new(from), content.descriptor().clone());
    assert_eq!(to.push(&there, PushMode::Untagged).await.unwrap(), Pushed::Existed);
    assert_eq!(steps(&server), ["POST  0", "HEAD blob 0", "DELETE u0 0"]);
}
