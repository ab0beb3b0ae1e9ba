//! Shell completion at the cursor.

mod candidates;
mod references;

pub(crate) use self::candidates::{is_completion, print_candidates};
