//! Conditional requests and the minimum chunk size.

use oras_serve::ServerOptions;
use oras_spec::MediaType;
use oras_store::Content;
use oras_testkit::nodes::empty;

use crate::client::{Registry, both, memory};

fn index(text: &str) -> Content {
    let json = format!(
        r#"{{"schemaVersion":2,"mediaType":"{0}","manifests":[],"annotations":{{"a":"{text}"}}}}"#,
        MediaType::IMAGE_INDEX
    );
    Content::of(MediaType::IMAGE_INDEX, json)
}

async fn put(registry: &Registry, content: &Content, condition: (&str, &str)) -> u16 {
    let headers = [("content-type", content.descriptor().media_type.as_str()), condition];
    let body = content.in_memory().unwrap();
    registry.send("PUT", "a/manifests/v1", &headers, body).await.status
}

#[tokio::test]
async fn if_none_match_answers_304() {
    for registry in both().await {
        let (blob, manifest) = (empty(), index("1"));
        registry.push_blob("a", &blob).await;
        registry.put_manifest("a", "v1", &manifest).await;
        let digest = &manifest.descriptor().digest;
        for (path, digest) in [
            (format!("a/blobs/{}", blob.descriptor().digest), &blob.descriptor().digest),
            ("a/manifests/v1".to_owned(), digest),
            (format!("a/manifests/{digest}"), digest),
        ] {
            let tag = format!("\"{digest}\"");
            for method in ["GET", "HEAD"] {
                let answer = registry.send(method, &path, &[], "").await;
                assert_eq!((answer.status, answer.header("etag")), (200, tag.as_str()), "{method} {path}");
                let same = registry.send(method, &path, &[("if-none-match", &tag)], "").await;
                assert_eq!((same.status, same.header("etag")), (304, tag.as_str()), "{method} {path}");
                assert!(same.body.is_empty() && same.header("docker-content-digest") == digest.to_string());
                let other = registry.send(method, &path, &[("if-none-match", "\"x\"")], "").await;
                assert_eq!(other.status, 200, "{method} {path}");
                let wanted = registry.send(method, &path, &[("if-match", "\"x\"")], "").await;
                assert_eq!(wanted.status, 412, "{method} {path}");
            }
        }
        let path = format!("a/blobs/{}", blob.descriptor().digest);
        let tag = format!("\"{}\"", blob.descriptor().digest);
        let range = ("range", "bytes=1-1");
        let part = registry.send("GET", &path, &[range, ("if-range", &tag)], "").await;
        assert_eq!((part.status, &part.body[..]), (206, &b"}"[..]));
        let whole = registry.send("GET", &path, &[range, ("if-range", "\"x\"")], "").await;
        assert_eq!((whole.status, &whole.body[..]), (200, &b"{}"[..]));
    }
}

#[tokio::test]
async fn if_match_rejects_update_of_a_changed_tag() {
    for registry in both().await {
        let contents = ["1", "2", "3"].map(index);
        let tags = contents.each_ref().map(|content| format!("\"{}\"", content.descriptor().digest));
        let [one, two, three] = &contents;
        assert_eq!(put(&registry, one, ("if-match", "*")).await, 412);
        assert_eq!(registry.get("a/tags/list").await.status, 404, "no repository is made for it");
        assert_eq!(put(&registry, one, ("if-none-match", "*")).await, 201);
        assert_eq!(put(&registry, two, ("if-none-match", "*")).await, 412);
        assert_eq!(put(&registry, two, ("if-match", &tags[0])).await, 201);
        assert_eq!(put(&registry, three, ("if-match", &tags[0])).await, 412);
        assert_eq!(registry.get("a/manifests/v1").await.body, *two.in_memory().unwrap());
        let delete = |tag| [("if-match", tag)];
        let refused = registry.send("DELETE", "a/manifests/v1", &delete(tags[0].as_str()), "").await;
        refused.refused(412, "PRECONDITION_FAILED");
        assert_eq!(refused.header("etag"), tags[1]);
        assert_eq!(registry.send("DELETE", "a/manifests/v1", &delete(&tags[1]), "").await.status, 202);
        assert_eq!(registry.get("a/manifests/v1").await.status, 404);
    }
}

#[tokio::test]
async fn one_of_many_concurrent_conditional_updates_wins() {
    for registry in both().await {
        let mut current = index("0");
        assert_eq!(put(&registry, &current, ("x", "y")).await, 201);
        for round in 0..5 {
            let tag = format!("\"{}\"", current.descriptor().digest);
            let all: Vec<_> = (0..8).map(|client| index(&format!("{round}-{client}"))).collect();
            let written = all.iter().map(|content| put(&registry, content, ("if-match", &tag)));
            let written = futures::future::join_all(written).await;
            let won: Vec<_> = (0..8).filter(|client| written[*client] == 201).collect();
            assert_eq!(won.len(), 1, "{} {written:?}", registry.kind);
            assert!(written.iter().all(|status| matches!(status, 201 | 412)), "{written:?}");
            current = all[won[0]].clone();
            assert_eq!(registry.get("a/manifests/v1").await.body, *current.in_memory().unwrap());
        }
    }
}

#[tokio::test]
async fn rejects_small_chunks_except_the_last() {
    let registry = memory(ServerOptions::default().min_chunk_size(4)).await;
    let content = Content::of(MediaType::OCTET_STREAM, "12345678ab");
    let digest = &content.descriptor().digest;
    for (chunks, end, status) in [
        (&["1234", "5678", "ab"][..], "", 201),
        (&["1234", "5678"], "ab", 201),
        (&["123456", "78ab"], "", 201),
        (&["1234", "56"], "78ab", 416),
        (&["123"], "45678ab", 416),
    ] {
        let opened = registry.send("POST", "a/blobs/uploads/", &[], "").await;
        assert_eq!(opened.header("oci-chunk-min-length"), "4");
        let (path, mut at) = (opened.header("location").to_owned(), 0);
        for chunk in chunks {
            let range = format!("{at}-{}", at + chunk.len() - 1);
            at += chunk.len();
            let sent = registry.send("PATCH", &path, &[("content-range", &range)], chunk).await;
            assert_eq!(sent.status, 202, "{chunks:?}");
        }
        let closed = registry.send("PUT", &format!("{path}?digest={digest}"), &[], end).await;
        assert_eq!(closed.status, status, "{chunks:?} {end}");
        if status == 416 {
            closed.refused(416, "BLOB_UPLOAD_INVALID");
            assert_eq!(closed.header("range"), format!("0-{}", at - 1));
            assert_eq!(registry.send("PATCH", &path, &[], "78ab").await.status, 416);
            assert_eq!(registry.send("DELETE", &path, &[], "").await.status, 204);
        }
    }
    let path = registry.open("a").await;
    let whole = registry.send("PUT", &format!("{path}?digest={digest}"), &[], "12345678ab").await;
    assert_eq!(whole.status, 201);
    assert!(
        memory(ServerOptions::default())
            .await
            .send("POST", "a/blobs/uploads/", &[], "")
            .await
            .maybe("oci-chunk-min-length")
            .is_none()
    );
}
