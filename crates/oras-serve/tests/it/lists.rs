//! Tags, repositories and referrers.

use oras_testkit::nodes::{empty, manifest, referrer};
use serde_json::json;

use crate::client::both;

#[tokio::test]
async fn tags_are_paged() {
    for registry in both().await {
        registry.get("a/b/tags/list").await.refused(404, "NAME_UNKNOWN");
        registry.push_blob("a/b", &empty()).await;
        assert_eq!(registry.get("a/b/tags/list").await.json(), json!({"name": "a/b", "tags": []}));
        let node = manifest("m", &[]);
        for tag in ["v3", "v1", "latest", "v2"] {
            assert_eq!(registry.put_manifest("a/b", tag, &node).await.status, 201);
        }
        let all = registry.get("a/b/tags/list").await;
        assert_eq!(all.json()["tags"], json!(["latest", "v1", "v2", "v3"]));
        assert_eq!(all.maybe("link"), None);

        let first = registry.get("a/b/tags/list?n=3").await;
        assert_eq!(first.json()["tags"], json!(["latest", "v1", "v2"]));
        let link = first.header("link");
        let next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap();
        let second = registry.get(next).await;
        assert_eq!((second.json()["tags"].clone(), second.maybe("link")), (json!(["v3"]), None));

        let none = registry.get("a/b/tags/list?n=0").await;
        assert_eq!((none.json()["tags"].clone(), none.maybe("link")), (json!([]), None));
        assert_eq!(registry.get("a/b/tags/list?n=4").await.maybe("link"), None);
        assert_eq!(registry.get("a/b/tags/list?last=v2").await.json()["tags"], json!(["v3"]));
        assert_eq!(registry.get("a/b/tags/list?last=v20&n=9").await.json()["tags"], json!(["v3"]));
        assert_eq!(registry.get("a/b/tags/list?n=x").await.status, 400);
    }
}

#[tokio::test]
async fn repositories_are_paged() {
    for registry in both().await {
        assert_eq!(registry.get("_catalog").await.json(), json!({"repositories": []}));
        for name in ["b", "a/c", "a"] {
            registry.push_blob(name, &empty()).await;
        }
        assert_eq!(registry.get("_catalog").await.json()["repositories"], json!(["a", "a/c", "b"]));
        let first = registry.get("_catalog?n=2").await;
        assert_eq!(first.json()["repositories"], json!(["a", "a/c"]));
        let link = first.header("link").trim_start_matches('<');
        let next = registry.get(link.split('>').next().unwrap()).await;
        assert_eq!((next.json()["repositories"].clone(), next.maybe("link")), (json!(["b"]), None));
    }
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let subject = manifest("subject", &[]);
    let (one, two) =
        (referrer("1", "application/one", &subject), referrer("2", "application/t+wo", &subject));
    let path = format!("a/referrers/{}", subject.descriptor().digest);
    for registry in both().await {
        let unknown = registry.get(&path).await;
        assert_eq!((unknown.status, unknown.json()["manifests"].clone()), (200, json!([])));
        registry.push_blob("a", &empty()).await;
        assert_eq!(registry.get(&path).await.json()["manifests"], json!([]));
        for node in [&one, &subject, &two, &one] {
            registry.put_manifest("a", &node.descriptor().digest.to_string(), node).await;
        }
        let all = registry.get(&path).await;
        assert_eq!(all.header("content-type"), "application/vnd.oci.image.index.v1+json");
        assert_eq!(all.maybe("oci-filters-applied"), None);
        let all = all.json();
        assert_eq!((&all["schemaVersion"], all["manifests"].as_array().unwrap().len()), (&json!(2), 2));
        let found = all["manifests"].as_array().unwrap();
        let found = found.iter().find(|node| node["artifactType"] == "application/one").unwrap();
        assert_eq!(found["digest"], one.descriptor().digest.to_string());
        assert_eq!(found["size"], one.descriptor().size);
        assert_eq!(found["annotations"], json!({"name": "1"}));

        let filtered = registry.get(&format!("{path}?artifactType=application/t%2Bwo")).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        assert_eq!(filtered.json()["manifests"][0]["digest"], two.descriptor().digest.to_string());
        assert_eq!(filtered.json()["manifests"].as_array().unwrap().len(), 1);

        let gone = format!("a/manifests/{}", one.descriptor().digest);
        assert_eq!(registry.send("DELETE", &gone, &[], "").await.status, 202);
        assert_eq!(registry.get(&path).await.json()["manifests"].as_array().unwrap().len(), 1);
        registry.get("a/referrers/v1").await.refused(400, "DIGEST_INVALID");
    }
}

/// Returns the target of the `Link` header.
fn next(answer: &crate::client::Answer) -> Option<String> {
    let link = answer.maybe("link")?;
    Some(link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned())
}

#[tokio::test]
async fn pages_of_referrers_have_at_most_4_mib() {
    let subject = manifest("subject", &[]);
    let path = format!("/v2/a/referrers/{}", subject.descriptor().digest);
    for registry in both().await {
        registry.push_blob("a", &empty()).await;
        let mut pushed = Vec::new();
        for number in 0..45 {
            let kind = ["application/one", "application/t+wo"][number % 2];
            let text = format!("{number}{}", "z".repeat(200_000));
            let node = referrer(&text, kind, &subject);
            assert_eq!(registry.put_manifest("a", &format!("t{number}"), &node).await.status, 201);
            pushed.push((kind, node.descriptor().digest.to_string()));
        }
        for (filter, kind) in [("", None), ("?artifactType=application/t%2Bwo", Some("application/t+wo"))] {
            let (mut seen, mut pages, mut address) = (Vec::new(), 0, Some(format!("{path}{filter}")));
            while let Some(asked) = address {
                let answer = registry.get(&asked).await;
                assert!(answer.status == 200 && answer.body.len() <= 4 << 20, "{}", answer.body.len());
                assert_eq!(answer.maybe("oci-filters-applied"), kind.map(|_| "artifactType"));
                let page = answer.json()["manifests"].as_array().unwrap().clone();
                assert!(!page.is_empty());
                seen.extend(page.iter().map(|node| node["digest"].as_str().unwrap().to_owned()));
                (address, pages) = (next(&answer), pages + 1);
                assert!(pages < 10);
            }
            let wanted = pushed.iter().filter(|(found, _)| kind.is_none_or(|kind| kind == *found));
            let mut wanted: Vec<_> = wanted.map(|(_, digest)| digest.clone()).collect();
            wanted.sort();
            seen.sort();
            assert_eq!(seen, wanted);
            assert_eq!(pages, if kind.is_some() { 2 } else { 3 });
        }
    }
}

#[tokio::test]
async fn base_endpoint_identifies_the_registry() {
    for registry in both().await {
        for path in ["/v2/", "/v2"] {
            let answer = registry.get(path).await;
            assert_eq!(
                (answer.status, answer.header("docker-distribution-api-version")),
                (200, "registry/2.0")
            );
        }
        for path in ["/v1/", "/v2/x", "/v2/a/b", "/metrics/x"] {
            assert_eq!(registry.get(path).await.status, 404, "{path}");
        }
        assert_eq!(registry.send("PUT", "/v2/", &[], "").await.status, 405);
    }
}
