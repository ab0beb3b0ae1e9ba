//! The behaviour of a store, against real registries.

use futures::TryStreamExt;
use futures::future::try_join_all;
use oras_remote::{Client, Registry as Whole, Repository};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{
    ByteStream, Content, DeleteTarget, Error, ErrorKind, PushMode, Pushed, ReadStore, Source, Store, Target,
};
use std::sync::Arc;

use crate::registry::{Flavor, Registry};
use crate::{blob, collect, manifest, options, repository};

const FLAVORS: [Flavor; 2] = [Flavor::Current, Flavor::Debian];

fn registries(test: &str) -> impl Iterator<Item = Registry> {
    FLAVORS.into_iter().filter_map(move |flavor| Registry::open(flavor, test))
}

#[tokio::test]
async fn stores_and_deletes_blobs() {
    for registry in registries("blobs") {
        let store = repository(options(), &format!("{}/a/b", registry.host()));
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        for content in [blob(bytes.clone()), blob("x"), blob("")] {
            let descriptor = content.descriptor().clone();
            assert!(!store.exists(&descriptor).await.unwrap());
            let missing = store.fetch(&descriptor, 0..descriptor.size).await.err().unwrap();
            assert_eq!(missing.chain(), format!("{}: not found", descriptor.digest));
            assert_eq!(store.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
            assert!(store.exists(&descriptor).await.unwrap());
            let back = Content::from_source(Arc::new(store.clone()), descriptor.clone());
            assert_eq!(back.bytes(1 << 22).await.unwrap(), content.bytes(1 << 22).await.unwrap());
            assert_eq!(store.resolve_blob(&descriptor.digest).await.unwrap(), descriptor);
        }
        let descriptor = blob(bytes.clone()).descriptor().clone();
        for range in [0..10, 5..2_000_000, 2_999_999..3_000_000, 7..7] {
            let part = collect(store.fetch(&descriptor, range.clone()).await.unwrap()).await.unwrap();
            assert_eq!(part, &bytes[range.start as usize..range.end as usize], "{range:?}");
        }
        store.delete(DeleteTarget::Content(&descriptor)).await.unwrap();
        assert!(!store.exists(&descriptor).await.unwrap());
        let reference = format!("{}/a/b@{}", registry.host(), descriptor.digest);
        for error in [
            store.resolve_blob(&descriptor.digest).await.err(),
            store.delete(DeleteTarget::Content(&descriptor)).await.err(),
        ] {
            assert_eq!(error.unwrap().chain(), format!("{reference}: not found"));
        }
    }
}

#[tokio::test]
async fn rejects_blobs_with_wrong_digest_or_size() {
    for registry in registries("wrong blobs") {
        let store = repository(options(), &format!("{}/a", registry.host()));
        let once = |descriptor: &Descriptor, bytes: &'static str| {
            let stream: ByteStream = Box::pin(futures::stream::iter([Ok(bytes.into())]));
            Content::once(descriptor.clone(), stream)
        };
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
        for (bytes, kind) in [
            ("hellx", ErrorKind::DigestMismatch),
            ("hell", ErrorKind::SizeMismatch),
            ("hello!", ErrorKind::SizeMismatch),
        ] {
            let error = store.push(&once(&descriptor, bytes), PushMode::Untagged).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
            assert!(!store.exists(&descriptor).await.unwrap());
        }
        let error = store.push(&once(&descriptor, "hellx"), PushMode::Untagged).await.unwrap_err();
        assert!(
            error.chain().starts_with("digest invalid: provided digest did not match uploaded content"),
            "{error:?}"
        );
        let broken: ByteStream = Box::pin(futures::stream::iter([
            Ok("he".into()),
            Err(Error::new(ErrorKind::Io, "the disk is on fire")),
        ]));
        let error =
            store.push(&Content::once(descriptor.clone(), broken), PushMode::Untagged).await.unwrap_err();
        assert_eq!((error.kind(), error.chain().as_str()), (ErrorKind::Io, "the disk is on fire"));
        assert_eq!(
            store.push(&once(&descriptor, "hello"), PushMode::Untagged).await.unwrap(),
            Pushed::Copied
        );
    }
}

