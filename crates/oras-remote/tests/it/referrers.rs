//! Referrers: by the API and by the tag schema.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::try_join_all;
use oras_remote::ReferrersMode;
use oras_spec::{Descriptor, ImageIndex, MediaType};
use oras_store::{DeleteTarget, ErrorKind, PushMode, ReadStore, Store, Target};

use crate::registry::{Flavor, Registry};
use crate::{blob, manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

#[tokio::test]
async fn keeps_all_concurrently_added_referrers() {
    for flavor in [Flavor::Debian, Flavor::Current] {
        let Some(registry) = Registry::open(flavor, "parallel attaches") else { continue };
        let name = format!("{}/a", registry.host());
        let store = repository(options(), &name);
        store.push(&blob("{}"), PushMode::Untagged).await.unwrap();
        let subject = manifest("subject", None);
        store.push(&subject, PushMode::Untagged).await.unwrap();
        let subject = subject.descriptor();
        assert_eq!(store.predecessors(subject, None).await.unwrap(), []);
        let marks: Vec<_> = (0..8).map(|n| format!("m{n}")).collect();
        let attach = async |mark: &String| {
            let store = repository(options(), &name);
            store.push(&manifest(mark, Some(subject)), PushMode::Untagged).await
        };
        try_join_all(marks.iter().map(attach)).await.unwrap();
        let found = repository(options(), &name).predecessors(subject, None).await.unwrap();
        let mut types: Vec<_> =
            found.iter().map(|found| found.artifact_type.clone().unwrap().to_string()).collect();
        types.sort();
        assert_eq!(types, marks.iter().map(|mark| format!("test/{mark}")).collect::<Vec<_>>());
        assert!(found.iter().all(|found| found.annotations.contains_key("mark")));
        let one = store.predecessors(subject, Some(&MediaType::new("test/m3"))).await.unwrap();
        assert_eq!(one.len(), 1);
        // Adding a referrer twice changes nothing; a deleted one disappears.
        store.push(&manifest("m3", Some(subject)), PushMode::Untagged).await.unwrap();
        assert_eq!(store.predecessors(subject, None).await.unwrap().len(), 8);
        store.delete(DeleteTarget::Content(&one[0])).await.unwrap();
        assert_eq!(store.predecessors(subject, None).await.unwrap().len(), 7);
        // With the API mode, the client does not use the tag schema.
        let api = repository(options().referrers(ReferrersMode::Api), &name);
        let error = api.predecessors(subject, None).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.chain().as_str()),
            (ErrorKind::Unsupported, "failed to query referrers API: unsupported")
        );
        api.push(&manifest("m9", Some(subject)), PushMode::Untagged).await.unwrap();
        assert_eq!(store.predecessors(subject, None).await.unwrap().len(), 7);
    }
}

fn index(entries: Vec<Descriptor>) -> Vec<u8> {
    ImageIndex::new(entries).to_bytes().to_vec()
}

fn referrer(mark: &str) -> Descriptor {
    let mut descriptor = manifest(mark, None).descriptor().clone();
    descriptor.artifact_type = Some(MediaType::new(format!("test/{mark}")));
    descriptor
}

fn index_reply(body: Vec<u8>) -> Reply {
    Reply::new(200).header("content-type", format!("{}; charset=utf-8", MediaType::IMAGE_INDEX)).body(body)
}

