//! Access rules.

use std::time::Duration;

use oras_serve::{ServerOptions, User};
use oras_testkit::nodes::empty;
use tempfile::TempDir;

use crate::client::{Registry, memory};

/// `ann:a`, `bob:b`.
const ANN: (&str, &str) = ("authorization", "Basic YW5uOmE=");
const BOB: (&str, &str) = ("authorization", "Basic Ym9iOmI=");

const RULES: &str = r#"
[[rule]]
repositories = ["public/**"]
users = ["anonymous"]
allow = ["pull"]

[[rule]]
repositories = ["public/**", "ann/**"]
users = ["ann"]
allow = ["pull", "push", "delete"]

[[rule]]
repositories = ["bob/*"]
users = ["bob"]
allow = ["pull", "push"]
"#;

async fn registry(directory: &TempDir) -> Registry {
    let path = directory.path().join("rules.toml");
    oras_fs::replace(&path, RULES.as_bytes(), 0o666).unwrap();
    let users = vec![User::new("ann", "a"), User::new("bob", "b")];
    memory(ServerOptions::default().users(users).rules(path)).await
}

async fn push(registry: &Registry, name: &str, who: (&str, &str)) -> u16 {
    let digest = &empty().descriptor().digest.clone();
    let path = format!("{name}/blobs/uploads/?digest={digest}");
    registry.send("POST", &path, &[who], empty().in_memory().unwrap()).await.status
}

#[tokio::test]
async fn enforces_rules() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory).await;
    for (name, who, status) in [
        ("public/app", ANN, 201),
        ("ann/app", ANN, 201),
        ("bob/app", BOB, 201),
        ("bob/app", ANN, 403),
        ("bob/app/deep", BOB, 403),
        ("ann", ANN, 403),
        ("public/app", BOB, 403),
    ] {
        assert_eq!(push(&registry, name, who).await, status, "{name} {who:?}");
    }
    let digest = &empty().descriptor().digest.clone();
    for (method, name, who, status) in [
        ("GET", "public/app", &[][..], 200),
        ("GET", "public/app", &[BOB], 200),
        ("GET", "ann/app", &[], 401),
        ("GET", "ann/app", &[BOB], 403),
        ("HEAD", "ann/app", &[BOB], 403),
        // Without permission, the status does not reveal whether the content exists.
        ("GET", "ann/none", &[BOB], 403),
        ("GET", "ann/none", &[ANN], 404),
        ("DELETE", "bob/app", &[BOB], 403),
        ("DELETE", "public/app", &[], 401),
        ("DELETE", "public/app", &[BOB], 403),
    ] {
        let answer = registry.send(method, &format!("{name}/blobs/{digest}"), who, "").await;
        assert_eq!(answer.status, status, "{method} {name} {who:?}");
    }
    let refused = registry.send("GET", "ann/tags/list", &[BOB], "").await;
    refused.refused(403, "DENIED");
    assert_eq!(refused.json()["errors"][0]["message"], "bob may not pull from ann");
    assert_eq!(registry.send("DELETE", &format!("ann/app/blobs/{digest}"), &[ANN], "").await.status, 202);
}

#[tokio::test]
async fn lists_and_mounts_only_readable_repositories() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory).await;
    for (name, who) in [("public/app", ANN), ("ann/app", ANN), ("bob/app", BOB)] {
        assert_eq!(push(&registry, name, who).await, 201);
    }
    for (who, expected) in [
        (&[][..], serde_json::json!(["public/app"])),
        (&[ANN], serde_json::json!(["ann/app", "public/app"])),
        (&[BOB], serde_json::json!(["bob/app", "public/app"])),
    ] {
        let listed = registry.send("GET", "_catalog", who, "").await;
        assert_eq!(listed.json()["repositories"], expected, "{who:?}");
    }
    let page = registry.send("GET", "_catalog?n=1", &[ANN], "").await;
    assert_eq!(page.header("link"), "</v2/_catalog?n=1&last=ann/app>; rel=\"next\"");

    let secret = oras_store::Content::of(oras_spec::MediaType::OCTET_STREAM, "of ann alone");
    let digest = &secret.descriptor().digest;
    let path = format!("ann/app/blobs/uploads/?digest={digest}");
    assert_eq!(registry.send("POST", &path, &[ANN], secret.in_memory().unwrap()).await.status, 201);
    for from in ["&from=ann/app", ""] {
        let path = format!("bob/app/blobs/uploads/?mount={digest}{from}");
        let answer = registry.send("POST", &path, &[BOB], "").await;
        assert_eq!(answer.status, 202, "to be sent: {answer:?}");
    }
    let path = format!("public/app/blobs/uploads/?mount={digest}&from=ann/app");
    assert_eq!(registry.send("POST", &path, &[ANN], "").await.status, 201);
    // The blob is now in a repository that all users may read.
    let path = format!("bob/app/blobs/uploads/?mount={digest}");
    assert_eq!(registry.send("POST", &path, &[BOB], "").await.status, 201);
}

