//! A registry beside the routes of a program: addresses, routes, clients, maintenance and writes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Full;
use oras_memory::Memory;
use oras_serve::{
    Body, DigestsInUse, Misconfigured, PerRepository, Registry, Server, ServerOptions, Stores, Tls, User,
    Warnings,
};
use oras_spec::Digest;
use oras_store::{ReadStore, Result, Store};
use oras_testkit::nodes::{empty, manifest, referrer};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower_service::Service;

use crate::client::{self, serve, serve_app};
use crate::embedded_client::in_memory;

const BASE: &str = "/registry";

fn registry(options: ServerOptions) -> Registry {
    Registry::new(options, in_memory()).unwrap()
}

fn request(method: &str, uri: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(uri).body(Full::new(body.into())).unwrap()
}

/// One registry for each way to mount it below the prefix.
async fn mounted() -> [client::Registry; 3] {
    let options = ServerOptions::default().base_path(BASE);
    [
        serve_app(Router::new().nest(BASE, registry(options.clone()).router())).await,
        serve_app(Router::new().nest_service(BASE, registry(options.clone()))).await,
        serve("server", options, in_memory(), None).await,
    ]
}

#[tokio::test]
async fn addresses_begin_with_the_base_path() {
    for registry in mounted().await {
        let send = async |method: &str, path: &str, body: &[u8]| {
            let answer = registry.send(method, path, &[("content-range", "")][..0], body).await;
            assert!(answer.status < 300, "{method} {path}: {answer:?}");
            answer
        };
        let opened = send("POST", "/registry/v2/a/blobs/uploads/", b"").await;
        let session = opened.header("location").to_owned();
        assert!(session.starts_with("/registry/v2/a/blobs/uploads/"), "{session}");
        // The client uses the address of each response for the next request.
        let appended = send("PATCH", &session, b"hello").await;
        assert_eq!(appended.header("location"), session);
        let digest = Digest::sha256(b"hello");
        let closed = send("PUT", &format!("{session}?digest={digest}"), b"").await;
        assert_eq!(closed.header("location"), format!("/registry/v2/a/blobs/{digest}"));
        assert_eq!(send("GET", closed.header("location"), b"").await.body, "hello");
        let mount = format!("/registry/v2/b/blobs/uploads/?mount={digest}&from=a");
        assert_eq!(
            send("POST", &mount, b"").await.header("location"),
            format!("/registry/v2/b/blobs/{digest}")
        );

        let subject = manifest("subject", &[]);
        let whole = format!("/registry/v2/a/blobs/uploads/?digest={}", empty().descriptor().digest);
        send("POST", &whole, b"{}").await;
        let [one, two] = ["one", "two"].map(|name| referrer(name, "test/x", &subject));
        for (content, reference) in [(&subject, "v1"), (&subject, "v2"), (&one, "v3"), (&two, "v4")] {
            let headers = [("content-type", content.descriptor().media_type.as_str())];
            let path = format!("/registry/v2/a/manifests/{reference}");
            let answer = registry.send("PUT", &path, &headers, content.in_memory().unwrap()).await;
            let expected = format!("/registry/v2/a/manifests/{}", content.descriptor().digest);
            assert_eq!(answer.header("location"), expected);
        }
        let referrers = format!("/registry/v2/a/referrers/{}", subject.descriptor().digest);
        for list in ["/registry/v2/_catalog", "/registry/v2/a/tags/list", &referrers] {
            let first = send("GET", &format!("{list}?n=1"), b"").await;
            let next = first.header("link").strip_prefix('<').unwrap().split_once('>').unwrap().0.to_owned();
            assert!(next.starts_with(&format!("{list}?")), "{next}");
            assert_ne!(send("GET", &next, b"").await.body, first.body);
        }

        for page in ["/registry", "/registry/-/a", "/registry/-/a:v1", "/registry/-/nosuch"] {
            let text = String::from_utf8(registry.get(page).await.body.to_vec()).unwrap();
            assert!(text.contains("href=\"/registry\""), "{page}: {text}");
            for attribute in ["href=\"", "src=\"", "action=\""] {
                for link in text.split(attribute).skip(1) {
                    assert!(link.starts_with("/registry") || link.starts_with('#'), "{page}: {link:.80}");
                }
            }
            // No client can use the prefix in a reference.
            assert!(!text.contains("oras pull"), "{page}: {text}");
            for link in text.split("href=\"").skip(1).filter(|link| link.starts_with('/')) {
                let link = link.split('"').next().unwrap();
                assert!([200, 404].contains(&registry.get(link).await.status), "{link}");
            }
        }
    }
}

