//! Checks a layout: structure, index, digests, and whether everything that it needs is there.

mod blob_hashing;
mod check_layout;
mod findings;
mod layout_problem;

pub use self::blob_hashing::CheckProgress;
pub(crate) use self::blob_hashing::ProgressFn;
pub(crate) use self::check_layout::Checked;
pub use self::check_layout::{CheckOptions, LayoutCheck, check};
pub use self::layout_problem::{LayoutProblem, ProblemKind};