#[tokio::test]
async fn upload_is_limited_to_its_user_and_repository() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory).await;
    let rules = RULES.replace("users = [\"bob\"]", "users = [\"ann\", \"bob\"]");
    replace(&directory, &rules).await;
    let opened = registry.send("POST", "bob/app/blobs/uploads/", &[ANN], "").await;
    assert_eq!(opened.status, 202, "{opened:?}");
    let upload = opened.header("location").to_owned();
    let close = format!("{upload}?digest={}", empty().descriptor().digest);
    for (method, path) in [("GET", &upload), ("PATCH", &upload), ("PUT", &close), ("DELETE", &upload)] {
        registry.send(method, path, &[BOB], "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        let elsewhere = path.replace("bob/app", "ann/app");
        registry.send(method, &elsewhere, &[ANN], "x").await.refused(404, "BLOB_UPLOAD_UNKNOWN");
        registry.send(method, path, &[], "x").await.refused(401, "UNAUTHORIZED");
    }
    assert_eq!(registry.send("PUT", &close, &[ANN], empty().in_memory().unwrap()).await.status, 201);
}

#[tokio::test]
async fn changed_rules_apply_at_once_to_tokens() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory).await;
    let answer = registry.send("GET", "/token?scope=repository:bob/app:pull,push,delete", &[BOB], "").await;
    let token = format!("Bearer {}", answer.json()["token"].as_str().unwrap());
    let bob = ("authorization", token.as_str());
    assert_eq!(push(&registry, "bob/app", bob).await, 201);
    // Tokens never cover more than the rules.
    let path = format!("bob/app/blobs/{}", empty().descriptor().digest);
    registry.send("DELETE", &path, &[bob], "").await.refused(403, "DENIED");

    replace(&directory, "no rules").await;
    assert_eq!(push(&registry, "bob/app", bob).await, 201, "what is no file of rules changes nothing");
    replace(&directory, &RULES.replace("users = [\"bob\"]", "users = [\"ann\"]")).await;
    assert_eq!(push(&registry, "bob/app", bob).await, 403);
    assert_eq!(push(&registry, "bob/app", ANN).await, 201);
}

async fn replace(directory: &TempDir, rules: &str) {
    oras_fs::replace(&directory.path().join("rules.toml"), rules.as_bytes(), 0o666).unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

#[cfg(feature = "page")]
#[tokio::test]
async fn page_shows_only_readable_repositories() {
    let directory = TempDir::new().unwrap();
    let registry = registry(&directory).await;
    for (name, who) in [("public/app", ANN), ("ann/app", ANN), ("bob/app", BOB)] {
        assert_eq!(push(&registry, name, who).await, 201);
    }
    for (who, seen, unseen) in [
        (&[][..], &["public/app"][..], &["ann/app", "bob/app"][..]),
        (&[BOB], &["public/app", "bob/app"], &["ann/app"]),
        (&[ANN], &["public/app", "ann/app"], &["bob/app"]),
    ] {
        let page = registry.send("GET", "/", who, "").await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(seen.iter().all(|name| text.contains(name)), "{who:?}: {text}");
        assert!(!unseen.iter().any(|name| text.contains(name)), "{who:?}: {text}");
        for (names, status) in [(seen, 200), (unseen, 404)] {
            for name in names {
                let path = format!("/-/{name}");
                assert_eq!(registry.send("GET", &path, who, "").await.status, status, "{who:?} {name}");
            }
        }
    }
}
