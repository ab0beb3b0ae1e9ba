//! The memory store does what every store does.

use std::sync::Arc;

use oras_memory::Memory;
use oras_testkit::suite::{self, Abilities};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_like_a_store() {
    suite::run(Abilities::ALL, async || Arc::new(Memory::new()) as _).await;
}

#[tokio::test]
async fn takes_content_piece_by_piece() {
    suite::run_ingest(async || Arc::new(Memory::new())).await;
}
