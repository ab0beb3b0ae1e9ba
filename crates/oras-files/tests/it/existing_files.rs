//! Existing files with the right content are neither fetched nor written.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use oras_files::{Collection, FileTarget, PullOptions};
use oras_spec::{Descriptor, MediaType, json};
use oras_store::{ByteStream, Content, ErrorKind, Origin, PushMode, Result, Source, Target};

fn write(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// A source that counts the fetched bytes.
struct Counted {
    collection: Collection,
    asked: Mutex<u64>,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Source for Counted {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        self.collection.resolve(reference).await
    }

    async fn resolve_with_bytes(&self, reference: &str) -> Result<(Descriptor, Option<Bytes>)> {
        self.collection.resolve_with_bytes(reference).await
    }

    /// Every read goes through [`Source::fetch`], where it is counted.
    fn origin(&self, _: &Descriptor) -> Origin {
        Origin::Opaque
    }

    async fn fetch(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        *self.asked.lock().unwrap() += range.end - range.start;
        self.collection.fetch(descriptor, range).await
    }
}

struct Artifact {
    source: Arc<Counted>,
    layers: Vec<Descriptor>,
}

impl Artifact {
    /// Adds the files at these paths.
    async fn of(work: &Path, titles: &[&str]) -> Self {
        let (collection, mut layers) = (Collection::new(), Vec::new());
        for title in titles {
            layers.push(collection.add(title, &work.join(title), None).await.unwrap());
        }
        Self { source: Arc::new(Counted { collection, asked: Mutex::default() }), layers }
    }

    fn content(&self, layer: &Descriptor) -> Content {
        Content::from_source(Arc::clone(&self.source) as _, layer.clone())
    }

    /// Pulls everything. Returns the number of fetched bytes.
    async fn pull(&self, target: &FileTarget) -> Result<u64> {
        *self.source.asked.lock().unwrap() = 0;
        for layer in &self.layers {
            target.push(&self.content(layer), PushMode::Untagged).await?;
        }
        target.commit().await?;
        Ok(*self.source.asked.lock().unwrap())
    }

    fn size(&self) -> u64 {
        self.layers.iter().map(|layer| layer.size).sum()
    }
}

fn into(output: &Path) -> FileTarget {
    FileTarget::new(output.to_owned(), PullOptions::default())
}

#[tokio::test]
async fn keeps_existing_files() {
    let work = tempfile::tempdir().unwrap();
    write(work.path().join("a"), b"one");
    write(work.path().join("x/b"), b"three");
    let artifact = Artifact::of(work.path(), &["a", "x/b"]).await;
    let out = work.path().join("out");
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), artifact.size());
    fs::set_permissions(out.join("a"), Permissions::from_mode(0o600)).unwrap();
    let before = fs::metadata(out.join("a")).unwrap();
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 0);
    let after = fs::metadata(out.join("a")).unwrap();
    assert_eq!(
        (before.ino(), before.mtime_nsec(), 0o600),
        (after.ino(), after.mtime_nsec(), after.mode() & 0o777)
    );

    write(out.join("a"), b"two");
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 3, "of the same size, but another");
    assert_eq!(fs::read(out.join("a")).unwrap(), b"one");

    let options = PullOptions::default().keep_old_files(true);
    let refused = artifact.pull(&FileTarget::new(out.clone(), options)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 2, "nothing is left behind");
}

#[tokio::test]
async fn replaces_existing_links() {
    let work = tempfile::tempdir().unwrap();
    write(work.path().join("a"), b"one");
    write(work.path().join("x/b"), b"three");
    let artifact = Artifact::of(work.path(), &["a", "x/b"]).await;
    let out = work.path().join("out");
    write(out.join("elsewhere/b"), b"three");
    symlink("../a", out.join("a")).unwrap();
    symlink("elsewhere", out.join("x")).unwrap();
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), artifact.size());
    assert!(fs::symlink_metadata(out.join("a")).unwrap().is_file());
}

