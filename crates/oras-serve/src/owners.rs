//! Whose uploads are whose.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::error::Refusal;
use crate::visitor::Visitor;

/// Uploads that are remembered: more than can be open at once.
const MAX: usize = 4096;

/// Who began which upload. Nobody can guess an upload's id, but ids are in logs, and others may push to the same
/// repository, too.
#[derive(Default)]
pub(crate) struct Owners(Mutex<Begun>);

#[derive(Default)]
struct Begun {
    by: HashMap<String, String>,
    order: VecDeque<String>,
}

impl Owners {
    /// Remembers that a visitor began the upload. One that nobody in particular began is everybody's.
    pub(crate) fn note(&self, visitor: &Visitor, id: &str) {
        let Some(user) = visitor.name() else { return };
        let mut begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if begun.order.len() >= MAX
            && let Some(oldest) = begun.order.pop_front()
        {
            begun.by.remove(&oldest);
        }
        begun.order.push_back(id.to_owned());
        begun.by.insert(id.to_owned(), user.to_owned());
    }

    /// Refuses whoever did not begin the upload, as if it were not there.
    pub(crate) fn check(&self, visitor: &Visitor, id: &str) -> Result<(), Refusal> {
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match begun.by.get(id) {
            Some(user) if visitor.name() != Some(user) => Err(Refusal::upload_unknown()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_its_users() {
        let owners = Owners::default();
        let (ann, eve, nobody) = (Visitor::user("ann"), Visitor::user("eve"), Visitor::default());
        owners.note(&ann, "1");
        owners.note(&nobody, "2");
        assert!(owners.check(&ann, "1").is_ok() && owners.check(&eve, "2").is_ok());
        assert!(owners.check(&eve, "1").is_err() && owners.check(&nobody, "1").is_err());
        for id in 0..MAX {
            owners.note(&ann, &format!("x{id}"));
        }
        let begun = owners.0.lock().unwrap();
        assert!(begun.by.len() <= MAX && begun.order.len() <= MAX);
    }
}
