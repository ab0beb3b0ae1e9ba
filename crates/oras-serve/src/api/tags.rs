//! The list of tags (distribution-spec, "Listing Tags").

use futures::{TryStreamExt, future};
use oras_spec::api_bodies::TagPage;
use oras_spec::json;
use oras_spec::reference::check_tag;

use super::error::Answer;
use super::manifests::failed;
use super::pagination::page_of;
use super::request_context::RequestContext;

/// Lists the tags of a repository.
pub(super) async fn list(context: &RequestContext, name: &str) -> Answer {
    let store = context.store(name).await?;
    // An upstream may list malformed tags, which no client can request.
    let tags = store.tags_after(None).try_filter(|tag| future::ready(check_tag(tag).is_ok()));
    let tags: Vec<String> = tags.try_collect().await.map_err(failed)?;
    let path = context.api_path(format_args!("{name}/tags/list"));
    page_of(tags, &context.query, &path, |tags| json::to_vec(&TagPage { name: name.to_owned(), tags }))
}
