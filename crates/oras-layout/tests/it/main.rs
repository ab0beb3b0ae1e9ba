//! The layout does what every store does, on its own and together with the tools of others.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

#[cfg(unix)]
mod adopt;
mod archive;
mod archive_writer;
mod collect;
mod damage;
mod evict;
mod gathered;
mod graph;
mod index;
mod nonsense;
mod open;
mod parallel;
mod peers;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_layout::Layout;
use oras_testkit::suite::{self, Abilities};
use serde_json::Value;

/// Makes each layout in a directory of its own below one that is removed at the end.
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

/// The `index.json` of a layout.
fn index_of(layout: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap()
}

/// The file of a blob.
fn blob_path(layout: &Path, digest: &oras_spec::Digest) -> PathBuf {
    layout.join("blobs").join(digest.algorithm_name()).join(digest.encoded())
}

/// The names in a layout's directory, sorted.
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
async fn takes_content_piece_by_piece() {
    let directories = Directories::new();
    suite::run_ingest(async || Arc::new(directories.fresh().await)).await;
}
