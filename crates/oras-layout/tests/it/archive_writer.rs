//! Writing a layout into a tar archive, which is complete or does not exist, and which other tools can read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use oras_layout::{Archive, ArchiveWriter};
use oras_spec::{Algorithm, Descriptor, Hasher, MediaType};
use oras_store::{Content, Error, ErrorKind, PushMode, Pushed, ReadStore, Source, Target};
use oras_testkit::nodes::{self, blob, bytes, empty, index, manifest, pieces, push_all, referrer};
use oras_testkit::peers::{self, run};

use crate::names;

async fn read(archive: &Archive, content: &Content) -> oras_store::Result<bytes::Bytes> {
    let source: Arc<dyn Source> = Arc::new(archive.clone());
    nodes::read(&source, content.descriptor()).await
}

/// Returns the names in an archive, in order.
fn entries(path: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(fs::File::open(path).unwrap());
    let entries = archive.entries().unwrap();
    entries.map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_each_blob_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    let writer = ArchiveWriter::create(&path).await.unwrap();
    assert!(!path.exists());
    let blobs: Vec<_> = (0..40).map(|number| blob(bytes(number * 100_000 + number))).collect();
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"sha512");
    let named = Descriptor::new(MediaType::LAYER_TAR, hasher.finish(), 6);
    let named = Content::from_bytes(named, "sha512").unwrap();
    // All blobs are pushed concurrently, some twice, and none of them from memory.
    let once = |content: &Content| {
        let chunks: Vec<_> = content.in_memory().unwrap().chunks(70_001).map(<[u8]>::to_vec).collect();
        Content::once(content.descriptor().clone(), pieces(chunks.into_iter().map(Into::into)))
    };
    let pushes = blobs.iter().chain(&blobs[..20]).map(|content| {
        let (writer, content) = (writer.clone(), once(content));
        async move { writer.push(&content, PushMode::Untagged).await.unwrap() }
    });
    let outcomes = futures::future::join_all(pushes).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Pushed::Copied).count(), 40);
    let layers: Vec<_> = blobs.iter().chain([&named]).collect();
    let node = manifest("node", &layers);
    let sbom = referrer("sbom", "application/vnd.test.sbom", &node);
    let both = index(&[&node]);
    push_all(&writer, &[&named, &node, &sbom]).await;
    writer.push(&both, PushMode::Tagged("v1")).await.unwrap();
    writer.push(&node, PushMode::Tagged("old")).await.unwrap();
    writer.push(&both, PushMode::Tagged("old")).await.unwrap();
    assert_eq!(writer.push(&node, PushMode::Untagged).await.unwrap(), Pushed::Existed);
    assert!(writer.exists(node.descriptor()).await.unwrap());
    assert_eq!(names(directory.path()).len(), 1, "one file, under no name of its own");
    let size = writer.finish().await.unwrap();
    assert_eq!(names(directory.path()), ["x.tar"]);
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    for error in [
        writer.finish().await.unwrap_err(),
        writer.push(&blob("late"), PushMode::Untagged).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    let archive = Archive::open(&path).await.unwrap();
    assert_eq!(archive.tags_after(None).try_collect::<Vec<_>>().await.unwrap(), ["old", "v1"]);
    assert_eq!(archive.resolve("old").await.unwrap().digest, both.descriptor().digest);
    assert_eq!(archive.predecessors(node.descriptor(), None).await.unwrap().len(), 1);
    for content in layers.into_iter().chain([&node, &sbom, &both]) {
        assert_eq!(Some(&read(&archive, content).await.unwrap()), content.in_memory());
    }
    let names = entries(&path);
    assert_eq!(names[..2], ["blobs/", "blobs/sha256/"]);
    assert_eq!(names[names.len() - 2..], ["index.json", "oci-layout"]);
    assert_eq!(names.len(), 4 + 40 + 1 + 1 + 4, "{names:?}");
}

