//! Adding files to a collection, and reading them back.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oras_files::{Collection, Prepared};
use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Content, ErrorKind, Source};

fn create(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

#[tokio::test]
async fn describes_and_reads_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hi.txt");
    let bytes = b"0123456789".repeat(300_000);
    create(&path, &bytes);
    std::os::unix::fs::symlink("hi.txt", directory.path().join("link")).unwrap();
    let collection = Arc::new(Collection::new());
    let layer = collection.add("hi.txt", &path, None).await.unwrap();
    assert_eq!(layer.title(), Some("hi.txt"));
    assert_eq!(layer.plain(), Descriptor::of(MediaType::LAYER_TAR, &bytes));
    let linked =
        collection.add("link", &directory.path().join("link"), Some(MediaType::new("a/b"))).await.unwrap();
    assert_eq!(linked.plain(), Descriptor::of(MediaType::new("a/b"), &bytes));
    assert_eq!(Content::from_source(collection, layer).bytes(u64::MAX).await.unwrap(), bytes);
}

#[tokio::test]
async fn frees_a_title_after_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hi.txt");
    let collection = Collection::new();
    let detour = directory.path().join("x/../hi.txt");
    let error = collection.add("hi.txt", &detour, None).await.unwrap_err();
    assert_eq!(error.chain(), format!("stat {}: no such file or directory", path.display()));
    create(&path, b"hi");
    collection.add("hi.txt", &path, None).await.unwrap();
    let error = collection.add("hi.txt", &path, None).await.unwrap_err();
    assert_eq!((error.kind(), error.chain().as_str()), (ErrorKind::AlreadyExists, "hi.txt: duplicate name"));
}

#[tokio::test]
async fn rejects_changed_files() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hi.txt");
    create(&path, &[7; 1 << 20]);
    let collection = Arc::new(Collection::new());
    let layer = collection.add("hi.txt", &path, None).await.unwrap();
    let later = SystemTime::now() + Duration::from_secs(9);
    File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
    let error = Content::from_source(collection, layer).bytes(1 << 20).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidContent);
    assert_eq!(error.chain(), format!("{} changed while it was being pushed", path.display()));
}

/// A small file is kept in memory when it is hashed, so later changes have no effect.
#[tokio::test]
async fn reads_small_files_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hi.txt");
    create(&path, b"before");
    let collection = Arc::new(Collection::new());
    let Prepared::Described(layer) = collection.prepare("hi.txt", &path, None).await.unwrap() else {
        panic!("a small file takes no time");
    };
    create(&path, b"behind");
    assert_eq!(Content::from_source(collection, layer).bytes(9).await.unwrap(), "before");
}

/// The first of several files with one title gets the title, even if they are prepared concurrently.
#[tokio::test]
async fn prepares_files_concurrently_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let collection = Collection::new();
    let names: Vec<String> = (0..200).map(|n| format!("{n}.txt")).collect();
    for name in &names {
        create(&directory.path().join(name), name.as_bytes());
    }
    let paths: Vec<_> = names.iter().map(|name| (name.clone(), directory.path().join(name))).collect();
    let all = paths.iter().map(|(name, path)| collection.prepare(name, path, None));
    for (found, name) in futures::future::join_all(all).await.into_iter().zip(&names) {
        let Prepared::Described(layer) = found.unwrap() else { panic!("{name}") };
        assert_eq!(layer.title(), Some(name.as_str()));
        assert_eq!(layer.digest, Digest::sha256(name.as_bytes()));
    }
    let twice = collection.prepare("0.txt", &paths[1].1, None).await.unwrap_err();
    assert_eq!(twice.chain(), "0.txt: duplicate name");
    let found = collection.prepare("d", directory.path(), None).await.unwrap();
    assert!(matches!(found, Prepared::Scanned(_)));
}

#[tokio::test]
async fn rejects_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let collection = Collection::new();
    assert_eq!(collection.add("s", &socket, None).await.unwrap_err().kind(), ErrorKind::Unsupported);
    let error = collection.add("d", directory.path(), None).await.unwrap_err();
    assert!(error.chain().ends_with("socket: sockets cannot be packed"), "{}", error.chain());
}

#[tokio::test]
async fn reads_added_bytes_and_nothing_else() {
    let collection = Arc::new(Collection::new());
    let config = collection.add_content(Content::of(MediaType::EMPTY_JSON, "{}"));
    let other = Descriptor::of(MediaType::EMPTY_JSON, b"[]");
    assert_eq!(collection.fetch(&other, 0..2).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(collection.resolve("v1").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(Content::from_source(collection, config).bytes(9).await.unwrap(), "{}");
}

#[tokio::test]
async fn packs_directories_reproducibly_and_follows_the_given_link() {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("d");
    fs::create_dir(&tree).unwrap();
    create(&tree.join("a"), b"a\n");
    std::os::unix::fs::symlink("d", directory.path().join("link")).unwrap();
    let mut digests = Vec::new();
    for path in ["d", "link", "d/."] {
        let layer = Collection::new().add("d", &directory.path().join(path), None).await.unwrap();
        assert_eq!(layer.media_type, MediaType::LAYER_TAR_GZIP);
        digests.push(layer.digest);
    }
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?}");
}
