//! A real client of a registry below a prefix, and of a server on a listener of the caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use futures::TryStreamExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use oras_memory::Memory;
use oras_remote::{Client, ClientOptions, Repository};
use oras_serve::{PerRepository, Registry, Server, ServerOptions, Stores};
use oras_spec::MediaType;
use oras_store::{
    DeleteTarget, ErrorKind, IngestOptions, IngestTarget, PushMode, ReadStore, Source, Store, Target,
};
use oras_testkit::nodes::{blob, bytes, manifest, push_all, read, referrer};
use oras_testkit::suite::{self, Abilities};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tower_service::Service;

use crate::client::serve_app;

const SIGNATURE: &str = "application/vnd.test.signature";

pub(crate) fn in_memory() -> Arc<dyn Stores> {
    Arc::new(PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) }))
}

/// Opens a repository. Clients use HTTP for `localhost`.
fn repository(port: u16, name: &str) -> Repository {
    let client = Client::new(ClientOptions::default()).unwrap();
    Repository::new(&client, &format!("localhost:{port}/{name}").parse().unwrap()).unwrap()
}

/// Pushes, uploads in chunks, lists, reads and deletes.
async fn exercise(store: Repository) {
    let layer = blob(bytes(3_000_000));
    let node = manifest("app", &[&layer]);
    let signature = referrer("signature", SIGNATURE, &node);
    push_all(&store, &[&layer, &node, &signature]).await;
    for tag in ["v1", "v2", "latest"] {
        store.push(&node, PushMode::Tagged(tag)).await.unwrap();
    }
    // Chunks of several MiB, so that there are several requests to the session.
    let all = bytes(20 << 20);
    let mut ingest = store.begin(IngestOptions::new(MediaType::LAYER_TAR)).await.unwrap();
    for chunk in all.chunks(3 << 20) {
        ingest.write(vec![all.slice_ref(chunk)]).await.unwrap();
    }
    let uploaded = ingest.commit(None).await.unwrap();

    assert_eq!(store.resolve("v1").await.unwrap().digest, node.descriptor().digest);
    let tags: Vec<_> = store.tags_after(None).try_collect().await.unwrap();
    assert_eq!(tags, ["latest", "v1", "v2"]);
    let referrers = store.predecessors(node.descriptor(), None).await.unwrap();
    assert_eq!(referrers.len(), 1);
    assert_eq!(referrers[0].digest, signature.descriptor().digest);
    let source: Arc<dyn Source> = Arc::new(store.clone());
    assert_eq!(read(&source, &uploaded).await.unwrap(), all);
    assert_eq!(read(&source, layer.descriptor()).await.unwrap(), bytes(3_000_000));
    store.delete(DeleteTarget::Content(node.descriptor())).await.unwrap();
    assert_eq!(store.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn client_reaches_registry_below_prefix_through_proxy() {
    let registry = Registry::new(ServerOptions::default().base_path("/registry"), in_memory()).unwrap();
    let app =
        Router::new().route("/", get(async || "a page of the program")).nest("/registry", registry.router());
    // The proxy maps `/v2/` to the prefix, and passes the addresses that the registry sent to the client as they are.
    let (mapped, passed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counters = (Arc::clone(&mapped), Arc::clone(&passed));
    let proxy = Router::new().fallback(async move |mut request: Request| {
        let path = request.uri().path_and_query().unwrap().to_string();
        if path.starts_with("/v2/") {
            counters.0.fetch_add(1, Ordering::Relaxed);
            *request.uri_mut() = format!("/registry{path}").parse().unwrap();
        } else {
            counters.1.fetch_add(1, Ordering::Relaxed);
        }
        app.clone().call(request).await
    });
    let served = serve_app(proxy).await;
    exercise(repository(served.address.port(), "team/app")).await;
    assert_eq!(served.get("/").await.body, "a page of the program");
    assert!(mapped.load(Ordering::Relaxed) > 10, "{mapped:?}");
    // The session of the chunked upload alone has several requests.
    assert!(passed.load(Ordering::Relaxed) > 5, "{passed:?}");
}

#[tokio::test]
async fn client_passes_store_suite_through_routes_at_root() {
    let registry = Registry::new(ServerOptions::default(), in_memory()).unwrap();
    let served = serve_app(registry.router()).await;
    let (number, port) = (AtomicUsize::new(0), served.address.port());
    let fresh = async || {
        let name = format!("a{}", number.fetch_add(1, Ordering::Relaxed));
        Arc::new(repository(port, &name)) as Arc<dyn Store>
    };
    let mut abilities = Abilities::ALL;
    // A registry resolves the digests of manifests only.
    abilities.resolves_blobs = false;
    abilities.error_kinds = false;
    suite::run(abilities, &fresh).await;
    suite::run_ingest(fresh).await;
}

#[tokio::test]
async fn client_reaches_registry_in_program_on_hyper() {
    let registry = Registry::new(ServerOptions::default(), in_memory()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(registry.clone());
            connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    exercise(repository(port, "team/app")).await;
}

#[tokio::test]
async fn server_uses_listener_of_the_caller() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::from_listener(listener, ServerOptions::default(), in_memory()).unwrap();
    assert_eq!(server.local_addr(), address);
    let mut task = JoinSet::new();
    task.spawn(async move { server.run(std::future::pending()).await.unwrap() });
    exercise(repository(address.port(), "team/app")).await;
}
