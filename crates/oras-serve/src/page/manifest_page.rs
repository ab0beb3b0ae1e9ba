//! The page of a manifest: its overview, pull commands, content and referrers.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};
use oras_spec::{Descriptor, Manifest, json};
use oras_store::{Content, ReadStore, Source};

use super::commands::{self, Command, PulledParts, ShownManifest, command_line, copy_button};
use super::format::{LABEL, VALUE, count, number, short_digest, shown, size};
use super::links::{Links, RepositoryLinks};
use super::overview::{Overview, OverviewKind};
use super::page_request::{self, PageError};
use super::tree::{Branch, Node, Role, Tree};
use super::{compare_page, description, template};
use crate::api::request_context::RequestContext;

/// The maximum number of annotations that are shown.
const MAX_ANNOTATIONS: usize = 100;
/// The maximum size of a manifest that the page indents. Of a larger one, it shows the unindented beginning, because
/// the indentation of nested lists can make the text much longer.
const MAX_INDENTED: usize = 64 << 10;
/// The maximum number of characters of a manifest that are shown.
const MAX_TEXT: usize = 256 << 10;
/// A tree with more nodes than this is shown folded.
const MAX_UNFOLDED: usize = 40;

/// Renders the page.
pub(super) async fn render(
    context: &RequestContext,
    name: &str,
    reference: &str,
) -> Result<Markup, PageError> {
    let repository = Links::of(context).repository(name);
    let store = page_request::open(context, name).await?;
    let node = store.resolve(reference).await?;
    if !context.registry.is_manifest(reference, &node) {
        return Err(PageError::not_found("This is the digest of a blob, which has no page of its own."));
    }
    let content = Content::from_source(Arc::clone(&store) as Arc<dyn Source>, node.clone());
    let bytes = content.bytes(context.registry.options.max_manifest_size).await?;
    let tag = (!reference.contains(':')).then_some(reference);
    let title =
        tag.map_or_else(|| format!("{name}@{}", short_digest(&node.digest)), |tag| format!("{name}:{tag}"));
    let parsed = Manifest::parse(&node.media_type, bytes.clone());
    let shown_as = tag.map_or_else(|| short_digest(&node.digest), ToOwned::to_owned);
    let content = html! {
        (template::breadcrumb(repository, Some(&shown_as)))
        h1 { (title) }
        @match &parsed {
            Ok(manifest) => (sections(context, &store, ShownManifest { name, tag, node: &node }, manifest).await?),
            Err(error) => {
                div.empty { p { "This manifest can't be shown: " bdi { (shown(&error.to_string(), VALUE)) } "." } }
                dl.facts { (identity(&node)) }
            }
        }
        (source_section(repository, &node, &bytes))
    };
    Ok(template::page(repository.links, &format!("{title} – {}", commands::host(context)), &content))
}

/// Renders the sections of a parsed manifest.
async fn sections(
    context: &RequestContext,
    store: &Arc<dyn ReadStore>,
    shown: ShownManifest<'_>,
    manifest: &Manifest,
) -> Result<Markup, PageError> {
    let ShownManifest { name, node, .. } = shown;
    let repository = Links::of(context).repository(name);
    let tree = Tree::of(store, manifest).await;
    let referrers = match context.registry.options.referrers {
        true => Some(Tree::of_referrers(&**store, node).await?),
        false => None,
    };
    let overview = Overview::of(manifest);
    let has_platforms =
        manifest.manifests().iter().any(|node| node.platform.as_ref().is_some_and(|of| of.os != "unknown"));
    let is_image = overview.kind == OverviewKind::Image || has_platforms;
    let parts = PulledParts { has_files: tree.has_files(), is_image, kind: overview.kind };
    let description = description::section(store, manifest).await;
    Ok(html! {
        p.lead { bdi { (overview.description) } @if let Some(bytes) = overview.size { ", " (size(bytes)) } }
        (description)
        @if commands::can_reach(context) { (get_section(context, &shown, &parts)) }
        section aria-labelledby="facts" {
            h2 #facts { "Details" }
            dl.facts {
                (identity(node))
                (facts(repository, manifest, &overview))
            }
        }
        section aria-labelledby="compare-with" {
            h2 #compare-with { "Compare" }
            (compare_page::form(repository, Some(&shown.tag.map_or_else(|| node.digest.to_string(), ToOwned::to_owned))))
        }
        @if !manifest.annotations().is_empty() { (annotations(manifest.annotations())) }
        section aria-labelledby="tree" {
            h2 #tree { @if overview.kind == OverviewKind::Index { "Manifests" } @else { "Content" } }
            (whole_tree(repository, &tree, "It lists nothing."))
        }
        @if let Some(referrers) = &referrers {
            section aria-labelledby="referrers" {
                h2 #referrers { "Referrers" }
                (referrers_by_kind(repository, referrers))
            }
        }
    })
}

