//! An integration test of a product: starts a registry on a free port, runs the product against it, and looks at what
//! the product pushed.
//!
//! The registry is mounted beside a route of the test itself, a web hook of the product. A test that needs no route of
//! its own can use `Server::bind("localhost:0", …)` in place of axum.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use oras::remote::{Client, ClientOptions, Repository};
use oras::server::{PerRepository, Registry, ServerOptions};
use oras::{Artifact, Memory};
use tokio::net::TcpListener;

/// The product under test, which knows only the address of a registry.
async fn publish_report(registry: &str) -> oras::store::Result<()> {
    let client = Client::new(ClientOptions::default())?;
    let reports = Repository::open(&client, &format!("{registry}/team/reports"))?;
    let report = Artifact::new("application/vnd.example.report").layer("text/plain", "all is well\n");
    report.push(&reports, Some("latest")).await?;
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
    tokio::select! {
        ended = async { axum::serve(listener, app).await } => return Err(format!("the server ended: {ended:?}").into()),
        published = publish_report(&address) => published?,
    }
    // A write can outlive its request; this waits for it.
    registry.finish_writes().await;

    let report = pushed.artifact("latest").await?;
    assert_eq!(report.content(&report.layers()[0]).bytes(100).await?, "all is well\n");
    println!("the product pushed {}", report.descriptor().digest);
    Ok(())
}
