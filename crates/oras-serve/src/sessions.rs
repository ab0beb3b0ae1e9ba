//! Uploads that are open: those in use in memory, bounded in number and age; others where the store keeps them, which
//! outlives the server.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use oras_spec::{Algorithm, MediaType};
use oras_store::{Ingest, Kind, Store};
use parking_lot::Mutex;
use tokio::sync::{MutexGuard, watch};

use crate::error::Refusal;

/// Uploads that may be open at once.
pub(crate) const MAX_SESSIONS: usize = 1024;
/// An upload that nobody has touched for so long is let go: forgotten, unless the store keeps it.
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);

/// One upload.
pub(crate) struct Session {
    repository: String,
    /// The user who opened it, or the address where there are no users.
    owner: Arc<str>,
    /// Held by the request that writes; others wait. `None` once it was closed or a write failed.
    ingest: tokio::sync::Mutex<Option<Box<dyn Ingest>>>,
    written: AtomicU64,
    touched: Mutex<Instant>,
    cancelled: watch::Sender<bool>,
}

impl Session {
    fn new(repository: &str, owner: Arc<str>, mut ingest: Box<dyn Ingest>) -> Arc<Self> {
        ingest.park();
        Arc::new(Self {
            repository: repository.to_owned(),
            owner,
            written: AtomicU64::new(ingest.written()),
            ingest: tokio::sync::Mutex::new(Some(ingest)),
            touched: Mutex::new(Instant::now()),
            cancelled: watch::channel(false).0,
        })
    }

    /// Waits until no other request writes the upload.
    pub(crate) async fn lock(&self) -> SessionLock<'_> {
        SessionLock(self.ingest.lock().await)
    }

    /// The bytes taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Notes that so many bytes were taken, now.
    pub(crate) fn advance(&self, written: u64) {
        self.written.store(written, Ordering::Release);
        self.touch();
    }

    fn touch(&self) {
        *self.touched.lock() = Instant::now();
    }

    fn touched(&self) -> Instant {
        *self.touched.lock()
    }

    /// Returns true if no request writes it now.
    fn is_idle(&self) -> bool {
        self.ingest.try_lock().is_ok()
    }

    /// Ready when somebody has given the upload up.
    pub(crate) async fn cancelled(&self) {
        // The sender is here, so that this can't fail.
        drop(self.cancelled.subscribe().wait_for(|cancelled| *cancelled).await);
    }

    fn is_stale(&self, age: Duration) -> bool {
        self.touched().elapsed() > age && self.is_idle()
    }

    /// Whether its file was closed, or a write failed or was given up in its middle: how far it came, the store can tell.
    fn is_broken(&self) -> bool {
        self.ingest.try_lock().is_ok_and(|slot| slot.is_none())
    }
}

/// The right to write an upload. Once it is dropped the upload is idle, and holds no file open.
pub(crate) struct SessionLock<'a>(MutexGuard<'a, Option<Box<dyn Ingest>>>);

impl Deref for SessionLock<'_> {
    type Target = Option<Box<dyn Ingest>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for SessionLock<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl Drop for SessionLock<'_> {
    fn drop(&mut self) {
        if let Some(ingest) = &mut *self.0 {
            ingest.park();
        }
    }
}

/// All open uploads of a server.
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    limit: usize,
    age: Duration,
    ids: RandomState,
    next: AtomicU64,
    /// Held while one is looked for in a store.
    finding: tokio::sync::Mutex<()>,
}

impl Sessions {
    pub(crate) fn new(limit: usize, age: Duration) -> Self {
        Self {
            open: Mutex::default(),
            limit,
            age,
            ids: RandomState::new(),
            next: AtomicU64::new(0),
            finding: tokio::sync::Mutex::default(),
        }
    }

