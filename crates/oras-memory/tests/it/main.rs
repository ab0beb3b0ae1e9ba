//! Runs the store suite on the memory store.

use std::sync::Arc;

use oras_memory::Memory;
use oras_store_suite::Abilities;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_store_suite() {
    oras_store_suite::run(Abilities::ALL, async || Arc::new(Memory::new()) as _).await;
}

#[tokio::test]
async fn accepts_content_in_pieces() {
    oras_store_suite::run_ingest(async || Arc::new(Memory::new()) as _).await;
}