#[tokio::test]
async fn keeps_an_existing_directory() {
    let work = tempfile::tempdir().unwrap();
    let d = work.path().join("d");
    write(d.join("a"), &vec![b'a'; 100_000]);
    write(d.join("x/run"), b"#!/bin/sh\n");
    fs::set_permissions(d.join("x/run"), Permissions::from_mode(0o755)).unwrap();
    symlink("a", d.join("link")).unwrap();
    let artifact = Artifact::of(work.path(), &["d"]).await;
    let out = work.path().join("out");
    let all = artifact.size();
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), all);
    let before = fs::metadata(out.join("d/a")).unwrap().ino();
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 0);
    assert_eq!(fs::metadata(out.join("d/a")).unwrap().ino(), before);

    let changes: [fn(&Path); 4] = [
        |d| write(d.join("a"), &vec![b'b'; 100_000]),
        |d| write(d.join("more"), b""),
        |d| fs::set_permissions(d.join("x/run"), Permissions::from_mode(0o644)).unwrap(),
        |d| fs::remove_file(d.join("link")).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let out = work.path().join(format!("out-{number}"));
        artifact.pull(&into(&out)).await.unwrap();
        change(&out.join("d"));
        assert_eq!(artifact.pull(&into(&out)).await.unwrap(), all, "change {number}");
        assert_eq!(fs::read(out.join("d/a")).unwrap(), vec![b'a'; 100_000]);
        assert!(fs::symlink_metadata(out.join("d/link")).unwrap().is_symlink());
    }
}

#[tokio::test]
async fn keeps_an_existing_file_inside_a_pulled_directory() {
    let work = tempfile::tempdir().unwrap();
    write(work.path().join("d/f"), b"of the directory");
    write(work.path().join("d/g"), b"g");
    let directory = Artifact::of(work.path(), &["d"]).await;
    write(work.path().join("d/f"), b"of its own");
    let file = Artifact::of(work.path(), &["d/f"]).await;
    let out = work.path().join("out");
    write(out.join("d/f"), b"of its own");
    let target = into(&out);
    target.push(&file.content(&file.layers[0]), PushMode::Untagged).await.unwrap();
    target.push(&directory.content(&directory.layers[0]), PushMode::Untagged).await.unwrap();
    target.commit().await.unwrap();
    assert_eq!(*file.source.asked.lock().unwrap(), 0);
    assert_eq!(fs::read(out.join("d/f")).unwrap(), b"of its own");
    assert_eq!(fs::read(out.join("d/g")).unwrap(), b"g");
}

#[tokio::test]
async fn copies_an_existing_file_to_another_title() {
    let work = tempfile::tempdir().unwrap();
    write(work.path().join("a"), b"one");
    write(work.path().join("b"), b"one");
    let artifact = Artifact::of(work.path(), &["a", "b"]).await;
    let out = work.path().join("out");
    write(out.join("a"), b"one");
    let layers = json::to_vec(&artifact.layers);
    let manifest = [&br#"{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2},"layers":"#[..], &layers, b"}"].concat();
    let target = into(&out);
    target.push(&artifact.content(&artifact.layers[0]), PushMode::Untagged).await.unwrap();
    target.push(&Content::of(MediaType::IMAGE_MANIFEST, manifest), PushMode::Untagged).await.unwrap();
    target.commit().await.unwrap();
    assert_eq!(*artifact.source.asked.lock().unwrap(), 0);
    assert_eq!(fs::read(out.join("b")).unwrap(), b"one");
}

/// The file has the same size and times but other bytes, so only hashing detects the change.
#[tokio::test]
async fn fetches_changed_bytes_under_unchanged_times() {
    let work = tempfile::tempdir().unwrap();
    write(work.path().join("big"), &[7; 2 << 20]);
    let artifact = Artifact::of(work.path(), &["big"]).await;
    let out = work.path().join("out");
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 2 << 20);
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 0);
    let big = out.join("big");
    let modified = fs::metadata(&big).unwrap().modified().unwrap();
    let mut file = File::options().write(true).open(&big).unwrap();
    file.write_all(b"8").unwrap();
    file.set_modified(modified).unwrap();
    assert_eq!(artifact.pull(&into(&out)).await.unwrap(), 2 << 20);
    assert_eq!(fs::read(&big).unwrap(), [7; 2 << 20]);
}
