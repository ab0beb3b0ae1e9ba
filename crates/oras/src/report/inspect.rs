//! The report of `inspect`.

use std::collections::BTreeMap;

use oras_spec::{Descriptor, MediaType, Platform};
use serde::Serialize;

use super::Node;
use crate::{ArtifactClass, ArtifactKind, Inspection};

/// The report of `inspect`. It is the document that `oras inspect --format json` prints.
///
/// ```
/// use oras::report::{Class, Inspect, InspectedFile, InspectedManifest, InspectedReferrer};
/// use oras::{Artifact, ArtifactKind, InspectOptions, Memory, inspect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = Memory::new();
/// let app = Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&store, Some("v1")).await?;
/// Artifact::new("application/spdx+json").subject(app.root).push(&store, None).await?;
/// let report = Inspect::new("localhost:5000/app", &inspect(store, "v1", &InspectOptions::default()).await?);
/// let files: &[InspectedFile] = &report.files;
/// let (manifests, class): (&[InspectedManifest], &Class) = (&report.manifests, &report.class);
/// assert_eq!((files.len(), manifests.len(), class.kind), (1, 0, ArtifactKind::Artifact));
/// let sbom: &InspectedReferrer = &report.referrers[0];
/// println!("{}", serde_json::to_string_pretty(sbom)?);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Inspect {
    /// The manifest, with its own annotations and artifact type.
    #[serde(flatten)]
    pub root: Node,
    /// What the artifact is.
    #[serde(flatten)]
    pub class: Class,
    /// The creation time, from the annotations or from the config of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The manifest to which this one refers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Node>,
    /// The config.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<Node>,
    /// The layers, in order.
    pub files: Vec<InspectedFile>,
    /// The platforms, such as `linux/amd64`.
    pub platforms: Vec<String>,
    /// The manifests of an index.
    pub manifests: Vec<InspectedManifest>,
    /// What refers to the artifact.
    pub referrers: Vec<InspectedReferrer>,
    /// The size of all manifests, configs and layers. A blob that two manifests list counts twice.
    pub total_size: u64,
    /// The size of all manifests, configs and layers, each digest counted once.
    pub unique_size: u64,
    /// The number of manifests below an index that were not read.
    pub unread_manifests: usize,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// The kind of an artifact. Its fields are part of the object that describes the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Class {
    /// The kind.
    pub kind: ArtifactKind,
    /// The format or the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<&'static str>,
}

impl From<ArtifactClass> for Class {
    fn from(class: ArtifactClass) -> Self {
        Self { kind: class.kind, format: class.format }
    }
}

impl From<Class> for ArtifactClass {
    fn from(class: Class) -> Self {
        Self { kind: class.kind, format: class.format }
    }
}

/// A layer. Scripts read its title, size and media type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedFile {
    /// The path to which `pull` writes the content. `None` for a layer without a title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layer.
    #[serde(flatten)]
    pub layer: Node,
}

/// A manifest of an index. Scripts read its platform and sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedManifest {
    /// The manifest.
    #[serde(flatten)]
    pub node: Node,
    /// The platform of the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What the manifest is.
    #[serde(flatten)]
    pub class: Class,
    /// The size of the manifest and everything below it, if all of it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_size: Option<u64>,
}

/// A manifest that refers to the artifact. Scripts read its kind, such as `signature`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InspectedReferrer {
    /// The manifest.
    #[serde(flatten)]
    pub node: Node,
    /// What the referrer is.
    #[serde(flatten)]
    pub class: Class,
    /// The tag by which cosign attached it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

impl Inspect {
    /// Makes the report of `found` in `name`, a repository or the path of a layout.
    pub fn new(name: &str, found: &Inspection) -> Self {
        let node = |descriptor: &Descriptor| Node::new(name, descriptor);
        let manifest = &found.manifest;
        let root = Descriptor {
            annotations: manifest.annotations().clone(),
            artifact_type: artifact_type(found),
            ..found.root.plain()
        };
        Self {
            root: node(&root),
            class: found.class.into(),
            created: found.created.clone(),
            subject: manifest.subject().map(|subject| node(&subject.plain())),
            config: manifest.config().map(node),
            files: manifest.layers().iter().map(|layer| file(name, layer)).collect(),
            platforms: found.platforms.iter().map(ToString::to_string).collect(),
            manifests: found
                .manifests
                .iter()
                .map(|entry| InspectedManifest {
                    node: node(&entry.descriptor),
                    platform: entry.descriptor.platform.clone(),
                    class: entry.class.into(),
                    total_size: entry.total_size,
                })
                .collect(),
            referrers: found
                .referrers
                .iter()
                .map(|referrer| InspectedReferrer {
                    node: node(&referrer.descriptor),
                    class: referrer.class.into(),
                    tag: referrer.tag.clone(),
                })
                .collect(),
            total_size: found.total_size,
            unique_size: found.unique_size,
            unread_manifests: found.unread_manifests,
            notes: found.notes.clone(),
        }
    }

    /// Returns the annotations of the manifest.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.root.descriptor.annotations
    }
}

fn file(name: &str, layer: &Descriptor) -> InspectedFile {
    InspectedFile { name: layer.title().map(ToOwned::to_owned), layer: Node::new(name, layer) }
}

/// Returns the artifact type, unless it is only the type of the config of an image.
fn artifact_type(found: &Inspection) -> Option<MediaType> {
    found.manifest.artifact_type().filter(|found| !found.is_image_config()).cloned()
}
