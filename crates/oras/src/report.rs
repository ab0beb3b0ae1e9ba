//! The JSON documents that `--format json` prints, and conversions from the results of verbs.
//!
//! Use these types in a program whose output scripts read like that of `oras`. The names and the order of the fields
//! are those of the Go tool, because scripts read them.
//!
//! ```
//! use oras::report::{Annotate, Discover, Node, Push};
//! use oras::{Annotations, Artifact, DiscoverOptions, Memory, annotate, discover};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (name, store) = ("localhost:5000/web", Memory::new());
//! let pushed = Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
//! let report = Push::new(name, &pushed.root, &["v1".into()]);
//! assert_eq!(report.reference_as_tags, ["localhost:5000/web:v1"]);
//! println!("{}", serde_json::to_string_pretty(&report)?);
//!
//! let edits = Annotations::default().set(vec![("stage".into(), "test".into())]);
//! let report = Annotate::new(name, &annotate(store.clone(), "v1", &edits).await?);
//! assert_eq!(report.previous_digest, pushed.root.digest);
//!
//! let tree = Discover::new(name, &discover(store, "v1", &DiscoverOptions::default()).await?);
//! let root: &Node = &tree.node;
//! println!("{} has {} referrers", root.reference, tree.referrers.len());
//! # Ok(()) }
//! ```

mod diff;
mod inspect;

use std::collections::BTreeMap;

use oras_spec::{Descriptor, Digest};
use serde::Serialize;

#[cfg(feature = "files")]
use crate::Pulled;
use crate::{Annotated, Referrer, TaggedArtifact};

pub use diff::{ChangeKind, Changed, Diff};
pub use inspect::{Class, Inspect, InspectedFile, InspectedManifest, InspectedReferrer};

/// A descriptor with the reference that fetches it. Most reports contain one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// The reference: `name@digest`.
    pub reference: String,
    /// The descriptor, without the fields that the Go tool does not print.
    #[serde(flatten)]
    pub descriptor: Descriptor,
}

impl Node {
    /// Makes a node of `descriptor`. `name` is the repository or the path of the layout.
    pub fn new(name: &str, descriptor: &Descriptor) -> Self {
        let mut shown = descriptor.plain();
        shown.annotations.clone_from(&descriptor.annotations);
        shown.artifact_type.clone_from(&descriptor.artifact_type);
        Self { reference: format!("{name}@{}", descriptor.digest), descriptor: shown }
    }
}

/// The report of `push`. [`Push::new`] makes it from the root of a [`PushedArtifact`](crate::PushedArtifact).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Push {
    /// The manifest.
    #[serde(flatten)]
    pub root: Node,
    /// The references of all tags, `name:tag`, sorted.
    pub reference_as_tags: Vec<String>,
}

impl Push {
    /// Makes the report of a push of `root` to `name` with `tags`.
    pub fn new(name: &str, root: &Descriptor, tags: &[String]) -> Self {
        let mut reference_as_tags: Vec<_> = tags.iter().map(|tag| format!("{name}:{tag}")).collect();
        // Sorted, so that the output does not depend on the order on the command line.
        reference_as_tags.sort();
        Self { root: Node::new(name, root), reference_as_tags }
    }
}

/// The report of `manifest delete` and `blob delete`. [`Deleted::new`] makes it after the deletion:
///
/// ```
/// use oras::report::Deleted;
///
/// # fn main() -> serde_json::Result<()> {
/// let report = Deleted::new("localhost:5000/web", "localhost:5000/web:v1", None);
/// let json = serde_json::to_string(&report)?;
/// assert_eq!(json, r#"{"referenceAsGiven":"localhost:5000/web:v1","deleted":false}"#);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Deleted {
    /// The deleted manifest or blob. `None` if it did not exist.
    #[serde(flatten)]
    pub node: Option<Node>,
    /// The reference from the command line.
    pub reference_as_given: String,
    /// True if the manifest or blob existed.
    pub deleted: bool,
}

