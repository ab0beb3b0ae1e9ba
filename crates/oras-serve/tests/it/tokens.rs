//! Tokens: how they are issued and what they cover.

use oras_serve::{ServerOptions, User};
use oras_testkit::nodes::empty;

use crate::client::{Answer, Registry, memory};

/// `ann:s3cret`.
const ANN: (&str, &str) = ("authorization", "Basic YW5uOnMzY3JldA==");

async fn registry(options: ServerOptions) -> Registry {
    memory(options.users([User::new("ann", "s3cret")])).await
}

/// Returns a token for `scopes` as the value of `Authorization`.
async fn token(registry: &Registry, query: &str, headers: &[(&str, &str)]) -> String {
    let answer = registry.send("GET", &format!("/token?service=oras&{query}"), headers, "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    bearer(&answer)
}

fn bearer(answer: &Answer) -> String {
    let json = answer.json();
    assert_eq!(json["token"], json["access_token"]);
    assert!(json["expires_in"].as_u64().unwrap() >= 60 && json.get("refresh_token").is_none());
    assert_eq!(answer.header("cache-control"), "no-store");
    format!("Bearer {}", json["token"].as_str().unwrap())
}

#[tokio::test]
async fn challenge_names_realm_and_scope() {
    let registry = registry(ServerOptions::default()).await;
    for (method, path, scope) in [
        ("GET", "/v2/", ""),
        ("GET", "a/b/manifests/v1", ",scope=\"repository:a/b:pull\""),
        ("HEAD", "a/tags/list", ",scope=\"repository:a:pull\""),
        ("PUT", "a/manifests/v1", ",scope=\"repository:a:pull,push\""),
        ("POST", "a/blobs/uploads/", ",scope=\"repository:a:pull,push\""),
        ("GET", "a/blobs/uploads/1", ",scope=\"repository:a:pull,push\""),
        ("DELETE", "a/manifests/v1", ",scope=\"repository:a:delete\""),
        ("GET", "_catalog", ",scope=\"registry:catalog:*\""),
    ] {
        let answer = registry.send(method, path, &[], "").await;
        let expected = format!("Bearer realm=\"http://x/token\",service=\"oras\"{scope}");
        assert_eq!(answer.header("www-authenticate"), expected, "{method} {path}");
    }
    // Behind a proxy the URL is unknown, so the challenge is Basic.
    for header in ["x-forwarded-proto", "x-forwarded-host", "forwarded"] {
        let answer = registry.send("GET", "/v2/", &[(header, "https")], "").await;
        assert_eq!(answer.header("www-authenticate"), "Basic realm=\"oras\"", "{header}");
    }
    let options = ServerOptions::default().public_url("https://registry.example/");
    let told = self::registry(options).await;
    let answer = told.send("GET", "/v2/", &[("x-forwarded-host", "evil.example")], "").await;
    let expected = "Bearer realm=\"https://registry.example/token\",service=\"oras\"";
    assert_eq!(answer.header("www-authenticate"), expected);
}

#[tokio::test]
async fn token_covers_only_its_scope() {
    let registry = registry(ServerOptions::default()).await;
    let push = token(&registry, "scope=repository:a:pull,push&scope=registry:catalog:*", &[ANN]).await;
    let push = ("authorization", push.as_str());
    let digest = &empty().descriptor().digest.clone();
    let path = format!("a/blobs/uploads/?digest={digest}");
    let pushed = registry.send("POST", &path, &[push], empty().in_memory().unwrap()).await;
    assert_eq!(pushed.status, 201, "{pushed:?}");
    let blob = format!("a/blobs/{digest}");
    assert_eq!(registry.send("GET", &blob, &[push], "").await.status, 200);
    assert_eq!(registry.send("GET", "/v2/", &[push], "").await.status, 200);
    let listed = registry.send("GET", "_catalog", &[push], "").await;
    assert_eq!(listed.json()["repositories"], serde_json::json!(["a"]));
    for (method, path) in [("DELETE", blob.as_str()), ("GET", "b/tags/list"), ("POST", "b/blobs/uploads/")] {
        let refused = registry.send(method, path, &[push], "").await;
        refused.refused(401, "UNAUTHORIZED");
        assert!(refused.header("www-authenticate").ends_with(",error=\"insufficient_scope\""), "{refused:?}");
    }
    let pull = token(&registry, "scope=repository:a:pull%20repository:b:pull", &[ANN]).await;
    let pull = ("authorization", pull.as_str());
    assert_eq!(registry.send("HEAD", &blob, &[pull], "").await.status, 200);
    assert_eq!(registry.send("GET", "b/tags/list", &[pull], "").await.status, 404);
    for (method, path) in [("POST", "a/blobs/uploads/"), ("GET", "_catalog"), ("DELETE", &blob)] {
        registry.send(method, path, &[pull], "").await.refused(401, "UNAUTHORIZED");
    }
    // Mounted from a readable repository; otherwise the client must upload it.
    let mount = format!("b/blobs/uploads/?mount={digest}&from=a");
    for (scope, status) in
        [("scope=repository:b:pull,push", 202), ("scope=repository:b:push+repository:a:pull", 201)]
    {
        let token = token(&registry, scope, &[ANN]).await;
        let answer = registry.send("POST", &mount, &[("authorization", &token)], "").await;
        assert_eq!(answer.status, status, "{scope} {answer:?}");
    }
}

#[tokio::test]
async fn rejects_invalid_tokens() {
    let registry = registry(ServerOptions::default().anonymous_pull(true)).await;
    let good = token(&registry, "scope=repository:a:pull", &[ANN]).await;
    let other = self::registry(ServerOptions::default()).await;
    let others = token(&other, "scope=repository:a:pull", &[ANN]).await;
    let parts: Vec<_> = good.split('.').collect();
    let none = format!("Bearer eyJhbGciOiJub25lIn0.{}.", parts[1]);
    for bad in
        [&others, &none, &good[..good.len() - 2], "Bearer", "Bearer ", "Bearer a.b.c", "Bearer ..", "Token x"]
    {
        for path in ["/v2/", "a/tags/list"] {
            let refused = registry.send("GET", path, &[("authorization", bad)], "").await;
            refused.refused(401, "UNAUTHORIZED");
        }
    }
    let twice = [("authorization", good.as_str()), ANN];
    registry.send("GET", "/v2/", &twice, "").await.refused(401, "UNAUTHORIZED");
    assert_eq!(registry.send("GET", "/v2/", &twice[..1], "").await.status, 200);
}

#[tokio::test]
async fn issues_tokens_to_users_and_for_anonymous_pulls() {
    let closed = registry(ServerOptions::default()).await;
    let wrong = ("authorization", "Basic YW5uOndyb25n");
    for headers in [&[][..], &[wrong]] {
        let refused = closed.send("GET", "/token?scope=repository:a:pull", headers, "").await;
        refused.refused(401, "UNAUTHORIZED");
        assert_eq!(refused.header("www-authenticate"), "Basic realm=\"oras\"");
    }
    let open = registry(ServerOptions::default().anonymous_pull(true)).await;
    let nobody = token(&open, "scope=repository:a:pull,push,delete", &[]).await;
    let nobody = ("authorization", nobody.as_str());
    assert_eq!(open.send("GET", "a/tags/list", &[nobody], "").await.status, 404);
    assert_eq!(open.send("GET", "/v2/", &[nobody], "").await.status, 200);
    for (method, path) in
        [("POST", "a/blobs/uploads/"), ("DELETE", "a/manifests/v1"), ("PUT", "a/manifests/v1")]
    {
        open.send(method, path, &[nobody], "").await.refused(401, "UNAUTHORIZED");
    }
    open.send("GET", "/token", &[wrong], "").await.refused(401, "UNAUTHORIZED");
    // Without users there are no tokens.
    let free = memory(ServerOptions::default()).await;
    assert_eq!(free.get("/token").await.status, 404);
}

#[tokio::test]
async fn form_with_a_password_gets_a_token() {
    let registry = registry(ServerOptions::default()).await;
    let typed = ("content-type", "application/x-www-form-urlencoded");
    let post =
        async |headers: &[(&str, &str)], body: &str| registry.send("POST", "/token", headers, body).await;
    let asked = "service=oras&client_id=x&scope=repository%3Aa%3Apull%2Cpush";
    let right = format!("grant_type=password&username=ann&password=s3cret&access_type=offline&{asked}");
    let given = post(&[typed], &right).await;
    let token = bearer(&given);
    assert_eq!(registry.send("POST", "a/blobs/uploads/", &[("authorization", &token)], "").await.status, 202);
    bearer(&post(&[typed, ANN], asked).await);
    for (body, status) in [
        (right.replace("s3cret", "wrong"), 401),
        (right.replace("ann", "eve"), 401),
        (format!("grant_type=refresh_token&refresh_token=x&{asked}"), 401),
        (format!("grant_type=client_credentials&{asked}"), 400),
        (asked.to_owned(), 400),
        ("x".repeat(100_000), 413),
    ] {
        assert_eq!(post(&[typed], &body).await.status, status, "{body:.80}");
    }
    assert_eq!(post(&[], &right).await.status, 415);
    assert_eq!(registry.send("PUT", "/token", &[typed, ANN], &right).await.status, 405);
}

#[tokio::test]
async fn throttles_wrong_passwords() {
    let registry = registry(ServerOptions::default()).await;
    assert_eq!(registry.send("GET", "/v2/", &[ANN], "").await.status, 200);
    let mut refused = None;
    for _ in 0..100 {
        let answer = registry.send("GET", "/v2/", &[("authorization", "Basic YW5uOndyb25n")], "").await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        answer.refused(401, "UNAUTHORIZED");
    }
    let refused = refused.unwrap();
    refused.refused(429, "TOOMANYREQUESTS");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() <= 61);
    // A recently verified user can still log in.
    assert_eq!(registry.send("GET", "/v2/", &[ANN], "").await.status, 200);
}
