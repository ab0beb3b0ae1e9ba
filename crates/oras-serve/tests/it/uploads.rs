//! Blob uploads and their failures.

use oras_serve::ServerOptions;
use oras_spec::Digest;
use oras_testkit::nodes::{blob, bytes};

use crate::client::{Registry, both, memory};

async fn assert_there(registry: &Registry, name: &str, body: &[u8]) {
    let answer = registry.get(&format!("{name}/blobs/{}", Digest::sha256(body))).await;
    assert_eq!((answer.status, &answer.body[..]), (200, body), "{}", registry.kind);
}

#[tokio::test]
async fn uploads_in_one_request_or_two() {
    let body = bytes(300_000);
    let digest = Digest::sha256(&body);
    for registry in both().await {
        let answer = registry.send("POST", &format!("one/blobs/uploads/?digest={digest}"), &[], &body).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("location"), format!("/v2/one/blobs/{digest}"));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_there(&registry, "one", &body).await;

        let location = registry.open("two").await;
        let answer = registry.send("PUT", &format!("{location}?digest={digest}"), &[], &body).await;
        assert_eq!((answer.status, answer.header("location")), (201, &*format!("/v2/two/blobs/{digest}")));
        assert_there(&registry, "two", &body).await;
        registry.get(&location).await.refused(404, "BLOB_UPLOAD_UNKNOWN");
    }
}

#[tokio::test]
async fn chunks_must_be_in_order() {
    let body = bytes(30);
    let digest = Digest::sha256(&body);
    for registry in both().await {
        let location = registry.open("a").await;
        let part = [("content-range", "10-19")];
        let answer = registry.send("PATCH", &location, &part, &body[10..20]).await;
        answer.refused(416, "BLOB_UPLOAD_INVALID");
        assert_eq!((answer.header("location"), answer.header("range")), (&*location, "0-0"));

        let answer = registry.send("PATCH", &location, &[("content-range", "0-9")], &body[..10]).await;
        assert_eq!((answer.status, answer.header("range")), (202, "0-9"));
        assert_eq!(
            registry.send("PATCH", &location, &[("content-range", "0-9")], &body[..10]).await.status,
            416
        );
        for bad in ["x", "10", "10-5"] {
            let answer = registry.send("PATCH", &location, &[("content-range", bad)], &body[10..20]).await;
            answer.refused(400, "BLOB_UPLOAD_INVALID");
        }
        let answer = registry.send("PATCH", &location, &[("content-range", "10-29")], &body[10..20]).await;
        answer.refused(400, "SIZE_INVALID");

        let answer = registry.send("PATCH", &location, &part, &body[10..20]).await;
        assert_eq!((answer.status, answer.header("range")), (202, "0-19"));
        let answer = registry.get(&location).await;
        assert_eq!((answer.status, answer.header("range")), (204, "0-19"));
        let close = format!("{location}?digest={digest}");
        assert_eq!(registry.send("PUT", &close, &[("content-range", "0-9")], &body[..10]).await.status, 416);
        let answer = registry.send("PUT", &close, &[("content-range", "20-29")], &body[20..]).await;
        assert_eq!(answer.status, 201);
        assert_there(&registry, "a", &body).await;
    }
}