    /// Never held across an await.
    fn open(&self) -> parking_lot::MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock()
    }

    /// Makes room for one more upload of `owner`: forgets those that are idle for long and, if that is not enough, one of the
    /// owner with the most: that which is idle for longest, or else gets bytes most slowly. One of the store's can be found
    /// there again.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` if there are too many, and no other owner has more.
    pub(crate) fn check_room(&self, owner: &str) -> Result<(), Refusal> {
        let mut open = self.open();
        let mut forgotten: Vec<_> = open.extract_if(|_, session| session.is_stale(self.age)).collect();
        if open.len() >= self.limit
            && let Some(id) = victim(&open, owner)
        {
            forgotten.extend(open.remove_entry(&id));
        }
        let full = open.len() >= self.limit;
        drop(open);
        for (_, session) in &forgotten {
            // A request that writes it ends, and gets an error.
            session.cancelled.send_replace(true);
        }
        // Outside of the lock: it may remove files.
        drop(forgotten);
        if full {
            let message = "too many uploads are under way";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
                .with("retry-after", "10".to_owned()));
        }
        Ok(())
    }

    /// An id for an upload, which nobody can guess: it is hashed under a key that is drawn at random.
    pub(crate) fn id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{:016x}", self.ids.hash_one((number, 'a')), self.ids.hash_one((number, 'b')))
    }

    /// Opens an upload of that id.
    pub(crate) fn insert(
        &self,
        repository: &str,
        owner: &str,
        id: &str,
        ingest: Box<dyn Ingest>,
    ) -> Arc<Session> {
        let mut open = self.open();
        // One that is found again keeps its owner.
        let owner = open.get(id).map_or_else(|| owner.into(), |session| Arc::clone(&session.owner));
        let session = Session::new(repository, owner, ingest);
        open.insert(id.to_owned(), Arc::clone(&session));
        session
    }

    /// The upload of that id in that repository, if it is in use.
    pub(crate) fn get(&self, repository: &str, id: &str) -> Option<Arc<Session>> {
        let open = self.open();
        let session = open.get(id).filter(|session| session.repository == repository)?;
        // Before it is looked at: what was just used is not closed.
        session.touch();
        (!session.is_broken()).then(|| Arc::clone(session))
    }

    /// The upload of that id that the store of the repository has kept: from before the server was started, from before it
    /// was idle for long, or from before a write was given up.
    pub(crate) async fn find(
        &self,
        repository: &str,
        id: &str,
        store: &dyn Store,
    ) -> Result<Arc<Session>, Refusal> {
        if !is_id(id) {
            return Err(Refusal::upload_unknown());
        }
        let _finding = self.finding.lock().await;
        // Somebody else may have found it while this one waited.
        if let Some(session) = self.get(repository, id) {
            return Ok(session);
        }
        match store.resume(id, MediaType::OCTET_STREAM, Algorithm::Sha256).await {
            Ok(Some(ingest)) => {
                if !self.open().contains_key(id) {
                    self.check_room("")?;
                }
                Ok(self.insert(repository, "", id, ingest))
            }
            Ok(None) => {
                self.remove(id);
                Err(Refusal::upload_unknown())
            }
            // A write that was given up may be under way yet, or another process is at it.
            Err(error) if error.kind() == Kind::AlreadyExists => {
                let message = "somebody else writes this upload";
                Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
                    .with("retry-after", "1".to_owned()))
            }
            Err(error) => Err(Refusal::of(&error, Refusal::upload_unknown)),
        }
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open().len()
    }

    /// Forgets an upload that was closed.
    pub(crate) fn remove(&self, id: &str) {
        let removed = self.open().remove(id);
        drop(removed);
    }

    /// Gives an upload up, also while somebody writes it: nothing of it is left. `false` if a write was given up in its
    /// middle, so that the store may still have it.
    pub(crate) async fn cancel(&self, id: &str, session: &Session) -> bool {
        session.cancelled.send_replace(true);
        let ingest = session.ingest.lock().await.take();
        self.remove(id);
        let Some(ingest) = ingest else { return false };
        ingest.abort().await;
        true
    }
}

/// The upload to forget for one of `newcomer`: of the owner with the most, if that is another one with more than the newcomer
/// would have.
fn victim(open: &HashMap<String, Arc<Session>>, newcomer: &str) -> Option<String> {
    let mut counts = HashMap::<_, usize>::new();
    for session in open.values() {
        *counts.entry(&*session.owner).or_default() += 1;
    }
    let most = counts.values().copied().max()?;
    if counts.get(newcomer).copied().unwrap_or_default() + 1 >= most {
        return None;
    }
    let of_most = open.iter().filter(|(_, session)| counts.get(&*session.owner) == Some(&most));
    of_most.min_by_key(|(_, session)| (!session.is_idle(), session.touched())).map(|(id, _)| id.clone())
}