#[tokio::test]
async fn challenge_names_the_token_endpoint_below_the_base_path() {
    let users = || [User::new("ann", "s3cret")];
    let options = || ServerOptions::default().base_path(BASE).users(users());
    let challenge = async |options: ServerOptions, uri: &str| {
        let response = registry(options).respond(request("GET", uri, ""), None).await;
        assert_eq!(response.status(), 401);
        response.headers()["www-authenticate"].to_str().unwrap().to_owned()
    };
    let bearer = "Bearer realm=\"https://a.example/registry/token\",service=\"oras\"";
    let public = options().public_url("https://a.example/registry/");
    assert_eq!(challenge(public, "/v2/").await, bearer);
    assert_eq!(challenge(options(), "https://a.example/registry/v2/").await, bearer);
    // It is unknown whether the program's server uses TLS.
    assert_eq!(challenge(options(), "/v2/").await, "Basic realm=\"oras\"");

    let served = serve("server", options(), in_memory(), None).await;
    let answer = served.get("/registry/v2/").await;
    let bearer = "Bearer realm=\"http://x/registry/token\",service=\"oras\"";
    assert_eq!(answer.header("www-authenticate"), bearer);
    // `ann:s3cret`
    let headers = [("authorization", "Basic YW5uOnMzY3JldA==")];
    assert_eq!(served.send("GET", "/registry/token", &headers, "").await.status, 200);
}

