//! `index.json` as a document.

mod change;
mod document;
mod entry;
mod repository_tags;

pub(crate) use self::change::IndexChange;
pub(crate) use self::document::Index;
