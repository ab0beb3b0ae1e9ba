//! All upload sessions. Their number and age are limited, and the store can resume an evicted upload.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use oras_spec::MediaType;
use oras_store::{ErrorKind, Ingest, IngestName, IngestOptions, Store};
use parking_lot::Mutex;

use super::error::ApiError;
use super::upload_session::UploadSession;
use crate::limits::client_id::ClientId;

/// The maximum number of sessions that are open at once.
pub(crate) const MAX_OPEN: usize = 1024;
/// A session that no request has used for this long expires. If the store keeps its bytes, it can still be resumed.
pub(crate) const EXPIRY: Duration = Duration::from_secs(60 * 60);
/// The maximum number of uploads that are recorded, including closed and evicted ones.
const MAX_RECORDS: usize = 4096;

/// The record of one upload. It outlives the session, so that an evicted upload keeps its owner.
struct UploadRecord {
    /// The client that opened the upload; `None` for an upload from before the start of the server.
    client: Option<ClientId>,
    /// A chunk was smaller than the minimum, so it must be the last one.
    has_last_chunk: bool,
    /// `None` once the session was closed or evicted.
    session: Option<Arc<UploadSession>>,
}

#[derive(Default)]
struct Records {
    by_id: HashMap<String, UploadRecord>,
    /// Ids, oldest first.
    order: VecDeque<String>,
}

/// A session to insert.
pub(super) struct NewSession<'a> {
    pub(super) repository: &'a str,
    pub(super) id: &'a str,
    pub(super) client: Option<ClientId>,
}

/// All upload sessions of a server.
pub(crate) struct UploadSessions {
    records: Mutex<Records>,
    max_open: usize,
    expiry: Duration,
    id_key: RandomState,
    next_id: AtomicU64,
    /// Held while a store resumes an upload: two requests must not both resume it.
    resuming: tokio::sync::Mutex<()>,
}

impl UploadSessions {
    pub(crate) fn new(max_open: usize, expiry: Duration) -> Self {
        Self {
            records: Mutex::default(),
            max_open,
            expiry,
            id_key: RandomState::new(),
            next_id: AtomicU64::new(0),
            resuming: tokio::sync::Mutex::default(),
        }
    }

    /// Makes room for one more session of `client`. Evicts expired sessions first. If the limit is still reached,
    /// evicts one session of the client with the most sessions: an idle session before a busy one, then the least
    /// recently used.
    ///
    /// # Errors
    /// `TOOMANYREQUESTS` if no client has more sessions than `client` would have with the new one.
    pub(super) fn make_room(&self, client: Option<&ClientId>) -> Result<(), ApiError> {
        let is_expired = |session: &mut Arc<UploadSession>| session.is_expired(self.expiry);
        let mut records = self.records.lock();
        let mut evicted: Vec<_> =
            records.by_id.values_mut().filter_map(|record| record.session.take_if(is_expired)).collect();
        if records.open_count() >= self.max_open
            && let Some(id) = records.victim(client)
        {
            evicted.extend(records.by_id.get_mut(&id).and_then(|record| record.session.take()));
        }
        let is_full = records.open_count() >= self.max_open;
        drop(records);
        for session in &evicted {
            // A request that is writing to the evicted session fails.
            session.cancel();
        }
        // Outside of the lock: dropping a session may delete files.
        drop(evicted);
        if is_full {
            return Err(ApiError::too_many_requests("too many uploads are under way", 10));
        }
        Ok(())
    }

    /// Returns an unguessable id: a counter, hashed with a random key.
    pub(super) fn new_id(&self) -> String {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{:016x}", self.id_key.hash_one((number, 'a')), self.id_key.hash_one((number, 'b')))
    }

    /// Opens a session. A session that is resumed keeps its client.
    pub(super) fn insert(&self, new: NewSession<'_>, ingest: Box<dyn Ingest>) -> Arc<UploadSession> {
        let session = UploadSession::new(new.repository, ingest);
        let mut records = self.records.lock();
        let record = records.get_or_insert(new.id, new.client);
        // A request that still holds the broken session keeps it alive; new requests find this one.
        let replaced = record.session.replace(Arc::clone(&session));
        drop(records);
        drop(replaced);
        session
    }

    /// Fails as if the upload did not exist unless `user` opened it. Ids can't be guessed, but logs contain them, and
    /// several users may push to one repository. Uploads that no user opened are open to all.
    pub(super) fn check_user(&self, id: &str, user: Option<&str>) -> Result<(), ApiError> {
        match self.records.lock().by_id.get(id).and_then(|record| record.client.as_ref()) {
            Some(ClientId::User(owner)) if user != Some(&**owner) => Err(ApiError::upload_unknown()),
            _ => Ok(()),
        }
    }

