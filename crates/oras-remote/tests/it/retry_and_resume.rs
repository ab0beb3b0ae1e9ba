//! Retries and resumed transfers over a faulty network.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use oras_remote::RetryPolicy;
use oras_store::{ByteStream, Content, ErrorKind, PushMode, Pushed, Source, Target};
use std::sync::Arc;

use crate::{blob, collect, manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

fn bytes() -> Vec<u8> {
    (0..100_000_u32).map(|n| (n % 251) as u8).collect()
}

pub(crate) fn range_of(asked: &Asked) -> Option<(usize, usize)> {
    let (start, end) = asked.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
    Some((start.parse().ok()?, end.parse().ok()?))
}

/// Cuts every body after 30 000 bytes.
fn cutting(ranges: bool) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked: &Asked| match range_of(asked).filter(|_| ranges) {
        Some((start, end)) => Reply::new(206)
            .header("Content-Range", format!("bytes {start}-{end}/100000"))
            .body(&bytes()[start..=end])
            .cut_after(30_000),
        None => Reply::new(200).body(bytes()).cut_after(30_000),
    }
}

#[tokio::test]
async fn resumes_downloads_at_the_offset() {
    let server = Scripted::start(cutting(true));
    let store = repository(options(), &format!("{}/a", server.host()));
    let descriptor = blob(bytes()).descriptor().clone();
    let content = Content::from_source(Arc::new(store.clone()), descriptor.clone());
    assert_eq!(content.bytes(1 << 20).await.unwrap(), bytes());
    let asked = server.asked();
    let ranges: Vec<_> = asked.iter().map(|asked| range_of(asked).map(|(start, _)| start)).collect();
    assert_eq!(ranges, [None, Some(30_000), Some(60_000), Some(90_000)]);
    let part = collect(store.fetch(&descriptor, 10_000..90_000).await.unwrap()).await.unwrap();
    assert_eq!(part, &bytes()[10_000..90_000]);
}

#[tokio::test]
async fn resumes_without_delay_after_many_bytes() {
    let hour = Duration::from_secs(3600);
    let retry = RetryPolicy::default().base(hour).limit(hour);
    for (cut, at_once) in [(9 << 20, true), (7 << 20, false)] {
        let bytes = Bytes::from(vec![7; 12 << 20]);
        let body = bytes.clone();
        let server = Scripted::start(move |asked: &Asked| match range_of(asked) {
            Some((start, end)) => Reply::new(206)
                .header("Content-Range", format!("bytes {start}-{end}/{}", body.len()))
                .body(&body[start..=end]),
            None => Reply::new(200).body(&body[..]).cut_after(cut),
        });
        let store = repository(options().retry(retry), &format!("{}/a", server.host()));
        let content = Content::from_source(Arc::new(store), blob(bytes.clone()).descriptor().clone());
        let fetched = content.bytes(16 << 20);
        if at_once {
            assert_eq!(fetched.await.unwrap(), bytes);
            assert_eq!(server.asked().len(), 2);
        } else {
            tokio::time::timeout(Duration::from_secs(2), fetched).await.unwrap_err();
        }
    }
}

/// Answers the request for the rest, after a first answer that was cut.
fn resumed(rest: impl Fn(usize) -> Reply + Send + Sync) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked: &Asked| match range_of(asked) {
        Some((start, _)) => rest(start),
        None => Reply::new(200).body(bytes()).header("ETag", "\"one\"").cut_after(30_000),
    }
}

#[tokio::test]
async fn does_not_resume_changed_content() {
    let part = |start: usize, size: usize| {
        Reply::new(206).header("Content-Range", format!("bytes {start}-99999/{size}")).body(&bytes()[start..])
    };
    for (server, text) in [
        (
            Scripted::start(resumed(move |start| part(start, 100_000).header("ETag", "\"two\""))),
            "the blob changed",
        ),
        (
            Scripted::start(resumed(|_| Reply::new(200).body(bytes()).header("ETag", "\"two\""))),
            "the blob changed",
        ),
        (Scripted::start(resumed(move |start| part(start, 100_001))), "mismatch Content-Range"),
        (
            Scripted::start(resumed(|_| Reply::new(416).header("Content-Range", "bytes */7"))),
            "the size of the blob changed",
        ),
    ] {
        let store = repository(options(), &format!("{}/a", server.host()));
        let descriptor = blob(bytes()).descriptor().clone();
        let error = collect(store.fetch(&descriptor, 0..100_000).await.unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidContent, "{error:?}");
        assert!(error.chain().contains(text), "{error:?}");
        assert_eq!(server.asked()[1].header("if-range"), Some("\"one\""));
    }
}

