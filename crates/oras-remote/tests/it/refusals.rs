//! The registry's answer is in every error that it causes.

use futures::TryStreamExt;
use oras_remote::{MissingCredential, ResponseError};
use oras_spec::Digest;
use oras_store::{DeleteTarget, Error, ErrorKind, PushMode, ReadStore, Source, Store, Target};
use oras_testkit::registry::{Flavor, Options, Process};

use crate::{blob, manifest, options, repository};

fn answer(error: &Error) -> &ResponseError {
    error.find::<ResponseError>().unwrap_or_else(|| panic!("no answer: {error:?}"))
}

#[tokio::test]
async fn missing_content_has_the_answer_of_the_registry() {
    let others = [Flavor::Distribution, Flavor::Debian]
        .into_iter()
        .filter_map(|flavor| Process::open(flavor, "answers"));
    for registry in others.chain([Process::ours(&[])]) {
        let name = format!("{}/known", registry.host());
        let store = repository(options(), &name);
        store.push(&blob("{}"), PushMode::Untagged).await.unwrap();
        store.push(&manifest("one", None), PushMode::Tagged("v1")).await.unwrap();

        let missing = Digest::sha256(b"missing");
        let missing_manifest = manifest("missing", None).descriptor().clone();
        let missing_blob = blob("missing").descriptor().clone();
        for (error, method, code, message) in [
            (store.resolve("v2").await.unwrap_err(), "HEAD", None, format!("{name}:v2: not found")),
            (
                store.resolve_with_bytes("v2").await.unwrap_err(),
                "GET",
                Some("MANIFEST_UNKNOWN"),
                format!("{name}:v2: not found"),
            ),
            (
                store.fetch(&missing_manifest, 0..missing_manifest.size).await.err().unwrap(),
                "GET",
                Some("MANIFEST_UNKNOWN"),
                format!("{}: not found", missing_manifest.digest),
            ),
            (
                store.fetch(&missing_blob, 0..missing_blob.size).await.err().unwrap(),
                "GET",
                Some("BLOB_UNKNOWN"),
                format!("{missing}: not found"),
            ),
            (
                store.resolve_blob(&missing).await.unwrap_err(),
                "HEAD",
                None,
                format!("{name}@{missing}: not found"),
            ),
            (
                store.measure_blob(&missing).await.unwrap_err(),
                "GET",
                Some("BLOB_UNKNOWN"),
                format!("{name}@{missing}: not found"),
            ),
            (
                store.delete(DeleteTarget::Content(&missing_blob)).await.unwrap_err(),
                "DELETE",
                Some("BLOB_UNKNOWN"),
                format!("{name}@{missing}: not found"),
            ),
        ] {
            assert_eq!((error.kind(), error.chain()), (ErrorKind::NotFound, message));
            let answer = answer(&error);
            assert_eq!((answer.method.as_str(), answer.status), (method, 404), "{error:?}");
            assert!(code.is_none_or(|code| answer.has_code(code)), "{answer:?}");
            assert!(!answer.is_unknown_repository() && error.find_shown::<ResponseError>().is_none());
        }
    }
}

#[tokio::test]
async fn tells_unknown_repositories_from_unknown_tags() {
    for flavor in [Flavor::Distribution, Flavor::Debian] {
        let Some(registry) = Process::open(flavor, "unknown repositories") else { continue };
        let store = repository(options(), &format!("{}/unknown", registry.host()));
        let error = store.tags_after(None).try_collect::<Vec<_>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(answer(&error).is_unknown_repository(), "{error:?}");
    }
    let registry = Process::ours(&[]);
    let store = repository(options(), &format!("{}/unknown", registry.host()));
    let tags = store.tags_after(None).try_collect::<Vec<_>>().await.unwrap_err();
    for error in [tags, store.resolve_with_bytes("v1").await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(answer(&error).is_unknown_repository(), "{error:?}");
    }
}

#[tokio::test]
async fn missing_credential_has_the_answer_of_the_registry() {
    let closed = Options { password: true, ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &closed, "missing credentials") else { return };
    let store = repository(options(), &format!("{}/a", registry.host()));
    let error = store.resolve_with_bytes("v1").await.unwrap_err();
    assert_eq!(error.chain(), "basic credential not found");
    assert!(error.find::<MissingCredential>().is_some());
    assert_eq!(answer(&error).status, 401);
    assert!(answer(&error).has_code("UNAUTHORIZED"), "{error:?}");
}