#[tokio::test]
async fn wrong_digest_stores_nothing() {
    let (body, other) = (bytes(5000), Digest::sha256(b"other"));
    for registry in both().await {
        let answer = registry.send("POST", &format!("a/blobs/uploads/?digest={other}"), &[], &body).await;
        answer.refused(400, "DIGEST_INVALID");
        let location = registry.open("a").await;
        registry.send("PUT", &location, &[], &body).await.refused(400, "DIGEST_INVALID");
        let close = format!("{location}?digest={other}");
        registry.send("PUT", &close, &[], &body).await.refused(400, "DIGEST_INVALID");
        for digest in [&other, &Digest::sha256(&body)] {
            registry.get(&format!("a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
        }
        for bad in ["sha256:abc", "blake3:abc", "x"] {
            let answer = registry.send("POST", &format!("a/blobs/uploads/?digest={bad}"), &[], "").await;
            answer.refused(400, "DIGEST_INVALID");
        }
        let answer = registry.send("POST", "a/blobs/uploads/?digest-algorithm=md5", &[], "").await;
        answer.refused(400, "DIGEST_INVALID");
    }
}

#[tokio::test]
async fn resumes_upload_after_disconnect() {
    let body = bytes(200_000);
    let digest = Digest::sha256(&body);
    for registry in both().await {
        for method in ["PATCH", "PUT"] {
            let location = registry.open("a").await;
            let close = format!("{location}?digest={digest}");
            let path = if method == "PUT" { &close } else { &location };
            registry.cut(method, path, &body[..120_000], body.len()).await;
            let status = registry.get(&location).await;
            assert_eq!(status.status, 204, "{} {method}", registry.kind);
            let last: usize = status.header("range").strip_prefix("0-").unwrap().parse().unwrap();
            assert_eq!(last, 119_999, "{} {method}", registry.kind);
            let answer = registry.send("PUT", &close, &[], &body[last + 1..]).await;
            assert_eq!(answer.status, 201, "{} {method} {answer:?}", registry.kind);
            assert_there(&registry, "a", &body).await;
        }
        // A cut upload in one request stores nothing.
        let half = format!("b/blobs/uploads/?digest={digest}");
        registry.cut("POST", &half, &body[..120_000], body.len()).await;
        registry.get(&format!("b/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
    }
}

#[tokio::test]
async fn upload_belongs_to_its_repository_and_can_be_cancelled() {
    for registry in both().await {
        let location = registry.open("a").await;
        let elsewhere = location.replace("/v2/a/", "/v2/b/");
        for (method, path) in [("GET", &elsewhere), ("PATCH", &elsewhere), ("DELETE", &elsewhere)] {
            registry.send(method, path, &[], "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        assert_eq!(registry.send("DELETE", &location, &[], "").await.status, 204);
        for method in ["GET", "PATCH", "DELETE"] {
            registry.send(method, &location, &[], "").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        }
        registry.send("POST", &location, &[], "").await.refused(405, "UNSUPPORTED");
    }
}

#[tokio::test]
async fn limits_open_uploads() {
    let registry = memory(ServerOptions::default()).await;
    for _ in 0..1024 {
        registry.open("a").await;
    }
    registry.send("POST", "a/blobs/uploads/", &[], "").await.refused(429, "TOOMANYREQUESTS");
}

#[tokio::test]
async fn mounts_blobs_from_other_repositories() {
    let content = blob(bytes(70_000));
    let (digest, body) = (&content.descriptor().digest, content.in_memory().unwrap());
    for registry in both().await {
        registry.push_blob("from", &content).await;
        let mount = format!("to/blobs/uploads/?mount={digest}&from=from");
        let answer = registry.send("POST", &mount, &[], "").await;
        assert_eq!((answer.status, answer.header("location")), (201, &*format!("/v2/to/blobs/{digest}")));
        assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        assert_there(&registry, "to", body).await;
        assert_eq!(registry.send("POST", &mount, &[], "").await.status, 201, "twice is fine");
        let other = oras_spec::Digest::sha256(b"nowhere");
        for from in ["nobody", "A", "..%2Fx", "a%20b", &"x".repeat(300), "%C3%A4", "from%2F"] {
            let mount = format!("to/blobs/uploads/?mount={other}&from={from}");
            let answer = registry.send("POST", &mount, &[], "").await;
            assert_eq!(answer.status, 202, "{from} {answer:?}");
            assert!(answer.header("location").contains("/blobs/uploads/"));
        }

        let answer = registry.send("POST", &format!("any/blobs/uploads/?mount={digest}"), &[], "").await;
        assert_eq!(answer.status, 201, "the server finds it");
        assert_there(&registry, "any", body).await;

        let missing = Digest::sha256(b"missing");
        for from in ["from", "nobody"] {
            let mount = format!("to/blobs/uploads/?mount={missing}&from={from}");
            let answer = registry.send("POST", &mount, &[], "").await;
            assert_eq!(answer.status, 202, "an upload is opened instead");
            let close = format!("{}?digest={missing}", answer.header("location"));
            assert_eq!(registry.send("PUT", &close, &[], "missing").await.status, 201);
            let path = format!("to/blobs/{missing}");
            assert_eq!(registry.send("DELETE", &path, &[], "").await.status, 202);
        }
        assert_eq!(registry.get("nobody/tags/list").await.status, 404, "looking does not make repositories");
    }
}
