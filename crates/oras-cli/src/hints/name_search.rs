//! Searches for tags with similar names, after a tag was not found.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use oras::remote::{Repository, ResponseError};
use oras::spec::reference::check_tag;
use oras::store::Error;

use super::nearest::{alternatives, nearest};
use super::references::Invocation;

/// The time limit of the request: the user waits for the error.
const TIMEOUT: Duration = Duration::from_secs(3);
/// The most tags of a layout that are compared.
const MAX_TAGS: usize = 10_000;
/// The most tags that a hint lists if none is similar.
const SHOWN: usize = 5;

/// A search for tags with similar names.
#[derive(Clone, Debug)]
pub(crate) struct NameSearch {
    /// The tag that was not found.
    pub(crate) tag: String,
    pub(crate) place: SearchPlace,
}

/// The place of a search.
#[derive(Clone, Debug)]
pub(crate) enum SearchPlace {
    Registry { repository: Box<Repository>, registry: String },
    Layout { path: String },
}

impl NameSearch {
    /// Lists the tags, with at most one request, and returns the hint.
    pub(crate) async fn hint(&self, invocation: &Invocation) -> Option<String> {
        let (list, found) = match &self.place {
            SearchPlace::Registry { repository, registry } => {
                let list = format!("oras repo tags {}", repository.name());
                // The log of a command has only the requests of the command itself.
                if invocation.is_debug {
                    return Some(format!("list the tags: {list}"));
                }
                match tokio::time::timeout(TIMEOUT, repository.first_tags()).await {
                    Ok(Err(error)) if is_unknown_repository(&error) => {
                        return Some(format!(
                            "{} does not exist; list the repositories: oras repo ls {registry}",
                            repository.name()
                        ));
                    }
                    found => (list, found.unwrap_or_else(|_| Ok(Vec::new()))),
                }
            }
            SearchPlace::Layout { path } => {
                (format!("oras repo tags --oci-layout {path}"), tags_of_layout(path).await)
            }
        };
        // A failed search is no error: the command has already failed for another reason.
        let tags = found.unwrap_or_default();
        // A registry may send any text as a tag.
        let tags: Vec<_> = tags.iter().map(String::as_str).filter(|tag| check_tag(tag).is_ok()).collect();
        let similar = nearest(&self.tag, tags.iter().copied());
        Some(match (similar.is_empty(), tags.len()) {
            (false, _) => format!("did you mean {}? All tags: {list}", alternatives(&similar)),
            (true, 1) => format!("the only tag is {}", tags.concat()),
            (true, 2..=SHOWN) => format!("the tags are {}", tags.join(", ")),
            (true, _) => format!("list the tags: {list}"),
        })
    }
}

fn is_unknown_repository(error: &Error) -> bool {
    error.find::<ResponseError>().is_some_and(ResponseError::is_unknown_repository)
}

async fn tags_of_layout(path: &str) -> Result<Vec<String>, Error> {
    let layout = oras::open_layout(path).await?;
    layout.tags_after(None).take(MAX_TAGS).try_collect().await
}
