//! Content whose origin is a local file is copied by the system, and the copy is hashed.

use std::fs::{self, File};
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::StreamExt;
use oras_files::{FileTarget, PullOptions};
use oras_spec::{Descriptor, MediaType, annotation};
use oras_store::{
    ByteStream, Content, Error, ErrorKind, Origin, ProgressUpdate, PushMode, Result, Source, Target,
};

static BYTES: [u8; 2 << 20] = [7; 2 << 20];

/// Content with a local file as its origin, which counts the fetched bytes.
struct InFile {
    path: PathBuf,
    asked: AtomicU64,
}

#[async_trait]
impl Source for InFile {
    async fn resolve(&self, reference: &str) -> Result<Descriptor> {
        Err(Error::new(ErrorKind::NotFound, reference.to_owned()))
    }

    async fn fetch(&self, _: &Descriptor, range: Range<u64>) -> Result<ByteStream> {
        self.asked.fetch_add(range.end - range.start, Ordering::Relaxed);
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        Ok(futures::stream::iter([Ok(BYTES[range].to_vec().into())]).boxed())
    }

    fn origin(&self, _: &Descriptor) -> Origin {
        Origin::File { path: self.path.clone() }
    }
}

struct Stage {
    work: tempfile::TempDir,
    source: Arc<InFile>,
    layer: Descriptor,
}

impl Stage {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        let path = work.path().join("blob");
        File::create(&path).unwrap().write_all(&BYTES).unwrap();
        let mut layer = Descriptor::of(MediaType::LAYER_TAR, &BYTES);
        layer.annotations.insert(annotation::TITLE.into(), "big".into());
        let source = Arc::new(InFile { path, asked: AtomicU64::new(0) });
        Self { work, source, layer }
    }

    fn blob(&self) -> &Path {
        &self.source.path
    }

    /// Pulls into a new directory. Returns the numbers of fetched and of reported bytes.
    async fn pull(&self) -> (u64, u64) {
        self.source.asked.store(0, Ordering::Relaxed);
        let output = self.work.path().join("out");
        drop(fs::remove_dir_all(&output));
        let target = FileTarget::new(output.clone(), PullOptions::default());
        let passed = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&passed);
        let content = Content::from_source(Arc::clone(&self.source) as _, self.layer.clone()).with_progress(
            Arc::new(move |update| {
                let (ProgressUpdate::Transferred(bytes) | ProgressUpdate::Present(bytes)) = update;
                count.fetch_add(bytes, Ordering::Relaxed);
            }),
        );
        target.push(&content, PushMode::Untagged).await.unwrap();
        target.commit().await.unwrap();
        let written = output.join("big");
        assert!(fs::read(&written).unwrap() == BYTES);
        let (blob, written) = (fs::metadata(self.blob()).unwrap(), fs::metadata(written).unwrap());
        assert!(blob.ino() != written.ino(), "whoever writes into one must not write into the other");
        assert_eq!(fs::read_dir(&output).unwrap().count(), 1);
        (self.source.asked.load(Ordering::Relaxed), passed.load(Ordering::Relaxed))
    }
}

#[tokio::test]
async fn copies_a_matching_local_file() {
    let stage = Stage::new();
    assert_eq!(stage.pull().await, (0, stage.layer.size));
}

#[tokio::test]
async fn fetches_instead_of_copying_a_damaged_file() {
    let stage = Stage::new();
    let all = (stage.layer.size, stage.layer.size);
    let modified = fs::metadata(stage.blob()).unwrap().modified().unwrap();
    let mut blob = File::options().write(true).open(stage.blob()).unwrap();
    blob.write_all(b"8").unwrap();
    blob.set_modified(modified).unwrap();
    assert_eq!(stage.pull().await, all);
    blob.set_len(1 << 20).unwrap();
    assert_eq!(stage.pull().await, all);
    // A link to the right bytes.
    let elsewhere = stage.work.path().join("elsewhere");
    fs::rename(stage.blob(), &elsewhere).unwrap();
    File::create(&elsewhere).unwrap().write_all(&BYTES).unwrap();
    symlink(&elsewhere, stage.blob()).unwrap();
    assert_eq!(stage.pull().await, all);
}
