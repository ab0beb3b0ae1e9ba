//! Manifests keep their bytes and are found by digest.

use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, ErrorKind, PushMode};

use super::{Abilities, Fresh, source};
use crate::nodes::{blob, empty, index, manifest, push_all, read};

pub(super) async fn keep_their_bytes(store: &Fresh) {
    let config = empty().descriptor().clone();
    let text = format!(
        "\n{{ \"layers\" : [ ],\t\"x-unknown\": [1.50, null, \"\\u0041\"],\n\n \"schemaVersion\": 2,\r\n  \"config\": \
         {{\"size\": {}, \"digest\": \"{}\", \"mediaType\": \"{}\"}},\
         \"mediaType\":\"application/vnd.oci.image.manifest.v1+json\" }}  \n",
        config.size, config.digest, config.media_type
    );
    let odd = Content::of(MediaType::IMAGE_MANIFEST, text.clone());
    push_all(store.as_ref(), &[&odd]).await;
    assert_eq!(read(&source(store), odd.descriptor()).await.expect("read"), text);
    store.push(&odd, PushMode::Tagged("odd")).await.expect("tag");
    let resolved = store.resolve("odd").await.expect("resolve");
    assert_eq!(resolved.digest, odd.descriptor().digest);
    assert_eq!(read(&source(store), &resolved).await.expect("read"), text);
    store.push(&odd, PushMode::Untagged).await.expect("push again");
    assert_eq!(read(&source(store), &resolved).await.expect("read again"), text);
}

pub(super) async fn resolve(store: &Fresh, abilities: Abilities) {
    let layer = blob("a layer");
    let node = manifest("resolve", &[&layer]);
    push_all(store.as_ref(), &[&layer, &node]).await;
    assert!(store.exists(node.descriptor()).await.expect("exists"));
    let digest = node.descriptor().digest.to_string();
    let by_digest = store.resolve(&digest).await.expect("resolve a digest");
    assert_eq!(by_digest, node.descriptor().plain(), "a digest resolves to media type, digest and size");

    store.push(&node, PushMode::Tagged("v1")).await.expect("tag");
    for reference in ["v1", digest.as_str()] {
        let resolved = store.resolve(reference).await.expect("resolve");
        assert_eq!(resolved.plain(), node.descriptor().plain(), "{reference}");
        let (resolved, bytes) = store.resolve_with_bytes(reference).await.expect("resolve with bytes");
        assert_eq!(resolved.plain(), node.descriptor().plain(), "{reference}");
        if let Some(bytes) = bytes {
            Content::from_bytes(resolved, bytes).expect("the bytes are those of the descriptor");
        }
    }
    if abilities.resolves_blobs {
        let found = store.resolve(&layer.descriptor().digest.to_string()).await.expect("resolve a blob");
        let wanted = Descriptor { media_type: MediaType::OCTET_STREAM, ..layer.descriptor().plain() };
        assert_eq!(found, wanted);
    }
}

pub(super) async fn indexes(store: &Fresh) {
    let (one, two) = (manifest("one", &[]), manifest("two", &[]));
    let both = index(&[&one, &two]);
    let outer = index(&[&both]);
    push_all(store.as_ref(), &[&one, &two, &both, &outer]).await;
    store.push(&outer, PushMode::Tagged("outer")).await.expect("tag");
    for node in [&one, &two, &both, &outer] {
        let resolved = store.resolve(&node.descriptor().digest.to_string()).await.expect("resolve");
        assert_eq!(resolved, node.descriptor().plain());
        let found = read(&source(store), &resolved).await.expect("read");
        assert_eq!(Some(&found), node.in_memory());
    }
}

pub(super) async fn malformed(store: &Fresh, abilities: Abilities) {
    if !abilities.checks_manifests {
        return;
    }
    store.push(&empty(), PushMode::Untagged).await.expect("push");
    for text in ["", "not JSON", "[]", r#"{"schemaVersion":2,"schemaVersion":2,"manifests":[]}"#] {
        for media_type in [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX] {
            let bad = Content::of(media_type, text);
            for result in
                [store.push(&bad, PushMode::Untagged).await, store.push(&bad, PushMode::Tagged("bad")).await]
            {
                let error = result.expect_err("malformed manifest");
                let is_stated = error.kind() == ErrorKind::InvalidContent;
                assert!(!abilities.error_kinds || is_stated, "{error:?}");
            }
            assert!(!store.exists(bad.descriptor()).await.expect("exists"), "{text:?} is visible");
        }
    }
    assert_eq!(store.resolve("bad").await.expect_err("no such tag").kind(), ErrorKind::NotFound);
}
