//! The titles of a collection: each belongs to one node.

use std::collections::HashSet;
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

/// The titles that are in use. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Titles(Arc<Mutex<HashSet<String>>>);

impl Titles {
    /// Claims a title.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] if another node has the title.
    pub(crate) fn claim(&self, title: &str) -> Result<TitleClaim> {
        if !self.0.lock().insert(title.to_owned()) {
            return Err(Error::new(ErrorKind::AlreadyExists, format!("{title}: duplicate name")));
        }
        Ok(TitleClaim {
            titles: self.clone(),
            title: title.to_owned(),
            cancel: CancellationToken::new(),
            is_added: false,
        })
    }
}

/// A claimed title. Dropping the claim before its node was added frees the title and cancels the work on the node.
#[derive(Debug)]
pub(crate) struct TitleClaim {
    titles: Titles,
    pub(crate) title: String,
    pub(crate) cancel: CancellationToken,
    /// Whether the node was added to the collection.
    pub(crate) is_added: bool,
}

impl Drop for TitleClaim {
    fn drop(&mut self) {
        if !self.is_added {
            // The work may still run on another thread, which polls this token.
            self.cancel.cancel();
            self.titles.0.lock().remove(&self.title);
        }
    }
}
