//! Deleting a tag at registries with different abilities.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use oras_spec::Digest;
use oras_store::{Content, DeleteTarget, ErrorKind, Store};

use crate::{manifest, options, repository};
use oras_testkit::scripted::{Asked, Reply, Scripted};

/// The reaction of the registry to the deletion of a tag.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Deletes the tag.
    Tag,
    /// Deletes the manifest too.
    Everything,
    /// Rejects the deletion of a tag with this status. Deletes digests.
    Refuse(u16),
    /// Rejects all deletions.
    Never,
    /// Rejects the deletion of tags, and of existing digests.
    Broken,
}

type State = (BTreeMap<String, String>, BTreeMap<String, Vec<u8>>);

/// Starts a registry with the manifest `original` under the tags `v1` and `v2`.
async fn registry(way: Way, original: &Content) -> (Scripted, Arc<Mutex<State>>) {
    let digest = original.descriptor().digest.to_string();
    let tags = ["v1", "v2"].map(|tag| (tag.to_owned(), digest.clone()));
    let manifests = BTreeMap::from([(digest, original.in_memory().unwrap().to_vec())]);
    let state = Arc::new(Mutex::new((BTreeMap::from(tags), manifests)));
    let shared = Arc::clone(&state);
    let server = Scripted::start(move |asked: &Asked| answer(way, &mut shared.lock().unwrap(), asked));
    (server, state)
}

fn answer(way: Way, (tags, manifests): &mut State, asked: &Asked) -> Reply {
    let Some(name) = asked.path.strip_prefix("/v2/a/manifests/") else {
        return match asked.method.as_str() {
            "POST" => Reply::new(202).header("Location", "/upload"),
            "PUT" => Reply::new(201),
            _ => Reply::new(404),
        };
    };
    let digest = tags.get(name).cloned().unwrap_or_else(|| name.to_owned());
    let is_tag = !name.contains(':');
    match asked.method.as_str() {
        "PUT" => {
            let digest = Digest::sha256(&asked.body).to_string();
            manifests.insert(digest.clone(), asked.body.clone());
            if is_tag {
                tags.insert(name.to_owned(), digest);
            }
            Reply::new(201)
        }
        "DELETE" => match way {
            Way::Never => Reply::new(405),
            Way::Refuse(status) if is_tag => Reply::new(status),
            Way::Broken if is_tag => Reply::new(405),
            Way::Broken if manifests.contains_key(&digest) => Reply::new(403),
            Way::Tag if is_tag => {
                tags.remove(name);
                Reply::new(202)
            }
            _ => {
                let there = manifests.remove(&digest).is_some();
                tags.retain(|_, named| *named != digest);
                Reply::new(if there { 202 } else { 404 })
            }
        },
        _ => match manifests.get(&digest) {
            Some(bytes) => Reply::new(200)
                .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
                .header("Docker-Content-Digest", &digest)
                .body(bytes.clone()),
            None => Reply::new(404),
        },
    }
}

#[tokio::test]
async fn keeps_the_manifest_and_its_other_tags() {
    let original = manifest("original", None);
    let digest = original.descriptor().digest.to_string();
    for way in [Way::Tag, Way::Refuse(405), Way::Refuse(400), Way::Refuse(404), Way::Everything] {
        let (server, state) = registry(way, &original).await;
        repository(options(), &format!("{}/a", server.host())).delete(DeleteTarget::Tag("v1")).await.unwrap();
        let (tags, manifests) = &*state.lock().unwrap();
        let left: Vec<_> = tags.iter().map(|(tag, digest)| (tag.as_str(), digest.as_str())).collect();
        // The other tags of a manifest that was deleted with one of them are not known.
        let expected = if way == Way::Everything { vec![] } else { vec![("v2", digest.as_str())] };
        assert_eq!(left, expected);
        assert_eq!(manifests.keys().collect::<Vec<_>>(), [&digest]);
        let deleted = server.asked().into_iter().filter(|asked| asked.method == "DELETE");
        assert!(deleted.into_iter().all(|asked| !asked.path.contains(&digest)));
    }
}

#[tokio::test]
async fn restores_a_tag_that_cannot_be_deleted() {
    let original = manifest("original", None);
    let digest = original.descriptor().digest.to_string();
    for (way, kind, pushes) in [(Way::Never, ErrorKind::Unsupported, 0), (Way::Broken, ErrorKind::Denied, 2)]
    {
        let (server, state) = registry(way, &original).await;
        let error = repository(options(), &format!("{}/a", server.host()))
            .delete(DeleteTarget::Tag("v1"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(state.lock().unwrap().0["v1"], digest);
        let asked = server.asked();
        let pushed = |asked: &&Asked| asked.line() == "PUT /v2/a/manifests/v1";
        assert_eq!(asked.iter().filter(pushed).count(), pushes);
    }
}

#[tokio::test]
async fn rejects_digests_without_a_request() {
    let original = manifest("original", None);
    let (server, _) = registry(Way::Tag, &original).await;
    let store = repository(options(), &format!("{}/a", server.host()));
    let error = store.delete(DeleteTarget::Tag(&original.descriptor().digest.to_string())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(server.asked().is_empty());
    assert_eq!(store.delete(DeleteTarget::Tag("nope")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(server.asked().iter().all(|asked| asked.method == "GET"));
}
