//! Blobs on their way from an upstream into the store: each once, whoever asks for it, and read while it comes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use oras_remote::Repository;
use oras_serve::Stores;
use oras_spec::{Algorithm, Descriptor};
use oras_store::{ByteStream, Error, Kind, ReadBack, Result, Source};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::LOG_TARGET;
use super::upstream::Upstream;

/// Downloads that may be under way; beyond them blobs are not kept.
const MAX_DOWNLOADS: usize = 64;
/// The most that is read back at once: bounds the memory of a client.
const PIECE: u64 = 1 << 20;
/// A range that begins no further than this behind what came is waited for.
const NEAR: u64 = 8 << 20;
/// For so long nothing is kept after a blob could not be written: those who read it were cut off.
const FULL: Duration = Duration::from_secs(60);

/// A repository as it is called here, and a digest.
type Key = (String, String);
type Running = Arc<Mutex<HashMap<Key, Download>>>;

/// What is on its way. Dropped, all of it ends, and nothing of it stays.
#[derive(Default)]
pub(super) struct Downloads {
    running: Running,
    tasks: Mutex<JoinSet<()>>,
    /// When a blob could not be written.
    full: Arc<Mutex<Option<Instant>>>,
}

/// A blob on its way.
#[derive(Clone)]
pub(super) struct Download {
    job: Arc<Job>,
    state: watch::Receiver<State>,
}

/// What to fetch, and where to keep it.
pub(super) struct Job {
    /// The name of the repository here.
    pub(super) name: String,
    pub(super) descriptor: Descriptor,
    pub(super) upstream: Arc<Upstream>,
    pub(super) remote: Repository,
    pub(super) local: Arc<dyn Stores>,
}

/// How far a download has come.
#[derive(Clone, Default)]
struct State {
    /// Whether the upstream sends it, and the store takes it.
    begun: bool,
    /// Bytes that may be read. The last piece is kept back until all are verified and stored: whoever has been sent
    /// everything has what the digest says.
    available: u64,
    back: Option<ReadBack>,
    ended: Option<End>,
}

#[derive(Clone)]
enum End {
    Stored,
    /// The upstream did not send it, or not what it should be.
    Refused(Arc<Error>),
    /// The store could not take it.
    Unkept(Arc<Error>),
}

impl Downloads {
    fn running(&self) -> MutexGuard<'_, HashMap<Key, Download>> {
        lock(&self.running)
    }

    /// The download of the blob, if it is on its way.
    pub(super) fn find(&self, name: &str, digest: &str) -> Option<Download> {
        self.running().get(&(name.to_owned(), digest.to_owned())).cloned()
    }

    /// The download of the blob, begun if it is not on its way; `None` when there are too many, or the store takes
    /// nothing.
    pub(super) fn join(&self, job: Job) -> Option<Download> {
        let key = (job.name.clone(), job.descriptor.digest.to_string());
        let mut running = self.running();
        if let Some(download) = running.get(&key) {
            return Some(download.clone());
        }
        let is_full = lock(&self.full).is_some_and(|since| since.elapsed() < FULL);
        if running.len() >= MAX_DOWNLOADS || is_full {
            return None;
        }
        let (told, state) = watch::channel(State::default());
        let download = Download { job: Arc::new(job), state };
        running.insert(key.clone(), download.clone());
        drop(running);
        let (job, all, full) = (Arc::clone(&download.job), Arc::clone(&self.running), Arc::clone(&self.full));
        let mut tasks = lock(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // Also when the task panics: nobody must wait for it.
            let listed = Listed { all, key };
            let end = fetch(&job, &told).await;
            if let End::Unkept(error) = &end {
                let (name, error) = (&job.name, error.chain());
                tracing::error!(target: LOG_TARGET, repository = %name, %error, "a blob can't be kept");
                if told.borrow().begun {
                    *lock(&full) = Some(Instant::now());
                }
            }
            drop(listed);
            told.send_modify(|state| state.ended = Some(end));
        });
        Some(download)
    }
}

/// A download in the list of those under way, until it is dropped.
struct Listed {
    all: Running,
    key: Key,
}

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.all).remove(&self.key);
    }
}

/// Never held across an await.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// Fetches the blob into the store, telling how far it has come.
async fn fetch(job: &Job, told: &watch::Sender<State>) -> End {
    let Job { name, descriptor, upstream, remote, local } = job;
    let (digest, size) = (&descriptor.digest, descriptor.size);
    let unkept = |error| End::Unkept(Arc::new(error));
    let refused = |error| End::Refused(Arc::new(upstream.failed(name, error).error));
    // It may have come since it was looked for.
    if let Ok(Some(store)) = local.repository(name).await
        && store.resolve(&digest.to_string()).await.is_ok_and(|found| found.size == size)
    {
        return End::Stored;
    }
    let mut stream = match upstream.ask(name, None, remote.fetch(descriptor, 0..size)).await {
        Ok(stream) => stream,
        Err(failure) => return End::Refused(Arc::new(failure.error)),
    };
    let begun = async {
        let store = local.writable(name, true).await?;
        let store = store.ok_or_else(|| Error::new(Kind::Other, "the repository can't be made"))?;
        let algorithm = digest.algorithm().unwrap_or(Algorithm::Sha256);
        store.begin(descriptor.media_type.clone(), algorithm).await
    };
    let mut ingest = match begun.await {
        Ok(ingest) => ingest,
        Err(error) => return unkept(error),
    };
    let back = ingest.read_back().await;
    told.send_modify(|state| (state.begun, state.back) = (true, back));
    loop {
        let chunk = match stream.try_next().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            Err(error) => return refused(error),
        };
        let before = ingest.written();
        if before + chunk.len() as u64 > size {
            return refused(Error::new(Kind::SizeMismatch, "the blob is longer than the upstream said"));
        }
        if let Err(error) = ingest.write(chunk).await {
            return unkept(error);
        }
        let written = ingest.written();
        told.send_modify(|state| state.available = if written < size { written } else { before });
    }
    if ingest.written() < size {
        return refused(Error::new(Kind::SizeMismatch, "the blob is shorter than the upstream said"));
    }
    match ingest.commit(Some(digest)).await {
        Ok(_) => End::Stored,
        Err(error) if error.kind() == Kind::DigestMismatch => refused(error),
        Err(error) => unkept(error),
    }
}

