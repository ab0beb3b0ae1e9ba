//! Registries that reject `HEAD` or answer it incompletely, and answers without a length.

use std::time::{Duration, Instant};

use oras_spec::MediaType;
use oras_store::{Content, ErrorKind, PushMode, Source, Target};

use crate::{blob, manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

/// Returns responses to `HEAD` that do not describe the content.
fn useless() -> Vec<Reply> {
    let page = |status| Reply::new(status).header("content-type", "text/html; charset=utf-8");
    let manifest = || Reply::new(200).header("content-type", MediaType::IMAGE_MANIFEST);
    vec![
        Reply::new(400),
        Reply::new(401),
        Reply::new(403),
        Reply::new(405),
        Reply::new(501),
        page(404),
        page(200).body("<html>"),
        manifest().header("content-length", "0"),
        manifest().header("content-length", ""),
    ]
}

/// A server of `content` that answers `HEAD` like that.
fn server(
    content: &Content,
    head: Reply,
    get: impl Fn(&Asked, Reply) -> Reply + Send + Sync + 'static,
) -> Scripted {
    let (node, body) = (content.descriptor().clone(), content.in_memory().unwrap().to_vec());
    Scripted::start(move |asked: &Asked| match asked.method.as_str() {
        "HEAD" => head.clone(),
        _ if asked.path.contains("/none") => Reply::new(404),
        _ => get(asked, Reply::new(200).header("content-type", &node.media_type).body(body.clone())),
    })
}

#[tokio::test]
async fn finds_manifests_without_head() {
    let content = manifest("one", None);
    for head in useless() {
        let server = server(&content, head.clone(), |_, reply| reply);
        let store = repository(options(), &format!("{}/a", server.host()));
        assert_eq!(store.resolve("v1").await.unwrap(), *content.descriptor(), "{head:?}");
        assert!(store.exists(content.descriptor()).await.unwrap(), "{head:?}");
        let told = head.status() == 200 || head.status() == 401;
        if !told {
            assert_eq!(store.resolve("none").await.unwrap_err().kind(), ErrorKind::NotFound, "{head:?}");
        }
    }
}

#[tokio::test]
async fn finds_blobs_without_head() {
    for content in [blob("hello world\n"), blob(""), blob("<html>")] {
        for head in useless() {
            let length = content.in_memory().unwrap().len();
            let ranges = move |asked: &Asked, reply: Reply| match asked.header("range") {
                Some("bytes=0-0") if length == 0 => Reply::new(416).header("content-range", "bytes */0"),
                Some("bytes=0-0") => {
                    Reply::new(206).header("content-range", format!("bytes 0-0/{length}")).body("h")
                }
                _ => reply,
            };
            let chunked = move |_: &Asked, reply: Reply| reply.header("content-type", "text/html");
            let servers = [
                server(&content, head.clone(), |_, reply| reply),
                server(&content, head.clone(), ranges),
                server(&content, head.clone(), chunked),
            ];
            for server in &servers {
                let store = repository(options(), &format!("{}/a", server.host()));
                let found = store.resolve_blob(&content.descriptor().digest).await;
                assert_eq!(found.unwrap().size, length as u64, "{head:?}");
            }
        }
    }
}

#[tokio::test]
async fn rejects_web_pages_as_blobs() {
    let page = Reply::new(200).header("content-type", "text/html").body("<html>welcome");
    let server = Scripted::start(move |_: &Asked| page.clone());
    let store = repository(options(), &format!("{}/a", server.host()));
    let content = blob("hello");
    assert!(!store.exists(content.descriptor()).await.unwrap());
    let error = store.resolve_blob(&content.descriptor().digest).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");
}

#[tokio::test]
async fn writes_need_only_the_headers_of_the_answer() {
    let server = Scripted::start(move |asked: &Asked| {
        // The connection stays open.
        let open = |status| Reply::new(status).header("content-length", "");
        match asked.method.as_str() {
            "POST" => open(202).header("location", "/upload/1?digest=sha256:0&state=x"),
            "PUT" | "DELETE" => open(201),
            _ => Reply::new(404),
        }
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let began = Instant::now();
    let content = blob(vec![7; 100_000]);
    store.push(&content, PushMode::Untagged).await.unwrap();
    store.push(&manifest("one", None), PushMode::Untagged).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let put = server.lines().into_iter().find(|line| line.starts_with("PUT /upload")).unwrap();
    assert_eq!(put, format!("PUT /upload/1?state=x&digest={}", content.descriptor().digest));
}

#[tokio::test]
async fn reads_an_endless_error_for_a_bounded_time() {
    let text = r#"{"errors":[{"code":"DENIED","message":"no"}]}"#;
    for reply in [
        // The connection stays open after it.
        Reply::new(403).header("content-length", "").body(text),
        // The announced length is larger than the body.
        Reply::new(403).header("content-length", "100000").body(text),
        Reply::new(403).body(vec![b' '; 9000]).drip(Duration::from_millis(50)),
    ] {
        let server = Scripted::start(move |_: &Asked| reply.clone());
        let store = repository(options(), &format!("{}/a", server.host()));
        let began = Instant::now();
        let error = store.resolve_with_bytes("v1").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    }
}
