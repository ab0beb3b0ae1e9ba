//! Uploads that are open: in memory, bounded in number and age.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use oras_store::Ingest;

use crate::error::Refusal;

/// Uploads that may be open at once.
pub(crate) const MAX_SESSIONS: usize = 1024;
/// An upload that nobody has touched for so long is forgotten.
pub(crate) const IDLE: Duration = Duration::from_secs(60 * 60);

/// One upload.
pub(crate) struct Session {
    repository: String,
    /// Held by the request that writes; others wait. `None` once it was closed or a write failed.
    pub(crate) ingest: tokio::sync::Mutex<Option<Box<dyn Ingest>>>,
    written: AtomicU64,
    touched: Mutex<Instant>,
}

impl Session {
    /// The bytes taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// Notes that so many bytes were taken, now.
    pub(crate) fn advance(&self, written: u64) {
        self.written.store(written, Ordering::Release);
        *self.touched.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_stale(&self, age: Duration) -> bool {
        let touched = *self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        touched.elapsed() > age && self.ingest.try_lock().is_ok()
    }
}

/// All open uploads of a server.
pub(crate) struct Sessions {
    open: Mutex<HashMap<String, Arc<Session>>>,
    limit: usize,
    age: Duration,
    ids: RandomState,
    next: AtomicU64,
}

impl Sessions {
    pub(crate) fn new(limit: usize, age: Duration) -> Self {
        Self { open: Mutex::default(), limit, age, ids: RandomState::new(), next: AtomicU64::new(0) }
    }

    /// Never held across an await.
    fn open(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses when there are too many; those that nobody has touched for long don't count.
    pub(crate) fn check_room(&self) -> Result<(), Refusal> {
        let mut open = self.open();
        let stale: Vec<_> = open.extract_if(|_, session| session.is_stale(self.age)).collect();
        let full = open.len() >= self.limit;
        drop(open);
        // Outside of the lock: it may remove files.
        drop(stale);
        if full {
            let message = "too many uploads are under way";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
                .with("retry-after", "10".to_owned()));
        }
        Ok(())
    }

    /// Opens an upload and gives its id, which nobody can guess: it is hashed under a key that is drawn at random.
    pub(crate) fn insert(&self, repository: &str, ingest: Box<dyn Ingest>) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id =
            format!("{:016x}{:016x}", self.ids.hash_one((number, 'a')), self.ids.hash_one((number, 'b')));
        let session = Session {
            repository: repository.to_owned(),
            written: AtomicU64::new(ingest.written()),
            ingest: tokio::sync::Mutex::new(Some(ingest)),
            touched: Mutex::new(Instant::now()),
        };
        self.open().insert(id.clone(), Arc::new(session));
        id
    }

    /// The upload of that id in that repository.
    pub(crate) fn get(&self, repository: &str, id: &str) -> Result<Arc<Session>, Refusal> {
        let found = self.open().get(id).filter(|session| session.repository == repository).cloned();
        found.ok_or_else(Refusal::upload_unknown)
    }

    /// How many are open.
    pub(crate) fn count(&self) -> usize {
        self.open().len()
    }

    /// Forgets an upload; what it wrote is gone unless it was committed.
    pub(crate) fn remove(&self, id: &str) {
        let removed = self.open().remove(id);
        drop(removed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oras_memory::Memory;
    use oras_spec::{Algorithm, MediaType};
    use oras_store::IngestTarget;

    async fn ingest() -> Box<dyn Ingest> {
        Memory::new().begin(MediaType::OCTET_STREAM, Algorithm::Sha256).await.unwrap()
    }

    #[tokio::test]
    async fn sessions_are_bounded_and_age() {
        let sessions = Sessions::new(2, Duration::ZERO);
        let id = sessions.insert("a", ingest().await);
        let held = sessions.get("a", &id).unwrap();
        let writing = held.ingest.lock().await;
        assert!(sessions.get("b", &id).is_err());
        let idle = sessions.insert("a", ingest().await);
        std::thread::sleep(Duration::from_millis(2));
        sessions.check_room().unwrap();
        assert!(sessions.get("a", &idle).is_err(), "idle and old: gone");
        assert!(sessions.get("a", &id).is_ok(), "old, but somebody writes");
        drop(writing);
        sessions.remove(&id);
        assert!(sessions.get("a", &id).is_err());
        assert!(Sessions::new(0, IDLE).check_room().is_err());
    }
}
