//! The page of a repository, which lists its tags.

use std::sync::Arc;

use maud::{Markup, html};

use super::format::{LABEL, count, minute, short_digest, shown, size};
use super::links::{Links, RepositoryLinks};
use super::list_query::{ListPart, ListQuery, Sort, SortKey};
use super::page_request::{self, PageError};
use super::tag_rows::{TagNames, TagReader, TagRow};
use super::{commands, compare_page, template};
use crate::api::request_context::RequestContext;

/// The maximum number of tags of one page.
const MAX_ROWS: usize = 50;

/// Renders the page.
pub(super) async fn render(context: &RequestContext, name: &str) -> Result<Markup, PageError> {
    let store = page_request::open(context, name).await?;
    let mut query = ListQuery::of(context);
    let names = TagNames::list(&*store, query.search).await?;
    let is_remote = context.registry.stores.is_remote();
    if is_remote {
        // Other orders would need a request to the other registry for each tag.
        query.sort = query.sort.filter(|sort| sort.key == SortKey::Tag);
    }
    let key = if is_remote { SortKey::Tag } else { SortKey::Created };
    let sort = query.sort.unwrap_or(Sort { key, is_ascending: false });
    let (total, part) = (names.total, query.part(names.found.len(), MAX_ROWS));
    let reader = TagReader { store, registry: Arc::clone(&context.registry) };
    let mut sorted = reader.sort(names.found, sort).await?;
    let rows = sorted.rows.drain(part.rows.clone()).collect();
    let rows = reader.complete(rows).await;

    let repository = Links::of(context).repository(name);
    let action = repository.to_page();
    let list = html! {
        p.count { (counted(&part, total, names.is_cut, query.search)) }
        @if sorted.unread > 0 {
            p.soft.note { "The last " (count(sorted.unread, "tag is", "tags are")) " not sorted yet, because the registry had no time to read all manifests. Load the page again to sort more." }
        }
        @if rows.is_empty() {
            p.empty { "No tag has such a name. " a href=(query.without_search().to_link(&action)) { "All tags" } }
        } @else { (Table { repository, query, sort, is_remote }.render(&rows)) }
        (template::pagination(&action, &query, &part))
    };
    let content = html! {
        (template::breadcrumb(repository, None))
        h1 { (name) }
        @if total == 0 { (empty_repository(context, name)) } @else {
            (template::search_form(&action, "a tag", &query))
            div #list { (list) }
            @if total > 1 {
                details.section { summary { "Compare two tags" } (compare_page::form(repository, None)) }
            }
        }
    };
    Ok(template::page(repository.links, &format!("{name} – {}", commands::host(context)), &content))
}

fn counted(part: &ListPart, total: usize, is_cut: bool, search: &str) -> Markup {
    html! {
        @if part.pages > 1 { (part.rows.start + 1) "–" (part.rows.end) " of " }
        @if search.is_empty() { (count(total, "tag", "tags")) }
        @else { (count(part.total, "match", "matches")) " in " (count(total, "tag", "tags")) }
        @if is_cut { ". The repository has more tags, which this page does not list" }
    }
}

fn empty_repository(context: &RequestContext, name: &str) -> Markup {
    html! {
        div.empty {
            p { "There is no tag in this repository. What is in it can be had by its digest." }
            @if commands::can_reach(context) { (commands::command_line("tag", &format!("oras tag {}{}/{name}@DIGEST TAG", commands::plain_http_flag(context, "plain-http"), commands::host(context)))) }
        }
    }
}

/// The table of tags.
struct Table<'a> {
    repository: RepositoryLinks<'a>,
    query: ListQuery<'a>,
    sort: Sort,
    is_remote: bool,
}

// The roles repeat those of the elements: on narrow screens the style sheet changes how the table is displayed, and
// browsers then drop the roles of the elements.
impl Table<'_> {
    fn render(&self, rows: &[TagRow]) -> Markup {
        html! {
            table.tags role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        (self.header(SortKey::Tag, "tag", "Tag"))
                        th.what scope="col" role="columnheader" { "What it is" }
                        (self.header(SortKey::Created, "created", "Created"))
                        (self.header(SortKey::Size, "size", "Size"))
                        th.digest scope="col" role="columnheader" { "Digest" }
                    }
                }
                tbody role="rowgroup" {
                    @for row in rows { (self.row(row)) }
                }
            }
        }
    }

    /// Renders the header of a column. It links to the list sorted by the column, or in the opposite direction if it is
    /// sorted by it.
    fn header(&self, key: SortKey, class: &str, label: &str) -> Markup {
        let is_current = self.sort.key == key;
        let next = Sort { key, is_ascending: is_current && !self.sort.is_ascending };
        let (state, arrow) = match (is_current, self.sort.is_ascending) {
            (false, _) => (None, ""),
            (true, true) => (Some("ascending"), " ↑"),
            (true, false) => (Some("descending"), " ↓"),
        };
        html! {
            th class=(class) scope="col" role="columnheader" aria-sort=[state] {
                @if self.is_remote && key != SortKey::Tag { (label) } @else {
                    a href=(self.query.sorted(next).to_link(&self.repository.to_page())) { (label) span aria-hidden="true" { (arrow) } }
                }
            }
        }
    }

    fn row(&self, row: &TagRow) -> Markup {
        let summary = row.summary.as_ref();
        html! {
            tr role="row" {
                th.tag scope="row" role="rowheader" {
                    @match self.repository.to_tag(&row.tag) {
                        Some(address) => a href=(address) { bdi { (shown(&row.tag, 2 * LABEL)) } },
                        None => bdi { (shown(&row.tag, 2 * LABEL)) },
                    }
                }
                td.what role="cell" {
                    @match summary {
                        Some(summary) => bdi { (summary.description) },
                        None => span.soft { "not read" },
                    }
                }
                td.created role="cell" {
                    @if let Some(created) = summary.and_then(|summary| summary.created) {
                        time datetime=(created) { (minute(created)) }
                    }
                }
                td.size role="cell" {
                    @if let Some(bytes) = summary.and_then(|summary| summary.size) { (size(bytes)) }
                }
                td.digest role="cell" {
                    @if let Some(node) = &row.node {
                        @if let Some(address) = self.repository.to_manifest(&node.digest) {
                            a href=(address) { code { (short_digest(&node.digest)) } }
                        }
                    }
                }
            }
        }
    }
}
