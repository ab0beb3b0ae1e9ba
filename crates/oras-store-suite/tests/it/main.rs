//! Runs the suite on a correct store, and on stores with one defect each.

mod defective;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use defective::{Defect, Defective};
use futures::FutureExt;
use oras_memory::Memory;
use oras_store_suite::{Abilities, run, run_ingest};

#[tokio::test]
async fn correct_store_passes() {
    run(Abilities::ALL, async || Arc::new(Memory::new()) as _).await;
    run_ingest(async || Arc::new(Memory::new()) as _).await;
}

#[tokio::test]
async fn defective_store_fails() {
    for defect in [
        Defect::AcceptsCorruptContent,
        Defect::IgnoresRange,
        Defect::LosesTagOnDelete,
        Defect::ListsTagsFromTheBeginning,
        Defect::IgnoresArtifactType,
        Defect::ForgetsMovedTag,
    ] {
        assert!(fails(run(Abilities::ALL, async move || Defective::store(defect))).await, "{defect:?}");
    }
    for defect in [Defect::IgnoresExpectedDigest, Defect::AcceptsAnySize] {
        assert!(fails(run_ingest(async move || Defective::store(defect))).await, "{defect:?}");
    }
}

#[tokio::test]
async fn missing_ability_skips_its_checks() {
    let mut abilities = Abilities::ALL;
    abilities.sorted_tags = false;
    assert!(!fails(run(abilities, async || Defective::store(Defect::ListsTagsFromTheBeginning))).await);
}

/// Returns true if the suite panics.
async fn fails(suite: impl Future<Output = ()>) -> bool {
    AssertUnwindSafe(suite).catch_unwind().await.is_err()
}
