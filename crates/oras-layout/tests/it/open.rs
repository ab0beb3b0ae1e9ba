//! Opening a layout, which changes nothing, and rejecting other directories.

use std::fs;

use futures::TryStreamExt;
use oras_layout::Layout;
use oras_store::{ErrorKind, PushMode, ReadStore, Source, Target};
use oras_testkit::nodes::{self, blob, manifest, push_all};

use crate::{index_of, names};

#[tokio::test]
async fn creates_nothing_before_the_first_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/layout");
    let layout = Layout::open_or_create(&path).await.unwrap();
    assert_eq!(layout.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(layout.tags_after(None).try_collect::<Vec<_>>().await.unwrap().is_empty());
    assert!(!layout.exists(blob("x").descriptor()).await.unwrap());
    assert!(layout.predecessors_are_empty().await);
    assert_eq!(names(directory.path()), Vec::<String>::new());

    layout.push(&blob("x"), PushMode::Untagged).await.unwrap();
    assert_eq!(names(&path), ["blobs", "index.json", "oci-layout"]);
    assert_eq!(fs::read(path.join("oci-layout")).unwrap(), br#"{"imageLayoutVersion":"1.0.0"}"#);
    assert_eq!(
        fs::read(path.join("index.json")).unwrap(),
        br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
    );
    Layout::open(&path).await.unwrap();
}

trait AskNothing {
    async fn predecessors_are_empty(&self) -> bool;
}

impl AskNothing for Layout {
    async fn predecessors_are_empty(&self) -> bool {
        self.predecessors(blob("x").descriptor(), None).await.unwrap().is_empty()
    }
}

#[tokio::test]
async fn rejects_directories_that_are_not_layouts() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let error = Layout::open(root.join("absent")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.chain().starts_with("failed to find path \""), "{error:?}");

    fs::create_dir(root.join("empty")).unwrap();
    let error = Layout::open(root.join("empty")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidContent);
    let expected = "invalid OCI Image Layout: failed to open OCI layout file: open oci-layout: no such file or directory";
    assert_eq!(error.chain(), expected);

    let file = root.join("file");
    oras_fs::replace(&file, b"x", 0o666).unwrap();
    assert!(Layout::open(&file).await.is_err());
    assert!(Layout::open_or_create(&file).await.is_err());

    let marker = root.join("empty/oci-layout");
    for text in ["", "{}", r#"{"imageLayoutVersion":"2.0.0"}"#] {
        oras_fs::replace(&marker, text.as_bytes(), 0o666).unwrap();
        for error in [
            Layout::open(root.join("empty")).await.unwrap_err(),
            Layout::open_or_create(root.join("empty")).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidContent, "{text}");
            assert!(error.chain().starts_with("invalid OCI Image Layout"), "{error:?}");
        }
    }
    oras_fs::replace(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#, 0o666).unwrap();
    for text in ["", "[]", r#"{"manifests":1}"#, r#"{"manifests":[{}]}"#, r#"{"a":1,"a":2}"#] {
        oras_fs::replace(&root.join("empty/index.json"), text.as_bytes(), 0o666).unwrap();
        for error in [
            Layout::open(root.join("empty")).await.unwrap_err(),
            Layout::open_or_create(root.join("empty")).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidContent, "{text}");
            assert!(error.chain().contains("invalid OCI Image Index"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn keeps_other_files_in_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    oras_fs::replace(&root.join("mine.txt"), b"mine", 0o644).unwrap();
    let layout = Layout::open_or_create(root).await.unwrap();
    let node = manifest("a", &[]);
    push_all(&layout, &[&node]).await;
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    assert_eq!(names(root), ["blobs", "index.json", "mine.txt", "oci-layout"]);
    assert_eq!(fs::read(root.join("mine.txt")).unwrap(), b"mine");
}

#[cfg(unix)]
#[tokio::test]
async fn reads_a_read_only_layout() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("layout");
    let node = manifest("a", &[]);
    let layout = Layout::open_or_create(&root).await.unwrap();
    push_all(&layout, &[&node]).await;
    layout.push(&node, PushMode::Tagged("v1")).await.unwrap();
    let blob = crate::blob_path(&root, &node.descriptor().digest);
    assert_eq!(fs::metadata(&blob).unwrap().permissions().mode() & 0o777, 0o444);

    let all = |mode| {
        for path in ["", "blobs", "blobs/sha256"] {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    all(0o555);
    let layout: std::sync::Arc<dyn Source> = std::sync::Arc::new(Layout::open(&root).await.unwrap());
    let found = layout.resolve("v1").await.unwrap();
    assert_eq!(nodes::read(&layout, &found).await.unwrap(), node.in_memory().unwrap());
    all(0o755);
    assert_eq!(index_of(&root)["manifests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn deletes_stale_files_of_killed_processes() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("layout");
    let layout = Layout::open_or_create(&root).await.unwrap();
    layout.push(&blob("x"), PushMode::Untagged).await.unwrap();
    fs::create_dir(root.join("ingest")).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(25 * 60 * 60);
    for (name, modified) in [("ingest/old", Some(old)), ("ingest/new", None), (".oras-old", Some(old))] {
        let file = fs::File::create(root.join(name)).unwrap();
        if let Some(modified) = modified {
            file.set_modified(modified).unwrap();
        }
    }
    Layout::open(&root).await.unwrap();
    assert_eq!(names(&root.join("ingest")), ["new", "old"], "reading removes nothing");
    Layout::open_or_create(&root).await.unwrap().push(&blob("y"), PushMode::Untagged).await.unwrap();
    assert_eq!(names(&root.join("ingest")), ["new"]);
    assert_eq!(names(&root), ["blobs", "index.json", "ingest", "oci-layout"]);
}
