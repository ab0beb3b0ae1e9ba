//! Results as `--format json` prints them: field names and order are the Go tool's, which scripts read.

use std::collections::BTreeMap;

use oras_spec::{Descriptor, Digest, MediaType};
use serde::Serialize;

use crate::{Annotated, Pulled, Referrer, TaggedArtifact};

/// A descriptor with the reference under which it can be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// `name@digest`.
    pub reference: String,
    /// The type of the content.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The length of the content in bytes.
    pub size: u64,
    /// Annotations, sorted by key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The artifact type of a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
}

impl Node {
    /// `descriptor` as it is found below `name`, a repository or the path of a layout.
    pub fn new(name: &str, descriptor: &Descriptor) -> Self {
        Self {
            reference: format!("{name}@{}", descriptor.digest),
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            annotations: descriptor.annotations.clone(),
            artifact_type: descriptor.artifact_type.clone(),
        }
    }
}

/// What `push` reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// The manifest.
    #[serde(flatten)]
    pub root: Node,
    /// `name:tag` of every tag, sorted.
    pub reference_as_tags: Vec<String>,
}

impl Push {
    /// The manifest `root`, pushed to `name` under `tags`.
    pub fn new(name: &str, root: &Descriptor, tags: &[String]) -> Self {
        let mut reference_as_tags: Vec<_> = tags.iter().map(|tag| format!("{name}:{tag}")).collect();
        reference_as_tags.sort();
        Self { root: Node::new(name, root), reference_as_tags }
    }
}

/// What `manifest delete` and `blob delete` report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// What was deleted.
    #[serde(flatten)]
    pub node: Option<Node>,
    /// The reference as it was given.
    pub reference_as_given: String,
    /// Whether it was there.
    pub deleted: bool,
}

impl Deleted {
    /// `node`, found below `name` as `given`; `None` was not there.
    pub fn new(name: &str, given: &str, node: Option<&Descriptor>) -> Self {
        Self {
            node: node.map(|node| Node::new(name, node)),
            reference_as_given: given.to_owned(),
            deleted: node.is_some(),
        }
    }
}

/// What `untag` reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Untag {
    /// The tags that were removed, in the order given.
    pub untagged: Vec<Untagged>,
}

/// A tag that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untagged {
    /// The manifest that it named, and that stays.
    #[serde(flatten)]
    pub node: Node,
    /// The tag.
    pub tag: String,
}

/// What `annotate` reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotate {
    /// The new manifest.
    #[serde(flatten)]
    pub root: Node,
    /// The digest before.
    pub previous_digest: Digest,
}

impl Annotate {
    /// What was annotated below `name`.
    pub fn new(name: &str, annotated: &Annotated) -> Self {
        Self { root: Node::new(name, &annotated.after), previous_digest: annotated.before.digest.clone() }
    }
}

/// What `cp` reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// What was copied, as it was asked for.
    pub source: String,
    /// Whether nothing was copied in truth.
    pub dry_run: bool,
    /// What it is at the destination.
    #[serde(flatten)]
    pub copied: Push,
}

/// What `tag` reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tag {
    /// The manifest.
    #[serde(flatten)]
    pub node: Node,
    /// The tags it was given, in the order in which they were asked for.
    pub tags: Vec<String>,
}

/// What `login` and `logout` report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// The registry.
    pub registry: String,
    /// Whether its credential is kept now.
    pub logged_in: bool,
    /// The user name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What `login --check` reports: where a credential is, without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSource {
    /// The registry, with the repository if one was asked for.
    pub name: String,
    /// The file that has the credential or names its helper.
    pub file: String,
    /// The key of the entry in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The credential helper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// `password`, `identity token` or `registry token`.
    pub kind: &'static str,
    /// The user name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What `pull` reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pull {
    /// `name@digest` of the root.
    pub reference: String,
    /// The files, in the order of the manifest.
    pub files: Vec<File>,
}

/// A file that was pulled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// The absolute path; that of a directory ends in a separator.
    pub path: String,
    /// The layer it came from.
    #[serde(flatten)]
    pub layer: Node,
}

impl Pull {
    /// What was pulled from `name`.
    pub fn new(name: &str, pulled: &Pulled) -> Self {
        let files = pulled.files.iter().map(|file| {
            let mut path = file.path.display().to_string();
            if file.is_directory {
                path.push(std::path::MAIN_SEPARATOR);
            }
            File { path, layer: Node::new(name, &file.descriptor) }
        });
        Self { reference: format!("{name}@{}", pulled.root.digest), files: files.collect() }
    }
}

/// What `discover` reports: a node with its referrers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discover {
    /// The node.
    #[serde(flatten)]
    pub node: Node,
    /// What refers to it.
    pub referrers: Vec<Discover>,
}

impl Discover {
    /// The tree `root`, found below `name`.
    pub fn new(name: &str, root: &Referrer) -> Self {
        Self {
            node: Node::new(name, &root.descriptor),
            referrers: root.referrers.iter().map(|referrer| Self::new(name, referrer)).collect(),
        }
    }
}

/// What `repo tags` reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tags {
    /// The tags, in the store's order.
    pub tags: Vec<String>,
    /// The digest of each tag, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests: Option<BTreeMap<String, Digest>>,
}

/// What `repo ls` reports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repositories {
    /// The registry.
    pub registry: String,
    /// The repositories, in the registry's order.
    pub repositories: Vec<String>,
}

/// What `backup` and `restore` report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The repository.
    pub repository: String,
    /// The layout: a directory or an archive.
    pub path: String,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The size of the archive that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_size: Option<u64>,
    /// The tags, in the order in which they were named or listed.
    pub artifacts: Vec<Tagged>,
}

/// A tag that was backed up or restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The manifest, as it is found in the repository.
    #[serde(flatten)]
    pub root: Node,
    /// How many referrers came along.
    pub referrers: usize,
}

impl Backup {
    /// What was moved between `repository` and the layout at `path`.
    pub fn new(repository: &str, path: &str, artifacts: &[TaggedArtifact]) -> Self {
        let tagged = |artifact: &TaggedArtifact| Tagged {
            tag: artifact.tag.clone(),
            root: Node::new(repository, &artifact.root.plain()),
            referrers: artifact.referrers,
        };
        Self {
            repository: repository.to_owned(),
            path: path.to_owned(),
            dry_run: false,
            archive_size: None,
            artifacts: artifacts.iter().map(tagged).collect(),
        }
    }
}
