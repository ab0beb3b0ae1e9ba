//! Pushing, pulling and deleting manifests.

use oras_serve::ServerOptions;
use oras_spec::{Algorithm, Descriptor, Digest, ImageIndex, ImageManifest, MediaType};
use oras_store::Content;
use oras_testkit::nodes::{blob, empty, index, manifest, referrer};

use crate::client::{both, layouts, memory};

const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

#[tokio::test]
async fn keeps_the_bytes_of_manifests() {
    let layer = blob("layer");
    // Unusual formatting must be preserved.
    let text = String::from_utf8(manifest("m", &[&layer]).in_memory().unwrap().to_vec()).unwrap();
    let node = Content::of(MediaType::IMAGE_MANIFEST, text.replacen('{', "{ \"x\" : 1.50,\n", 1));
    let digest = node.descriptor().digest.to_string();
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        registry.push_blob("a", &layer).await;
        for reference in ["v1", &digest] {
            let answer = registry.put_manifest("a", reference, &node).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(answer.header("location"), format!("/v2/a/manifests/{digest}"));
            assert_eq!(answer.header("docker-content-digest"), digest);
            assert_eq!(answer.maybe("oci-subject"), None);
        }
        for reference in ["v1", &digest] {
            let answer = registry.get(&format!("a/manifests/{reference}")).await;
            assert_eq!((answer.status, &answer.body), (200, node.in_memory().unwrap()));
            assert_eq!(answer.header("content-type"), IMAGE);
            assert_eq!(answer.header("docker-content-digest"), digest);
            let answer = registry.head(&format!("a/manifests/{reference}")).await;
            let length = node.descriptor().size.to_string();
            assert_eq!(
                (answer.status, answer.body.len(), answer.header("content-length")),
                (200, 0, &*length)
            );
        }
        registry.get("a/manifests/v2").await.refused(404, "MANIFEST_UNKNOWN");
        registry.get("b/manifests/v1").await.refused(404, "NAME_UNKNOWN");
        let path = format!("a/manifests/{}", layer.descriptor().digest);
        registry.get(&path).await.refused(404, "MANIFEST_UNKNOWN");

        let other = manifest("other", &[]);
        registry.put_manifest("a", "v1", &other).await;
        let found = registry.head("a/manifests/v1").await;
        assert_eq!(found.header("docker-content-digest"), other.descriptor().digest.to_string(), "tags move");
        assert_eq!(registry.head(&format!("a/manifests/{digest}")).await.status, 200);
    }
}

#[tokio::test]
async fn rejects_manifest_with_missing_content() {
    let layer = blob("layer");
    let node = manifest("m", &[&layer]);
    for registry in both().await {
        registry.put_manifest("a", "v1", &node).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
        registry.push_blob("a", &empty()).await;
        registry.put_manifest("a", "v1", &node).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
        registry.put_manifest("a", "v1", &index(&[&node])).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
        registry.push_blob("a", &layer).await;
        assert_eq!(registry.put_manifest("a", "v1", &node).await.status, 201);
        assert_eq!(registry.put_manifest("a", "all", &index(&[&node])).await.status, 201);

        let mut foreign = Descriptor::of(MediaType::LAYER_TAR, b"not to be distributed");
        foreign.media_type = MediaType::new("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
        let foreign = ImageManifest::new(empty().descriptor().clone(), vec![foreign]).to_bytes();
        let answer = registry.put_manifest("a", "v2", &Content::of(MediaType::IMAGE_MANIFEST, foreign)).await;
        assert_eq!(answer.status, 201);
    }
}

#[tokio::test]
async fn accepts_manifest_before_its_subject() {
    let subject = manifest("subject", &[]);
    let node = referrer("r", "application/vnd.test", &subject);
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        let answer = registry.put_manifest("a", &node.descriptor().digest.to_string(), &node).await;
        assert_eq!(answer.status, 201);
        assert_eq!(answer.header("oci-subject"), subject.descriptor().digest.to_string());
        let mut index = ImageIndex::new(Vec::new());
        index.subject = Some(subject.descriptor().plain());
        let index = Content::of(MediaType::IMAGE_INDEX, index.to_bytes());
        let answer = registry.put_manifest("a", "index", &index).await;
        assert_eq!(answer.header("oci-subject"), subject.descriptor().digest.to_string());
    }
    let missing = oras_testkit::nodes::blob("nowhere").descriptor().plain();
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        let mut image = ImageManifest::new(empty().descriptor().clone(), vec![missing.clone()]);
        image.subject = Some(missing.clone());
        let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
        registry.put_manifest("a", "layer", &image).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
        let mut image = ImageManifest::new(missing.clone(), Vec::new());
        image.subject = Some(missing.clone());
        let image = Content::of(MediaType::IMAGE_MANIFEST, image.to_bytes());
        registry.put_manifest("a", "config", &image).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
        let mut list = ImageIndex::new(vec![subject.descriptor().plain()]);
        list.subject = Some(subject.descriptor().plain());
        let list = Content::of(MediaType::IMAGE_INDEX, list.to_bytes());
        registry.put_manifest("a", "entry", &list).await.refused(404, "MANIFEST_BLOB_UNKNOWN");
    }
    let registry = memory(ServerOptions::default().referrers(false)).await;
    registry.push_blob("a", &empty()).await;
    let answer = registry.put_manifest("a", "r", &node).await;
    assert_eq!((answer.status, answer.maybe("oci-subject")), (201, None));
    assert_eq!(registry.get(&format!("a/referrers/{}", subject.descriptor().digest)).await.status, 404);
}

