//! Downloads of blobs into the cache. Each blob is downloaded once, and any number of clients can read it during the
//! download.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_remote::Repository;
use oras_serve::{Stores, Warnings};
use oras_spec::{Algorithm, Descriptor};
use oras_store::{ByteStream, Error, ErrorKind, IngestOptions, ReadBack, Result, Source};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::LOG_TARGET;
use super::upstream::Upstream;

/// The maximum number of downloads at a time. Further blobs are sent to their client without caching them.
const MAX_DOWNLOADS: usize = 64;
/// The maximum number of bytes that one client reads back at a time, which bounds its memory.
const READ_BACK_SIZE: u64 = 1 << 20;
/// A request for a range that begins at most this many bytes after the downloaded part waits for the download. For a
/// range further on, the proxy sends a request to the upstream.
const NEAR: u64 = 8 << 20;
/// The time without caching after a failed write. A failed write aborts the responses to all clients of the blob.
const WRITE_FAILURE_PERIOD: Duration = Duration::from_secs(60);

/// The local name of a repository, and a digest.
type Key = (String, String);
type Running = Arc<Mutex<HashMap<Key, Download>>>;

/// All running downloads. Dropping it cancels them and deletes their bytes.
#[derive(Default)]
pub(super) struct Downloads {
    running: Running,
    tasks: Mutex<JoinSet<()>>,
    /// When a write last failed.
    write_failed_at: Arc<Mutex<Option<Instant>>>,
}

/// A running download.
#[derive(Clone)]
pub(super) struct Download {
    job: Arc<Job>,
    progress: watch::Receiver<Progress>,
}

/// What to download, and where to cache it.
pub(super) struct Job {
    /// The local name of the repository.
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    pub(super) upstream: Arc<Upstream>,
    pub(super) remote: Repository,
    pub(super) local: Arc<dyn Stores>,
}

/// The progress of a download.
#[derive(Clone, Default)]
struct Progress {
    /// Whether the upstream sends the blob and the cache accepts it.
    has_begun: bool,
    /// The bytes that clients may read. The last piece is held back until all are verified and stored, so that a
    /// complete response always matches its digest.
    available: u64,
    read_back: Option<ReadBack>,
    ended: Option<Result<(), Failure>>,
}

/// Why a download has failed.
#[derive(Clone)]
enum Failure {
    /// The upstream did not send the blob, or sent other content.
    Upstream(Arc<Error>),
    /// The cache could not store it.
    Cache(Arc<Error>),
}

impl Downloads {
    /// Returns the running download of a blob.
    pub(super) fn find(&self, name: &str, digest: &str) -> Option<Download> {
        let running = self.running.lock();
        running.get(&(name.to_owned(), digest.to_owned())).filter(|download| download.is_running()).cloned()
    }

    /// Returns the download of a blob, starting it if necessary; `None` if there are too many, or the cache can't be
    /// written.
    pub(super) fn join(&self, job: Job) -> Option<Download> {
        let key = (job.name.clone(), job.descriptor.digest.to_string());
        // The lock covers the check and the insertion, so that two requests start one download.
        let mut running = self.running.lock();
        if let Some(download) = running.get(&key).filter(|download| download.is_running()) {
            return Some(download.clone());
        }
        let has_write_failed =
            self.write_failed_at.lock().is_some_and(|since| since.elapsed() < WRITE_FAILURE_PERIOD);
        if running.len() >= MAX_DOWNLOADS || has_write_failed {
            return None;
        }
        let (sender, progress) = watch::channel(Progress::default());
        let download = Download { job: Arc::new(job), progress };
        running.insert(key.clone(), download.clone());
        drop(running);
        let (job, all, write_failed_at) =
            (Arc::clone(&download.job), Arc::clone(&self.running), Arc::clone(&self.write_failed_at));
        let mut tasks = self.tasks.lock();
        // Finished tasks stay in the set until they are joined.
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let end = download_blob(&job, &sender).await;
            if let Err(Failure::Cache(error)) = &end {
                let (name, error) = (&job.name, error.chain());
                tracing::error!(target: LOG_TARGET, repository = %name, %error, "a blob can't be cached");
                // Before the download has begun, no client has received a byte: `has_begun` returns false, and
                // clients read from the upstream.
                if sender.borrow().has_begun {
                    *write_failed_at.lock() = Some(Instant::now());
                }
            }
            // Removed before the result is sent, so that a client that retries after it starts a new download.
            all.lock().remove(&key);
            sender.send_modify(|progress| progress.ended = Some(end));
        });
        Some(download)
    }
}

/// Downloads the blob into the cache, and reports its progress.
async fn download_blob(job: &Job, sender: &watch::Sender<Progress>) -> Result<(), Failure> {
    let Job { name, descriptor, upstream, remote, local } = job;
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let cache_failed = |error| Failure::Cache(Arc::new(error));
    let upstream_failed = |error| Failure::Upstream(Arc::new(upstream.convert_error(name, error).error));
    // Another download may have finished since the cache was searched.
    if let Ok(Some(store)) = local.repository(name, &Warnings::default()).await
        && store.resolve(&digest.to_string()).await.is_ok_and(|found| found.size == size)
    {
        return Ok(());
    }
    let stream = upstream.request(name, None, remote.fetch(descriptor, 0..size)).await;
    let mut stream = stream.map_err(|failure| Failure::Upstream(Arc::new(failure.error)))?;
    let ingest = async {
        let store = local.writable(name, true).await?;
        let store = store.ok_or_else(|| Error::new(ErrorKind::Other, "the repository can't be made"))?;
        let algorithm = digest.algorithm().unwrap_or(Algorithm::Sha256);
        store.begin(IngestOptions::new(descriptor.media_type.clone()).algorithm(algorithm)).await
    };
    let mut ingest = ingest.await.map_err(cache_failed)?;
    let read_back = ingest.pause().read_back;
    let mut written = 0;
    sender.send_modify(|progress| (progress.has_begun, progress.read_back) = (true, read_back));
    while let Some(chunk) = stream.try_next().await.map_err(upstream_failed)? {
        let before = written;
        written += chunk.len() as u64;
        if written > size {
            break;
        }
        ingest.write(vec![chunk]).await.map_err(cache_failed)?;
        // The last chunk becomes available only with the verified blob.
        let available = if written < size { written } else { before };
        sender.send_modify(|progress| progress.available = available);
    }
    if written != size {
        let difference = if written > size { "longer" } else { "shorter" };
        let message = format!("the blob is {difference} than the upstream said");
        return Err(upstream_failed(Error::new(ErrorKind::SizeMismatch, message)));
    }
    match ingest.commit(Some(digest)).await {
        Ok(_) => Ok(()),
        // The upstream sent other content, and the cache works.
        Err(error) if error.kind() == ErrorKind::DigestMismatch => Err(upstream_failed(error)),
        Err(error) => Err(cache_failed(error)),
    }
}

