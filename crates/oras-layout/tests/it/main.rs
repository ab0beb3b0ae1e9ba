//! Layouts behave like every store, alone and together with other tools.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod archive;
mod archive_stream;
mod archive_writer;
mod cache_eviction;
mod check;
mod damage;
mod garbage_collection;
mod graph;
mod index;
#[cfg(unix)]
mod large_index;
#[cfg(unix)]
mod link_blob;
mod malformed_index;
mod open;
mod other_tools;
mod parallel;
mod pending_manifests;
mod quarantine;
mod random_graphs;
mod repair;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::{Layout, LayoutOptions};
use oras_testkit::suite::{self, Abilities};
use serde_json::Value;

/// Creates each layout in its own subdirectory of a temporary directory.
struct Directories {
    parent: tempfile::TempDir,
    next: std::sync::atomic::AtomicUsize,
}

impl Directories {
    fn new() -> Self {
        Self { parent: tempfile::tempdir().unwrap(), next: 0.into() }
    }

    async fn fresh(&self) -> Layout {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Layout::open_or_create(self.parent.path().join(format!("{number}/layout"))).await.unwrap()
    }
}

/// Opens a second handle of a layout, with options.
async fn open_with(layout: &Layout, options: LayoutOptions) -> Layout {
    Layout::open_or_create_with(layout.path(), options).await.unwrap()
}

/// Reads the `index.json` of a layout.
fn index_of(layout: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// Returns the path of a blob.
fn blob_path(layout: &Path, digest: &oras_spec::Digest) -> PathBuf {
    layout.join("blobs").join(digest.algorithm_name()).join(digest.encoded())
}

/// Returns the names in a layout's directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_like_a_store() {
    let directories = Directories::new();
    suite::run(Abilities::ALL, async || Arc::new(directories.fresh().await) as _).await;
}

#[tokio::test]
async fn behaves_like_an_ingest_target() {
    let directories = Directories::new();
    suite::run_ingest(async || Arc::new(directories.fresh().await) as _).await;
}