#[tokio::test]
async fn pages_and_filters_referrers_of_the_api() {
    let server = Scripted::start(|asked: &Asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", path) if path.contains("page=2") => index_reply(index(vec![referrer("b"), referrer("a")])),
        ("GET", path) if path.contains("/referrers/") => {
            index_reply(index(vec![referrer("a"), referrer("c")])).header("Link", "<?page=2>; rel=\"next\"")
        }
        ("PUT", _) => Reply::new(201).header("OCI-Subject", "sha256:x"),
        _ => Reply::new(404),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let subject = manifest("subject", None).descriptor().clone();
    let all = store.predecessors(&subject, None).await.unwrap();
    assert_eq!(all, [referrer("a"), referrer("c"), referrer("b"), referrer("a")]);
    let some = store.predecessors(&subject, Some(&MediaType::new("test/a"))).await.unwrap();
    assert_eq!(some, [referrer("a"), referrer("a")]);
    assert!(server.lines()[2].ends_with("?artifactType=test%2Fa"), "{:?}", server.lines());
    // The registry maintains referrers itself, so no request follows the manifest.
    let before = server.lines().len();
    store.push(&manifest("a", Some(&subject)), PushMode::Untagged).await.unwrap();
    assert_eq!(server.lines().len(), before + 1);
    // The option for the tag schema has precedence over the API of the registry.
    let store = repository(options().referrers(ReferrersMode::Tag), &format!("{}/a", server.host()));
    assert_eq!(store.predecessors(&subject, None).await.unwrap(), []);
    assert!(server.lines().last().unwrap().starts_with("GET /v2/a/manifests/sha256-"));
}

#[tokio::test]
async fn detects_a_missing_api() {
    let subject = manifest("subject", None);
    for reply in [
        Reply::new(404),
        Reply::new(405),
        Reply::new(400),
        Reply::new(501),
        Reply::new(200).header("content-type", "text/html").body("<html>"),
    ] {
        let body = subject.in_memory().unwrap().to_vec();
        let server = Scripted::start(move |asked: &Asked| match asked.path.as_str() {
            path if path.contains("/referrers/") => reply.clone(),
            // GitLab interprets a tag that looks like a digest as that digest.
            _ => Reply::new(200).header("content-type", MediaType::IMAGE_MANIFEST).body(body.clone()),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        for _ in 0..2 {
            assert_eq!(store.predecessors(subject.descriptor(), None).await.unwrap(), []);
        }
        // Requested only once.
        assert_eq!(server.lines().iter().filter(|line| line.contains("/referrers/")).count(), 1);
    }
    let unknown = r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no such repository"}]}"#;
    let server = Scripted::start(move |_: &Asked| Reply::new(404).body(unknown));
    let store = repository(options(), &format!("{}/a", server.host()));
    let error = store.predecessors(subject.descriptor(), None).await.unwrap_err();
    assert_eq!(error.chain(), "name unknown: no such repository");
}

/// Starts a registry where another client reverts the first `undone` writes of an index.
fn undoing(undone: usize) -> Scripted {
    let (stored, writes) = (Mutex::new(None::<Vec<u8>>), AtomicUsize::new(0));
    Scripted::start(move |asked: &Asked| {
        let is_index = asked.path.contains("/manifests/sha256-");
        match asked.method.as_str() {
            "PUT" if is_index => {
                let is_undone = writes.fetch_add(1, Ordering::SeqCst) < undone;
                let other = || index(vec![referrer("other")]);
                *stored.lock().unwrap() = Some(if is_undone { other() } else { asked.body.clone() });
                Reply::new(201)
            }
            "PUT" => Reply::new(201),
            "GET" if is_index => match &*stored.lock().unwrap() {
                Some(body) => index_reply(body.clone()),
                None => Reply::new(404),
            },
            _ => Reply::new(404),
        }
    })
}

fn index_writes(server: &Scripted) -> usize {
    server.lines().iter().filter(|line| line.starts_with("PUT /v2/a/manifests/sha256-")).count()
}

#[tokio::test]
async fn rewrites_lost_entries() {
    let server = undoing(2);
    let store = repository(options(), &format!("{}/a", server.host()));
    let subject = manifest("subject", None).descriptor().clone();
    store.push(&manifest("mine", Some(&subject)), PushMode::Untagged).await.unwrap();
    assert_eq!(index_writes(&server), 3);
    let found = store.predecessors(&subject, None).await.unwrap();
    assert_eq!(found.len(), 2);
}

#[tokio::test]
async fn rewrites_lost_entries_of_many_pushes_together() {
    let server = undoing(2);
    let store = repository(options(), &format!("{}/a", server.host()));
    let subject = manifest("subject", None).descriptor().clone();
    for name in ["one", "two"] {
        store.push(&manifest(name, Some(&subject)), PushMode::Deferred).await.unwrap();
    }
    assert_eq!(index_writes(&server), 2);
    assert_eq!(store.predecessors(&subject, None).await.unwrap().len(), 1);
    store.sync().await.unwrap();
    assert_eq!(index_writes(&server), 3);
    assert_eq!(store.predecessors(&subject, None).await.unwrap().len(), 3);
    // A verified entry is not verified again.
    let asked = server.lines().len();
    store.sync().await.unwrap();
    assert_eq!(server.lines().len(), asked);
}

#[tokio::test]
async fn does_not_overwrite_other_content_under_the_tag() {
    let subject = manifest("subject", None);
    let body = manifest("another", None).in_memory().unwrap().to_vec();
    let server = Scripted::start(move |asked: &Asked| match asked.method.as_str() {
        "PUT" => Reply::new(201),
        _ => Reply::new(200).header("content-type", MediaType::IMAGE_MANIFEST).body(body.clone()),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let error =
        store.push(&manifest("mine", Some(subject.descriptor())), PushMode::Untagged).await.unwrap_err();
    assert!(error.chain().contains("names no index of referrers"), "{error:?}");
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("PUT")).count(), 1);
    assert!(store.resolve("v1").await.is_ok());
}

#[tokio::test]
async fn adding_a_tag_does_not_update_referrers() {
    let subject = manifest("subject", None);
    let referrer = manifest("one", Some(subject.descriptor()));
    let server = Scripted::start(|asked: &Asked| match asked.method.as_str() {
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    store.push(&referrer, PushMode::AddTag("v2")).await.unwrap();
    assert_eq!(server.lines(), ["PUT /v2/a/manifests/v2"]);
}

#[tokio::test]
async fn reads_an_index_larger_than_the_manifest_limit() {
    let subject = manifest("subject", None);
    let referrers: Vec<_> =
        (0..50_000).map(|n| Descriptor::of(MediaType::new("a/b"), n.to_string().as_bytes())).collect();
    let index = ImageIndex::new(referrers.clone()).to_bytes();
    assert!(index.len() > 4 << 20);
    for by_api in [true, false] {
        let index = index.clone();
        let server = Scripted::start(move |asked: &Asked| match asked.path.contains("/referrers/") {
            true if !by_api => Reply::new(404),
            _ => Reply::new(200).header("content-type", MediaType::IMAGE_INDEX).body(index.to_vec()),
        });
        let store = repository(options(), &format!("{}/a", server.host()));
        assert_eq!(store.predecessors(subject.descriptor(), None).await.unwrap(), referrers);
    }
}

#[tokio::test]
async fn does_not_write_an_index_that_is_too_large_to_read() {
    // One entry fills the index up to the limit of its readers.
    const LIMIT: usize = 64 << 20;
    let mut entry = referrer("filled");
    entry.annotations.insert("fill".into(), "FILL".into());
    let text = String::from_utf8(index(vec![entry])).unwrap();
    let stored = text.replace("FILL", &"x".repeat(LIMIT + 4 - text.len())).into_bytes();
    assert_eq!(stored.len(), LIMIT);
    let server = Scripted::start(move |asked: &Asked| match asked.method.as_str() {
        "PUT" => Reply::new(201),
        "GET" if asked.path.contains("/manifests/sha256-") => index_reply(stored.clone()),
        _ => Reply::new(404),
    });
    let store = repository(options(), &format!("{}/a", server.host()));
    let subject = manifest("subject", None).descriptor().clone();
    assert_eq!(store.predecessors(&subject, None).await.unwrap().len(), 1);
    let error = store.push(&manifest("mine", Some(&subject)), PushMode::Untagged).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    let (said, tag) = (error.chain(), subject.digest.to_string().replace(':', "-"));
    assert!(said.contains("the referrers index tagged by ") && said.contains(&tag), "{said}");
    assert!(said.ends_with("bytes, and at most 67108864 are read"), "{said}");
    assert_eq!(index_writes(&server), 0);
}