#[tokio::test]
async fn requests_the_whole_blob_after_a_refused_range() {
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |asked: &Asked| match range_of(asked) {
        Some(_) => Reply::new(416),
        None if tries.fetch_add(1, Ordering::SeqCst) == 0 => Reply::new(200).body(bytes()).cut_after(30_000),
        None => Reply::new(200).body(bytes()),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let content = Content::from_source(Arc::new(store), blob(bytes()).descriptor().clone());
    assert_eq!(content.bytes(1 << 20).await.unwrap(), bytes());
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn restarts_downloads_without_ranges() {
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |_: &Asked| {
        let tried = tries.fetch_add(1, Ordering::SeqCst);
        Reply::new(200).body(bytes()).cut_after(20_000 + 40_000 * tried)
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let descriptor = blob(bytes()).descriptor().clone();
    let content = Content::from_source(Arc::new(store.clone()), descriptor.clone());
    assert_eq!(content.bytes(1 << 20).await.unwrap(), bytes());
    let part = collect(store.fetch(&descriptor, 10..20).await.unwrap()).await.unwrap();
    assert_eq!(part, &bytes()[10..20]);
}

#[tokio::test]
async fn gives_up_downloads_without_progress() {
    let server = Scripted::start(cutting(false));
    let store = repository(options(), &format!("{}/a", server.host()));
    let descriptor = blob(bytes()).descriptor().clone();
    let error = collect(store.fetch(&descriptor, 0..100_000).await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.chain().starts_with("Get \"http://localhost:"), "{error:?}");
    assert!(error.chain().ends_with("unexpected EOF"), "{error:?}");
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn rejects_false_ranges_and_lengths() {
    for (reply, range, kind, text) in [
        (
            Reply::new(206).header("Content-Range", "bytes 0-9/100000").body("0123456789"),
            5..15,
            ErrorKind::InvalidContent,
            "mismatch Content-Range",
        ),
        (Reply::new(206).body("0123456789"), 5..15, ErrorKind::InvalidContent, "mismatch Content-Range"),
        (Reply::new(200).body("0123456789"), 0..100_000, ErrorKind::SizeMismatch, "mismatch Content-Length"),
        (
            Reply::new(200)
                .header("Docker-Content-Digest", blob("x").descriptor().digest.clone())
                .body(bytes()),
            0..100_000,
            ErrorKind::DigestMismatch,
            "digest mismatch in Docker-Content-Digest",
        ),
    ] {
        let server = Scripted::start(move |_: &Asked| reply.clone());
        let store = repository(options(), &format!("{}/a", server.host()));
        let descriptor = blob(bytes()).descriptor().clone();
        let error = store.fetch(&descriptor, range).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.chain().contains(text), "{error:?}");
        assert!(
            error.chain().starts_with(&format!("GET \"http://{}/v2/a/blobs/sha256:", server.host())),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn detects_extra_bytes() {
    let server = Scripted::start(|asked: &Asked| match range_of(asked) {
        Some((5, 9)) => Reply::new(206).header("Content-Range", "bytes 5-9/10").body("56789 and more"),
        // Chunked, so that no length reveals it.
        _ => Reply::new(200)
            .header("Transfer-Encoding", "chunked")
            .header("content-length", "")
            .body("f\r\n0123456789 more\r\n0\r\n\r\n"),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let descriptor = blob("0123456789").descriptor().clone();
    assert_eq!(collect(store.fetch(&descriptor, 5..10).await.unwrap()).await.unwrap(), "56789");
    assert_eq!(collect(store.fetch(&descriptor, 1..3).await.unwrap()).await.unwrap(), "12");
    let content = Content::from_source(Arc::new(store), descriptor);
    assert_eq!(content.bytes(100).await.unwrap_err().kind(), ErrorKind::SizeMismatch);
}

#[tokio::test]
async fn retries_passing_failures() {
    for failure in [
        Reply::new(503),
        Reply::new(500),
        Reply::new(429).header("Retry-After", "0"),
        Reply::new(408),
        Reply::new(200).body("hello").cut_after(3),
        Reply::new(200).body("hello").header("content-length", "x").cut_after(0),
    ] {
        let tries = AtomicUsize::new(0);
        let server = Scripted::start(move |_: &Asked| match tries.fetch_add(1, Ordering::SeqCst) {
            0..3 => failure.clone(),
            _ => Reply::new(200).header("content-type", "application/vnd.oci.image.index.v1+json").body("{}"),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let (_, bytes) = store.resolve_with_bytes("v1").await.unwrap();
        assert_eq!(bytes.unwrap(), "{}");
        assert_eq!(server.asked().len(), 4);
    }
}

#[tokio::test]
async fn reports_lasting_failures() {
    for (reply, asked, text) in [
        (Reply::new(503), 6, "response status code 503: Service Unavailable"),
        (Reply::new(501), 1, "response status code 501: Not Implemented"),
        (
            Reply::new(429)
                .header("Retry-After", "0")
                .body(r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#),
            6,
            "toomanyrequests: slow down",
        ),
        (Reply::new(429).header("Retry-After", "3600"), 1, "response status code 429: Too Many Requests"),
        (Reply::new(400).body(vec![b'x'; 1 << 20]), 1, "response status code 400: Bad Request"),
    ] {
        let server = Scripted::start(move |_: &Asked| reply.clone());
        let store = repository(options(), &format!("{}/a", server.host()));
        let error = store.resolve_with_bytes("v1").await.unwrap_err();
        assert!(error.chain().ends_with(text), "{error:?}");
        assert_eq!(server.asked().len(), asked, "{text}");
    }
}

#[tokio::test]
async fn retries_a_manifest_whose_blob_is_missing_for_a_moment() {
    for (failures, succeeds) in [(1, true), (2, false)] {
        let tries = AtomicUsize::new(0);
        let unknown = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
        let server = Scripted::start(move |_: &Asked| match tries.fetch_add(1, Ordering::SeqCst) {
            number if number < failures => Reply::new(404).body(unknown),
            _ => Reply::new(201),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let result = store.push(&manifest("one", None), PushMode::Tagged("v1")).await;
        assert_eq!(result.is_ok(), succeeds);
        assert_eq!(server.asked().len(), 2);
        if let Err(error) = result {
            assert_eq!(error.chain(), "manifest blob unknown: blob unknown to registry");
        }
    }
}

#[tokio::test]
async fn honours_retry_after() {
    let tries = AtomicUsize::new(0);
    let server = Scripted::start(move |_: &Asked| match tries.fetch_add(1, Ordering::SeqCst) {
        0 => Reply::new(429).header("Retry-After", "1"),
        _ => Reply::new(200).body("{}"),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let begun = Instant::now();
    store.resolve_with_bytes("v1").await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn restarts_uploads_in_a_new_session() {
    for failure in [
        Reply::new(503),
        Reply::new(404).body(r#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}"#),
        Reply::new(200).cut_after(0).header("content-length", "x"),
    ] {
        let (sessions, tries) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let server = Scripted::start(move |asked: &Asked| match asked.method.as_str() {
            "POST" => {
                let number = sessions.fetch_add(1, Ordering::SeqCst);
                Reply::new(202).header("Location", format!("/u{number}"))
            }
            // The registry returns 404 for the status and the deletion of a session.
            "GET" | "DELETE" => Reply::new(404),
            _ => match tries.fetch_add(1, Ordering::SeqCst) {
                0 | 1 => failure.clone(),
                _ => Reply::new(201),
            },
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let content = blob(bytes());
        assert_eq!(store.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        let asked = server.asked();
        let puts: Vec<_> = asked.iter().filter(|asked| asked.method == "PUT").collect();
        assert_eq!(puts.len(), 3);
        assert!(puts.iter().all(|put| put.body == bytes() && put.header("content-length") == Some("100000")));
        assert!(puts[2].path.starts_with("/u2?"));
    }
}

#[tokio::test]
async fn sends_unreplayable_content_only_once() {
    let server = Scripted::start(|asked: &Asked| match asked.method.as_str() {
        "POST" => Reply::new(202).header("Location", "/u"),
        _ => Reply::new(503),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let stream: ByteStream = Box::pin(futures::stream::iter([Ok("hello".into())]));
    let once = Content::once(blob("hello").descriptor().clone(), stream);
    let error = store.push(&once, PushMode::Untagged).await.unwrap_err();
    assert!(error.chain().ends_with("response status code 503: Service Unavailable"), "{error:?}");
    let methods: Vec<_> = server.asked().into_iter().map(|asked| asked.method).collect();
    assert_eq!(methods, ["POST", "PUT", "DELETE"]);
}

#[tokio::test]
async fn times_out_on_a_silent_server() {
    let retry = RetryPolicy::default().retries(1).base(Duration::ZERO);
    let options = options().idle_timeout(Duration::from_millis(50)).retry(retry);
    let server = Scripted::start(|_: &Asked| Reply::silent());
    let store = repository(options, &format!("{}/a", server.host()));
    let error = store.resolve("v1").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.chain().ends_with("timeout awaiting the answer"), "{error:?}");
    assert_eq!(server.asked().len(), 2);
}