/// Renders the commands by digest, and below them those by tag. The style sheet shows only the selected ones.
fn get_section(context: &RequestContext, shown: &ShownManifest<'_>, parts: &PulledParts) -> Markup {
    let by_digest = commands::pull_commands(context, shown, &shown.node.digest.to_string(), parts);
    let by_tag = shown.tag.map(|tag| commands::pull_commands(context, shown, tag, parts));
    let list = |list: &[Command], id: &str| {
        html! {
            @for (number, command) in list.iter().enumerate() {
                p.what { (command.purpose) }
                (command_line(&format!("{id}-{number}"), &command.line))
            }
        }
    };
    html! {
        section aria-labelledby="get" {
            h2 #get { "Get it" }
            @match &by_tag {
                None => (list(&by_digest, "command")),
                Some(by_tag) => fieldset.choice {
                    legend { "Name it by" }
                    span.option {
                        input #by-digest type="radio" name="by" checked;
                        label for="by-digest" { "digest, which never changes" }
                    }
                    span.option {
                        input #by-tag type="radio" name="by";
                        label for="by-tag" { "tag, which may move" }
                    }
                    div.by-digest { (list(&by_digest, "command")) }
                    div.by-tag { (list(by_tag, "tag-command")) }
                },
            }
        }
    }
}

fn whole_tree(repository: RepositoryLinks<'_>, tree: &Tree, if_empty: &str) -> Markup {
    html! {
        (branch(repository, tree, &tree.top, tree.nodes.len() <= MAX_UNFOLDED))
        @if tree.nodes.is_empty() { p.soft { (if_empty) } }
    }
}

/// Renders the referrers, grouped by kind. The top of the tree is sorted by kind.
fn referrers_by_kind(repository: RepositoryLinks<'_>, tree: &Tree) -> Markup {
    let unfolded = tree.nodes.len() <= MAX_UNFOLDED;
    let all = &tree.nodes[tree.top.nodes.clone()];
    html! {
        @if all.is_empty() { p.soft { "Nothing refers to it: no signature, no bill of materials." } }
        @for group in all.chunk_by(|one, other| one.role == other.role) {
            @if let Role::Referrer(kind) = group[0].role { h3 { (kind.heading()) " (" (group.len()) ")" } }
            ul.tree { @for node in group { (item(repository, tree, node, unfolded)) } }
        }
        @if tree.top.more > 0 { p.soft { (count(tree.top.more, "more is", "more are")) " not shown." } }
    }
}

