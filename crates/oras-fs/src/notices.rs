//! What a user should know although nothing failed: what a file system could not keep, what an interrupted run left.
//!
//! Libraries do not print. They gather notices, each once, and the program reports them at its end.

use parking_lot::Mutex;

/// Notices that are kept: each kind of call has one, so that more are many files of one kind.
const MAX_NOTICES: usize = 100;

static NOTICES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a notice, unless the same one was added before.
pub fn notice(text: &str) {
    let mut notices = NOTICES.lock();
    if notices.len() < MAX_NOTICES && notices.iter().all(|other| other != text) {
        notices.push(text.to_owned());
    }
}

/// Takes all notices that were added since the last call.
pub fn take_notices() -> Vec<String> {
    std::mem::take(&mut NOTICES.lock())
}

/// Adds the notice that the file system keeps no modes.
pub fn notice_lost_modes() {
    notice("the file system keeps no file modes: files do not have the permissions that were asked for");
}

/// Adds the notice that the file system has no locks.
pub(super) fn notice_missing_locks() {
    notice("the file system has no locks: let only one program at a time write there");
}
