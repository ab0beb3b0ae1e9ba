//! One blob on its way through a session: in one request if that works, on from where the registry is if it breaks,
//! in pieces if it must, anew if the session is lost.
//!
//! A session that is given up is deleted at the registry. One whose transfer is dropped, as by Ctrl-C, is not: if its
//! state is kept, the next run goes on with it, else the registry forgets it.

use std::sync::Arc;
use std::time::Duration;

use oras_spec::Digest;
use oras_store::{Error, Kind, Result};

use super::SMALL;
use super::host::{FIRST_PIECE, Host};
use super::kept::Kept;
use super::payload::Payload;
use super::session::{Session, refusal};
use crate::repository::Repository;
use crate::retry::{Again, Failed, Tries};

/// Times that all at once may break with nothing arrived, before pieces are tried.
const FRUITLESS: u32 = 2;

/// How long a registry may take to write what it was reading when a connection broke, and how often to wait as long.
const SETTLING: Duration = Duration::from_millis(50);
const SETTLING_TIMES: u32 = 20;

/// The transfer of one blob.
pub(super) struct Transfer {
    repository: Repository,
    host: Arc<Host>,
    payload: Payload,
    session: Option<Session>,
    /// Whether the session was begun by an earlier run, whose word is not good enough.
    is_old: bool,
    /// Whether it was asked for.
    picked_up: bool,
    kept: Option<Kept>,
    tries: Tries,
    /// The most bytes that the registry ever had.
    furthest: u64,
    fruitless: u32,
}

/// Why the bytes could not be brought into a session.
pub(super) enum Stopped {
    /// The registry takes nothing by `PATCH`.
    NoPatch,
    Failed(Error),
}

/// A request that failed.
struct Broken {
    failed: Failed,
    /// The length of its body.
    sent: u64,
    /// Whether it was to close the session.
    closing: bool,
}

impl From<Failed> for Broken {
    fn from(failed: Failed) -> Self {
        Self { failed, sent: 0, closing: false }
    }
}

impl Transfer {
    /// Connects to nobody. `name` is what the blob is known by in a later run.
    pub(super) async fn new(repository: &Repository, payload: &Payload, name: Option<&str>) -> Self {
        let tries = repository.client().options().retry.tries();
        let host = repository.host();
        let mut transfer = Self {
            repository: repository.clone(),
            host,
            payload: payload.clone(),
            session: None,
            is_old: false,
            picked_up: false,
            kept: None,
            tries,
            furthest: 0,
            fruitless: 0,
        };
        if let Some(name) = name.filter(|_| payload.is_replayable() && transfer.host.takes_patch()) {
            transfer.kept = Kept::open(repository, name, payload.size()).await;
        }
        if let Some(location) = transfer.kept.as_ref().and_then(Kept::location) {
            transfer.session = Some(Session { location, offset: 0 });
            transfer.is_old = true;
        }
        transfer
    }

    /// Goes on with what comes next.
    pub(super) fn goes_on_with(&mut self, payload: Payload) {
        self.payload = payload;
    }

    /// Uses a session that the registry opened, unless there is an older one to go on with.
    pub(super) async fn offered(&mut self, session: Option<Session>) {
        match session {
            Some(session) if self.session.is_some() => {
                self.repository.cancel(&session).await;
            }
            Some(session) => {
                self.keep(&session).await;
                self.session = Some(session);
            }
            None => {}
        }
    }

    /// Sends what the registry has not and closes the session.
    pub(super) async fn finish(&mut self, digest: &Digest) -> Result<()> {
        self.pick_up().await;
        loop {
            let broken = match self.step(Some(digest)).await {
                Ok(true) => {
                    self.forget().await;
                    return Ok(());
                }
                Ok(false) => continue,
                Err(broken) => broken,
            };
            let may_be_done = broken.closing && broken.failed.again != Again::Never;
            self.recover(broken).await?;
            // An answer that was lost may have been that it is done.
            let size = self.payload.size();
            if may_be_done
                && self.session.is_none()
                && size > SMALL
                && self.repository.has_blob(digest, size).await.unwrap_or_default()
            {
                self.forget().await;
                return Ok(());
            }
        }
    }

