//! A store of one's own: it passes the suite that every store of ORAS passes, and a registry serves it.
//!
//! `own_store check` runs the suite. `own_store serve ./data 127.0.0.1:5000` serves a database for each repository.
#![expect(clippy::print_stdout, reason = "an example prints what it does")]

mod redb_store;

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use oras::server::{PerRepository, Server, ServerOptions};
use oras_store_suite::Abilities;

use redb_store::RedbStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match &args[..] {
        [verb] if verb == "check" => check().await,
        [verb, directory, address] if verb == "serve" => serve(directory.into(), address).await,
        _ => Err("usage: own_store check | own_store serve <directory> <address>".into()),
    }
}

/// Runs the store suite, each check in a database of its own.
async fn check() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("own-store-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let count = AtomicU32::new(0);
    oras_store_suite::run(Abilities::ALL, async || {
        let path = directory.join(format!("{}.redb", count.fetch_add(1, Ordering::Relaxed)));
        Arc::new(RedbStore::open(path).expect("a new database")) as _
    })
    .await;
    println!("the store passes {} checks of the suite", count.load(Ordering::Relaxed));
    Ok(std::fs::remove_dir_all(&directory)?)
}

/// Serves the databases in `directory`, one for each repository, until the program is killed.
async fn serve(directory: PathBuf, address: &str) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(&directory)?;
    let stores = PerRepository::new(move |name| {
        let path = directory.join(format!("{}.redb", name.replace('/', "%2f")));
        async move { Ok(Arc::new(RedbStore::open(path)?) as _) }
    });
    let server = Server::bind(address, ServerOptions::default(), Arc::new(stores)).await?;
    println!("listening on {}", server.local_addr());
    server.run(std::future::pending()).await?;
    Ok(())
}