impl Deleted {
    /// Makes the report of a deletion of the reference `given` from `name`. `node` is `None` if it did not exist.
    pub fn new(name: &str, given: &str, node: Option<&Descriptor>) -> Self {
        Self {
            node: node.map(|node| Node::new(name, node)),
            reference_as_given: given.to_owned(),
            deleted: node.is_some(),
        }
    }
}

/// The report of `untag`. It lists what [`untag`](fn@crate::untag) returns for each tag:
///
/// ```
/// use oras::report::{Node, Untag, Untagged};
/// use oras::{Artifact, Memory, untag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
/// let node = Node::new("localhost:5000/web", &untag(store, "v1").await?);
/// let report = Untag { untagged: vec![Untagged { node, tag: "v1".into() }] };
/// # let _ = report;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Untag {
    /// The removed tags, in the order of the command line.
    pub untagged: Vec<Untagged>,
}

/// A removed tag. An [`Untag`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Untagged {
    /// The manifest that the tag named. It still exists.
    #[serde(flatten)]
    pub node: Node,
    /// The tag.
    pub tag: String,
}

/// The report of `annotate`. [`Annotate::new`] makes it from an [`Annotated`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotate {
    /// The new manifest.
    #[serde(flatten)]
    pub root: Node,
    /// The digest of the manifest before the change.
    pub previous_digest: Digest,
}

impl Annotate {
    /// Makes the report of an annotated manifest in `name`.
    pub fn new(name: &str, annotated: &Annotated) -> Self {
        Self { root: Node::new(name, &annotated.after), previous_digest: annotated.before.digest.clone() }
    }
}

/// The report of `cp`. A program makes it after a [`copy`](fn@crate::copy) from the descriptor of the copied manifest:
///
/// ```
/// use oras::report::{Copy, Push};
/// use oras::spec::{Descriptor, MediaType};
///
/// # let copied = Descriptor::of(MediaType::IMAGE_MANIFEST, b"...");
/// let copied = Push::new("localhost:5000/web", &copied, &["v1".into()]);
/// let report = Copy { source: "ghcr.io/me/web:v1".into(), dry_run: false, copied };
/// # let _ = report;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// The source reference from the command line.
    pub source: String,
    /// True if this was a dry run, which copies nothing.
    pub dry_run: bool,
    /// The manifest and its tags at the destination.
    #[serde(flatten)]
    pub copied: Push,
}

/// The report of `tag`. A program makes it from the manifest that [`tag`](fn@crate::tag) returns:
///
/// ```
/// use oras::report::{Node, Tag, Tags};
/// use oras::{Artifact, Memory, Quiet, tag};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
/// let tags = vec!["latest".to_owned()];
/// let node = Node::new("localhost:5000/web", &tag(store.clone(), "v1", &tags, 0, Quiet).await?);
/// let report = Tag { node, tags };
/// assert_eq!(report.tags, ["latest"]);
///
/// let list = Tags { tags: store.tags().await?, digests: None };
/// assert_eq!(list.tags, ["latest", "v1"]);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// The manifest.
    #[serde(flatten)]
    pub node: Node,
    /// The new tags, in the order of the command line.
    pub tags: Vec<String>,
}

/// The report of `login` and `logout`. It says whether a credential is stored afterwards:
///
/// ```
/// use oras::report::{CredentialSource, Login, Repositories};
///
/// # fn main() -> serde_json::Result<()> {
/// let registry = "localhost:5000".to_owned();
/// let report = Login { registry: registry.clone(), logged_in: false, username: None };
/// assert_eq!(serde_json::to_string(&report)?, r#"{"registry":"localhost:5000","loggedIn":false}"#);
///
/// let source = CredentialSource {
///     name: registry.clone(),
///     file: "/home/me/.docker/config.json".into(),
///     key: Some(registry.clone()),
///     helper: None,
///     kind: "password",
///     username: Some("me".into()),
/// };
/// let list = Repositories { registry, repositories: vec!["web".into()] };
/// println!("{}\n{}", serde_json::to_string(&source)?, serde_json::to_string(&list)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// The registry.
    pub registry: String,
    /// True if a credential of the registry is stored now.
    pub logged_in: bool,
    /// The user name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The report of `login --check`: the location of a credential, without the credential. A [`Login`] has an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CredentialSource {
    /// The registry, with the repository if one was given.
    pub name: String,
    /// The file with the credential or with the name of its helper.
    pub file: String,
    /// The key of the entry in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The credential helper.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper: Option<String>,
    /// The kind of the credential: `password`, `identity token` or `registry token`.
    pub kind: &'static str,
    /// The user name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The report of `pull`. [`Pull::new`] makes it from a [`Pulled`]:
