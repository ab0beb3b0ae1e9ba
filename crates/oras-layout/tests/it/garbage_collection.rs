//! Garbage collection deletes unreachable blobs, and nothing that is needed or may soon be needed.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oras_layout::{CollectedGarbage, GarbageOptions, Layout, LayoutOptions};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Content, DeleteTarget, ErrorKind, PushMode, Store, Target};
use oras_testkit::nodes::{blob, empty, index, manifest, push_all, referrer};

use crate::{blob_path, index_of, names, open_with};

const HOUR: Duration = Duration::from_secs(3600);

fn garbage(untagged: bool) -> GarbageOptions {
    GarbageOptions::after(HOUR).untagged(untagged)
}

/// Opens a second handle of a layout, which records the use of blobs.
async fn open_recording(layout: &Layout) -> Layout {
    open_with(layout, LayoutOptions::default().record_use(true)).await
}

/// Makes every blob two hours old.
pub(crate) fn age(layout: &Path) {
    let then = SystemTime::now() - 2 * HOUR;
    for algorithm in std::fs::read_dir(layout.join("blobs")).unwrap() {
        for file in std::fs::read_dir(algorithm.unwrap().path()).unwrap() {
            let times = FileTimes::new().set_accessed(then).set_modified(then);
            File::open(file.unwrap().path()).unwrap().set_times(times).unwrap();
        }
    }
}

pub(crate) fn has(layout: &Layout, content: &Content) -> bool {
    blob_path(layout.path(), &content.descriptor().digest).exists()
}

pub(crate) async fn fresh(place: &tempfile::TempDir) -> Layout {
    Layout::open_or_create(place.path().join("layout")).await.unwrap()
}

#[tokio::test]
async fn deletes_old_unreachable_blobs() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, two, other, spare] = ["one", "two", "other", "spare"].map(blob);
    let image = manifest("image", &[&one]);
    let listed = manifest("listed", &[&two]);
    let all = index(&[&listed]);
    let signature = referrer("signature", "a/b", &all);
    push_all(&layout, &[&one, &two, &other, &spare, &image, &listed, &all, &signature]).await;
    layout.push(&all, PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(layout.collect_garbage(garbage(false)).await.unwrap(), CollectedGarbage::default(), "young");
    age(layout.path());
    let bytes = "other".len() as u64 + "spare".len() as u64;
    let gone = layout.collect_garbage(garbage(false)).await.unwrap();
    assert_eq!(gone, CollectedGarbage { blobs: 2, bytes, ..CollectedGarbage::default() });
    for content in [&one, &two, &empty(), &image, &listed, &all, &signature] {
        assert!(has(&layout, content), "{content:?}");
    }
    // Deleting a manifest leaves garbage.
    layout.delete(DeleteTarget::Content(image.descriptor())).await.unwrap();
    assert_eq!(layout.collect_garbage(garbage(false)).await.unwrap().blobs, 1);
    assert!(!has(&layout, &one) && !has(&layout, &image));
    assert_eq!(layout.collect_garbage(garbage(false)).await.unwrap(), CollectedGarbage::default());
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn keeps_claimed_blobs() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let contents = ["exists", "pushed", "resolved", "needed", "nobody"].map(blob);
    let [exists, pushed, resolved, needed, nobody] = &contents;
    push_all(&layout, &contents.iter().collect::<Vec<_>>()).await;
    age(layout.path());
    assert!(layout.exists(exists.descriptor()).await.unwrap());
    layout.push(pushed, PushMode::Untagged).await.unwrap();
    let server = open_recording(&layout).await;
    server.resolve(&resolved.descriptor().digest.to_string()).await.unwrap();
    let digest = needed.descriptor().digest.clone();
    let asked = garbage(false).is_needed(move |asked| *asked == digest);
    layout.collect_garbage(asked).await.unwrap();
    for content in [exists, pushed, resolved, needed] {
        assert!(has(&layout, content), "{content:?}");
    }
    assert!(!has(&layout, nobody));
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn deletes_untagged_manifests_on_request() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, two, three] = ["one", "two", "three"].map(blob);
    let tagged = manifest("tagged", &[&one]);
    let signature = referrer("signature", "a/b", &tagged);
    let counter = referrer("counter", "a/b", &signature);
    let untagged = manifest("untagged", &[&one, &two]);
    let about_untagged = referrer("about untagged", "a/b", &untagged);
    let of_nothing = referrer("of nothing", "a/b", &manifest("absent", &[]));
    let listed = manifest("listed", &[&three]);
    let all = index(&[&listed]);
    let manifests = [&tagged, &signature, &counter, &untagged, &about_untagged, &of_nothing, &listed, &all];
    push_all(&layout, &[&one, &two, &three]).await;
    push_all(&layout, &manifests).await;
    layout.push(&tagged, PushMode::Tagged("v1")).await.unwrap();
    layout.push(&all, PushMode::Tagged("v2")).await.unwrap();
    assert_eq!(layout.collect_garbage(garbage(true)).await.unwrap(), CollectedGarbage::default(), "young");
    age(layout.path());
    assert_eq!(layout.collect_garbage(garbage(false)).await.unwrap(), CollectedGarbage::default());
    let gone = layout.collect_garbage(garbage(true)).await.unwrap();
    assert_eq!((gone.manifests, gone.blobs), (3, 4));
    for content in [&one, &three, &tagged, &signature, &counter, &listed, &all] {
        assert!(has(&layout, content), "{content:?}");
    }
    for content in [&two, &untagged, &about_untagged, &of_nothing] {
        assert!(!has(&layout, content), "{content:?}");
        assert!(!index_of(layout.path()).to_string().contains(&content.descriptor().digest.to_string()));
    }
    // A manifest that has just lost its tag stays for the delay.
    layout.delete(DeleteTarget::Tag("v2")).await.unwrap();
    assert_eq!(layout.collect_garbage(garbage(true)).await.unwrap(), CollectedGarbage::default());
    layout.push(&tagged, PushMode::Tagged("v2")).await.unwrap();
    layout.push(&all, PushMode::Tagged("v2")).await.unwrap();
    // A manifest that was resolved recently stays listed, with its blobs.
    push_all(&layout, &[&two, &untagged]).await;
    age(layout.path());
    let digest = untagged.descriptor().digest.to_string();
    open_recording(&layout).await.resolve(&digest).await.unwrap();
    assert_eq!(layout.collect_garbage(garbage(true)).await.unwrap(), CollectedGarbage::default());
    assert_eq!(layout.resolve(&digest).await.unwrap(), *untagged.descriptor());
    assert!(has(&layout, &two));
}

