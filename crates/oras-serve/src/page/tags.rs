//! The page of a repository: its tags.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, future};
use maud::{Markup, html};
use oras_spec::Digest;
use oras_spec::reference::check_tag;
use oras_store::{Content, ReadStore, Source, TagList};

use super::overview::Overview;
use super::text::{LABEL, shown, size};
use super::{Problem, Visit, commands, frame, place};

/// Tags of one page.
const PAGE: usize = 50;
/// What is read of the manifests of one page, and of one of them.
const MAX_READ: u64 = 4 << 20;
const MAX_MANIFEST: u64 = 1 << 20;

/// A tag, and what it names as far as that can be told.
struct Row {
    tag: String,
    digest: Option<Digest>,
    overview: Option<Overview>,
}

pub(super) async fn page(visit: &Visit<'_>, name: &str) -> Result<Markup, Problem> {
    let store = visit.repository(name).await?;
    let (asked, after) = (visit.asked(), visit.after());
    let tags = TagList::tags(&*store, after)
        .try_filter(|tag| future::ready(tag.contains(asked) && check_tag(tag).is_ok()))
        .take(PAGE + 1)
        .try_collect::<Vec<String>>();
    let mut tags = tags.await.map_err(|error| Problem::of(&error))?;
    let more = tags.len() > PAGE;
    tags.truncate(PAGE);
    let last = tags.last().filter(|_| more).cloned();
    let filtered = !asked.is_empty() || after.is_some();
    let rows = rows(&store, tags).await;
    let action = place::of_repository(name);
    let content = html! {
        (frame::trail(name, None))
        h1 { (name) }
        @if filtered || more { (frame::finder(&action, "a tag", asked)) }
        @if rows.is_empty() {
            @if filtered { p.empty { "No tag has such a name." } }
            @else {
                div.empty {
                    p { "There is no tag in this repository. What is in it can be had by its digest." }
                    (commands::line("tag", &format!("oras tag {}{}/{name}@DIGEST TAG", visit.plain("plain-http"), visit.host())))
                }
            }
        } @else { (table(name, &rows)) }
        (frame::pages(&action, asked, after.is_none(), last.as_deref()))
    };
    Ok(frame::page(&format!("{name} – {}", visit.host()), &content))
}

async fn rows(store: &Arc<dyn ReadStore>, tags: Vec<String>) -> Vec<Row> {
    let (mut rows, mut left) = (Vec::with_capacity(tags.len()), MAX_READ);
    for tag in tags {
        // A tag that is gone meanwhile, or that names what can't be read, is still a tag.
        let Ok(node) = store.resolve(&tag).await else {
            rows.push(Row { tag, digest: None, overview: None });
            continue;
        };
        let digest = Some(node.digest.clone());
        let mut overview = None;
        if node.media_type.is_manifest() && node.size <= left.min(MAX_MANIFEST) {
            left -= node.size;
            let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, node);
            overview = content.manifest(MAX_MANIFEST).await.ok().map(|manifest| Overview::of(&manifest));
        }
        rows.push(Row { tag, digest, overview });
    }
    rows
}

fn table(name: &str, rows: &[Row]) -> Markup {
    html! {
        table.tags {
            thead {
                tr { th scope="col" { "Tag" } th scope="col" { "What it is" } th.size scope="col" { "Size" } th.digest scope="col" { "Digest" } }
            }
            tbody {
                @for row in rows {
                    tr {
                        th scope="row" {
                            @match place::of_tag(name, &row.tag) {
                                Some(address) => a href=(address) { bdi { (shown(&row.tag, 2 * LABEL)) } },
                                None => bdi { (shown(&row.tag, 2 * LABEL)) },
                            }
                        }
                        td {
                            @match &row.overview {
                                Some(overview) => bdi { (overview.what) },
                                None => span.soft { "not read" },
                            }
                        }
                        td.size {
                            @if let Some(bytes) = row.overview.as_ref().and_then(|overview| overview.size) { (size(bytes)) }
                        }
                        td.digest {
                            @if let Some(digest) = &row.digest {
                                @if let Some(address) = place::of_digest(name, digest) {
                                    a href=(address) { code { (short(digest)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The beginning of a digest, enough to tell it from others.
pub(super) fn short(digest: &Digest) -> String {
    let (algorithm, encoded) = (digest.algorithm_name(), digest.encoded());
    format!("{}:{}…", shown(algorithm, LABEL), encoded.chars().take(12).collect::<String>())
}