    /// Sends what the registry has not, and leaves the session open.
    pub(super) async fn fill(&mut self) -> Result<(), Stopped> {
        self.pick_up().await;
        loop {
            let broken = match self.step(None).await {
                Ok(true) => return Ok(()),
                Ok(false) => continue,
                Err(broken) => broken,
            };
            if self.furthest == 0 && !self.is_old && means_no_patch(&broken) {
                self.host.refuses_patch();
                self.abandon().await;
                return Err(Stopped::NoPatch);
            }
            self.recover(broken).await.map_err(Stopped::Failed)?;
        }
    }

    /// Gives the session up.
    pub(super) async fn abandon(&mut self) {
        if let Some(session) = self.session.take() {
            self.repository.cancel(&session).await;
        }
        self.forget().await;
    }

    /// Asks for the state of a session that an earlier run left.
    async fn pick_up(&mut self) {
        if !self.is_old || self.picked_up {
            return;
        }
        self.picked_up = true;
        if let Some(old) = self.session.take() {
            // A session that cannot be asked for is none: another will do.
            let told = self.settled(&old).await.unwrap_or_default();
            self.go_on(told).await;
            self.is_old = self.session.is_some();
            tracing::debug!(offset = self.furthest, "an upload of an earlier run");
        }
    }

    /// Sends the next request; whether it was the last one: that with the digest, or with the last byte if there is
    /// none yet.
    async fn step(&mut self, digest: Option<&Digest>) -> Result<bool, Broken> {
        let size = self.payload.size();
        let session = match self.session.take() {
            Some(session) => session,
            None => {
                let session = self.repository.begin(digest.map(Digest::algorithm_name)).await?;
                self.keep(&session).await;
                session
            }
        };
        let session = self.session.insert(session);
        let careful = self.fruitless >= FRUITLESS && size > FIRST_PIECE;
        if let Some(digest) = digest {
            let must = size == 0 || !self.payload.is_replayable() || !self.host.takes_patch();
            if session.offset == 0 && (must || (self.host.takes_whole(size) && !careful)) {
                let sent = self.repository.put(session, &self.payload, digest).await;
                return sent.map(|()| true).map_err(|failed| Broken { failed, sent: size, closing: true });
            }
            if session.offset == size {
                let closed = self.repository.close(session, digest).await;
                return closed.map(|()| true).map_err(|failed| Broken { failed, sent: 0, closing: true });
            }
        }
        let start = session.offset;
        let length = self.host.piece(size.saturating_sub(start), careful);
        let sent = self.repository.patch(session, &self.payload, start..start + length).await;
        sent.map_err(|failed| Broken { failed, sent: length, closing: false })?;
        let session = session.clone();
        self.moved_on(session.offset);
        self.keep(&session).await;
        Ok(session.offset == size && digest.is_none())
    }

    /// Finds where to go on after a failure; its error if that is hopeless.
    async fn recover(&mut self, broken: Broken) -> Result<()> {
        let Some(session) = self.session.clone() else { return self.wait(broken.failed).await };
        // Content that is gone with the first try can't be sent again.
        if !self.payload.is_replayable() {
            return self.give_up(broken.failed.error).await;
        }
        let refused = refusal(&broken.failed);
        let status = refused.map(|error| error.status);
        let is_lost = refused.is_some_and(|error| {
            error.has_code("BLOB_UPLOAD_UNKNOWN") || error.has_code("BLOB_UPLOAD_INVALID")
        });
        if matches!(status, Some(413 | 416)) && self.host.takes_patch() {
            return self.resize(broken, &session, status == Some(416)).await;
        }
        let refuses_patch = self.furthest == 0 && means_no_patch(&broken);
        let failed = broken.failed;
        if refuses_patch {
            self.host.refuses_patch();
        }
        if is_lost || refuses_patch {
            self.wait(Failed::later(failed.error)).await?;
            self.drop_session().await;
            return Ok(());
        }
        match failed.again {
            // Nothing of an earlier run is trusted: once more from the beginning.
            Again::Never if self.is_old => {
                tracing::debug!(error = %failed.error, "an upload of an earlier run was refused");
                self.drop_session().await;
                Ok(())
            }
            Again::Never => self.give_up(failed.error).await,
            again => self.resume(Failed { again, ..failed }, &session).await,
        }
    }