#[tokio::test]
async fn writes_an_empty_layout() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    ArchiveWriter::create(&path).await.unwrap().finish().await.unwrap();
    assert_eq!(entries(&path), ["blobs/", "index.json", "oci-layout"]);
    let archive = Archive::open(&path).await.unwrap();
    assert!(archive.tags_after(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
}

#[tokio::test]
async fn overwrites_content_that_fails_verification() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.tar");
    let writer = ArchiveWriter::create(&path).await.unwrap();
    for length in [5, 300_000, 3_000_000] {
        let good = blob(bytes(length));
        let mut flipped = bytes(length).to_vec();
        flipped[length / 2] ^= 1;
        for (wrong, kind) in [
            (flipped.clone(), ErrorKind::DigestMismatch),
            (bytes(length)[1..].to_vec(), ErrorKind::SizeMismatch),
            (bytes(length + 1000).to_vec(), ErrorKind::SizeMismatch),
        ] {
            let bad = Content::once(good.descriptor().clone(), pieces([wrong.into()]));
            assert_eq!(writer.push(&bad, PushMode::Untagged).await.unwrap_err().kind(), kind);
            assert!(!writer.exists(good.descriptor()).await.unwrap());
        }
        let cut =
            stream::iter([Ok(bytes(length).slice(..length / 2)), Err(Error::new(ErrorKind::Network, "cut"))]);
        let bad = Content::once(good.descriptor().clone(), cut.boxed());
        assert_eq!(writer.push(&bad, PushMode::Untagged).await.unwrap_err().kind(), ErrorKind::Network);
        // A cancelled push unlocks the archive for the next push, and its content is not in the archive.
        let stuck = stream::iter([Ok(bytes(length).slice(..length / 2))]).chain(stream::pending());
        let bad = Content::once(good.descriptor().clone(), stuck.boxed());
        assert!(
            tokio::time::timeout(Duration::from_millis(50), writer.push(&bad, PushMode::Untagged))
                .await
                .is_err()
        );
        assert_eq!(writer.push(&good, PushMode::Untagged).await.unwrap(), Pushed::Copied);
    }
    let node = manifest("node", &[]);
    let other = manifest("edon", &[]).in_memory().unwrap().clone();
    let bad = Content::once(node.descriptor().clone(), pieces([other]));
    assert_eq!(
        writer.push(&bad, PushMode::Tagged("bad")).await.unwrap_err().kind(),
        ErrorKind::DigestMismatch
    );
    let broken = Content::of(MediaType::IMAGE_MANIFEST, "{");
    assert_eq!(writer.push(&broken, PushMode::Untagged).await.unwrap_err().kind(), ErrorKind::InvalidContent);
    // The bytes of a failed push would follow the end of the archive if the file were not truncated.
    let large = blob(bytes(2_000_000));
    let bad = Content::once(large.descriptor().clone(), pieces([bytes(1_999_999)]));
    writer.push(&bad, PushMode::Untagged).await.unwrap_err();
    let size = writer.finish().await.unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    let archive = Archive::open(&path).await.unwrap();
    for length in [5, 300_000, 3_000_000] {
        assert_eq!(read(&archive, &blob(bytes(length))).await.unwrap(), bytes(length));
    }
    assert_eq!(read(&archive, &large).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(entries(&path).len(), 7);
}

#[tokio::test]
async fn change_during_finish_is_in_the_index_or_fails() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let path = directory.path().join(format!("{round}.tar"));
        let writer = ArchiveWriter::create(&path).await.unwrap();
        let (first, second) = (manifest("first", &[]), manifest("second", &[]));
        writer.push(&first, PushMode::Untagged).await.unwrap();
        let (pushed, finished, tagged) = futures::join!(
            writer.push(&second, PushMode::Untagged),
            writer.finish(),
            writer.push(&first, PushMode::Tagged("v1")),
        );
        finished.unwrap();
        let archive = Archive::open(&path).await.unwrap();
        if pushed.is_ok() {
            // Content that the index does not list has no media type of a manifest.
            let found = archive.resolve(&second.descriptor().digest.to_string()).await.unwrap();
            assert_eq!(found.media_type, second.descriptor().media_type, "{round}");
        }
        if tagged.is_ok() {
            assert_eq!(archive.resolve("v1").await.unwrap().digest, first.descriptor().digest, "{round}");
        }
        for error in [
            writer.push(&first, PushMode::Tagged("late")).await.err(),
            writer.push(&first, PushMode::Untagged).await.err(),
        ] {
            assert_eq!(error.unwrap().kind(), ErrorKind::Unsupported);
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn replaces_a_file_only_with_a_complete_archive() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let path = root.join("x.tar");
    oras_fs::replace(&path, b"old", 0o600).unwrap();
    let writer = ArchiveWriter::create(&path).await.unwrap();
    writer.push(&empty(), PushMode::Untagged).await.unwrap();
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(root), ["x.tar"]);

    // If the path is a link, the writer replaces the file to which it leads, and keeps its permissions.
    std::os::unix::fs::symlink("x.tar", root.join("link.tar")).unwrap();
    let writer = ArchiveWriter::create(root.join("link.tar")).await.unwrap();
    writer.finish().await.unwrap();
    Archive::open(&path).await.unwrap();
    assert!(root.join("link.tar").is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    fs::create_dir(root.join("d.tar")).unwrap();
    let error = ArchiveWriter::create(root.join("d.tar")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let error = ArchiveWriter::create(root.join("no/x.tar")).await.unwrap_err();
    assert!(error.chain().ends_with("no/x.tar: no such file or directory"), "{error:?}");
    assert_eq!(names(root), ["d.tar", "link.tar", "x.tar"]);
}

#[tokio::test]
async fn other_tools_read_the_archive() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let writer = ArchiveWriter::create(at.join("x.tar")).await.unwrap();
    let layer = blob(bytes(2_500_000));
    let node = manifest("node", &[&layer]);
    let sbom = referrer("sbom", "application/vnd.test.sbom", &node);
    push_all(&writer, &[&layer, &node, &sbom]).await;
    writer.push(&node, PushMode::Tagged("v1")).await.unwrap();
    writer.finish().await.unwrap();
    let digest = &node.descriptor().digest;
    let test = "other_tools_read_the_archive";
    if let Some(oras) = peers::find_or_skip(peers::ORAS, test) {
        assert_eq!(run(&oras, at, &["resolve", "--oci-layout", "x.tar:v1"]).trim(), digest.to_string());
        let found = run(&oras, at, &["discover", "--oci-layout", "x.tar:v1", "--format", "json"]);
        assert!(found.contains("application/vnd.test.sbom"), "{found}");
        run(&oras, at, &["cp", "-r", "--from-oci-layout", "x.tar:v1", "--to-oci-layout", "go:v1"]);
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        run(&skopeo, at, &["--insecure-policy", "copy", "oci-archive:x.tar:v1", "oci:skopeo:v1"]);
        let raw = run(&skopeo, at, &["inspect", "--raw", "oci-archive:x.tar:v1"]);
        assert!(digest.verify(raw.as_bytes()).unwrap());
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        run(&regctl, at, &["image", "import", "ocidir://regctl:v1", "x.tar"]);
        let raw = run(&regctl, at, &["manifest", "get", "--format", "raw-body", "ocidir://regctl:v1"]);
        assert!(digest.verify(raw.as_bytes()).unwrap());
    }
    if let Some(tar) = peers::system_or_skip("tar", test) {
        fs::create_dir(at.join("unpacked")).unwrap();
        run(&tar, at, &["-C", "unpacked", "-xf", "x.tar"]);
        let unpacked = oras_layout::Layout::open(at.join("unpacked")).await.unwrap();
        assert_eq!(unpacked.resolve("v1").await.unwrap().digest, *digest);
    }
}