fn identity(node: &Descriptor) -> Markup {
    html! {
        div { dt { "Digest" } dd { code #digest { (shown(&node.digest.to_string(), VALUE)) } (copy_button("digest")) } }
        div { dt { "Media type" } dd { code { (shown(node.media_type.as_str(), VALUE)) } } }
        div { dt { "Manifest size" } dd { (bytes(node.size)) } }
    }
}

fn facts(repository: RepositoryLinks<'_>, manifest: &Manifest, overview: &Overview) -> Markup {
    html! {
        @if let Some(artifact_type) = manifest.artifact_type().filter(|text| !text.as_str().is_empty()) {
            div { dt { "Artifact type" } dd { code { bdi { (shown(artifact_type.as_str(), VALUE)) } } } }
        }
        @if let Some(sum) = overview.size { div { dt { "Content size" } dd { (bytes(sum)) } } }
        @if let Some(subject) = manifest.subject() {
            div {
                dt { "Subject" }
                dd {
                    @match repository.to_manifest(&subject.digest) {
                        Some(address) => a href=(address) { code { (subject.digest) } },
                        None => code { (shown(&subject.digest.to_string(), VALUE)) },
                    }
                }
            }
        }
    }
}

fn bytes(of: u64) -> Markup {
    html! {
        (size(of))
        @if of >= 1024 { " " span.soft { "(" (number(of)) " bytes)" } }
    }
}

fn annotations(all: &BTreeMap<String, String>) -> Markup {
    html! {
        section aria-labelledby="annotations" {
            h2 #annotations { "Annotations" }
            dl.facts.wide {
                @for (key, value) in all.iter().take(MAX_ANNOTATIONS) {
                    div { dt { bdi { (shown(key, LABEL)) } } dd { bdi { (shown(value, VALUE)) } } }
                }
            }
            @if let Some(more) = all.len().checked_sub(MAX_ANNOTATIONS).filter(|more| *more > 0) {
                p.soft { "and " (count(more, "more", "more")) }
            }
        }
    }
}

/// Renders a branch. The recursion ends, because trees have a maximum depth.
fn branch(repository: RepositoryLinks<'_>, tree: &Tree, of: &Branch, unfolded: bool) -> Markup {
    html! {
        @if let Some(note) = of.note { p.soft { (note) } }
        @if !of.nodes.is_empty() || of.more > 0 {
            ul.tree {
                @for node in &tree.nodes[of.nodes.clone()] { (item(repository, tree, node, unfolded)) }
                @if of.more > 0 { li.soft { (count(of.more, "more is", "more are")) " not shown." } }
            }
        }
    }
}

/// Renders a node with the branch below it.
fn item(repository: RepositoryLinks<'_>, tree: &Tree, node: &Node, unfolded: bool) -> Markup {
    html! {
        li {
            (node_line(repository, node))
            @if node.below.nodes.is_empty() { (branch(repository, tree, &node.below, unfolded)) } @else {
                details open[unfolded] {
                    summary { (summary(tree, &node.below)) }
                    (branch(repository, tree, &node.below, unfolded))
                }
            }
        }
    }
}

/// Summarizes a folded branch.
fn summary(tree: &Tree, of: &Branch) -> String {
    let (nodes, all) = (&tree.nodes[of.nodes.clone()], of.nodes.len() + of.more);
    match [nodes.first(), nodes.last()].map(|node| node.map(|node| node.role)) {
        [_, Some(Role::Referrer(_))] => count(all, "referrer", "referrers"),
        [_, Some(Role::Manifest)] => count(all, "manifest", "manifests"),
        [Some(Role::Config), Some(Role::Layer)] => {
            format!("Config and {}", count(all - 1, "layer", "layers"))
        }
        [_, Some(Role::Config)] => "Config".to_owned(),
        _ => count(all, "blob", "blobs"),
    }
}

/// Renders a node. A manifest links to its page, a blob to its bytes.
fn node_line(repository: RepositoryLinks<'_>, node: &Node) -> Markup {
    let digest = &node.descriptor.digest;
    let address = match (node.is_present, node.is_manifest()) {
        (false, _) => None,
        (true, true) => repository.to_manifest(digest),
        (true, false) => repository.to_content("blobs", digest),
    };
    let label = html! {
        @match &node.name {
            Some(name) => bdi { (name) },
            None => code { (short_digest(digest)) },
        }
    };
    html! {
        div.node {
            span.role { (node.role.label()) }
            " "
            @match address {
                Some(address) if node.is_manifest() => a href=(address) { (label) },
                Some(address) => a href=(address) download=(node.file_name()) { (label) },
                None => span { (label) },
            }
            " "
            span.soft {
                bdi { (node.type_name) } " · " (size(node.descriptor.size))
                @if node.name.is_some() { " · " code { (short_digest(digest)) } }
            }
        }
    }
}

fn source_section(repository: RepositoryLinks<'_>, node: &Descriptor, bytes: &[u8]) -> Markup {
    let part = &bytes[..bytes.len().min(MAX_INDENTED)];
    let is_whole = part.len() == bytes.len();
    let indented = if is_whole { json::indent(part).ok() } else { None };
    // The cut may split a character, which is then replaced.
    let text = String::from_utf8_lossy(indented.as_deref().unwrap_or(part));
    let is_complete = is_whole && text.chars().count() <= MAX_TEXT;
    html! {
        section aria-labelledby="manifest" {
            h2 #manifest { "Manifest" }
            details {
                summary { "Show the JSON" }
                pre tabindex="0" role="region" aria-label="The manifest as JSON" { code { (shown(&text, MAX_TEXT)) } }
            }
            @if !is_complete { p.soft { "Only its beginning is shown." } }
            @if let Some(address) = repository.to_content("manifests", &node.digest) {
                p { a href=(address) { "The manifest as it is stored" } }
            }
        }
    }
}