    /// Rejects another chunk if an earlier chunk was smaller than `minimum`: only the last chunk may be smaller
    /// (distribution-spec, "Pushing a blob in chunks", `OCI-Chunk-Min-Length`).
    pub(super) fn check_accepts_chunk(&self, id: &str, minimum: Option<u64>) -> Result<(), ApiError> {
        match (minimum, self.records.lock().by_id.get(id)) {
            (Some(minimum), Some(record)) if record.has_last_chunk => {
                let message = format!(
                    "chunks have at least {minimum} bytes, but for the last: the one before had less"
                );
                Err(ApiError::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
                    .with_header("oci-chunk-min-length", minimum.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Records the size of a chunk that was received.
    pub(super) fn record_chunk(&self, id: &str, size: u64, minimum: Option<u64>) {
        let is_last = size > 0 && minimum.is_some_and(|minimum| size < minimum);
        if is_last && let Some(record) = self.records.lock().by_id.get_mut(id) {
            record.has_last_chunk = true;
        }
    }

    /// Returns the session with this id in this repository; `None` if it is not open or is broken.
    pub(super) fn get(&self, repository: &str, id: &str) -> Option<Arc<UploadSession>> {
        let records = self.records.lock();
        let session = records.by_id.get(id)?.session.as_ref();
        let session = session.filter(|session| session.repository == repository)?;
        // Marks the session as used, which postpones its expiry.
        session.touch();
        (!session.is_broken()).then(|| Arc::clone(session))
    }

    /// Resumes an upload from the partial file in the store, after a restart, an eviction or a cancelled write.
    pub(super) async fn resume(
        &self,
        repository: &str,
        id: &str,
        store: &dyn Store,
    ) -> Result<Arc<UploadSession>, ApiError> {
        if !is_id(id) {
            return Err(ApiError::upload_unknown());
        }
        let _resuming = self.resuming.lock().await;
        // Another request may have resumed it while this one waited for the lock.
        if let Some(session) = self.get(repository, id) {
            return Ok(session);
        }
        // SHA-256 is a guess: the store rehashes at the commit if the digest has another algorithm.
        let options = IngestOptions::new(MediaType::OCTET_STREAM).name(IngestName::Resume(id));
        match store.begin(options).await {
            Ok(ingest) => {
                // Resuming a broken session replaces it, and needs no room.
                if !self.is_open(id) {
                    self.make_room(None)?;
                }
                // An existing record keeps its client. `None` applies only to uploads from before the start.
                Ok(self.insert(NewSession { repository, id, client: None }, ingest))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The path of a request may combine the id with another repository. The session then stays open.
                if self.is_open_in(repository, id) {
                    self.remove(id);
                }
                Err(ApiError::upload_unknown())
            }
            // A write of a disconnected client may still be running, or another process writes.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Err(ApiError::unavailable("somebody else writes this upload", 1))
            }
            Err(error) => Err(ApiError::from_store(error, ApiError::upload_unknown)),
        }
    }

    fn is_open(&self, id: &str) -> bool {
        self.records.lock().by_id.get(id).is_some_and(|record| record.session.is_some())
    }

    fn is_open_in(&self, repository: &str, id: &str) -> bool {
        let records = self.records.lock();
        let session = records.by_id.get(id).and_then(|record| record.session.as_ref());
        session.is_some_and(|session| session.repository == repository)
    }

    /// Returns the number of open sessions.
    pub(crate) fn open_count(&self) -> usize {
        self.records.lock().open_count()
    }

    /// Removes a session that was closed.
    pub(super) fn remove(&self, id: &str) {
        let removed = self.records.lock().by_id.get_mut(id).and_then(|record| record.session.take());
        // Outside of the lock: dropping a session may delete files.
        drop(removed);
    }

    /// Cancels an upload, even during a write, and deletes its bytes. Returns false if an earlier write was
    /// cancelled, so that the store may still have the bytes.
    pub(super) async fn cancel(&self, id: &str, session: &UploadSession) -> bool {
        session.cancel();
        // The writing request sees the cancellation and unlocks.
        let ingest = session.lock().await.take();
        self.remove(id);
        let Some(ingest) = ingest else { return false };
        ingest.abort().await;
        true
    }
}

impl Records {
    fn open_count(&self) -> usize {
        self.by_id.values().filter(|record| record.session.is_some()).count()
    }

    fn get_or_insert(&mut self, id: &str, client: Option<ClientId>) -> &mut UploadRecord {
        if !self.by_id.contains_key(id) {
            self.drop_oldest();
            self.order.push_back(id.to_owned());
        }
        let new = || UploadRecord { client, has_last_chunk: false, session: None };
        self.by_id.entry(id.to_owned()).or_insert_with(new)
    }

    /// Drops the oldest record without a session if there are too many records.
    fn drop_oldest(&mut self) {
        if self.order.len() < MAX_RECORDS {
            return;
        }
        let is_closed = |id: &String| self.by_id.get(id).is_none_or(|record| record.session.is_none());
        if let Some(id) = self.order.iter().position(is_closed).and_then(|oldest| self.order.remove(oldest)) {
            self.by_id.remove(&id);
        }
    }

    /// Returns the session to evict for a new session of `newcomer`: one of the client with the most sessions.
    /// Returns `None` if that client has no more sessions than `newcomer` would have with the new one.
    fn victim(&self, newcomer: Option<&ClientId>) -> Option<String> {
        let open: Vec<_> = self
            .by_id
            .iter()
            .filter_map(|(id, record)| Some((id, record.client.as_ref(), record.session.as_ref()?)))
            .collect();
        let mut counts = HashMap::<_, usize>::new();
        for (_, client, _) in &open {
            *counts.entry(*client).or_default() += 1;
        }
        let most = counts.values().copied().max()?;
        // With equal shares nothing is evicted. Otherwise two clients would evict each other's sessions in turn.
        if counts.get(&newcomer).copied().unwrap_or_default() + 1 >= most {
            return None;
        }
        let of_most = open.iter().filter(|(_, client, _)| counts.get(client) == Some(&most));
        let victim = of_most.min_by_key(|(.., session)| (!session.is_idle(), session.last_used()));
        victim.map(|(id, ..)| (*id).clone())
    }
}

/// Returns true if `id` has the form of the ids of this server. Stores use it as a file name.
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

    fn named(id: &str) -> IngestOptions<'_> {
        IngestOptions::new(MediaType::OCTET_STREAM).name(IngestName::New(id))
    }

    async fn ingest() -> Box<dyn Ingest> {
        Memory::new().begin(IngestOptions::new(MediaType::OCTET_STREAM)).await.unwrap()
    }

    fn user(name: &str) -> ClientId {
        ClientId::User(name.into())
    }

    fn new<'a>(id: &'a str, client: &str) -> NewSession<'a> {
        NewSession { repository: "a", id, client: Some(user(client)) }
    }