/// Whether a client can have the id from here.
fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_layout::Layout;
    use oras_memory::Memory;
    use oras_spec::Digest;
    use oras_store::IngestTarget;

    async fn ingest() -> Box<dyn Ingest> {
        Memory::new().begin(MediaType::OCTET_STREAM, Algorithm::Sha256).await.unwrap()
    }

    #[tokio::test]
    async fn sessions_are_bounded_and_age() {
        let sessions = Sessions::new(2, Duration::ZERO);
        let (id, idle) = (sessions.id(), sessions.id());
        assert!(is_id(&id) && id != idle && !is_id("../0123456789abcdef0123456789abc"));
        let held = sessions.insert("a", "ann", &id, ingest().await);
        let writing = held.lock().await;
        assert!(sessions.get("b", &id).is_none());
        sessions.insert("a", "ann", &idle, ingest().await);
        std::thread::sleep(Duration::from_millis(2));
        sessions.check_room("ann").unwrap();
        assert!(sessions.get("a", &idle).is_none(), "idle and old: gone");
        assert!(sessions.get("a", &id).is_some(), "old, but somebody writes");
        drop(writing);
        assert!(sessions.cancel(&id, &held).await);
        held.cancelled().await;
        assert!(sessions.get("a", &id).is_none());
        assert!(sessions.find("a", &id, &Memory::new()).await.is_err(), "memory keeps nothing");
        assert!(Sessions::new(0, IDLE).check_room("ann").is_err());
    }

    #[tokio::test]
    async fn who_has_the_most_makes_room_for_others() {
        let sessions = Sessions::new(4, IDLE);
        for id in ["1", "2", "3"] {
            sessions.check_room("eve").unwrap();
            sessions.insert("a", "eve", id, ingest().await);
        }
        sessions.check_room("ann").unwrap();
        sessions.insert("a", "ann", "4", ingest().await);
        assert!(sessions.check_room("eve").is_err(), "she has the most herself");
        sessions.check_room("bob").unwrap();
        assert!(sessions.get("a", "1").is_none() && sessions.get("a", "4").is_some());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn idle_uploads_hold_no_file_and_can_all_be_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Layout::open_or_create(directory.path()).await.unwrap();
        let sessions = Sessions::new(1000, IDLE);
        let ids: Vec<_> = (0..50).map(|_| sessions.id()).collect();
        for id in &ids {
            let begun = store.begin_named(id, MediaType::OCTET_STREAM, Algorithm::Sha256).await;
            sessions.insert("a", "ann", id, begun.unwrap());
        }
        let held = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            open.filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .filter(|path| path.starts_with(directory.path()))
                .count()
        };
        for round in 1..=3_u64 {
            for id in &ids {
                let session = sessions.get("a", id).unwrap();
                let mut slot = session.lock().await;
                slot.as_mut().unwrap().write("hello".into()).await.unwrap();
                session.advance(5 * round);
                assert_eq!(held(), 1);
            }
            assert_eq!(held(), 0);
        }
        let digest = Digest::sha256(b"hellohellohello");
        for id in &ids {
            let session = sessions.get("a", id).unwrap();
            assert_eq!(session.written(), 15);
            let ingest = session.lock().await.take().unwrap();
            assert_eq!(ingest.commit(Some(&digest)).await.unwrap().size, 15);
        }
    }

    #[tokio::test]
    async fn an_upload_that_drips_makes_room_for_another_owner() {
        let sessions = Sessions::new(2, IDLE);
        let dripping = [0, 1].map(|number| number.to_string());
        let mut held = Vec::new();
        for id in &dripping {
            held.push(sessions.insert("a", "eve", id, ingest().await));
        }
        let locks = (held[0].lock().await, held[1].lock().await);
        sessions.check_room("ann").unwrap();
        held[0].cancelled().await;
        assert!(sessions.get("a", "0").is_none());
        drop(locks);
    }

    #[tokio::test]
    async fn a_broken_session_is_looked_for_in_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = Layout::open_or_create(directory.path()).await.unwrap();
        let sessions = Sessions::new(2, IDLE);
        let id = sessions.id();
        let begun = store.begin_named(&id, MediaType::OCTET_STREAM, Algorithm::Sha256);
        let session = sessions.insert("a", "ann", &id, begun.await.unwrap());
        let mut ingest = session.lock().await.take().unwrap();
        ingest.write("hello".into()).await.unwrap();
        assert!(sessions.get("a", &id).is_none(), "nobody knows how far it came");
        assert!(sessions.find("a", &id, &store).await.is_err(), "somebody writes");
        drop(ingest);
        let found = sessions.find("a", &id, &store).await.unwrap();
        assert_eq!(found.written(), 5);
        assert!(Arc::ptr_eq(&found, &sessions.find("a", &id, &store).await.unwrap()));
    }
}
