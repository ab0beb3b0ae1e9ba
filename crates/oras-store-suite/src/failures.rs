//! Failed operations leave nothing visible.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, Error, ErrorKind, PushMode};

use super::{Abilities, Fresh, source};
use crate::nodes::{blob, bytes, empty, manifest, pieces, read};

/// A corruption of the content, and the expected error.
type Spoiler<'a> = (&'a str, &'a dyn Fn(Bytes) -> Bytes, ErrorKind);

/// Checks that nothing is visible, and that a correct push succeeds afterwards.
async fn untouched(store: &Fresh, good: &Content, what: &str) {
    let descriptor = good.descriptor();
    assert!(!store.exists(descriptor).await.expect("exists"), "{what}: visible");
    let error = read(&source(store), descriptor).await.expect_err("nothing to read");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{what}: {error:?}");
    store
        .push(good, PushMode::Untagged)
        .await
        .unwrap_or_else(|error| panic!("{what}: a good push fails: {error:?}"));
    assert_eq!(Some(&read(&source(store), descriptor).await.expect("read")), good.in_memory(), "{what}");
}

pub(super) async fn wrong_bytes(store: &Fresh, abilities: Abilities) {
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    for (number, length) in [5, 256 * 1024, 700_000].into_iter().enumerate() {
        let flip = |all: Bytes| {
            let mut all = all.to_vec();
            all[length / 2] ^= 1;
            Bytes::from(all)
        };
        let longer = |all: Bytes| Bytes::from([all.as_ref(), b"!"].concat());
        let shorter = |all: Bytes| all.slice(1..);
        let spoilers: [Spoiler<'_>; 3] = [
            ("flipped", &flip, ErrorKind::DigestMismatch),
            ("longer", &longer, ErrorKind::SizeMismatch),
            ("shorter", &shorter, ErrorKind::SizeMismatch),
        ];
        for (spoiler, (what, spoil, kind)) in spoilers.into_iter().enumerate() {
            let right = bytes(length + number * 10 + spoiler);
            let good = blob(right.clone());
            let bad = Content::once(good.descriptor().clone(), pieces([spoil(right)]));
            let error = store.push(&bad, PushMode::Untagged).await.expect_err(what);
            assert!(!abilities.error_kinds || error.kind() == kind, "{what}: {error:?}");
            untouched(store, &good, what).await;
        }
    }
    let node = manifest("node", &[]);
    let other = manifest("edon", &[]).in_memory().cloned().unwrap_or_default();
    let bad = || Content::once(node.descriptor().clone(), pieces([other.clone()]));
    store.push(&bad(), PushMode::Untagged).await.expect_err("another manifest");
    store.push(&bad(), PushMode::Tagged("bad")).await.expect_err("another manifest");
    assert_eq!(store.resolve("bad").await.expect_err("no such tag").kind(), ErrorKind::NotFound);
    untouched(store, &node, "another manifest").await;
}

pub(super) async fn broken_streams(store: &Fresh) {
    for length in [1000, 1_000_000] {
        let good = blob(bytes(length));
        let cut =
            stream::iter([Ok(bytes(length).slice(..length / 2)), Err(Error::new(ErrorKind::Network, "cut"))]);
        let bad = Content::once(good.descriptor().clone(), cut.boxed());
        store.push(&bad, PushMode::Untagged).await.expect_err("a stream that breaks");
        untouched(store, &good, "a broken stream").await;
    }
}

pub(super) async fn dropped_pushes(store: &Fresh) {
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    let node = manifest("node", &[]);
    let all = node.in_memory().cloned().unwrap_or_default();
    for (good, all) in
        [(blob(bytes(1000)), bytes(1000)), (blob(bytes(2_000_000)), bytes(2_000_000)), (node, all)]
    {
        let half = all.slice(..all.len() / 2);
        // The stream yields half of the bytes and then blocks forever.
        let stuck = stream::iter([Ok(half)]).chain(stream::pending());
        let bad = Content::once(good.descriptor().clone(), stuck.boxed());
        let waited =
            tokio::time::timeout(Duration::from_millis(200), store.push(&bad, PushMode::Untagged)).await;
        assert!(waited.is_err(), "a push without its bytes ended: {waited:?}");
        untouched(store, &good, "a dropped push").await;
    }
    // A push may be dropped at any moment. Existing content stays; new content is complete or absent.
    for number in 0..20 {
        let content = Content::of(MediaType::LAYER_TAR, bytes(300_000 + number));
        let timeout = Duration::from_micros(100 * number as u64);
        drop(tokio::time::timeout(timeout, store.push(&content, PushMode::Untagged)).await);
        let descriptor: &Descriptor = content.descriptor();
        if store.exists(descriptor).await.expect("exists") {
            assert_eq!(Some(&read(&source(store), descriptor).await.expect("read")), content.in_memory());
        }
    }
}