impl Download {
    /// Returns false if the task has panicked, so that later requests do not join a download that has ended.
    fn is_running(&self) -> bool {
        self.progress.has_changed().is_ok()
    }

    /// Returns the descriptor of the blob.
    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.job.descriptor
    }

    /// Returns true if the bytes at `offset` are downloaded, or will be soon.
    pub(super) fn is_near(&self, offset: u64) -> bool {
        offset <= self.progress.borrow().available.saturating_add(NEAR)
    }

    /// Waits until the download has begun; returns false if the cache can't store it.
    ///
    /// # Errors
    /// Errors of the upstream.
    pub(super) async fn has_begun(&self) -> Result<bool> {
        let mut progress = self.progress.clone();
        let is_known = |progress: &Progress| progress.has_begun || progress.ended.is_some();
        let progress = progress.wait_for(is_known).await.map_err(|_| stopped())?;
        match &progress.ended {
            Some(Err(Failure::Upstream(error))) => Err(copy(error)),
            Some(Err(Failure::Cache(_))) => Ok(false),
            Some(Ok(())) | None => Ok(true),
        }
    }

    /// Reads a range during the download. The stream returns an error if the download fails.
    pub(super) fn read(self, range: Range<u64>) -> ByteStream {
        let piece = stream::empty().boxed();
        let reader = Reader { download: self, left: range, piece, is_from_cache: false };
        stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        })
        .boxed()
    }
}

/// Reads a blob while it is downloaded.
struct Reader {
    download: Download,
    left: Range<u64>,
    /// The stream of the part of `left` that is being read.
    piece: ByteStream,
    /// Whether `piece` reads the stored blob.
    is_from_cache: bool,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.left.is_empty() {
                return Ok(None);
            }
            if let Some(mut chunk) = self.piece.try_next().await? {
                // A store may return more bytes than requested.
                let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
                chunk.truncate(wanted);
                self.left.start += chunk.len() as u64;
                return Ok(Some(chunk));
            }
            self.open().await?;
        }
    }

    /// Waits until more of the range is available, and opens that part.
    async fn open(&mut self) -> Result<()> {
        let Self { download, left, .. } = self;
        let ready = |progress: &Progress| {
            progress.ended.is_some() || (progress.read_back.is_some() && progress.available > left.start)
        };
        let progress = download.progress.wait_for(ready).await.map_err(|_| stopped())?.clone();
        match (progress.ended, progress.read_back) {
            (Some(Ok(())), _) => {
                let short = || Error::new(ErrorKind::SizeMismatch, "the stored blob is too short");
                // The stream of the stored blob ended before the end of the range.
                if std::mem::replace(&mut self.is_from_cache, true) {
                    return Err(short());
                }
                let Job { name, descriptor, local, .. } = &*download.job;
                let store = local.repository(name, &Warnings::default()).await?.ok_or_else(short)?;
                self.piece = store.fetch(descriptor, left.clone()).await?;
            }
            (Some(Err(Failure::Upstream(error) | Failure::Cache(error))), _) => return Err(copy(&error)),
            (None, Some(read_back)) => {
                let end = left.end.min(progress.available).min(left.start.saturating_add(READ_BACK_SIZE));
                self.piece = read_back(left.start..end);
                // An empty stream means that the file was just committed, so this waits for the result.
                match self.piece.try_next().await? {
                    Some(chunk) => {
                        let rest = std::mem::replace(&mut self.piece, stream::empty().boxed());
                        self.piece = stream::iter([Ok(chunk)]).chain(rest).boxed();
                    }
                    None => drop(download.progress.wait_for(|progress| progress.ended.is_some()).await),
                }
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// Copies an error for one of several clients. The log has the causes, which the copy omits.
fn copy(error: &Arc<Error>) -> Error {
    Error::new(error.kind(), error.to_string())
}

fn stopped() -> Error {
    Error::new(ErrorKind::Network, "the download was stopped")
}

/// Delays each piece of `stream` until the next one arrives, so that a stream that ends with an error never delivers
/// its last piece.
pub(super) fn hold_back_last_piece(stream: ByteStream) -> ByteStream {
    let next = |(mut stream, mut held): (ByteStream, Option<Bytes>)| async move {
        while let Some(chunk) = stream.try_next().await? {
            if let Some(piece) = held.replace(chunk) {
                return Ok(Some((piece, (stream, held))));
            }
        }
        Ok::<_, Error>(held.map(|piece| (piece, (stream, None))))
    };
    // Fused: it is polled again after its end, when the last piece was delivered.
    stream::try_unfold((stream.fuse().boxed(), None), next).boxed()
}
