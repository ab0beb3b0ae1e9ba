//! Answers that break the specification: which are accepted, and which are rejected.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures::TryStreamExt;
use oras_spec::{Digest, MediaType};
use oras_store::{ErrorKind, ReadStore, Source};

use crate::{blob, manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

#[tokio::test]
async fn accepts_manifests_without_digest_or_type_headers() {
    let content = manifest("one", None);
    let body = content.in_memory().unwrap().to_vec();
    for media_type in [
        "",
        "application/json",
        "text/plain; charset=utf-8",
        "application/vnd.oci.image.manifest.v1+json; x=y",
    ] {
        let body = body.clone();
        let server = Scripted::start(move |_: &Asked| match media_type {
            "" => Reply::new(200).body(body.clone()),
            media_type => Reply::new(200).header("content-type", media_type).body(body.clone()),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        assert_eq!(store.resolve("v1").await.unwrap(), *content.descriptor());
        assert_eq!(server.lines(), ["HEAD /v2/a/manifests/v1", "GET /v2/a/manifests/v1"], "{media_type}");
        let accept = "application/vnd.docker.distribution.manifest.v2+json, \
                      application/vnd.docker.distribution.manifest.list.v2+json, \
                      application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
                      application/vnd.oci.artifact.manifest.v1+json";
        assert_eq!(server.asked()[0].header("accept"), Some(accept));
    }
}

#[tokio::test]
async fn detects_wrong_digests() {
    let content = manifest("one", None);
    let body = content.in_memory().unwrap().to_vec();
    let wrong = Digest::sha256(b"wrong");
    let told = wrong.clone();
    let server = Scripted::start(move |_: &Asked| {
        Reply::new(200)
            .header("content-type", MediaType::IMAGE_MANIFEST)
            .header("Docker-Content-Digest", &told)
            .body(body.clone())
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let right = content.descriptor().digest.to_string();
    for reference in ["v1", &wrong.to_string(), &right] {
        let error = store.resolve_with_bytes(reference).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{reference}");
        let told = reference == right;
        let text = if told { "digest mismatch in Docker-Content-Digest" } else { "mismatched digest" };
        assert!(error.chain().contains(text), "{error:?}");
    }
    assert_eq!(store.resolve(&right).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
    let error = store.fetch(content.descriptor(), 0..content.descriptor().size).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn does_not_read_oversized_manifests() {
    let server = Scripted::start(|_: &Asked| Reply::new(200).body(vec![b' '; 5 << 20]));
    let store = repository(options(), &format!("{}/a", server.host()));
    assert_eq!(store.resolve_with_bytes("v1").await.unwrap_err().kind(), ErrorKind::TooLarge);
    let mut descriptor = manifest("one", None).descriptor().clone();
    descriptor.size = 5 << 20;
    let error = store.fetch(&descriptor, 0..descriptor.size).await.err().unwrap();
    assert_eq!(error.chain(), "content size 5242880 exceeds the limit of 4194304 bytes: size exceeds limit");
    let options = options().max_manifest_size(6 << 20);
    let store = repository(options, &format!("{}/a", server.host()));
    assert!(store.resolve_with_bytes("v1").await.is_ok());
}

#[tokio::test]
async fn follows_pages_only_on_the_same_server() {
    let server = Scripted::start(|asked: &Asked| {
        let page = |body: &str| Reply::new(200).body(body);
        match asked.path.as_str() {
            "/v2/a/tags/list" => {
                page(r#"{"name":"a","tags":["1","2"]}"#).header("Link", "</v2/a/tags/list?p=2>; rel=next")
            }
            "/v2/a/tags/list?p=2" => page(r#"{"tags":null}"#).header("Link", "<?p=3>; rel=\"next\""),
            "/v2/a/tags/list?p=3" => page(r#"{"tags":["3"]}"#).header("Link", "</>; rel=first"),
            "/v2/a/tags/list?last=x%26y" => {
                page(r#"{"tags":["z"]}"#).header("Link", "<http://localhost:1/x>; rel=next")
            }
            "/v2/a/tags/list?last=loop" => page(r#"{"tags":["z"]}"#).header("Link", "<?last=loop>; rel=next"),
            "/v2/a/tags/list?last=html" => page("<html>"),
            _ => Reply::new(404),
        }
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let tags: Vec<_> = store.tags_after(None).try_collect().await.unwrap();
    assert_eq!(tags, ["1", "2", "3"]);
    for (last, text) in [
        ("x&y", "not the same origin"),
        ("loop", "the next page is one that was read before"),
        ("html", "failed to decode response"),
        ("missing", "response status code 404: Not Found"),
    ] {
        let error = store.tags_after(Some(last)).try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.chain().contains(text), "{error:?}");
    }
}

#[tokio::test]
async fn bounds_lists_of_many_pages() {
    let server = Scripted::start(|asked: &Asked| {
        let next = asked.path.split("p=").nth(1).map_or(1, |page| page.parse::<u32>().unwrap() + 1);
        // Short enough to be parsed from memory.
        let padding = " ".repeat(250 << 10);
        Reply::new(200)
            .header("Content-Type", MediaType::IMAGE_INDEX.as_str())
            .header("Link", format!("</v2/a/referrers/sha256:0?p={next}>; rel=next"))
            .body(format!(r#"{{"schemaVersion":2,"manifests":[]{padding}}}"#))
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let node = manifest("one", None).descriptor().clone();
    let error = store.predecessors(&node, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let text = "the pages of the list exceed the limit of 134217728 bytes: size exceeds limit";
    assert!(error.chain().ends_with(text), "{error:?}");
    assert_eq!(server.asked().len(), 525);
}

#[tokio::test]
async fn fails_when_the_link_to_the_next_page_is_unreadable() {
    for (link, expected) in [
        ("/v2/a/tags/list?last=b; rel=\"next\"", Ok(["a", "b", "c"])),
        ("</v2/a/tags/list?last=b; rel=NEXT", Ok(["a", "b", "c"])),
        ("rel=next; </v2/a/tags/list?last=b>", Ok(["a", "b", "c"])),
        ("</x>; rel=prev, </v2/a/tags/list?last=b>; rel=next", Ok(["a", "b", "c"])),
        ("<>; rel=next", Err("the list goes on, but its Link can't be read: \"<>; rel=next\"")),
        ("rel=\"next\"", Err("the list goes on, but its Link can't be read")),
    ] {
        let server = Scripted::start(move |asked: &Asked| match asked.path.contains("last=b") {
            true => Reply::new(200).body(r#"{"name":"a","tags":["c"]}"#),
            false => Reply::new(200).body(r#"{"name":"a","tags":["a","b"]}"#).header("link", link),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let found = store.tags_after(None).try_collect::<Vec<_>>().await;
        match expected {
            Ok(tags) => assert_eq!(found.unwrap(), tags, "{link}"),
            Err(text) => assert!(found.unwrap_err().chain().contains(text), "{link}"),
        }
    }
}

#[tokio::test]
async fn parses_long_lists_while_they_arrive() {
    let tags: Vec<_> = (0..500_000).map(|n| format!("v{n:020}")).collect();
    let list = format!(r#"{{"name":"a","tags":["{}"]}}"#, tags.join("\",\""));
    assert!(list.len() > 8 << 20);
    let too_long = format!(r#"{{"name":"a","tags":["{}"]}}"#, vec!["x"; 17 << 20].join("\",\""));
    let broken = AtomicBool::new(true);
    let server = Scripted::start(move |asked: &Asked| match asked.path.rsplit('=').next() {
        Some("long") => Reply::new(200).body(too_long.clone()),
        Some("bad") => Reply::new(200).body(format!("{}!", &list[..list.len() - 1])),
        // A broken transfer is repeated.
        _ if broken.swap(false, Ordering::Relaxed) => Reply::new(200).body(list.clone()).cut_after(4 << 20),
        _ => Reply::new(200).body(list.clone()),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    assert_eq!(store.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), tags);
    for (last, text) in
        [("long", "exceeds the limit of 67108864 bytes"), ("bad", "failed to decode response")]
    {
        let error = store.tags_after(Some(last)).try_collect::<Vec<_>>().await.unwrap_err();
        assert!(error.chain().contains(text), "{error:?}");
    }
}

#[tokio::test]
async fn bounds_redirects() {
    let server = Scripted::start(|_: &Asked| Reply::new(307).header("Location", "/again"));
    let store = repository(options(), &format!("{}/a", server.host()));
    let error = store.resolve("v1").await.unwrap_err();
    assert!(error.chain().contains("stopped after 10 redirects"), "{error:?}");
    assert_eq!(server.asked().len(), 11);
    let server = Scripted::start(|_: &Asked| Reply::new(307).header("Location", "file:///etc/passwd"));
    let store = repository(options(), &format!("{}/a", server.host()));
    assert_eq!(store.resolve("v1").await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn hands_on_warnings_once() {
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&told);
    let server = Scripted::start(|_: &Asked| Reply::new(404).header("Warning", "299 - \"this is old\""));
    let warnings = move |registry: &str, text: &str| {
        kept.lock().unwrap().push(format!("{registry}: {text}"));
    };
    let options = options().warnings(warnings);
    let store = repository(options, &format!("{}/a", server.host()));
    for _ in 0..2 {
        assert!(store.resolve_blob(&blob("x").descriptor().digest).await.is_err());
    }
    assert_eq!(*told.lock().unwrap(), [format!("{}: this is old", server.host())]);
}

#[tokio::test]
async fn accepts_a_thousand_header_fields() {
    for (fields, size, works) in [(900, 10, true), (300, 1000, true), (1100, 10, false), (500, 2000, false)] {
        let server = Scripted::start(move |_| {
            let reply = Reply::new(200).body(r#"{"name":"a","tags":["v1"]}"#);
            (0..fields).fold(reply, |reply, n| reply.header(&format!("x-field-{n}"), "v".repeat(size)))
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        let tags: Result<Vec<String>, _> = store.tags_after(None).try_collect().await;
        match tags {
            Ok(tags) => assert!(works && tags == ["v1"], "{fields} fields of {size}"),
            Err(error) => {
                let said = error.chain().ends_with("the head of the answer has too many fields or bytes");
                assert!(!works && said, "{fields} fields of {size}: {error:?}");
                assert_eq!(server.asked().len(), 1);
            }
        }
    }
}