#[tokio::test]
async fn deletes_nothing_while_a_manifest_is_unreadable() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let (needed, spare) = (blob("needed"), blob("spare"));
    let image = manifest("image", &[&needed]);
    push_all(&layout, &[&needed, &spare, &image]).await;
    let path = blob_path(layout.path(), &image.descriptor().digest);
    std::fs::remove_file(&path).unwrap();
    oras_fs::replace(&path, b"{ damaged", 0o644).unwrap();
    age(layout.path());
    let error = layout.collect_garbage(garbage(false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidContent);
    assert!(error.to_string().contains(&image.descriptor().digest.to_string()), "{error}");
    assert!(has(&layout, &needed) && has(&layout, &spare));
}

/// An entry of an unknown media type, which another tool wrote, keeps every digest in its text.
#[tokio::test]
async fn keeps_digests_in_manifests_of_unknown_types() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let [one, two, spare] = ["one", "two", "spare"].map(blob);
    push_all(&layout, &[&one, &two, &spare]).await;
    let kind = MediaType::new("application/vnd.other.manifest");
    let names = |content: &Content| format!(r#"{{"fsLayers":[{{"x":"{}"}}]}}"#, content.descriptor().digest);
    let (listed, below) = (Content::of(kind.clone(), names(&one)), Content::of(kind, names(&two)));
    push_all(&layout, &[&listed, &below]).await;
    let all = index(&[&below]);
    layout.push(&all, PushMode::Tagged("v1")).await.unwrap();
    layout.push(&listed, PushMode::Tagged("v2")).await.unwrap();
    age(layout.path());
    layout.collect_garbage(garbage(true)).await.unwrap();
    assert!(has(&layout, &one) && has(&layout, &two) && !has(&layout, &spare));
}

/// A process that is killed while it removes a blob leaves the renamed file.
#[tokio::test]
async fn recovers_a_blob_whose_removal_was_interrupted() {
    let place = tempfile::tempdir().unwrap();
    let layout = fresh(&place).await;
    let content = blob("claimed");
    push_all(&layout, &[&content]).await;
    age(layout.path());
    let Descriptor { digest, .. } = content.descriptor();
    let aside = layout.path().join(format!(".oras-gone-sha256-{}", digest.encoded()));
    std::fs::rename(blob_path(layout.path(), digest), &aside).unwrap();
    let again = Layout::open_or_create(layout.path()).await.unwrap();
    assert!(has(&again, &content) && !aside.exists());
    assert_eq!(Digest::sha256(&std::fs::read(blob_path(layout.path(), digest)).unwrap()), *digest);
}
