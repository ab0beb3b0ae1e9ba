//! What is remembered of uploads that were begun: by whom, and whether their last chunk has come.

use std::collections::{HashMap, VecDeque};

use axum::http::StatusCode;
use parking_lot::{Mutex, MutexGuard};

use crate::error::Refusal;
use crate::visitor::Visitor;

/// Uploads that are remembered: more than can be open at once.
const MAX: usize = 4096;

/// Who began which upload: nobody can guess an upload's id, but ids are in logs, and others may push to the same
/// repository, too. What is not remembered, as after a restart, is refused to nobody.
#[derive(Default)]
pub(crate) struct Begun(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    uploads: HashMap<String, Upload>,
    order: VecDeque<String>,
}

struct Upload {
    user: Option<String>,
    /// A chunk was smaller than they must be, so it was the last.
    is_over: bool,
}

impl Begun {
    /// Remembers that a visitor began the upload. One that nobody in particular began is everybody's.
    pub(crate) fn note(&self, visitor: &Visitor, id: &str) {
        let mut begun = self.remembered();
        if begun.order.len() >= MAX
            && let Some(oldest) = begun.order.pop_front()
        {
            begun.uploads.remove(&oldest);
        }
        begun.order.push_back(id.to_owned());
        let upload = Upload { user: visitor.name().map(ToOwned::to_owned), is_over: false };
        begun.uploads.insert(id.to_owned(), upload);
    }

    /// Refuses whoever did not begin the upload, as if it were not there.
    pub(crate) fn check(&self, visitor: &Visitor, id: &str) -> Result<(), Refusal> {
        let begun = self.remembered();
        let owner = begun.uploads.get(id).and_then(|upload| upload.user.as_deref());
        match owner {
            Some(user) if visitor.name() != Some(user) => Err(Refusal::upload_unknown()),
            _ => Ok(()),
        }
    }

    /// Refuses more bytes behind a chunk that was smaller than `minimum`: only the last may be (distribution-spec, "Pushing
    /// a blob in chunks", `OCI-Chunk-Min-Length`).
    pub(crate) fn check_goes_on(&self, id: &str, minimum: Option<u64>) -> Result<(), Refusal> {
        match (minimum, self.remembered().uploads.get(id)) {
            (Some(minimum), Some(upload)) if upload.is_over => {
                let message = format!(
                    "chunks have at least {minimum} bytes, but for the last: the one before had less"
                );
                Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message)
                    .with("oci-chunk-min-length", minimum.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Notes that a chunk of so many bytes was taken.
    pub(crate) fn took(&self, id: &str, bytes: u64, minimum: Option<u64>) {
        if let (1.., Some(minimum)) = (bytes, minimum)
            && bytes < minimum
            && let Some(upload) = self.remembered().uploads.get_mut(id)
        {
            upload.is_over = true;
        }
    }

    /// Never held across an await.
    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_its_users() {
        let begun = Begun::default();
        let (ann, eve, nobody) = (Visitor::user("ann"), Visitor::user("eve"), Visitor::default());
        begun.note(&ann, "1");
        begun.note(&nobody, "2");
        assert!(begun.check(&ann, "1").is_ok() && begun.check(&eve, "2").is_ok());
        assert!(begun.check(&eve, "1").is_err() && begun.check(&nobody, "1").is_err());
        for id in 0..MAX {
            begun.note(&ann, &format!("x{id}"));
        }
        let remembered = begun.remembered();
        assert!(remembered.uploads.len() <= MAX && remembered.order.len() <= MAX);
    }

    #[test]
    fn a_small_chunk_is_the_last() {
        let begun = Begun::default();
        begun.note(&Visitor::default(), "1");
        begun.took("1", 10, Some(10));
        begun.took("1", 0, Some(10));
        assert!(begun.check_goes_on("1", Some(10)).is_ok());
        begun.took("1", 9, Some(10));
        assert!(begun.check_goes_on("1", Some(10)).is_err());
        assert!(begun.check_goes_on("1", None).is_ok() && begun.check_goes_on("2", Some(10)).is_ok());
    }
}
