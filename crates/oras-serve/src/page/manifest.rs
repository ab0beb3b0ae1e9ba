//! The page of a manifest: what it is, how to get it, what it is made of and what refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};
use oras_spec::{Descriptor, Manifest, json};
use oras_store::{Content, ReadStore, Source};

use super::overview::{Kind, Overview};
use super::tags::short;
use super::text::{LABEL, VALUE, count, number, shown, size};
use super::tree::{Branch, Node, Tree};
use super::{Problem, Visit, commands, frame, place};

/// Annotations that are shown.
const MAX_ANNOTATIONS: usize = 100;
/// A manifest up to this size is indented; of a larger one the beginning is shown. Indenting makes nested lists long.
const MAX_INDENTED: usize = 64 << 10;
/// Characters of a manifest that are shown.
const MAX_TEXT: usize = 256 << 10;
/// A tree of more nodes is shown folded.
const UNFOLDED: usize = 40;

pub(super) async fn page(visit: &Visit<'_>, name: &str, reference: &str) -> Result<Markup, Problem> {
    let store = visit.repository(name).await?;
    let node = store.resolve(reference).await.map_err(|error| Problem::of(&error))?;
    if !visit.registry.is_manifest(reference, &node) {
        return Err(Problem::new("This is the digest of a blob, which has no page of its own."));
    }
    let content = Content::from_source(Arc::clone(&store) as Arc<dyn Source>, node.clone());
    let bytes = content.bytes(visit.registry.options.max_manifest_size).await;
    let bytes = bytes.map_err(|error| Problem::of(&error))?;
    let tag = (!reference.contains(':')).then_some(reference);
    let title = tag.map_or_else(|| format!("{name}@{}", short(&node.digest)), |tag| format!("{name}:{tag}"));
    let text = raw(&bytes);
    let parsed = Manifest::parse(&node.media_type, bytes);
    let shown_as = tag.map_or_else(|| short(&node.digest), ToOwned::to_owned);
    let content = html! {
        (frame::trail(name, Some(&shown_as)))
        h1 { (title) }
        @match &parsed {
            Ok(manifest) => (told(visit, &store, (name, tag), &node, manifest).await?),
            Err(error) => {
                div.empty { p { "This manifest can't be shown: " bdi { (shown(&error.to_string(), VALUE)) } "." } }
                dl.facts { (identity(&node)) }
            }
        }
        (source(name, &node, &text))
    };
    Ok(frame::page(&format!("{title} – {}", visit.host()), &content))
}

/// What a manifest tells.
async fn told(
    visit: &Visit<'_>,
    store: &Arc<dyn ReadStore>,
    (name, tag): (&str, Option<&str>),
    node: &Descriptor,
    manifest: &Manifest,
) -> Result<Markup, Problem> {
    let tree = Tree::of(store, manifest).await;
    let referrers = match visit.registry.options.referrers {
        true => Some(Tree::of_referrers(&**store, node).await.map_err(|error| Problem::of(&error))?),
        false => None,
    };
    let overview = Overview::of(manifest);
    let lines = visit.commands(name, &node.digest, tag, overview.kind, tree.has_files());
    Ok(html! {
        p.lead { bdi { (overview.what) } @if let Some(bytes) = overview.size { ", " (size(bytes)) } }
        section aria-labelledby="get" {
            h2 #get { "Get it" }
            @for (number, (what, line)) in lines.iter().enumerate() {
                p.what { (what) }
                (commands::line(&format!("command-{number}"), line))
            }
        }
        section aria-labelledby="facts" {
            h2 #facts { "Details" }
            dl.facts {
                (identity(node))
                (facts(name, manifest, &overview))
            }
        }
        @if !manifest.annotations().is_empty() { (annotations(manifest.annotations())) }
        section aria-labelledby="tree" {
            h2 #tree { @if overview.kind == Kind::Index { "Manifests" } @else { "Content" } }
            (branch(name, &tree, &tree.top, tree.nodes.len() <= UNFOLDED))
            @if tree.nodes.is_empty() { p.soft { "It lists nothing." } }
        }
        @if let Some(referrers) = &referrers {
            section aria-labelledby="referrers" {
                h2 #referrers { "Referrers" }
                (branch(name, referrers, &referrers.top, referrers.nodes.len() <= UNFOLDED))
                @if referrers.nodes.is_empty() { p.soft { "Nothing refers to it: no signature, no bill of materials." } }
            }
        }
    })
}

