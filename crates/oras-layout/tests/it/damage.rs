//! Damaged blobs, symbolic links, and killed processes.

use std::fs;
use std::sync::Arc;

use oras_layout::Layout;
use oras_spec::Descriptor;
use oras_store::{Content, ErrorKind, PushMode, Pushed, Source, Target};
use oras_testkit::nodes::{self, blob, bytes, manifest, push_all};

use crate::{Directories, blob_path, index_of, names};

async fn read(layout: &Layout, descriptor: &Descriptor) -> oras_store::Result<bytes::Bytes> {
    let source: Arc<dyn Source> = Arc::new(layout.clone());
    nodes::read(&source, descriptor).await
}

/// Replaces the bytes of a blob.
fn spoil(layout: &Layout, content: &Content, bytes: &[u8]) {
    let path = blob_path(layout.path(), &content.descriptor().digest);
    fs::remove_file(&path).unwrap();
    oras_fs::replace(&path, bytes, 0o644).unwrap();
}

#[tokio::test]
async fn rejects_damaged_blobs() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    for length in [10, 600_000] {
        let content = blob(bytes(length));
        layout.push(&content, PushMode::Untagged).await.unwrap();
        let mut flipped = bytes(length).to_vec();
        flipped[length / 2] ^= 1;
        spoil(&layout, &content, &flipped);
        assert_eq!(read(&layout, content.descriptor()).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
        for other in [length - 1, length + 1] {
            spoil(&layout, &content, &bytes(length + 1)[..other]);
            assert_eq!(
                read(&layout, content.descriptor()).await.unwrap_err().kind(),
                ErrorKind::SizeMismatch
            );
        }
        // A file of another length is replaced with the right content.
        assert!(!layout.exists(content.descriptor()).await.unwrap());
        assert_eq!(layout.push(&content, PushMode::Untagged).await.unwrap(), Pushed::Copied);
        assert_eq!(read(&layout, content.descriptor()).await.unwrap(), bytes(length));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn follows_links_to_regular_files() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let (inside, outside) = (blob("inside"), blob("outside"));
    for content in [&inside, &outside] {
        layout.push(content, PushMode::Untagged).await.unwrap();
    }
    let path = |content: &Content| blob_path(layout.path(), &content.descriptor().digest);
    fs::rename(path(&inside), layout.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../../elsewhere", path(&inside)).unwrap();
    assert_eq!(read(&layout, inside.descriptor()).await.unwrap(), "inside");

    let target = layout.path().with_file_name("secret");
    fs::rename(path(&outside), &target).unwrap();
    std::os::unix::fs::symlink(&target, path(&outside)).unwrap();
    assert_eq!(read(&layout, outside.descriptor()).await.unwrap(), "outside");
    // The target of a link is verified like any other blob.
    fs::remove_file(&target).unwrap();
    std::io::Write::write_all(&mut fs::File::create(&target).unwrap(), b"another").unwrap();
    let error = read(&layout, outside.descriptor()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error:?}");

    fs::remove_file(path(&outside)).unwrap();
    fs::create_dir(path(&outside)).unwrap();
    let error = read(&layout, outside.descriptor()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidContent, "{error:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn rejects_a_pipe_as_a_blob() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let content = blob("content");
    layout.push(&content, PushMode::Untagged).await.unwrap();
    let path = blob_path(layout.path(), &content.descriptor().digest);
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    let patience = std::time::Duration::from_secs(10);
    let result = tokio::time::timeout(patience, read(&layout, content.descriptor())).await;
    assert_eq!(result.expect("opening a pipe waits for ever").unwrap_err().kind(), ErrorKind::InvalidContent);
}

#[tokio::test]
async fn pushes_a_manifest_without_an_index_entry_again() {
    // A process that is killed between the two steps of a push leaves a blob that no index names.
    let directories = Directories::new();
    let layout = directories.fresh().await;
    let node = manifest("a", &[]);
    push_all(&layout, &[&node]).await;
    let empty = br#"{"schemaVersion":2,"manifests":[]}"#;
    oras_fs::replace(&layout.path().join("index.json"), empty, 0o666).unwrap();
    assert!(!layout.exists(node.descriptor()).await.unwrap());
    assert_eq!(layout.push(&node, PushMode::Untagged).await.unwrap(), Pushed::Existed);
    assert!(layout.exists(node.descriptor()).await.unwrap());
    assert_eq!(index_of(layout.path())["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn leaves_no_files_after_failures() {
    let directories = Directories::new();
    let layout = directories.fresh().await;
    layout.push(&blob("there"), PushMode::Untagged).await.unwrap();
    for length in [10, 600_000] {
        let content = blob(bytes(length));
        let bad = nodes::pieces([bytes(length + 1).slice(1..)]);
        layout.push(&Content::once(content.descriptor().clone(), bad), PushMode::Untagged).await.unwrap_err();
    }
    assert_eq!(names(layout.path()), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(names(&layout.path().join("blobs/sha256")).len(), 1);
}

#[tokio::test]
async fn reports_a_layout_that_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    oras_fs::replace(&file, b"x", 0o666).unwrap();
    let layout = Layout::open_or_create(file.join("layout")).await;
    let error = match layout {
        Ok(layout) => layout.push(&blob("x"), PushMode::Untagged).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(error.chain().contains("layout"), "{error:?}");
    assert_eq!(fs::read(&file).unwrap(), b"x");
}
