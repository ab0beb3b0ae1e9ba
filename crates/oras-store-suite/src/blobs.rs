//! Blobs are stored and read unchanged.

use std::sync::Arc;

use futures::future::join_all;
use oras_spec::{Algorithm, Descriptor, Digest, MediaType};
use oras_store::{Content, DeleteTarget, ErrorKind, PushMode, Pushed};

use super::{Abilities, Fresh, source};
use crate::nodes::{blob, bytes, collect, pieces, read};

/// Lengths around typical buffer sizes.
const LENGTHS: [usize; 7] = [0, 1, 4096, 256 * 1024, 256 * 1024 + 1, 1024 * 1024 + 7, 3 * 1024 * 1024];

pub(super) async fn are_stored_unchanged(store: &Fresh) {
    for length in LENGTHS {
        let content = blob(bytes(length));
        let descriptor = content.descriptor();
        assert!(!store.exists(descriptor).await.expect("exists"), "{length} bytes exist too early");
        assert_eq!(
            store.push(&content, PushMode::Untagged).await.expect("push"),
            Pushed::Copied,
            "{length} bytes"
        );
        assert!(store.exists(descriptor).await.expect("exists"), "{length} bytes exist");
        assert_eq!(read(&source(store), descriptor).await.expect("read"), bytes(length));
    }
    // From a stream that can be read only once, in pieces whose size is no multiple of a buffer size.
    let all = bytes(2_000_003);
    let stream = pieces(all.chunks(70_001).map(|piece| all.slice_ref(piece)));
    let descriptor = Descriptor::of(MediaType::LAYER_TAR, &all);
    store
        .push(&Content::once(descriptor.clone(), stream), PushMode::Untagged)
        .await
        .expect("push of a stream");
    assert_eq!(read(&source(store), &descriptor).await.expect("read"), all);
}

pub(super) async fn ranges(store: &Fresh) {
    let all = bytes(600_000);
    let content = blob(all.clone());
    store.push(&content, PushMode::Untagged).await.expect("push");
    let stored = Content::from_source(source(store), content.descriptor().clone());
    for (start, end) in [(0, 600_000), (0, 1), (599_999, 600_000), (3, 300_000), (300_000, 600_000)] {
        let found =
            collect(stored.unverified(start..end).await.expect("open a range")).await.expect("read a range");
        let wanted = all.slice(usize::try_from(start).expect("small")..usize::try_from(end).expect("small"));
        assert!(found.starts_with(&wanted), "{start}..{end} gave {} other bytes", found.len());
    }
    // Content can be opened again.
    assert_eq!(stored.bytes(u64::MAX).await.expect("read"), all);
    assert_eq!(stored.bytes(u64::MAX).await.expect("read again"), all);
}

pub(super) async fn repeated_and_concurrent_pushes(store: &Fresh) {
    let content = blob(bytes(500_000));
    let pushes = join_all((0..8).map(|_| store.push(&content, PushMode::Untagged))).await;
    assert!(pushes.iter().all(Result::is_ok), "pushes of one digest at once: {pushes:?}");
    let again = store.push(&content, PushMode::Untagged).await.expect("push again");
    assert!(matches!(again, Pushed::Existed | Pushed::Copied), "{again:?}");
    assert_eq!(read(&source(store), content.descriptor()).await.expect("read"), bytes(500_000));

    let others: Vec<_> = (0..8).map(|number| blob(bytes(100_000 + number))).collect();
    let pushes = join_all(others.iter().map(|content| store.push(content, PushMode::Untagged))).await;
    assert!(pushes.iter().all(Result::is_ok), "pushes of eight blobs at once: {pushes:?}");
    for (number, content) in others.iter().enumerate() {
        let found = read(&source(store), content.descriptor()).await.expect("read");
        assert_eq!(found, bytes(100_000 + number));
    }
}

pub(super) async fn other_algorithms(store: &Fresh, abilities: Abilities) {
    if !abilities.sha512 {
        return;
    }
    for algorithm in [Algorithm::Sha384, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, &bytes(1000));
        let descriptor = Descriptor::new(MediaType::LAYER_TAR, digest, 1000);
        let content = Content::from_bytes(descriptor.clone(), bytes(1000)).expect("content");
        store.push(&content, PushMode::Untagged).await.expect("push");
        assert_eq!(read(&source(store), &descriptor).await.expect("read"), bytes(1000));
    }
}

pub(super) async fn unknown_content(store: &Fresh, abilities: Abilities) {
    let absent = blob("absent").descriptor().clone();
    assert!(!store.exists(&absent).await.expect("exists"));
    let error = read(&source(store), &absent).await.expect_err("nothing to read");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let digest = absent.digest.to_string();
    for reference in ["absent", digest.as_str()] {
        let error = store.resolve(reference).await.expect_err("nothing to resolve");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    if abilities.delete {
        let error = store.delete(DeleteTarget::Content(&absent)).await.expect_err("nothing to delete");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    // A store supports concurrent calls, each of which gets its own result.
    let store = Arc::clone(store);
    let answers = join_all((0..8).map(|_| store.exists(&absent))).await;
    assert!(answers.into_iter().all(|answer| !answer.expect("exists")));
}