    #[tokio::test]
    async fn sessions_are_limited_and_expire() {
        let sessions = UploadSessions::new(2, Duration::ZERO);
        let (id, idle) = (sessions.new_id(), sessions.new_id());
        assert!(is_id(&id) && id != idle && !is_id("../0123456789abcdef0123456789abc"));
        let held = sessions.insert(new(&id, "ann"), ingest().await);
        let writing = held.lock().await;
        assert!(sessions.get("b", &id).is_none());
        sessions.insert(new(&idle, "ann"), ingest().await);
        std::thread::sleep(Duration::from_millis(2));
        sessions.make_room(Some(&user("ann"))).unwrap();
        assert!(sessions.get("a", &idle).is_none(), "idle and expired");
        assert!(sessions.get("a", &id).is_some(), "expired, but a request writes");
        drop(writing);
        assert!(sessions.cancel(&id, &held).await);
        held.cancelled().await;
        assert!(sessions.get("a", &id).is_none());
        assert!(sessions.resume("a", &id, &Memory::new()).await.is_err(), "memory keeps nothing");
        assert!(UploadSessions::new(0, EXPIRY).make_room(Some(&user("ann"))).is_err());
    }

    #[tokio::test]
    async fn client_with_most_sessions_makes_room_for_others() {
        let sessions = UploadSessions::new(4, EXPIRY);
        for id in ["1", "2", "3"] {
            sessions.make_room(Some(&user("eve"))).unwrap();
            sessions.insert(new(id, "eve"), ingest().await);
        }
        sessions.make_room(Some(&user("ann"))).unwrap();
        sessions.insert(new("4", "ann"), ingest().await);
        assert!(sessions.make_room(Some(&user("eve"))).is_err(), "she has the most herself");
        sessions.make_room(Some(&user("bob"))).unwrap();
        assert!(sessions.get("a", "1").is_none() && sessions.get("a", "4").is_some());
        assert_eq!(sessions.open_count(), 3);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn idle_sessions_hold_no_file_and_can_be_resumed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Layout::open_or_create(directory.path()).await.unwrap();
        let sessions = UploadSessions::new(1000, EXPIRY);
        let ids: Vec<_> = (0..50).map(|_| sessions.new_id()).collect();
        for id in &ids {
            let ingest = store.begin(named(id)).await;
            sessions.insert(new(id, "ann"), ingest.unwrap());
        }
        let open_files = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
            open.filter_map(|entry| std::fs::read_link(entry.path()).ok())
                .filter(|path| path.starts_with(directory.path()))
                .count()
        };
        for round in 1..=3_u64 {
            for id in &ids {
                let session = sessions.get("a", id).unwrap();
                let mut slot = session.lock().await;
                slot.as_mut().unwrap().write(vec!["hello".into()]).await.unwrap();
                session.set_written(5 * round);
                assert_eq!(open_files(), 1);
            }
            assert_eq!(open_files(), 0);
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
    async fn slow_upload_makes_room_for_another_client() {
        let sessions = UploadSessions::new(2, EXPIRY);
        let mut held = Vec::new();
        for id in ["0", "1"] {
            held.push(sessions.insert(new(id, "eve"), ingest().await));
        }
        let locks = (held[0].lock().await, held[1].lock().await);
        sessions.make_room(Some(&user("ann"))).unwrap();
        held[0].cancelled().await;
        assert!(sessions.get("a", "0").is_none());
        drop(locks);
    }

    #[tokio::test]
    async fn broken_session_is_resumed_from_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let store = Layout::open_or_create(directory.path()).await.unwrap();
        let sessions = UploadSessions::new(2, EXPIRY);
        let id = sessions.new_id();
        let ingest = store.begin(named(&id));
        let session = sessions.insert(new(&id, "ann"), ingest.await.unwrap());
        let mut ingest = session.lock().await.take().unwrap();
        ingest.write(vec!["hello".into()]).await.unwrap();
        assert!(sessions.get("a", &id).is_none(), "the written length is unknown");
        assert!(sessions.resume("a", &id, &store).await.is_err(), "a request writes");
        drop(ingest);
        let resumed = sessions.resume("a", &id, &store).await.unwrap();
        assert_eq!(resumed.written(), 5);
        assert!(Arc::ptr_eq(&resumed, &sessions.resume("a", &id, &store).await.unwrap()));
        assert!(sessions.check_user(&id, Some("eve")).is_err(), "it keeps its owner");
    }

