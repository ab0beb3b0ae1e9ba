//! `index.json` as a document.

mod document;
mod entry;
mod repository_tags;

pub(crate) use self::document::{Index, IndexChange};
pub(crate) use self::entry::IndexEntry;
pub(crate) use self::repository_tags::{TagQuery, tag_in};