#[tokio::test]
async fn sparse_registry_accepts_incomplete_manifests() {
    let registry = memory(ServerOptions::default().sparse(true)).await;
    let node = manifest("m", &[&blob("layer")]);
    assert_eq!(registry.put_manifest("a", "v1", &index(&[&node])).await.status, 201);
}

#[tokio::test]
async fn rejects_malformed_manifests() {
    let node = manifest("m", &[]);
    let text = String::from_utf8(node.in_memory().unwrap().to_vec()).unwrap();
    let registry = memory(ServerOptions::default().max_manifest_size(4000)).await;
    registry.push_blob("a", &empty()).await;
    let put = async |reference: &str, media_type: &str, body: &str| {
        let path = format!("a/manifests/{reference}");
        registry.send("PUT", &path, &[("content-type", media_type)], body).await
    };
    for (media_type, body) in [
        (IMAGE, "{"),
        (IMAGE, "[]"),
        (IMAGE, ""),
        (IMAGE, "{\"schemaVersion\":2}"),
        (IMAGE, &text.replacen('{', "{\"config\":{},", 1)),
        (IMAGE, &text.replacen("\"layers\"", "\"manifests\":[],\"layers\"", 1)),
        ("application/vnd.oci.image.index.v1+json", &text),
        ("application/octet-stream", &text),
        ("", &text),
    ] {
        put("v1", media_type, body).await.refused(400, "MANIFEST_INVALID");
    }
    let wrong = Digest::sha256(b"wrong").to_string();
    put(&wrong, IMAGE, &text).await.refused(400, "DIGEST_INVALID");
    for bad in [".v1", "-x", "a:b", &"x".repeat(129)] {
        assert_eq!(put(bad, IMAGE, &text).await.status, 400, "{bad}");
    }
    let large = format!("{text}{}", " ".repeat(4001));
    assert_eq!(put("v1", IMAGE, &large).await.status, 413);
    assert_eq!(registry.get("a/tags/list").await.json()["tags"], serde_json::json!([]));
    assert_eq!(put("v1", &format!("{IMAGE}; charset=utf-8"), &text).await.status, 201);
}

#[tokio::test]
async fn accepts_other_algorithms_and_tags_by_digest() {
    let node = manifest("m", &[]);
    let digest = Digest::of(Algorithm::Sha512, node.in_memory().unwrap());
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        let answer = registry.put_manifest("a", &format!("{digest}?tag=x&tag=y"), &node).await;
        assert_eq!((answer.status, answer.header("docker-content-digest")), (201, &*digest.to_string()));
        assert!(answer.maybe("oci-tag").is_some());
        for reference in ["x", "y", &digest.to_string()] {
            let answer = registry.get(&format!("a/manifests/{reference}")).await;
            assert_eq!((answer.status, &answer.body), (200, node.in_memory().unwrap()), "{}", registry.kind);
            assert_eq!(answer.header("docker-content-digest"), digest.to_string());
        }
        assert_eq!(registry.put_manifest("a", &format!("{digest}?tag=.bad"), &node).await.status, 400);
    }
}

#[tokio::test]
async fn deleting_a_manifest_deletes_its_tags() {
    let node = manifest("m", &[]);
    let path = format!("a/manifests/{}", node.descriptor().digest);
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        registry.put_manifest("a", "v1", &node).await;
        registry.put_manifest("a", "v2", &manifest("other", &[])).await;
        assert_eq!(registry.send("DELETE", &path, &[], "").await.status, 202);
        registry.get(&path).await.refused(404, "MANIFEST_UNKNOWN");
        registry.get("a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
        registry.send("DELETE", &path, &[], "").await.refused(404, "MANIFEST_UNKNOWN");
        assert_eq!(registry.get("a/tags/list").await.json()["tags"], serde_json::json!(["v2"]));
        registry.send("PATCH", &path, &[], "").await.refused(405, "UNSUPPORTED");
        assert_eq!(registry.put_manifest("a", "v1", &node).await.status, 201, "and may come again");
    }
}

#[tokio::test]
async fn deleting_a_tag_keeps_the_manifest() {
    let node = manifest("m", &[]);
    let path = format!("a/manifests/{}", node.descriptor().digest);
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        registry.put_manifest("a", "v1", &node).await;
        registry.put_manifest("a", "v2", &node).await;
        assert_eq!(registry.send("DELETE", "a/manifests/v1", &[], "").await.status, 202);
        registry.send("DELETE", "a/manifests/v1", &[], "").await.refused(404, "MANIFEST_UNKNOWN");
        registry.get("a/manifests/v1").await.refused(404, "MANIFEST_UNKNOWN");
        for stays in [&*path, "a/manifests/v2"] {
            assert_eq!(registry.get(stays).await.status, 200, "{stays}");
        }
    }
}

#[tokio::test]
async fn manifest_that_is_also_a_blob_stays_a_manifest() {
    let node = manifest("m", &[]);
    let registry = layouts(ServerOptions::default()).await;
    registry.push_blob("a", &empty()).await;
    registry.push_blob("a", &node).await;
    assert_eq!(registry.put_manifest("a", "v1", &node).await.status, 201);
    let answer = registry.get(&format!("a/manifests/{}", node.descriptor().digest)).await;
    assert_eq!((answer.status, &answer.body), (200, node.in_memory().unwrap()));
}
