//! The expressions of `--jq` and `--template`, evaluated in a child process.

mod child;
mod evaluation;
mod jq;

pub(crate) use self::child::run_child;
pub(crate) use self::evaluation::{CHILD, Expression, JQ, TEMPLATE};
