//! Deleted content is absent, and can be pushed again.

use futures::TryStreamExt;
use oras_store::{DeleteTarget, ErrorKind, PushMode};

use super::{Fresh, source};
use crate::nodes::{blob, manifest, push_all, read, referrer};

pub(super) async fn manifests(store: &Fresh) {
    let (deleted, other) = (manifest("deleted", &[]), manifest("other", &[]));
    push_all(store.as_ref(), &[&deleted, &other]).await;
    for (node, tag) in [(&deleted, "v1"), (&deleted, "latest"), (&other, "v2")] {
        store.push(node, PushMode::Tagged(tag)).await.expect("tag");
    }
    store.delete(DeleteTarget::Content(deleted.descriptor())).await.expect("delete");
    assert!(!store.exists(deleted.descriptor()).await.expect("exists"));
    let digest = deleted.descriptor().digest.to_string();
    for reference in ["v1", "latest", digest.as_str()] {
        let error = store.resolve(reference).await.expect_err("deleted");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    }
    let error = read(&source(store), deleted.descriptor()).await.expect_err("deleted");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    let tags: Vec<_> = store.tags_after(None).try_collect().await.expect("tags");
    assert_eq!(tags, ["v2"]);
    assert_eq!(
        store.delete(DeleteTarget::Content(deleted.descriptor())).await.expect_err("deleted").kind(),
        ErrorKind::NotFound
    );

    store.push(&deleted, PushMode::Tagged("back")).await.expect("push again");
    assert_eq!(store.resolve("back").await.expect("resolve").digest, deleted.descriptor().digest);
    assert_eq!(Some(&read(&source(store), deleted.descriptor()).await.expect("read")), deleted.in_memory());
}

pub(super) async fn blobs(store: &Fresh) {
    let content = blob("short-lived");
    store.push(&content, PushMode::Untagged).await.expect("push");
    store.delete(DeleteTarget::Content(content.descriptor())).await.expect("delete");
    assert!(!store.exists(content.descriptor()).await.expect("exists"));
    let error = read(&source(store), content.descriptor()).await.expect_err("deleted");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    store.push(&content, PushMode::Untagged).await.expect("push again");
    assert_eq!(read(&source(store), content.descriptor()).await.expect("read"), "short-lived");
}

pub(super) async fn referrers(store: &Fresh) {
    let subject = manifest("subject", &[]);
    let (one, two) = (referrer("one", "test/one", &subject), referrer("two", "test/two", &subject));
    push_all(store.as_ref(), &[&subject, &one, &two]).await;
    store.delete(DeleteTarget::Content(one.descriptor())).await.expect("delete");
    let left = store.predecessors(subject.descriptor(), None).await.expect("predecessors");
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].digest, two.descriptor().digest);
    // Content without a subject still exists.
    store.delete(DeleteTarget::Content(subject.descriptor())).await.expect("delete");
    assert!(store.exists(two.descriptor()).await.expect("exists"));
}

/// Deleting a tag keeps the manifest and its other tags, if the store supports that.
pub(super) async fn tags(store: &Fresh) {
    let node = manifest("untagged", &[]);
    push_all(store.as_ref(), &[&node]).await;
    for tag in ["v1", "latest"] {
        store.push(&node, PushMode::Tagged(tag)).await.expect("tag");
    }
    match store.delete(DeleteTarget::Tag("v1")).await {
        Err(error) if error.kind() == ErrorKind::Unsupported => return,
        result => result.expect("untag"),
    }
    assert_eq!(store.resolve("v1").await.expect_err("untagged").kind(), ErrorKind::NotFound);
    assert_eq!(
        store.delete(DeleteTarget::Tag("v1")).await.expect_err("untagged").kind(),
        ErrorKind::NotFound
    );
    let digest = node.descriptor().digest.to_string();
    assert_eq!(store.resolve("latest").await.expect("still exists").digest, node.descriptor().digest);
    assert_eq!(
        store.delete(DeleteTarget::Tag(&digest)).await.expect_err("a digest").kind(),
        ErrorKind::InvalidInput
    );
    store.delete(DeleteTarget::Tag("latest")).await.expect("untag");
    assert_eq!(store.resolve(&digest).await.expect("still exists").digest, node.descriptor().digest);
    assert_eq!(
        read(&source(store), node.descriptor()).await.expect("still exists"),
        *node.in_memory().expect("bytes")
    );
    let tags: Vec<_> = store.tags_after(None).try_collect().await.expect("tags");
    assert!(tags.is_empty(), "{tags:?}");
}
