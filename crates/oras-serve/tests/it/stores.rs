//! Repositories and their stores.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::TryStreamExt;
use oras_layout::Layout;
use oras_memory::Memory;
use oras_serve::{PerRepository, Server, ServerOptions, Stores, Warnings};
use oras_store::ReadStore;
use oras_testkit::nodes::{empty, manifest};

use crate::client::serve;

fn layouts(root: PathBuf) -> PerRepository {
    PerRepository::new(move |name| {
        let path = root.join(name);
        async move { Ok(Arc::new(Layout::open_or_create(path).await?) as _) }
    })
}

#[tokio::test]
async fn concurrent_requests_share_one_store() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let stores = PerRepository::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        async {
            tokio::task::yield_now().await;
            Ok(Arc::new(Memory::new()) as _)
        }
    });
    assert!(stores.repository("a", &Warnings::default()).await.unwrap().is_none());
    let all = futures::future::join_all((0..8).map(|_| stores.writable("a", true))).await;
    assert!(all.into_iter().all(|store| store.unwrap().is_some()));
    assert_eq!(made.load(Ordering::Relaxed), 1);
    assert_eq!(stores.repositories().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn layouts_outlive_the_server() {
    let root = tempfile::tempdir().unwrap();
    let node = manifest("m", &[]);
    {
        let registry =
            serve("layouts", ServerOptions::default(), Arc::new(layouts(root.path().to_owned())), None).await;
        registry.push_blob("a/b", &empty()).await;
        registry.put_manifest("a/b", "v1", &node).await;
    }
    let layout = Layout::open(root.path().join("a/b")).await.unwrap();
    assert_eq!(layout.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), ["v1"]);
    assert_eq!(layout.resolve("v1").await.unwrap().digest, node.descriptor().digest);

    let again = layouts(root.path().to_owned()).with_existing(["a/b".to_owned()]);
    assert_eq!(again.repositories().await.unwrap(), ["a/b"]);
    let registry = serve("layouts", ServerOptions::default(), Arc::new(again), None).await;
    assert_eq!(registry.get("a/b/manifests/v1").await.body, node.in_memory().unwrap());
}

#[tokio::test]
async fn shutdown_frees_the_address() {
    let stores = || Arc::new(PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) }));
    let server = Server::bind("127.0.0.1:0", ServerOptions::default(), stores()).await.unwrap();
    let address = server.local_addr();
    assert!(Server::bind(address, ServerOptions::default(), stores()).await.is_err());
    server.run(async {}).await.unwrap();
    Server::bind(address, ServerOptions::default(), stores()).await.unwrap();
}
