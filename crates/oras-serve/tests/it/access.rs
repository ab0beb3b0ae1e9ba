//! Authentication, read-only servers and anonymous pulls.

use oras_serve::{ServerOptions, User};
use oras_testkit::nodes::empty;
use oras_testkit::peers;

use crate::client::memory;

#[tokio::test]
async fn rejects_requests_without_a_valid_password() {
    let users = vec![User::new("ann", "s3cret"), User::new("bob", "p:w")];
    let registry = memory(ServerOptions::default().users(users)).await;
    let digest = &empty().descriptor().digest.clone();
    for (method, path) in [
        ("GET", "/v2/"),
        ("GET", "/v2/_catalog"),
        ("GET", "a/tags/list"),
        ("GET", &format!("a/blobs/{digest}")),
        ("POST", "a/blobs/uploads/"),
        ("PUT", "a/manifests/v1"),
        ("DELETE", "a/manifests/v1"),
        ("GET", "/anything"),
    ] {
        let answer = registry.send(method, path, &[], "").await;
        answer.refused(401, "UNAUTHORIZED");
        let scheme = if path == "/anything" { "Basic " } else { "Bearer " };
        assert!(answer.header("www-authenticate").starts_with(scheme), "{answer:?}");
        assert_eq!(answer.header("cache-control"), "no-store");
        let wrong = [("authorization", "Basic YW5uOndyb25n")];
        registry.send(method, path, &wrong, "").await.refused(401, "UNAUTHORIZED");
    }
    for right in ["Basic YW5uOnMzY3JldA==", "basic Ym9iOnA6dw=="] {
        assert_eq!(registry.send("GET", "/v2/", &[("authorization", right)], "").await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn oras_logs_in() {
    let Some(oras) = peers::find_or_skip(peers::ORAS, "oras-serve: login") else { return };
    let users = vec![User::new("ann", "s3cret")];
    let registry = memory(ServerOptions::default().users(users)).await;
    let host = registry.host();
    let test = move || {
        let work = tempfile::tempdir().unwrap();
        let login = |password| {
            ["login", "--plain-http", "-u", "ann", "-p", password, "--registry-config", "auth", &host]
                .map(ToOwned::to_owned)
        };
        let try_run = |words: &[String]| {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            peers::try_run(&oras, work.path(), &words).status.success()
        };
        assert!(!try_run(&login("wrong")));
        assert!(try_run(&login("s3cret")));
        oras_fs::replace(&work.path().join("f"), b"x", 0o666).unwrap();
        let name = format!("{host}/a:v1");
        peers::run(&oras, work.path(), &["push", "--plain-http", "--registry-config", "auth", &name, "f"]);
        assert!(!peers::try_run(&oras, work.path(), &["pull", "--plain-http", &name]).status.success());
    };
    tokio::task::spawn_blocking(test).await.unwrap();
}

#[tokio::test]
async fn read_only_registry_rejects_changes() {
    let registry = memory(ServerOptions::default().read_only(true)).await;
    for (method, path) in [
        ("POST", "a/blobs/uploads/"),
        ("PUT", "a/manifests/v1"),
        ("PATCH", "a/blobs/uploads/1"),
        ("DELETE", "a/manifests/v1"),
    ] {
        registry.send(method, path, &[], "").await.refused(405, "UNSUPPORTED");
    }
    assert_eq!(registry.get("/v2/").await.status, 200);
    assert_eq!(registry.get("_catalog").await.json()["repositories"], serde_json::json!([]));
}

#[tokio::test]
async fn anonymous_clients_may_pull_and_not_push() {
    let users = vec![User::new("ann", "s3cret")];
    let registry = memory(ServerOptions::default().users(users).anonymous_pull(true)).await;
    let right = ("authorization", "Basic YW5uOnMzY3JldA==");
    let opened = registry.send("POST", "a/blobs/uploads/", &[right], "").await;
    assert_eq!(opened.status, 202);
    let upload = opened.header("location");
    let digest = &empty().descriptor().digest.clone();
    let close = format!("{upload}?digest={digest}");
    assert_eq!(registry.send("PUT", &close, &[right], empty().in_memory().unwrap()).await.status, 201);

    let wrong = ("authorization", "Basic YW5uOndyb25n");
    let blob = format!("a/blobs/{digest}");
    for (method, path) in
        [("GET", blob.as_str()), ("HEAD", &blob), ("GET", "a/tags/list"), ("GET", "_catalog")]
    {
        for nobody in [&[][..], &[("authorization", "Basic Og==")]] {
            assert_eq!(registry.send(method, path, nobody, "").await.status, 200, "{method} {path}");
        }
        // If a request has credentials, they must be right, so that a user notices a wrong password.
        assert_eq!(registry.send(method, path, &[wrong], "").await.status, 401, "{method} {path}");
    }
    for (method, path) in [
        ("GET", "/v2/"),
        ("GET", "/v2"),
        ("POST", "a/blobs/uploads/"),
        ("PATCH", "a/blobs/uploads/1"),
        ("PUT", "a/manifests/v1"),
        ("DELETE", blob.as_str()),
        ("DELETE", "a/manifests/v1"),
    ] {
        for nobody in [&[][..], &[("authorization", "Basic Og==")]] {
            registry.send(method, path, nobody, "").await.refused(401, "UNAUTHORIZED");
        }
    }
    assert_eq!(registry.send("GET", "/v2/", &[right], "").await.status, 200);
}