    /// Goes on after a body that was too large or began elsewhere than where the registry is.
    async fn resize(&mut self, broken: Broken, session: &Session, may_be_elsewhere: bool) -> Result<()> {
        let told = self.repository.status(session).await.unwrap_or_default();
        let elsewhere = told.as_ref().is_some_and(|told| told.offset != session.offset);
        if may_be_elsewhere && elsewhere {
            self.wait(Failed::later(broken.failed.error)).await?;
        } else if !self.host.too_large(broken.sent, broken.closing) {
            return self.give_up(broken.failed.error).await;
        }
        self.go_on(told).await;
        Ok(())
    }

    /// Goes on after a failure that may pass.
    async fn resume(&mut self, mut failed: Failed, session: &Session) -> Result<()> {
        loop {
            self.wait(failed).await?;
            if !self.host.takes_patch() {
                self.drop_session().await;
                return Ok(());
            }
            failed = match self.settled(session).await {
                Ok(told) => {
                    self.go_on(told).await;
                    return Ok(());
                }
                Err(failed) if failed.again == Again::Never => {
                    self.go_on(None).await;
                    return Ok(());
                }
                Err(failed) => failed,
            };
        }
    }

    /// Asks how much the registry has, until it stops changing: what was on the way when the connection broke may still
    /// be written, and a body that begins too early is sent for nothing.
    async fn settled(&self, session: &Session) -> Result<Option<Session>, Failed> {
        let mut told = self.repository.status(session).await?;
        for _ in 0..SETTLING_TIMES {
            let Some(before) = told.as_ref().filter(|told| told.offset < self.payload.size()) else { break };
            let offset = before.offset;
            tokio::time::sleep(SETTLING).await;
            let now = self.repository.status(before).await?;
            let is_settled = now.as_ref().is_none_or(|now| now.offset == offset);
            told = now;
            if is_settled {
                break;
            }
        }
        Ok(told)
    }

    /// Waits for the next try, or gives up: a session that is kept is left as it is.
    async fn wait(&mut self, failed: Failed) -> Result<()> {
        match self.tries.again_after(failed).await {
            Ok(()) => Ok(()),
            Err(error) => self.give_up(error).await,
        }
    }

    /// Takes up the session as the registry told it; another one if it told of none, or of nothing in it.
    async fn go_on(&mut self, told: Option<Session>) {
        let usable = told.filter(|told| (1..=self.payload.size()).contains(&told.offset));
        let Some(session) = usable else {
            self.fruitless += 1;
            return self.drop_session().await;
        };
        self.moved_on(session.offset);
        tracing::debug!(offset = session.offset, "going on with an upload");
        self.keep(&session).await;
        self.session = Some(session);
    }

    /// Whoever makes progress may try as often again.
    fn moved_on(&mut self, offset: u64) {
        if offset > self.furthest {
            self.furthest = offset;
            self.tries = self.repository.client().options().retry.tries();
        }
    }

    async fn drop_session(&mut self) {
        self.is_old = false;
        if let Some(session) = self.session.take() {
            self.repository.cancel(&session).await;
        }
    }

    async fn give_up<T>(&mut self, error: Error) -> Result<T> {
        // What may work another time is left for then; a registry that can't be reached can't be asked to forget.
        let may_pass =
            matches!(error.kind(), Kind::Network | Kind::Unauthorized | Kind::Denied | Kind::Other);
        if !(may_pass && self.kept.is_some()) {
            if error.kind() == Kind::Network {
                self.session = None;
            }
            self.abandon().await;
        }
        Err(error)
    }

    async fn keep(&mut self, session: &Session) {
        if let Some(kept) = &mut self.kept {
            kept.write(&session.location).await;
        }
    }

    async fn forget(&mut self) {
        if let Some(kept) = self.kept.take() {
            kept.remove().await;
        }
    }
}

/// Whether a registry that has taken nothing yet refuses `PATCH` as such.
fn means_no_patch(broken: &Broken) -> bool {
    let Some(error) = refusal(&broken.failed) else { return false };
    broken.sent > 0
        && (error.status == 501
            || ((400..500).contains(&error.status)
                && !matches!(error.status, 401 | 403 | 408 | 413 | 416 | 429)))
}