impl Download {
    /// What is fetched.
    pub(super) fn descriptor(&self) -> &Descriptor {
        &self.job.descriptor
    }

    /// Whether what begins at `offset` is here, or will be soon.
    pub(super) fn is_near(&self, offset: u64) -> bool {
        offset <= self.state.borrow().available.saturating_add(NEAR)
    }

    /// Waits until the upstream sends it and the store takes it; `false` when the store does not.
    ///
    /// # Errors
    /// Those of the upstream.
    pub(super) async fn begun(&self) -> Result<bool> {
        let mut state = self.state.clone();
        let state =
            state.wait_for(|state| state.begun || state.ended.is_some()).await.map_err(|_| stopped())?;
        match &state.ended {
            Some(End::Refused(error)) => Err(copy(error)),
            Some(End::Unkept(_)) => Ok(false),
            Some(End::Stored) | None => Ok(true),
        }
    }

    /// The bytes within `range` as they come, an error in place of those that don't.
    pub(super) fn read(self, range: Range<u64>) -> ByteStream {
        let piece = stream::empty().boxed();
        let reader = Reader { download: self, left: range, piece, stored: false };
        stream::try_unfold(reader, |mut reader| async move {
            Ok(reader.next().await?.map(|chunk| (chunk, reader)))
        })
        .boxed()
    }
}

/// One who reads a blob while it comes.
struct Reader {
    download: Download,
    left: Range<u64>,
    /// What was opened of what is left.
    piece: ByteStream,
    /// Whether that is the store's.
    stored: bool,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.left.is_empty() {
                return Ok(None);
            }
            if let Some(mut chunk) = self.piece.try_next().await? {
                // A store may send more than it was asked for.
                let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
                chunk.truncate(wanted);
                self.left.start += chunk.len() as u64;
                return Ok(Some(chunk));
            }
            self.open().await?;
        }
    }

    /// Opens what there is by now of what is left; waits until there is some.
    async fn open(&mut self) -> Result<()> {
        let Self { download, left, .. } = self;
        let ready =
            |state: &State| state.ended.is_some() || (state.back.is_some() && state.available > left.start);
        let state = download.state.wait_for(ready).await.map_err(|_| stopped())?.clone();
        match (state.ended, state.back) {
            (Some(End::Stored), _) => {
                let short = || Error::new(Kind::SizeMismatch, "the stored blob is too short");
                if std::mem::replace(&mut self.stored, true) {
                    return Err(short());
                }
                let Job { name, descriptor, local, .. } = &*download.job;
                let store = local.repository(name).await?.ok_or_else(short)?;
                self.piece = store.fetch(descriptor, left.clone()).await?;
            }
            (Some(End::Refused(error) | End::Unkept(error)), _) => return Err(copy(&error)),
            (None, Some(back)) => {
                let end = left.end.min(state.available).min(left.start.saturating_add(PIECE));
                self.piece = back(left.start..end);
                // Nothing there: it was committed just now, and how that went is about to be told.
                match self.piece.try_next().await? {
                    Some(chunk) => {
                        let rest = std::mem::replace(&mut self.piece, stream::empty().boxed());
                        self.piece = stream::iter([Ok(chunk)]).chain(rest).boxed();
                    }
                    None => drop(download.state.wait_for(|state| state.ended.is_some()).await),
                }
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// The same error for one more who waits for it.
fn copy(error: &Arc<Error>) -> Error {
    Error::new(error.kind(), error.to_string())
}

fn stopped() -> Error {
    Error::new(Kind::Network, "the download was stopped")
}

/// `stream`, each piece of which is handed on when the next has come: an error in place of the end keeps the last
/// piece back.
pub(super) fn held_back(stream: ByteStream) -> ByteStream {
    let next = |(mut stream, mut held): (ByteStream, Option<Bytes>)| async move {
        loop {
            let chunk = stream.try_next().await?;
            let is_end = chunk.is_none();
            match std::mem::replace(&mut held, chunk) {
                Some(piece) => return Ok(Some((piece, (stream, held)))),
                None if is_end => return Ok::<_, Error>(None),
                None => {}
            }
        }
    };
    // It is asked again after its end, when the last piece was handed on.
    stream::try_unfold((stream.fuse().boxed(), None), next).boxed()
}
