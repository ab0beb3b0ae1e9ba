//! The page that compares two manifests of a repository.

use std::sync::Arc;

use maud::{Markup, html};
use oras_spec::{Descriptor, Manifest};
use oras_store::{Content, ReadStore, Source};

use super::format::{LABEL, VALUE, count, short_digest, shown, size};
use super::links::{Links, RepositoryLinks};
use super::manifest_diff::{Change, ChangeKind, ManifestDiff};
use super::page_request::{self, PageError};
use super::{commands, template};
use crate::api::request_context::RequestContext;
use crate::api::route::is_reference;

/// The maximum number of differences of one kind that are shown.
const MAX_ROWS: usize = 300;

/// Renders a form to compare two references. On the page of a manifest, `first` is the reference of that manifest.
pub(super) fn form(repository: RepositoryLinks<'_>, first: Option<&str>) -> Markup {
    html! {
        form.compare action=(repository.to_page()) method="get" {
            @match first {
                Some(first) => {
                    input type="hidden" name="compare" value=(first);
                    (reference_field("with", "Compare with tag or digest"))
                }
                None => {
                    (reference_field("compare", "Compare tag or digest"))
                    (reference_field("with", "with"))
                }
            }
            button type="submit" { "Compare" }
        }
    }
}

fn reference_field(name: &str, label: &str) -> Markup {
    html! {
        p {
            label for=(name) { (label) }
            input id=(name) name=(name) autocomplete="off" autocapitalize="off" spellcheck="false" maxlength="255" required;
        }
    }
}

/// A manifest that is compared.
struct ComparedManifest<'a> {
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
    let before = ComparedManifest::read(context, &store, before.trim()).await?;
    let after = ComparedManifest::read(context, &store, after.trim()).await?;
    let repository = Links::of(context).repository(name);
    let title = format!("Comparison of {} and {}", before.label(), after.label());
    let content = html! {
        (template::breadcrumb(repository, Some("Comparison")))
        h1 { (title) }
        dl.facts {
            (before.identity(repository, "Before"))
            (after.identity(repository, "After"))
        }
        @if before.node.digest == after.node.digest {
            p.empty { "Both name the same manifest." }
        } @else { (differences(&ManifestDiff::of(&before.manifest, &after.manifest))) }
    };
    Ok(template::page(repository.links, &format!("{title} – {name} – {}", commands::host(context)), &content))
}

impl<'a> ComparedManifest<'a> {
    async fn read(
        context: &RequestContext,
        store: &Arc<dyn ReadStore>,
        reference: &'a str,
    ) -> Result<Self, PageError> {
        if !is_reference(reference) {
            return Err(PageError::not_found("A manifest to compare needs a tag or a digest as its name."));
        }
        let node = store.resolve(reference).await?;
        if !context.registry.is_manifest(reference, &node) {
            return Err(PageError::not_found(
                "This is the digest of a blob. Only manifests can be compared.",
            ));
        }
        let content = Content::from_source(Arc::clone(store) as Arc<dyn Source>, node.clone());
        let bytes = content.bytes(context.registry.options.max_manifest_size).await?;
        let manifest = Manifest::parse(&node.media_type, bytes);
        let manifest =
            manifest.map_err(|_| PageError::not_found("One of the two manifests is malformed."))?;
        Ok(Self { reference, node, manifest })
    }

    /// Returns the tag, or the beginning of the digest.
    fn label(&self) -> String {
        match self.reference.contains(':') {
            true => short_digest(&self.node.digest),
            false => self.reference.to_owned(),
        }
    }

    /// Renders a row of a list: a link to the manifest, its digest and its type.
    fn identity(&self, repository: RepositoryLinks<'_>, heading: &str) -> Markup {
        let artifact_type = self.manifest.artifact_type().unwrap_or(&self.node.media_type);
        let digest = &self.node.digest;
        html! {
            div {
                dt { (heading) }
                dd {
                    @match repository.to_manifest(digest) {
                        Some(address) => a href=(address) { (self.label()) },
                        None => (self.label()),
                    }
                    @if !self.reference.contains(':') { " " code.soft { (short_digest(digest)) } }
                    ", " bdi { (shown(artifact_type.as_str(), LABEL)) }
                }
            }
        }
    }
}

fn differences(diff: &ManifestDiff) -> Markup {
    let content =
        |entry: &Descriptor| html! { (size(entry.size)) " " code.soft { (short_digest(&entry.digest)) } };
    let annotation = |value: &String| html! { bdi { (shown(value, VALUE)) } };
    html! {
        section aria-labelledby="content-changes" {
            h2 #content-changes { "Content" }
            p.count { (count(diff.content.len(), "difference", "differences")) ", " (count(diff.unchanged, "entry", "entries")) " unchanged" }
            (table("Name", &diff.content, content))
        }
        section aria-labelledby="annotation-changes" {
            h2 #annotation-changes { "Annotations" }
            p.count { (count(diff.annotations.len(), "difference", "differences")) }
            (table("Annotation", &diff.annotations, annotation))
        }
    }
}

/// Renders a table of changes, or nothing without changes. The roles repeat those of the elements, as in the table of
/// tags, and the style sheet shows the labels in the cells instead of the headers on narrow screens.
fn table<T>(heading: &str, changes: &[Change<T>], cell: impl Fn(&T) -> Markup) -> Markup {
    let value = |label: &str, value: &Option<T>| {
        html! {
            td role="cell" {
                span.label aria-hidden="true" { (label) " " }
                @match value { Some(value) => (cell(value)), None => "–" }
            }
        }
    };
    html! {
        @if !changes.is_empty() {
            table.changes role="table" {
                thead role="rowgroup" {
                    tr role="row" { @for heading in [heading, "Change", "Before", "After"] { th scope="col" role="columnheader" { (heading) } } }
                }
                tbody role="rowgroup" {
                    @for change in changes.iter().take(MAX_ROWS) {
                        tr role="row" {
                            th scope="row" role="rowheader" { bdi { (shown(&change.name, 2 * LABEL)) } }
                            td role="cell" { (badge(change.kind())) }
                            (value("Before", &change.before))
                            (value("After", &change.after))
                        }
                    }
                }
            }
        }
        @if changes.len() > MAX_ROWS { p.soft { (count(changes.len() - MAX_ROWS, "more is", "more are")) " not shown." } }
    }
}

fn badge(kind: ChangeKind) -> Markup {
    html! {
        @match kind {
            ChangeKind::Added => span.role.added { "Added" },
            ChangeKind::Removed => span.role.removed { "Removed" },
            ChangeKind::Changed => span.role.changed { "Changed" },
        }
    }
}
