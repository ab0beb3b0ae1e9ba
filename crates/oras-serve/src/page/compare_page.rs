//! The page that compares two manifests of a repository.

use std::sync::Arc;

use maud::{Markup, html};
use oras_spec::{Descriptor, Manifest};
use oras_store::{Content, ReadStore, Source};

use super::format::{LABEL, VALUE, count, short_digest, shown, size};
use super::links::{Links, RepositoryLinks};
use super::manifest_diff::{Change, ManifestDiff};
use super::page_request::{self, PageError};
use super::{commands, template};
use crate::api::request_context::RequestContext;
use crate::api::route::is_reference;

/// The maximum number of differences of one kind that are shown.
const MAX_ROWS: usize = 300;

/// Renders a form to compare two references. The first one is given on the page of a manifest.
pub(super) fn form(repository: RepositoryLinks<'_>, first: Option<&str>) -> Markup {
    html! {
        form.compare action=(repository.to_page()) method="get" {
            @match first {
                Some(first) => input type="hidden" name="compare" value=(first);,
                None => p {
                    label for="compare" { "Compare tag or digest" }
                    input #compare name="compare" autocomplete="off" spellcheck="false" maxlength="255" required;
                },
            }
            p {
                label for="with" { @if first.is_some() { "Compare with tag or digest" } @else { "with" } }
                input #with name="with" autocomplete="off" spellcheck="false" maxlength="255" required;
            }
            button type="submit" { "Compare" }
        }
    }
}

/// A side of the comparison.
struct Side<'a> {
    reference: &'a str,
    node: Descriptor,
    manifest: Manifest,
}

/// Renders the page.
pub(super) async fn render(
    context: &RequestContext,
    name: &str,
    [before, after]: [&str; 2],
) -> Result<Markup, PageError> {
    let store = page_request::open(context, name).await?;
    let before = side(context, &store, before).await?;
    let after = side(context, &store, after).await?;
    let diff = ManifestDiff::of(&before.manifest, &after.manifest);
    let repository = Links::of(context).repository(name);
    let is_same = before.node.digest == after.node.digest;
    let title = format!("Comparison of {} and {}", short(&before), short(&after));
    let content = html! {
        (template::breadcrumb(repository, Some("Comparison")))
        h1 { (title) }
        dl.facts {
            (identity(repository, "Before", &before))
            (identity(repository, "After", &after))
        }
        @if is_same { p.empty { "Both name the same manifest." } } @else {
            section aria-labelledby="content-changes" {
                h2 #content-changes { "Content" }
                p.count { (count(diff.content.len(), "difference", "differences")) ", " (count(diff.unchanged, "entry", "entries")) " unchanged" }
                @if !diff.content.is_empty() { (content_table(&diff.content)) }
            }
            section aria-labelledby="annotation-changes" {
                h2 #annotation-changes { "Annotations" }
                p.count { (count(diff.annotations.len(), "difference", "differences")) }
                @if !diff.annotations.is_empty() { (annotation_table(&diff.annotations)) }
            }
        }
    };
    Ok(template::page(repository.links, &format!("{title} – {name} – {}", commands::host(context)), &content))
}

async fn side<'a>(
    context: &RequestContext,
    store: &Arc<dyn ReadStore>,
    reference: &'a str,
) -> Result<Side<'a>, PageError> {
    if !is_reference(reference) {
        return Err(PageError::not_found("One of the two is neither a tag nor a digest."));
    }
    let node = store.resolve(reference).await?;
    if !context.registry.is_manifest(reference, &node) {
        return Err(PageError::not_found("This is the digest of a blob, which has no page of its own."));
    }
    let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, node.clone());
    let bytes = content.bytes(context.registry.options.max_manifest_size).await?;
    let manifest = Manifest::parse(&node.media_type, bytes);
    let manifest = manifest.map_err(|_| PageError::not_found("One of the two manifests can't be read."))?;
    Ok(Side { reference, node, manifest })
}

fn short(side: &Side<'_>) -> String {
    if side.reference.contains(':') { short_digest(&side.node.digest) } else { side.reference.to_owned() }
}

fn identity(repository: RepositoryLinks<'_>, label: &str, side: &Side<'_>) -> Markup {
    let artifact_type = side.manifest.artifact_type().unwrap_or(&side.node.media_type);
    html! {
        div {
            dt { (label) }
            dd {
                @if let Some(address) = repository.to_manifest(&side.node.digest) {
                    a href=(address) { (short(side)) }
                }
                " " code.soft { (short_digest(&side.node.digest)) } ", " bdi { (shown(artifact_type.as_str(), LABEL)) }
            }
        }
    }
}

fn content_table(changes: &[Change<Descriptor>]) -> Markup {
    let cell = |entry: &Option<Descriptor>| {
        html! {
            @match entry {
                Some(entry) => { (size(entry.size)) " " code.soft { (short_digest(&entry.digest)) } },
                None => "–",
            }
        }
    };
    html! {
        table.changes {
            thead { tr { th scope="col" { "Change" } th scope="col" { "Name" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody {
                @for change in changes.iter().take(MAX_ROWS) {
                    tr {
                        td { span class=(class(change.label())) { (change.label()) } }
                        th scope="row" { bdi { (shown(&change.name, 2 * LABEL)) } }
                        td { (cell(&change.before)) }
                        td { (cell(&change.after)) }
                    }
                }
            }
        }
        (more(changes.len()))
    }
}

fn annotation_table(changes: &[Change<String>]) -> Markup {
    let value =
        |text: &Option<String>| text.as_ref().map_or_else(|| "–".to_owned(), |text| shown(text, VALUE));
    html! {
        table.changes {
            thead { tr { th scope="col" { "Change" } th scope="col" { "Annotation" } th scope="col" { "Before" } th scope="col" { "After" } } }
            tbody {
                @for change in changes.iter().take(MAX_ROWS) {
                    tr {
                        td { span class=(class(change.label())) { (change.label()) } }
                        th scope="row" { bdi { (shown(&change.name, LABEL)) } }
                        td { bdi { (value(&change.before)) } }
                        td { bdi { (value(&change.after)) } }
                    }
                }
            }
        }
        (more(changes.len()))
    }
}

fn more(all: usize) -> Markup {
    html! {
        @if let Some(more) = all.checked_sub(MAX_ROWS).filter(|more| *more > 0) {
            p.soft { (count(more, "more is", "more are")) " not shown." }
        }
    }
}

fn class(label: &str) -> &'static str {
    match label {
        "Added" => "role added",
        "Removed" => "role removed",
        _ => "role",
    }
}