#[tokio::test]
async fn other_routes_belong_to_the_program() {
    let own = || {
        Router::new()
            .route("/", get(async || "home"))
            .route("/metrics", get(async || "metrics of the program"))
            .fallback(async || (StatusCode::NOT_FOUND, "not found by the program"))
    };
    let options = ServerOptions::default().status_endpoints(false).page(false);
    let merged = serve_app(own().merge(registry(options.clone()).router())).await;
    let nested = registry(options.base_path(BASE)).router();
    let nested = serve_app(own().nest(BASE, nested)).await;
    for (served, base) in [(&merged, ""), (&nested, BASE)] {
        assert_eq!(served.get("/").await.body, "home");
        assert_eq!(served.get("/metrics").await.body, "metrics of the program");
        for path in ["/healthz", "/-/a", "/v2x", "/other"] {
            assert_eq!(served.get(&format!("{base}{path}")).await.body, "not found by the program", "{path}");
        }
        assert_eq!(served.get(&format!("{base}/v2/")).await.body, "{}");
        assert_eq!(served.get(&format!("{base}/v2")).await.status, 200);
        served.get(&format!("{base}/v2/nosuch")).await.refused(404, "NAME_INVALID");
        served.get(&format!("{base}/v2/a/tags/list")).await.refused(404, "NAME_UNKNOWN");
    }
    let with_all = serve_app(Router::new().nest(BASE, registry(ServerOptions::default()).router())).await;
    for path in ["/metrics", "/healthz", "/readyz", ""] {
        assert_eq!(with_all.get(&format!("{BASE}{path}")).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn unusable_options_are_named() {
    let default = ServerOptions::default;
    for (options, part) in [
        (default().base_path("registry"), "\"registry\" is not a path"),
        (default().base_path("/a/"), "\"/a/\" is not a path"),
        (default().base_path("/v2"), "\"/v2\" is not a path"),
        (default().public_url("a.example"), "\"a.example\" is not a URL"),
        (default().base_path(BASE).public_url("https://a.example"), "does not end with the base path"),
        (default().tls(Tls::new("cert.pem", "key.pem")), "certificate"),
    ] {
        let error = Registry::new(options, in_memory()).unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<Misconfigured>()), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
    }
    let bound = Server::bind("127.0.0.1:0", default().base_path("/a/"), in_memory()).await;
    assert!(bound.unwrap_err().to_string().contains("\"/a/\" is not a path"));
}

/// Sends a wrong password from `peer`, given as an argument or by axum.
async fn guess(registry: &mut Registry, peer: SocketAddr, by_axum: bool) -> Response<Body> {
    let mut request = request("GET", "/v2/", "");
    // `ann:wrong`
    request.headers_mut().insert("authorization", "Basic YW5uOndyb25n".parse().unwrap());
    if !by_axum {
        return registry.respond(request, Some(peer)).await;
    }
    request.extensions_mut().insert(ConnectInfo(peer));
    registry.call(request).await.unwrap()
}

#[tokio::test]
async fn clients_are_distinguished_by_address() {
    let [one, two] = ["10.0.0.1:1", "10.0.0.2:1"].map(|text| text.parse().unwrap());
    for by_axum in [false, true] {
        let mut registry = registry(ServerOptions::default().users([User::new("ann", "s3cret")]));
        let mut statuses = Vec::new();
        for _ in 0..40 {
            statuses.push(guess(&mut registry, one, by_axum).await.status().as_u16());
        }
        assert_eq!((statuses[0], statuses[39]), (401, 429), "{statuses:?}");
        assert_eq!(guess(&mut registry, two, by_axum).await.status(), 401);
    }
}

#[tokio::test]
async fn unread_body_closes_connections_of_http1_only() {
    let registry = registry(ServerOptions::default());
    for (version, closes) in [(Version::HTTP_11, true), (Version::HTTP_2, false)] {
        let mut request = request("POST", "/nosuch", vec![0; 9 << 20]);
        *request.version_mut() = version;
        let response = registry.respond(request, None).await;
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers().contains_key("connection"), closes, "{version:?}");
    }
}

/// Stores that count their maintenance, and wait before they open a repository for writing.
struct Observed {
    stores: PerRepository,
    maintained: AtomicUsize,
    writes: Semaphore,
}

impl Observed {
    fn new() -> Arc<Self> {
        let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
        Arc::new(Self { stores, maintained: AtomicUsize::new(0), writes: Semaphore::new(0) })
    }
}

#[async_trait]
impl Stores for Observed {
    async fn repository(&self, name: &str, warnings: &Warnings) -> Result<Option<Arc<dyn ReadStore>>> {
        self.stores.repository(name, warnings).await
    }

    async fn writable(&self, name: &str, create: bool) -> Result<Option<Arc<dyn Store>>> {
        let _permit = self.writes.acquire().await.unwrap();
        self.stores.writable(name, create).await
    }

    async fn repositories(&self) -> Result<Vec<String>> {
        self.stores.repositories().await
    }

    async fn maintain(&self, _in_use: &DigestsInUse) {
        self.maintained.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn program_runs_the_maintenance() {
    for (read_only, runs) in [(false, true), (true, false)] {
        let stores = Observed::new();
        let options = ServerOptions::default().maintenance(Duration::from_millis(5)).read_only(read_only);
        let registry = Registry::new(options, Arc::clone(&stores) as _).unwrap();
        assert!(timeout(Duration::from_millis(200), registry.maintain()).await.is_err());
        assert_eq!(stores.maintained.load(Ordering::Relaxed) > 1, runs, "{read_only}");
    }
}

#[tokio::test]
async fn program_awaits_writes_of_disconnected_clients() {
    let stores = Observed::new();
    let registry = Registry::new(ServerOptions::default(), Arc::clone(&stores) as _).unwrap();
    let digest = Digest::sha256(b"hello");
    let upload = request("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), "hello");
    // The client disconnects while the write waits for the store.
    assert!(timeout(Duration::from_millis(100), registry.respond(upload, None)).await.is_err());
    assert!(timeout(Duration::from_millis(100), registry.finish_writes()).await.is_err());
    stores.writes.add_permits(1);
    registry.finish_writes().await;
    let response = registry.respond(request("HEAD", &format!("/v2/a/blobs/{digest}"), ""), None).await;
    assert_eq!(response.status(), 200);
}
