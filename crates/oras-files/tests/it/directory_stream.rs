//! Sending a directory while it is packed, to a store that fails.

use std::fs::{self, File};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use oras_files::Collection;
use oras_spec::{Descriptor, Digest};
use oras_store::{
    Content, Error, ErrorKind, Ingest, IngestOptions, IngestTarget, ProgressUpdate, PushMode, Pushed, Result,
    Target, Written,
};

/// A target that accepts one chunk and fails with this kind of error at the next.
#[derive(Clone, Copy)]
struct Fails(ErrorKind);

#[async_trait]
impl Target for Fails {
    async fn exists(&self, _: &Descriptor) -> Result<bool> {
        Ok(false)
    }

    async fn push(&self, _: &Content, _: PushMode<'_>) -> Result<Pushed> {
        Err(Error::new(self.0, "no"))
    }
}

#[async_trait]
impl IngestTarget for Fails {
    async fn begin(&self, _: IngestOptions<'_>) -> Result<Box<dyn Ingest>> {
        Ok(Box::new(Failing(self.0, 0)))
    }
}

struct Failing(ErrorKind, u64);

#[async_trait]
impl Ingest for Failing {
    async fn write(&mut self, chunks: Vec<Bytes>) -> Result<()> {
        for chunk in chunks {
            if self.1 > 0 {
                return Err(Error::new(self.0, "no"));
            }
            self.1 += chunk.len() as u64;
        }
        Ok(())
    }

    fn pause(&mut self) -> Written {
        Written { size: self.1, read_back: None }
    }

    async fn commit(self: Box<Self>, _: Option<&Digest>) -> Result<Descriptor> {
        Err(Error::new(self.0, "no"))
    }
}

#[tokio::test]
async fn packs_to_a_file_after_network_errors_only() {
    let work = tempfile::tempdir().unwrap();
    let d = work.path().join("d");
    fs::create_dir(&d).unwrap();
    let noise = oras_testkit::random::bytes(1, 20 << 20);
    File::create(d.join("noise")).unwrap().write_all(&noise).unwrap();
    let expected = Collection::new().add("d", &d, None).await.unwrap();

    let collection = Arc::new(Collection::new());
    let passed = Arc::new(AtomicU64::new(0));
    let progress: oras_store::Progress = {
        let passed = Arc::clone(&passed);
        Arc::new(move |update| {
            let (ProgressUpdate::Transferred(bytes) | ProgressUpdate::Present(bytes)) = update;
            passed.fetch_add(bytes, Ordering::Relaxed);
        })
    };
    let none = || std::future::ready(Arc::default()).boxed();
    let scanned = collection.scan("d", &d, None).await.unwrap();
    let refused =
        collection.send(scanned, &Fails(ErrorKind::Denied), Arc::clone(&progress), none()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
    assert!(passed.load(Ordering::Relaxed) > 0);

    // The error freed the title.
    let scanned = collection.scan("d", &d, None).await.unwrap();
    let (node, pushed) =
        collection.send(scanned, &Fails(ErrorKind::Network), progress, none()).await.unwrap();
    assert_eq!((&node, pushed), (&expected, None));
    let bytes = Content::from_source(collection, node).bytes(64 << 20).await.unwrap();
    assert_eq!(bytes.len() as u64, expected.size);
}