    #[tokio::test]
    async fn request_to_another_repository_keeps_the_session() {
        let sessions = UploadSessions::new(2, EXPIRY);
        let id = sessions.new_id();
        sessions.insert(new(&id, "ann"), ingest().await);
        assert!(sessions.resume("b", &id, &Memory::new()).await.is_err());
        assert!(sessions.get("a", &id).is_some());
    }

    #[tokio::test]
    async fn upload_of_a_user_is_hidden_from_others() {
        let sessions = UploadSessions::new(2, EXPIRY);
        let address = ClientId::of_address([10, 0, 0, 1].into());
        sessions.insert(new("1", "ann"), ingest().await);
        sessions.insert(NewSession { repository: "a", id: "2", client: Some(address) }, ingest().await);
        assert!(
            sessions.check_user("1", Some("ann")).is_ok() && sessions.check_user("2", Some("eve")).is_ok()
        );
        assert!(sessions.check_user("1", Some("eve")).is_err() && sessions.check_user("1", None).is_err());
        for id in 0..MAX_RECORDS {
            let id = format!("x{id}");
            sessions.insert(new(&id, "ann"), ingest().await);
            sessions.remove(&id);
        }
        assert!(sessions.check_user("1", Some("eve")).is_err(), "open sessions keep their record");
        let records = sessions.records.lock();
        assert!(records.by_id.len() <= MAX_RECORDS && records.order.len() <= MAX_RECORDS);
    }

    #[tokio::test]
    async fn small_chunk_is_the_last() {
        let sessions = UploadSessions::new(2, EXPIRY);
        sessions.insert(new("1", "ann"), ingest().await);
        sessions.record_chunk("1", 10, Some(10));
        sessions.record_chunk("1", 0, Some(10));
        assert!(sessions.check_accepts_chunk("1", Some(10)).is_ok());
        sessions.record_chunk("1", 9, Some(10));
        assert!(sessions.check_accepts_chunk("1", Some(10)).is_err());
        assert!(sessions.check_accepts_chunk("1", None).is_ok());
        assert!(sessions.check_accepts_chunk("2", Some(10)).is_ok());
    }
}