#[tokio::test]
async fn stores_and_resolves_manifests_and_tags() {
    for registry in registries("manifests and tags") {
        let name = format!("{}/a/b", registry.host());
        let store = repository(options(), &format!("{name}:ignored"));
        assert_eq!(store.name(), name);
        for error in [store.resolve("v1").await.err(), store.resolve_with_bytes("v1").await.err()] {
            let error = error.unwrap();
            assert_eq!((error.kind(), error.chain()), (ErrorKind::NotFound, format!("{name}:v1: not found")));
        }
        store.push(&blob("{}"), PushMode::Untagged).await.unwrap();
        let (one, two) = (manifest("one", None), manifest("two", None));
        let descriptor = one.descriptor().clone();
        assert!(!store.exists(&descriptor).await.unwrap());
        assert_eq!(store.push(&one, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert!(store.exists(&descriptor).await.unwrap());
        for tag in ["v1", "v2", "v3"] {
            store.push(&one, PushMode::Tagged(tag)).await.unwrap();
        }
        store.push(&two, PushMode::Tagged("v2")).await.unwrap();
        store.push(&two, PushMode::Tagged(&two.descriptor().digest.to_string())).await.unwrap();
        assert_eq!(store.resolve("v2").await.unwrap(), *two.descriptor());
        for reference in ["v1", &descriptor.digest.to_string()] {
            assert_eq!(store.resolve(reference).await.unwrap(), descriptor);
            let (found, bytes) = store.resolve_with_bytes(reference).await.unwrap();
            assert_eq!((found, bytes.as_ref()), (descriptor.clone(), one.in_memory()));
        }
        let part = collect(store.fetch(&descriptor, 1..5).await.unwrap()).await.unwrap();
        assert_eq!(part, one.in_memory().unwrap().slice(1..5));
        let mut tags: Vec<_> = store.tags_after(None).try_collect().await.unwrap();
        tags.sort();
        assert_eq!(tags, ["v1", "v2", "v3"]);
        let invalid = store.push(&one, PushMode::Tagged("t1,t2")).await.unwrap_err();
        assert_eq!(invalid.chain(), "invalid reference: invalid tag \"t1,t2\"");
        store.delete(DeleteTarget::Content(&descriptor)).await.unwrap();
        assert_eq!(store.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
        let gone = store.delete(DeleteTarget::Content(&descriptor)).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn rejects_manifests_with_missing_blobs() {
    for registry in registries("missing blobs") {
        let store = repository(options(), &format!("{}/a", registry.host()));
        let error = store.push(&manifest("one", None), PushMode::Tagged("v1")).await.unwrap_err();
        let expected = "manifest blob unknown: blob unknown to registry: ";
        assert!(error.chain().starts_with(expected), "{error:?}");
        assert!(error.find::<oras_remote::ResponseError>().is_some());
    }
}

#[tokio::test]
async fn mounts_blobs_of_other_repositories() {
    for registry in registries("mount") {
        let client = Client::new(options()).unwrap();
        let open = |name: &str| {
            Repository::new(&client, &format!("{}/{name}", registry.host()).parse().unwrap()).unwrap()
        };
        let (from, to) = (open("from/here"), open("to"));
        let content = blob("mounted");
        from.push(&content, PushMode::Untagged).await.unwrap();
        let there = Content::from_source(Arc::new(from), content.descriptor().clone());
        assert_eq!(to.push(&there, PushMode::Untagged).await.unwrap(), Pushed::Adopted);
        assert!(to.exists(content.descriptor()).await.unwrap());
        // The blob cannot be mounted, so the client uploads it. This fails if the source does not have it
        // either.
        let stranger = Content::from_source(Arc::new(open("other")), blob("not there").descriptor().clone());
        assert_eq!(to.push(&stranger, PushMode::Untagged).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn pings_registry_and_lists_repositories() {
    for registry in registries("catalog") {
        let client = Client::new(options()).unwrap();
        let whole = Whole::new(&client, &registry.host()).unwrap();
        whole.ping().await.unwrap();
        assert_eq!(whole.repositories(None).try_collect::<Vec<_>>().await.unwrap(), Vec::<String>::new());
        let names: Vec<_> = (0..120).map(|n| format!("r{n:03}")).collect();
        let fill = async |name: &String| {
            let store = Repository::new(&client, &format!("{}/{name}", registry.host()).parse()?)?;
            store.push(&blob("{}"), PushMode::Untagged).await?;
            store.push(&manifest("one", None), PushMode::Tagged("v1")).await
        };
        try_join_all(names.iter().map(fill)).await.unwrap();
        assert_eq!(whole.repositories(None).try_collect::<Vec<_>>().await.unwrap(), names);
        assert_eq!(whole.repositories(Some("r115")).try_collect::<Vec<_>>().await.unwrap(), names[116..]);
        let unknown = repository(options(), &format!("{}/nope", registry.host()));
        let error = unknown.tags_after(None).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.chain(), "name unknown: repository name not known to registry: map[name:nope]");
    }
}

#[tokio::test]
async fn lists_many_tags() {
    // 2.8.2 supports neither paging nor sorting.
    for flavor in FLAVORS {
        let Some(registry) = Registry::open(flavor, "many tags") else { continue };
        let store = repository(options(), &format!("{}/a", registry.host()));
        store.push(&blob("{}"), PushMode::Untagged).await.unwrap();
        let tags: Vec<_> = (0..120).map(|n| format!("t{n:03}")).collect();
        let content = manifest("one", None);
        try_join_all(tags.iter().map(|tag| store.push(&content, PushMode::Tagged(tag)))).await.unwrap();
        let mut found = store.tags_after(None).try_collect::<Vec<_>>().await.unwrap();
        if flavor == Flavor::Current {
            let later = store.tags_after(Some("t115")).try_collect::<Vec<_>>().await.unwrap();
            assert_eq!(later, tags[116..]);
        } else {
            found.sort();
        }
        assert_eq!(found, tags);
    }
}

#[tokio::test]
async fn stores_blobs_with_other_digest_algorithms() {
    for registry in registries("sha512") {
        let store = repository(options(), &format!("{}/a", registry.host()));
        let digest = Digest::of(oras_spec::Algorithm::Sha512, b"hello");
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest, 5);
        let content = Content::from_bytes(descriptor.clone(), "hello").unwrap();
        store.push(&content, PushMode::Untagged).await.unwrap();
        let back = Content::from_source(Arc::new(store), descriptor);
        assert_eq!(back.bytes(9).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn reports_an_unreachable_registry() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = format!("localhost:{}", free.port());
    let store = repository(options(), &format!("{host}/hello"));
    let digest = Digest::sha256(b"x");
    let error = store.resolve(&digest.to_string()).await.unwrap_err();
    let expected = format!(
        "Head \"http://{host}/v2/hello/manifests/{digest}\": dial tcp 127.0.0.1:{}: connect: connection refused",
        free.port()
    );
    assert_eq!((error.kind(), error.chain()), (ErrorKind::Network, expected));
    let store = repository(options(), "nosuchhost.invalid/hello");
    let error = store.resolve("v1").await.unwrap_err();
    let expected = "Head \"https://nosuchhost.invalid/v2/hello/manifests/v1\": dial tcp: lookup nosuchhost.invalid: no such host";
    assert_eq!(error.chain(), expected);
    for registry in registries("TLS") {
        let store = repository(options().plain_http(false), &format!("{}/hello", registry.host()));
        let error = store.tags_after(None).try_collect::<Vec<_>>().await.unwrap_err();
        let expected = format!(
            "Get \"https://{}/v2/hello/tags/list\": http: server gave HTTP response to HTTPS client: the server speaks HTTP, not HTTPS",
            registry.host()
        );
        assert_eq!(error.chain(), expected);
    }
}
