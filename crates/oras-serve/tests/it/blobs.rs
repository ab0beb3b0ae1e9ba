//! Pulling and deleting blobs.

use oras_spec::{Algorithm, Digest};
use oras_testkit::nodes::{blob, bytes, manifest};

use crate::client::both;

#[tokio::test]
async fn serves_whole_blobs_and_ranges() {
    let content = blob(bytes(100_000));
    let whole = content.in_memory().unwrap();
    for registry in both().await {
        registry.push_blob("a/b", &content).await;
        let path = format!("a/b/blobs/{}", content.descriptor().digest);
        let answer = registry.get(&path).await;
        assert_eq!((answer.status, &answer.body), (200, whole));
        assert_eq!(answer.header("content-length"), "100000");
        assert_eq!(answer.header("content-type"), "application/octet-stream");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("docker-content-digest"), content.descriptor().digest.to_string());
        let answer = registry.head(&path).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("content-length")), (200, 0, "100000"));

        for (range, start, end) in [
            ("bytes=0-3", 0, 4),
            ("bytes=99990-", 99_990, 100_000),
            ("bytes=-5", 99_995, 100_000),
            ("bytes=70000-999999", 70_000, 100_000),
        ] {
            let answer = registry.send("GET", &path, &[("range", range)], "").await;
            assert_eq!((answer.status, &answer.body[..]), (206, &whole[start..end]), "{range}");
            assert_eq!(answer.header("content-range"), format!("bytes {start}-{}/100000", end - 1));
        }
        // The conformance program of the distribution-spec requires that the last range is rejected.
        for range in ["bytes=100000-", "bytes=-0", "bytes=3-2"] {
            let answer = registry.send("GET", &path, &[("range", range)], "").await;
            assert_eq!(answer.status, 416, "{range}");
            assert_eq!(answer.header("content-range"), "bytes */100000");
        }
        // RFC 9110, 14.2: a server may ignore a range that it does not support.
        for range in ["bytes=0-1,5-6", "lines=0-1", "bytes=x"] {
            assert_eq!(registry.send("GET", &path, &[("range", range)], "").await.status, 200, "{range}");
        }
    }
}

#[tokio::test]
async fn missing_blob_is_not_found() {
    let content = blob("x");
    for registry in both().await {
        let digest = &content.descriptor().digest;
        registry.get(&format!("a/blobs/{digest}")).await.refused(404, "NAME_UNKNOWN");
        registry.push_blob("a", &blob("y")).await;
        registry.get(&format!("a/blobs/{digest}")).await.refused(404, "BLOB_UNKNOWN");
        assert_eq!(registry.head(&format!("a/blobs/{digest}")).await.status, 404);
        registry.get("a/blobs/sha256:abc").await.refused(400, "DIGEST_INVALID");
        registry.get("a/blobs/blake3:abc").await.refused(400, "DIGEST_INVALID");
        let encoded = blob("y").descriptor().digest.to_string().replace(':', "%3A");
        assert_eq!(registry.get(&format!("a/blobs/{encoded}")).await.body, "y");
    }
}

#[tokio::test]
async fn names_do_not_escape_the_root() {
    let content = blob("secret");
    for registry in both().await {
        registry.push_blob("inside", &content).await;
        let digest = &content.descriptor().digest;
        for name in
            ["../inside", "a/../inside", "A", "a//b", "./inside", "inside%00", "%2e%2e/inside", "-a", ""]
        {
            let answer = registry.get(&format!("{name}/blobs/{digest}")).await;
            assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
            let answer = registry.send("POST", &format!("{name}/blobs/uploads/"), &[], "").await;
            assert!(matches!(answer.status, 400 | 404), "{name}: {answer:?}");
        }
        registry.get(&format!("{}/blobs/{digest}", "a".repeat(300))).await.refused(404, "NAME_INVALID");
    }
}

#[tokio::test]
async fn deletes_blobs() {
    let (content, config) = (blob("x"), oras_testkit::nodes::empty());
    for registry in both().await {
        registry.push_blob("a", &content).await;
        registry.push_blob("a", &config).await;
        let path = format!("a/blobs/{}", content.descriptor().digest);
        assert_eq!(registry.send("DELETE", &path, &[], "").await.status, 202);
        registry.get(&path).await.refused(404, "BLOB_UNKNOWN");
        registry.send("DELETE", &path, &[], "").await.refused(404, "BLOB_UNKNOWN");

        // A manifest cannot be deleted as a blob, because its tags would dangle or be lost.
        let node = manifest("m", &[]);
        registry.put_manifest("a", "v1", &node).await;
        let path = format!("a/blobs/{}", node.descriptor().digest);
        registry.send("DELETE", &path, &[], "").await.refused(404, "BLOB_UNKNOWN");
        assert_eq!(registry.get("a/manifests/v1").await.status, 200);
    }
}

#[tokio::test]
async fn accepts_empty_blobs_and_other_algorithms() {
    for registry in both().await {
        for (algorithm, text) in [(Algorithm::Sha256, ""), (Algorithm::Sha512, "x"), (Algorithm::Sha384, "y")]
        {
            let digest = Digest::of(algorithm, text.as_bytes());
            // The digest's algorithm is known when an upload is closed, not before.
            let location = registry.open("a").await;
            let answer = registry.send("PUT", &format!("{location}?digest={digest}"), &[], text).await;
            assert_eq!(answer.status, 201, "{} {digest}", registry.kind);
            let answer = registry.get(answer.header("location")).await;
            assert_eq!((answer.status, &answer.body[..]), (200, text.as_bytes()));
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        }
    }
}
