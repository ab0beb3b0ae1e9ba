//! The report of `diff`.

use oras_spec::Descriptor;
use serde::Serialize;

use super::Node;
use crate::{ContentChange, Differences, TextChange, ValueChange};

/// The report of `diff`. It is the document that `oras diff --format json` prints.
///
/// ```
/// use oras::report::{ChangeKind, Changed, Diff, Node};
/// use oras::{Artifact, DiffOptions, Memory, diff};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Memory::new();
/// for tag in ["v1", "v2"] {
///     Artifact::new("application/vnd.me").annotation("tag", tag).push(&store, Some(tag)).await?;
/// }
/// let found = diff(store.clone(), "v1", store, "v2", &DiffOptions::default()).await?;
/// let report = Diff::new("localhost:5000/a", "localhost:5000/a", &found);
/// let annotation: &Changed<String> = &report.annotations[0];
/// assert_eq!((annotation.name.as_deref(), annotation.change), (Some("tag"), ChangeKind::Changed));
/// let files: &[Changed<Node>] = &report.files;
/// assert!(files.is_empty() && !report.equal);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diff {
    /// True if both references name the same manifest.
    pub equal: bool,
    /// The manifest of the first artifact.
    pub from: Node,
    /// The manifest of the second artifact.
    pub to: Node,
    /// The differing fields of the manifests.
    pub fields: Vec<Changed<String>>,
    /// The differing annotations of the manifests.
    pub annotations: Vec<Changed<String>>,
    /// The difference between the configs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Changed<Node>>,
    /// The differing layers.
    pub files: Vec<Changed<Node>>,
    /// The differing manifests of two indexes.
    pub manifests: Vec<Changed<Node>>,
}

/// Something that differs. It is an entry of each list of a [`Diff`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Changed<T> {
    /// The field, the key of the annotation, the title of the file, or the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How it differs.
    pub change: ChangeKind,
    /// The value in the first artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<T>,
    /// The value in the second artifact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<T>,
    /// The comparison of the content: `unified`, `binary` or `too-large`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'static str>,
    /// The difference in the unified format, if both contents are text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unified: Option<String>,
}

/// How something differs. It is one word in the JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the second artifact has it.
    Added,
    /// Only the first artifact has it.
    Removed,
    /// Both artifacts have it, with different values.
    Changed,
}

impl ChangeKind {
    fn of<T>(from: Option<&T>, to: Option<&T>) -> Self {
        match (from, to) {
            (None, _) => Self::Added,
            (_, None) => Self::Removed,
            _ => Self::Changed,
        }
    }
}

impl Diff {
    /// Makes the report of `found`. `from` and `to` are the repositories or the paths of the layouts.
    pub fn new(from: &str, to: &str, found: &Differences) -> Self {
        let content = |change: &ContentChange| content(from, to, change);
        Self {
            equal: found.is_empty(),
            from: Node::new(from, &found.from),
            to: Node::new(to, &found.to),
            fields: found.fields.iter().map(value).collect(),
            annotations: found.annotations.iter().map(value).collect(),
            config: found.config.as_ref().map(content),
            files: found.files.iter().map(content).collect(),
            manifests: found.manifests.iter().map(content).collect(),
        }
    }
}

fn value(change: &ValueChange) -> Changed<String> {
    Changed {
        name: Some(change.name.clone()),
        change: ChangeKind::of(change.from.as_ref(), change.to.as_ref()),
        from: change.from.clone(),
        to: change.to.clone(),
        content: None,
        unified: None,
    }
}

fn content(from: &str, to: &str, change: &ContentChange) -> Changed<Node> {
    let node = |name: &str, descriptor: &Option<Descriptor>| {
        descriptor.as_ref().map(|descriptor| Node::new(name, descriptor))
    };
    Changed {
        name: change.name.clone(),
        change: ChangeKind::of(change.from.as_ref(), change.to.as_ref()),
        from: node(from, &change.from),
        to: node(to, &change.to),
        content: change.text.as_ref().map(|text| match text {
            TextChange::Unified(_) => "unified",
            TextChange::Binary => "binary",
            TextChange::TooLarge => "too-large",
        }),
        unified: match &change.text {
            Some(TextChange::Unified(text)) => Some(text.clone()),
            _ => None,
        },
    }
}
