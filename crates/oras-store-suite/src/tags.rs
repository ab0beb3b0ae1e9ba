//! Each tag names one manifest.

use futures::TryStreamExt;
use futures::future::join_all;
use oras_store::PushMode;

use super::{Abilities, Fresh, source};
use crate::nodes::{empty, manifest, push_all, read};

/// Lists the tags after `last`, in the order of the store.
async fn tags(store: &Fresh, last: Option<&str>) -> Vec<String> {
    store.tags_after(last).try_collect().await.expect("tags")
}

pub(super) async fn are_replaced(store: &Fresh) {
    let (one, two) = (manifest("one", &[]), manifest("two", &[]));
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    // A push with a tag also stores the manifest.
    store.push(&one, PushMode::Tagged("v1")).await.expect("tag");
    assert!(store.exists(one.descriptor()).await.expect("exists"));
    store.push(&one, PushMode::Tagged("stable")).await.expect("tag again");
    store.push(&two, PushMode::Tagged("v1")).await.expect("move the tag");
    store.push(&two, PushMode::Tagged("v1")).await.expect("tag the same manifest again");
    assert_eq!(store.resolve("v1").await.expect("resolve").digest, two.descriptor().digest);
    assert_eq!(store.resolve("stable").await.expect("resolve").digest, one.descriptor().digest);
    // The manifest that the tag named before still exists.
    store.push(&two, PushMode::Tagged("stable")).await.expect("move the other tag");
    let digest = one.descriptor().digest.to_string();
    assert_eq!(store.resolve(&digest).await.expect("resolve"), one.descriptor().plain());
    assert_eq!(Some(&read(&source(store), one.descriptor()).await.expect("read")), one.in_memory());
}

pub(super) async fn are_listed(store: &Fresh, abilities: Abilities) {
    let node = manifest("listed", &[]);
    push_all(store.as_ref(), &[&node]).await;
    assert!(store.tags_after(None).try_collect::<Vec<_>>().await.is_ok_and(|tags| tags.is_empty()));
    for tag in ["v2", "latest", "v10", "A"] {
        store.push(&node, PushMode::Tagged(tag)).await.expect("tag");
    }
    let mut found = tags(store, None).await;
    let nodes: Vec<_> = store.tagged_nodes().try_collect().await.expect("tagged nodes");
    assert_eq!(nodes.iter().map(|(tag, _)| tag.clone()).collect::<Vec<_>>(), found);
    for (tag, node) in nodes {
        assert_eq!(store.resolve(&tag).await.expect("resolve"), node);
    }
    if !abilities.sorted_tags {
        found.sort();
        assert_eq!(found, ["A", "latest", "v10", "v2"]);
        return;
    }
    assert_eq!(found, ["A", "latest", "v10", "v2"]);
    assert_eq!(tags(store, Some("latest")).await, ["v10", "v2"], "`last` itself is excluded");
    assert_eq!(tags(store, Some("m")).await, ["v10", "v2"], "`last` need not exist");
    assert!(tags(store, Some("v2")).await.is_empty());
}

pub(super) async fn concurrent_pushes(store: &Fresh) {
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    let nodes: Vec<_> =
        (0..12).map(|number| (manifest(&format!("{number}"), &[]), format!("t{number:02}"))).collect();
    let tagged = join_all(nodes.iter().map(|(node, tag)| store.push(node, PushMode::Tagged(tag)))).await;
    assert!(tagged.iter().all(Result::is_ok), "{tagged:?}");
    let mut found = tags(store, None).await;
    found.sort();
    assert_eq!(found, nodes.iter().map(|(_, tag)| tag.clone()).collect::<Vec<_>>());
    for (node, tag) in &nodes {
        assert_eq!(store.resolve(tag).await.expect("resolve").digest, node.descriptor().digest, "{tag}");
    }
}
