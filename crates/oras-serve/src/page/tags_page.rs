//! The page of a repository, which lists its tags.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future};
use maud::{Markup, html};
use oras_spec::reference::check_tag;
use oras_spec::{Descriptor, Digest};
use oras_store::{Content, ReadStore, Source};

use super::format::{LABEL, short_digest, shown, size};
use super::links::{Links, RepositoryLinks};
use super::overview::Overview;
use super::page_request::{self, PageError};
use super::{commands, template};
use crate::api::request_context::RequestContext;

/// The maximum number of tags of one page.
const MAX_ROWS: usize = 50;
/// The maximum total size of the manifests that are read for one page, and the maximum size of one manifest.
const MAX_READ: u64 = 4 << 20;
const MAX_MANIFEST: u64 = 1 << 20;

/// A tag, with its manifest if it could be read.
struct Row {
    tag: String,
    digest: Option<Digest>,
    overview: Option<Overview>,
}

/// Renders the page.
pub(super) async fn render(context: &RequestContext, name: &str) -> Result<Markup, PageError> {
    let store = page_request::open(context, name).await?;
    let (search, after) = page_request::search(context);
    let tags = store
        .tags_after(after)
        .try_filter(|tag| future::ready(tag.contains(search) && check_tag(tag).is_ok()))
        // One extra tag shows whether there is a next page.
        .take(MAX_ROWS + 1)
        .try_collect::<Vec<String>>();
    let mut tags = tags.await?;
    let has_more = tags.len() > MAX_ROWS;
    tags.truncate(MAX_ROWS);
    let last = tags.last().filter(|_| has_more).cloned();
    let is_filtered = !search.is_empty() || after.is_some();
    let rows = rows(&store, tags).await;
    let repository = Links::of(context).repository(name);
    let action = repository.to_page();
    let content = html! {
        (template::breadcrumb(repository, None))
        h1 { (name) }
        @if is_filtered || has_more { (template::search_form(&action, "a tag", search)) }
        @if rows.is_empty() {
            @if is_filtered { p.empty { "No tag has such a name." } }
            @else {
                div.empty {
                    p { "There is no tag in this repository. What is in it can be had by its digest." }
                    @if commands::can_reach(context) { (commands::command_line("tag", &format!("oras tag {}{}/{name}@DIGEST TAG", commands::plain_http_flag(context, "plain-http"), commands::host(context)))) }
                }
            }
        } @else { (table(repository, &rows)) }
        (template::pagination(&action, search, after.is_none(), last.as_deref()))
    };
    Ok(template::page(repository.links, &format!("{name} – {}", commands::host(context)), &content))
}

/// Reads the manifests that the tags name.
async fn rows(store: &Arc<dyn ReadStore>, tags: Vec<String>) -> Vec<Row> {
    let (mut rows, mut left) = (Vec::with_capacity(tags.len()), MAX_READ);
    for tag in tags {
        // A tag that was deleted after the listing, or that names an unreadable manifest, is still listed.
        let node = store.resolve(&tag).await.ok();
        let digest = node.as_ref().map(|node| node.digest.clone());
        let mut overview = None;
        let is_small = |node: &Descriptor| node.size <= left.min(MAX_MANIFEST);
        if let Some(node) = node.filter(|node| node.media_type.is_manifest() && is_small(node)) {
            // Subtracted before the read, so that failed reads also count.
            left -= node.size;
            let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, node);
            overview = content.manifest(MAX_MANIFEST).await.ok().map(|manifest| Overview::of(&manifest));
        }
        rows.push(Row { tag, digest, overview });
    }
    rows
}

fn table(repository: RepositoryLinks<'_>, rows: &[Row]) -> Markup {
    html! {
        table.tags {
            thead {
                tr { th scope="col" { "Tag" } th scope="col" { "What it is" } th.size scope="col" { "Size" } th.digest scope="col" { "Digest" } }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" {
                            @match repository.to_tag(&row.tag) {
                                Some(address) => a href=(address) { bdi { (shown(&row.tag, 2 * LABEL)) } },
                                None => bdi { (shown(&row.tag, 2 * LABEL)) },
                            }
                        }
                        td {
                            @match &row.overview {
                                Some(overview) => bdi { (overview.description) },
                                None => span.soft { "not read" },
                            }
                        }
                        td.size {
                            @if let Some(bytes) = row.overview.as_ref().and_then(|overview| overview.size) { (size(bytes)) }
                        }
                        td.digest {
                            @if let Some(digest) = &row.digest {
                                @if let Some(address) = repository.to_manifest(digest) {
                                    a href=(address) { code { (short_digest(digest)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
