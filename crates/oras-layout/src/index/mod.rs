//! `index.json` as a document.

mod document;
mod entry;
mod repository_tags;

pub(crate) use self::document::{Index, IndexChange};
