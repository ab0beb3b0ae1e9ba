//! The web page: shows the content of the registry in a browser. It only reads, and works without scripts.
//!
//! Every client that may push controls the text of the pages. Therefore `maud` escapes every text, texts are truncated,
//! characters that reorder other characters are escaped, links consist only of encoded names, a content security policy
//! allows only the built-in files, and everything that is read or shown has a limit.

mod assets;
mod commands;
mod compare_page;
mod description;
mod format;
mod handler;
mod links;
mod list_query;
mod manifest_diff;
mod manifest_page;
mod manifest_summary;
mod markdown;
mod overview;
mod page_request;
mod referrer_kind;
mod repositories_page;
mod tag_rows;
mod tags_page;
mod template;
mod tree;

pub(crate) use handler::{answer, is_page};
pub(crate) use manifest_summary::SummaryCache;
