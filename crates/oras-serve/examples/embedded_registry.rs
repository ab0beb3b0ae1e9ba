//! An integration test of a product: starts a registry on a free port, runs the product's code against it, and looks at
//! what the code pushed.
//!
//! The registry is mounted beside a route of the test itself, which receives a web hook of the product. A test that
//! needs no other route can use `Server::bind("localhost:0", …)` in place of axum.
#![expect(clippy::print_stdout, reason = "an example prints what it found")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use futures::TryStreamExt;
use oras_memory::Memory;
use oras_remote::{Client, ClientOptions, Repository};
use oras_serve::{PerRepository, Registry, ServerOptions};
use oras_spec::{Descriptor, ImageManifest, MediaType};
use oras_store::{Content, PushMode, ReadStore, Source, Target};
use tokio::net::TcpListener;

/// The code of the product under test: publishes a report as an artifact.
async fn publish_report(registry: &str, report: &'static str) -> Result<(), Box<dyn Error>> {
    let client = Client::new(ClientOptions::default())?;
    let repository = Repository::new(&client, &format!("{registry}/team/reports").parse()?)?;
    let config = Content::of(MediaType::EMPTY_JSON, "{}");
    let layer = Content::of(MediaType::from("text/plain"), report);
    let mut manifest = ImageManifest::new(Descriptor::empty_json(), vec![layer.descriptor().clone()]);
    manifest.artifact_type = Some("application/vnd.example.report".into());
    let manifest = Content::of(MediaType::IMAGE_MANIFEST, manifest.to_bytes());
    for blob in [&config, &layer] {
        repository.push(blob, PushMode::Untagged).await?;
    }
    repository.push(&manifest, PushMode::Tagged("latest")).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Clones of a `Memory` share their content, so the test sees what clients push. All repositories are this store.
    let pushed = Memory::new();
    let store = pushed.clone();
    let stores = PerRepository::new(move |_| {
        let store = store.clone();
        async move { Ok(Arc::new(store) as _) }
    });
    let registry = Registry::new(ServerOptions::default().status_endpoints(false), Arc::new(stores))?;

    let app = Router::new().route("/hook", post(async || "noted")).merge(registry.router());

    // Port 0 is any free port, so tests can run at the same time. Clients use plain HTTP for `localhost`.
    let listener = TcpListener::bind("localhost:0").await?;
    let address = format!("localhost:{}", listener.local_addr()?.port());
    let server = axum::serve(listener, app);
    tokio::select! {
        ended = async { server.await } => return Err(format!("the server ended: {ended:?}").into()),
        published = publish_report(&address, "all is well\n") => published?,
    }
    // A write can outlive its request; this waits for it.
    registry.finish_writes().await;

    let tags: Vec<String> = pushed.tags(None).try_collect().await?;
    assert_eq!(tags, ["latest"]);
    let node = pushed.resolve("latest").await?;
    let source: Arc<dyn Source> = Arc::new(pushed);
    let manifest = Content::from_source(Arc::clone(&source), node.clone()).manifest(1 << 20).await?;
    let layers = manifest.children();
    let report = layers.iter().find(|child| child.media_type.as_str() == "text/plain").ok_or("no report")?;
    let report = Content::from_source(source, report.clone()).bytes(1 << 20).await?;
    assert_eq!(report, "all is well\n");
    println!("{} was pushed with the report {report:?}", node.digest);
    Ok(())
}