///
/// ```
/// use oras::report::{File, Pull};
/// use oras::{Artifact, Memory, PullOptions, Quiet, pull};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&store, Some("v1")).await?;
/// let pulled = pull(store, "v1", PullOptions::into(directory.path()), Quiet).await?;
/// let report = Pull::new("localhost:5000/web", &pulled);
/// for File { path, layer } in &report.files {
///     println!("{path}: {}", layer.reference);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pull {
    /// The reference of the root: `name@digest`.
    pub reference: String,
    /// The files, in the order of the manifest.
    pub files: Vec<File>,
}

/// A pulled file. A [`Pull`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// The absolute path. The path of a directory ends in a separator.
    pub path: String,
    /// The layer with the content of the file.
    #[serde(flatten)]
    pub layer: Node,
}

#[cfg(feature = "files")]
impl Pull {
    /// Makes the report of a pull from `name`.
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

/// The report of `discover`: a manifest with its referrers. [`Discover::new`] makes it from a [`Referrer`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discover {
    /// The manifest.
    #[serde(flatten)]
    pub node: Node,
    /// The referrers of the manifest.
    pub referrers: Vec<Discover>,
}

impl Discover {
    /// Makes the report of the tree `root` in `name`.
    pub fn new(name: &str, root: &Referrer) -> Self {
        Self {
            node: Node::new(name, &root.descriptor),
            referrers: root.referrers.iter().map(|referrer| Self::new(name, referrer)).collect(),
        }
    }
}

/// The report of `repo tags`. A program makes it from the tags of a store; [`Tag`] has an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tags {
    /// The tags, in the order of the store.
    pub tags: Vec<String>,
    /// The digest of each tag, if digests were requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digests: Option<BTreeMap<String, Digest>>,
}

/// The report of `repo ls`. A program makes it from the list of a registry; [`Login`] has an example.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repositories {
    /// The registry.
    pub registry: String,
    /// The repositories, in the order of the registry.
    pub repositories: Vec<String>,
}

/// The report of `backup` and `restore`. [`Backup::new`] makes it from their results:
///
/// ```
/// use oras::report::{Backup, Tagged};
/// use oras::{Artifact, BackupOptions, BackupOutput, Memory, Quiet, backup};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let (store, path) = (Memory::new(), directory.path().join("web.tar"));
/// Artifact::new("application/vnd.me").push(&store, Some("v1")).await?;
/// let backed_up = backup(store, BackupOutput::of(&path), BackupOptions::default(), Quiet).await?;
/// let report = Backup::new("localhost:5000/web", "web.tar", &backed_up.artifacts);
/// for Tagged { tag, root, .. } in &report.artifacts {
///     println!("{tag}: {}", root.reference);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The repository.
    pub repository: String,
    /// The path of the layout, which is a directory or an archive.
    pub path: String,
    /// True if this was a dry run, which writes nothing.
    pub dry_run: bool,
    /// The size of the written archive in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive_size: Option<u64>,
    /// The artifacts, in the order in which their tags were given or listed.
    pub artifacts: Vec<Tagged>,
}

/// A tag that was backed up or restored. A [`Backup`] lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tagged {
    /// The tag.
    pub tag: String,
    /// The manifest in the repository.
    #[serde(flatten)]
    pub root: Node,
    /// The number of copied referrers.
    pub referrers: usize,
}

impl Backup {
    /// Makes the report of a backup or restore between `repository` and the layout at `path`.
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
