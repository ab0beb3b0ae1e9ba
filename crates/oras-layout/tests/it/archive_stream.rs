//! An archive that is written in one pass, and resumed after an interruption.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use oras_layout::store::spec::{Descriptor, MediaType};
use oras_layout::store::{Content, ErrorKind};
use oras_layout::{Archive, ArchiveStream};

/// Returns blobs of sizes that need padding, records and several chunks, in the order of the archive.
fn blobs() -> Vec<Content> {
    let sizes = [0, 1, 511, 512, 513, 3 << 20, 700_001];
    let blob = |(number, size): (usize, &usize)| {
        Content::of(MediaType::LAYER_TAR, vec![u8::try_from(number).unwrap() + 1; *size])
    };
    sizes.iter().enumerate().map(blob).collect()
}

async fn write(path: &Path, blobs: &[Content]) -> (ArchiveStream, u64) {
    let mut archive = ArchiveStream::create(path).await.unwrap();
    for blob in blobs {
        if !archive.find_written(blob.descriptor()).await.unwrap() {
            archive.append(blob).await.unwrap();
        }
    }
    let resumed = archive.resumed_bytes();
    (archive, resumed)
}

fn partial(path: &Path) -> std::path::PathBuf {
    path.with_file_name(format!(".oras-partial-{}", path.file_name().unwrap().to_str().unwrap()))
}

#[tokio::test]
async fn writes_the_same_bytes_to_files_and_writers() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let blobs = blobs();
    let entries: Vec<Descriptor> = vec![];
    let size = write(&path, &blobs).await.0.finish(&entries).await.unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, size);
    assert!(!partial(&path).exists());

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let shared = Shared::default();
    let mut archive = ArchiveStream::to_writer(shared.clone());
    for blob in &blobs {
        archive.append(blob).await.unwrap();
    }
    archive.finish(&entries).await.unwrap();
    assert!(*shared.0.lock().unwrap() == bytes);

    let archive = Archive::open(&path).await.unwrap();
    let found: Vec<_> = archive.blobs().into_iter().map(|blob| blob.digest).collect();
    let expected: Vec<_> = blobs.iter().map(|blob| blob.descriptor().digest.clone()).collect();
    assert_eq!(found, expected);
    for blob in &blobs {
        let read = archive.content(blob.descriptor()).bytes(1 << 30).await.unwrap();
        assert_eq!(Some(&read), blob.in_memory());
    }
}

#[tokio::test]
async fn resumes_at_every_kind_of_position() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let blobs = blobs();
    write(&path, &blobs).await.0.finish(&[]).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    // Cut in headers, in padding, in small and large blobs, in the index and at the end.
    let mut cuts: Vec<usize> = (0..whole.len()).step_by(250_000).collect();
    cuts.extend([1, 511, 512, 513, 1024, 1600, 2047, 2048, 2049, whole.len() - 1, whole.len()]);
    let total: u64 = blobs.iter().map(|blob| blob.descriptor().size).sum();
    for cut in cuts {
        std::fs::File::create(partial(&path)).unwrap().write_all(&whole[..cut]).unwrap();
        let fetched = Arc::new(AtomicU64::new(0));
        let counted: Vec<_> = blobs.iter().map(|blob| count(blob, &fetched)).collect();
        let (archive, resumed) = write(&path, &counted).await;
        archive.finish(&[]).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == whole, "{cut}");
        let fetched = fetched.load(Ordering::Relaxed);
        assert_eq!(fetched + resumed, total, "{cut}");
        // Everything before the cut was found: at most the headers are not content.
        assert!(fetched as usize <= whole.len() - cut, "{cut}: {fetched}");
    }
}

fn count(blob: &Content, fetched: &Arc<AtomicU64>) -> Content {
    let fetched = Arc::clone(fetched);
    blob.clone().with_progress(Arc::new(move |update| {
        if let oras_layout::store::ProgressUpdate::Transferred(bytes) = update {
            fetched.fetch_add(bytes, Ordering::Relaxed);
        }
    }))
}

#[tokio::test]
async fn wrong_bytes_of_an_earlier_run_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let blobs = blobs();
    write(&path, &blobs).await.0.finish(&[]).await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    // A flipped bit in a header, in a blob that is complete, and in the trailer.
    for at in [512, 100_000, 3_200_000, whole.len() - 1500] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        std::fs::File::create(partial(&path)).unwrap().write_all(&damaged).unwrap();
        write(&path, &blobs).await.0.finish(&[]).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == whole, "{at}");
    }
    // A flipped bit in the beginning of a blob is found at its end. The next run fetches the blob again.
    let mut damaged = whole[..2_000_000].to_vec();
    damaged[100_000] ^= 4;
    std::fs::File::create(partial(&path)).unwrap().write_all(&damaged).unwrap();
    let mut archive = ArchiveStream::create(&path).await.unwrap();
    for blob in &blobs[..5] {
        assert!(archive.find_written(blob.descriptor()).await.unwrap());
    }
    assert_eq!(archive.append(&blobs[5]).await.unwrap_err().kind(), ErrorKind::DigestMismatch);
    assert_eq!(archive.append(&blobs[6]).await.unwrap_err().kind(), ErrorKind::Unsupported);
    drop(archive);
    write(&path, &blobs).await.0.finish(&[]).await.unwrap();
    assert!(std::fs::read(&path).unwrap() == whole);
}

#[tokio::test]
async fn missing_content_leaves_the_archive_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar");
    let blobs = blobs();
    let empty = Arc::new(oras_layout::Layout::open_or_create(directory.path().join("empty")).await.unwrap());
    let absent = Content::from_source(empty, Descriptor::of(MediaType::LAYER_TAR, b"absent"));
    let mut archive = ArchiveStream::create(&path).await.unwrap();
    archive.append(&blobs[3]).await.unwrap();
    assert_eq!(archive.append(&absent).await.unwrap_err().kind(), ErrorKind::NotFound);
    archive.append(&blobs[4]).await.unwrap();
    archive.finish(&[]).await.unwrap();
    assert_eq!(Archive::open(&path).await.unwrap().blobs().len(), 2);

    // Two writers cannot share the partial file, and a writer without progress leaves none.
    let first = ArchiveStream::create(&path).await.unwrap();
    assert_eq!(ArchiveStream::create(&path).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(first);
    assert!(!partial(&path).exists());
}