fn identity(node: &Descriptor) -> Markup {
    html! {
        div { dt { "Digest" } dd { code #digest { (shown(&node.digest.to_string(), VALUE)) } (commands::copy("digest")) } }
        div { dt { "Media type" } dd { code { (shown(node.media_type.as_str(), VALUE)) } } }
        div { dt { "Manifest size" } dd { (bytes(node.size)) } }
    }
}

fn facts(name: &str, manifest: &Manifest, overview: &Overview) -> Markup {
    html! {
        @if let Some(artifact_type) = manifest.artifact_type().filter(|text| !text.as_str().is_empty()) {
            div { dt { "Artifact type" } dd { code { bdi { (shown(artifact_type.as_str(), VALUE)) } } } }
        }
        @if let Some(sum) = overview.size { div { dt { "Content size" } dd { (bytes(sum)) } } }
        @if let Some(subject) = manifest.subject() {
            div {
                dt { "Subject" }
                dd {
                    @match place::of_digest(name, &subject.digest) {
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

/// What is below a node. As deep as a tree goes, and no deeper.
fn branch(name: &str, tree: &Tree, of: &Branch, unfolded: bool) -> Markup {
    html! {
        @if let Some(note) = of.note { p.soft { (note) } }
        @if !of.nodes.is_empty() || of.more > 0 {
            ul.tree {
                @for node in of.nodes.iter().filter_map(|at| tree.nodes.get(*at)) {
                    li {
                        (line(name, node))
                        @if node.below.nodes.is_empty() { (branch(name, tree, &node.below, unfolded)) } @else {
                            details open[unfolded] {
                                summary { (folded(tree, &node.below)) }
                                (branch(name, tree, &node.below, unfolded))
                            }
                        }
                    }
                }
                @if of.more > 0 { li.soft { (count(of.more, "more is", "more are")) " not shown." } }
            }
        }
    }
}

/// What a folded branch has.
fn folded(tree: &Tree, of: &Branch) -> String {
    let all = of.nodes.len() + of.more;
    let role = of.nodes.last().and_then(|at| tree.nodes.get(*at)).map_or("", |node| node.role);
    let config =
        of.nodes.first().and_then(|at| tree.nodes.get(*at)).is_some_and(|node| node.role == "Config");
    match (role, config) {
        ("Referrer", _) => count(all, "referrer", "referrers"),
        ("Manifest", _) => count(all, "manifest", "manifests"),
        ("Layer", true) => format!("Config and {}", count(all - 1, "layer", "layers")),
        ("Config", _) => "Config".to_owned(),
        _ => count(all, "blob", "blobs"),
    }
}

/// A node: a manifest leads to its page, a blob to its bytes.
fn line(name: &str, node: &Node) -> Markup {
    let address = match (node.here, node.is_manifest()) {
        (false, _) => None,
        (true, true) => place::of_digest(name, &node.digest),
        (true, false) => place::of_content(name, "blobs", &node.digest),
    };
    let label = html! {
        @match &node.name {
            Some(name) => bdi { (name) },
            None => code { (short(&node.digest)) },
        }
    };
    html! {
        div.node {
            span.role { (node.role) }
            " "
            @match address {
                Some(address) if node.is_manifest() => a href=(address) { (label) },
                Some(address) => a href=(address) download=(node.file_name()) { (label) },
                None => span { (label) },
            }
            " "
            span.soft {
                bdi { (node.what) } " · " (size(node.size))
                @if node.name.is_some() { " · " code { (short(&node.digest)) } }
            }
        }
    }
}

/// The text of a manifest, and whether it is all of it.
fn raw(bytes: &[u8]) -> (String, bool) {
    let part = &bytes[..bytes.len().min(MAX_INDENTED)];
    let indented = (part.len() == bytes.len()).then(|| json::indent(part).ok()).flatten();
    let text = String::from_utf8_lossy(indented.as_deref().unwrap_or(part)).into_owned();
    let whole = part.len() == bytes.len() && text.chars().count() <= MAX_TEXT;
    (shown(&text, MAX_TEXT), whole)
}

fn source(name: &str, node: &Descriptor, (text, whole): &(String, bool)) -> Markup {
    html! {
        section aria-labelledby="manifest" {
            h2 #manifest { "Manifest" }
            details {
                summary { "Show the JSON" }
                pre tabindex="0" role="region" aria-label="The manifest as JSON" { code { (text) } }
            }
            @if !whole { p.soft { "Only its beginning is shown." } }
            @if let Some(address) = place::of_content(name, "manifests", &node.digest) {
                p { a href=(address) { "The manifest as it is stored" } }
            }
        }
    }
}
