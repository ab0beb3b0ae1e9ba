//! Notices for the user about limits of a file system and files of interrupted runs.
//!
//! Libraries do not print. They collect notices in a list without duplicates, and the program prints the list when it
//! ends.

use parking_lot::Mutex;

/// The maximum number of notices. Most notices describe a file system; only a notice that names a file can be frequent.
const MAX_NOTICES: usize = 100;

static NOTICES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds the notice `text`, unless the list contains it or is full.
pub fn notice(text: &str) {
    let mut notices = NOTICES.lock();
    if notices.len() < MAX_NOTICES && notices.iter().all(|other| other != text) {
        notices.push(text.to_owned());
    }
}

/// Removes and returns all notices.
pub fn take_notices() -> Vec<String> {
    std::mem::take(&mut NOTICES.lock())
}

/// Adds the notice that the file system does not store file modes.
pub fn notice_lost_modes() {
    notice("the file system keeps no file modes: files do not have the permissions that were asked for");
}

/// Adds the notice that the file system has no locks.
pub(super) fn notice_missing_locks() {
    notice("the file system has no locks: let only one program at a time write there");
}
