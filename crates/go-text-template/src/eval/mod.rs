//! Execution: walks the tree of a template, evaluates its pipelines and calls functions.

pub(crate) mod call;
pub(crate) mod command;
pub(crate) mod context;
pub(crate) mod executor;
pub(crate) mod function;
pub(crate) mod methods;
pub(crate) mod operand;
