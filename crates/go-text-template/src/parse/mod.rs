//! Parsing: from the text of a template to a tree of nodes.

pub(crate) mod lexer;
pub(crate) mod node;
pub(crate) mod parser;
pub(crate) mod pipeline;
pub(crate) mod token;
