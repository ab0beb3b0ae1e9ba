//! Manifests: raw bytes with a parsed view. The only place that decodes a manifest by media type.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::json::{self, null_is_default};
use crate::{Descriptor, Kind, MediaType};

/// A manifest as it was found: bytes that are never re-serialised, and what they say.
#[derive(Clone, Debug)]
pub struct Manifest {
    media_type: MediaType,
    bytes: Bytes,
    view: View,
}

/// What a manifest says, by its kind.
#[derive(Clone, Debug)]
pub enum View {
    /// An image manifest, OCI or Docker schema 2.
    Image(Box<ImageManifest>),
    /// An image index or a Docker manifest list.
    Index(Box<ImageIndex>),
    /// The withdrawn OCI artifact manifest.
    Artifact(Box<ArtifactManifest>),
}

/// Why bytes are not the manifest they are said to be.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The media type is none of a manifest.
    #[error("{} is not the media type of a manifest", quoted(.0))]
    NotManifest(MediaType),
    /// Not JSON, duplicate keys, or fields of the wrong type.
    #[error("malformed manifest")]
    Json(#[from] serde_json::Error),
    /// The `mediaType` inside differs from the descriptor's (CVE-2021-41190).
    #[error("the manifest says it is {found}, but it is described as {expected}")]
    MediaType {
        /// The type in the descriptor or the response.
        expected: MediaType,
        /// The type in the bytes.
        found: MediaType,
    },
    /// `layers` or `config` beside `manifests` (CVE-2021-41190): readable as image and as index.
    #[error("ambiguous manifest: it has both layers and manifests")]
    Ambiguous,
}

/// A media type in a message, which would have a gap where it is empty.
fn quoted(media_type: &MediaType) -> &str {
    if media_type.as_str().is_empty() { "\"\"" } else { media_type.as_str() }
}

/// An image manifest (image-spec, manifest.md); Docker's schema 2 manifest reads the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// The manifest's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, in order.
    #[serde(default, deserialize_with = "null_is_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index (image-spec, image-index.md); Docker's manifest list reads the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// The index's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests, in order; the first match of a platform wins.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The artifact manifest that image-spec 1.1 withdrew; read, never written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactManifest {
    /// The manifest's own type.
    pub media_type: MediaType,
    /// The type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The content.
    #[serde(default, deserialize_with = "null_is_default")]
    pub blobs: Vec<Descriptor>,
    /// The manifest this one refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// An OCI manifest with nothing but a config and layers.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::IMAGE_MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The JSON the Go tool would write.
    pub fn to_bytes(&self) -> Bytes {
        json::to_vec(self).into()
    }
}

impl ImageIndex {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MediaType::IMAGE_INDEX),
            artifact_type: None,
            manifests,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// The JSON the Go tool would write.
    pub fn to_bytes(&self) -> Bytes {
        json::to_vec(self).into()
    }
}

/// The fields whose presence decides what a document is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    media_type: Option<MediaType>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Reads `bytes` as a manifest of `media_type`. The caller has checked their digest.
    ///
    /// Duplicate keys, a differing inner `mediaType`, an index with layers or a config, and an image with manifests are
    /// errors (OCI advisory CVE-2021-41190);
    /// unknown fields and unknown media types of children are carried.
    pub fn parse(media_type: &MediaType, bytes: Bytes) -> Result<Self, ManifestError> {
        let kind = media_type.kind();
        if !media_type.is_manifest() {
            return Err(ManifestError::NotManifest(media_type.clone()));
        }
        json::check_strict(&bytes)?;
        let probe: Probe = serde_json::from_slice(&bytes)?;
        if let Some(found) =
            probe.media_type.filter(|found| !found.as_str().is_empty() && found != media_type)
        {
            return Err(ManifestError::MediaType { expected: media_type.clone(), found });
        }
        let (is_index, is_image) =
            (probe.manifests.is_some(), probe.layers.is_some() || probe.config.is_some());
        let other = match kind {
            Kind::Index => is_image,
            Kind::Manifest => is_index,
            _ => is_index && is_image,
        };
        if other {
            return Err(ManifestError::Ambiguous);
        }
        let view = match kind {
            Kind::Manifest => View::Image(serde_json::from_slice(&bytes)?),
            Kind::Index => View::Index(serde_json::from_slice(&bytes)?),
            _ => View::Artifact(serde_json::from_slice(&bytes)?),
        };
        Ok(Self { media_type: media_type.clone(), bytes, view })
    }

    /// The bytes as they were found.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The type it was parsed as.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// What the bytes say.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Every node this manifest needs, subject first, then config, then layers, manifests or blobs in order.
    /// Docker's types have no subject. Foreign layers are listed: whether to copy them is the copier's rule.
    pub fn children(&self) -> Vec<Descriptor> {
        let subject = self.subject().cloned().into_iter();
        match &self.view {
            View::Image(manifest) => {
                subject.chain([manifest.config.clone()]).chain(manifest.layers.iter().cloned()).collect()
            }
            View::Index(index) => subject.chain(index.manifests.iter().cloned()).collect(),
            View::Artifact(artifact) => subject.chain(artifact.blobs.iter().cloned()).collect(),
        }
    }

    /// The manifest this one refers to, if any.
    pub fn subject(&self) -> Option<&Descriptor> {
        let docker = [MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST_LIST];
        if docker.contains(&self.media_type) {
            return None;
        }
        match &self.view {
            View::Image(manifest) => manifest.subject.as_ref(),
            View::Index(index) => index.subject.as_ref(),
            View::Artifact(artifact) => artifact.subject.as_ref(),
        }
    }

    /// The artifact type: the manifest's own, else the config's media type (distribution-spec, "Listing
    /// Referrers").
    pub fn artifact_type(&self) -> Option<&MediaType> {
        let own = match &self.view {
            View::Image(manifest) => manifest.artifact_type.as_ref(),
            View::Index(index) => index.artifact_type.as_ref(),
            View::Artifact(artifact) => artifact.artifact_type.as_ref(),
        };
        own.filter(|text| !text.as_str().is_empty())
            .or_else(|| self.config().map(|config| &config.media_type))
    }

    /// The manifest's annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match &self.view {
            View::Image(manifest) => &manifest.annotations,
            View::Index(index) => &index.annotations,
            View::Artifact(artifact) => &artifact.annotations,
        }
    }

    /// The config of an image manifest.
    pub fn config(&self) -> Option<&Descriptor> {
        match &self.view {
            View::Image(manifest) => Some(&manifest.config),
            _ => None,
        }
    }

    /// The descriptor of this manifest as a referrer: with its artifact type and annotations
    /// (distribution-spec, "Listing Referrers").
    pub fn referrer_descriptor(&self, described: &Descriptor) -> Descriptor {
        let mut descriptor = described.plain();
        descriptor.annotations = self.annotations().clone();
        descriptor.artifact_type = self.artifact_type().cloned();
        descriptor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(media_type: MediaType, text: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(&media_type, Bytes::copy_from_slice(text.as_bytes()))
    }

    const EMPTY: &str = r#"{"mediaType":"application/vnd.oci.empty.v1+json","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}"#;

    #[test]
    fn children_are_in_order_and_bytes_are_kept() {
        let text = format!(
            r#"{{ "schemaVersion":2,"x":1,"config":{EMPTY},"layers":[{EMPTY}],"subject":{EMPTY},"artifactType":"a/b" }}"#
        );
        let manifest = parse(MediaType::IMAGE_MANIFEST, &text).unwrap();
        assert_eq!(manifest.bytes(), text.as_bytes());
        assert_eq!(manifest.children().len(), 3);
        assert_eq!(manifest.artifact_type().unwrap().as_str(), "a/b");
        let docker = parse(MediaType::DOCKER_MANIFEST, &text).unwrap();
        assert_eq!((docker.children().len(), docker.subject()), (2, None));
    }

    #[test]
    fn artifact_type_falls_back_to_config() {
        let text = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":null}}"#);
        let manifest = parse(MediaType::IMAGE_MANIFEST, &text).unwrap();
        assert_eq!(manifest.artifact_type(), Some(&MediaType::EMPTY_JSON));
        let index = parse(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        assert_eq!(index.artifact_type(), None);
    }

    #[test]
    fn confusing_documents_are_refused() {
        let both = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[],"manifests":[]}}"#);
        assert!(matches!(parse(MediaType::IMAGE_MANIFEST, &both), Err(ManifestError::Ambiguous)));
        assert!(matches!(parse(MediaType::IMAGE_INDEX, &both), Err(ManifestError::Ambiguous)));
        let other = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","config":{EMPTY},"layers":[]}}"#
        );
        assert!(matches!(parse(MediaType::IMAGE_MANIFEST, &other), Err(ManifestError::MediaType { .. })));
        let twice = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":[],"layers":[{EMPTY}]}}"#);
        assert!(matches!(parse(MediaType::IMAGE_MANIFEST, &twice), Err(ManifestError::Json(_))));
        assert!(matches!(parse(MediaType::LAYER_TAR, "{}"), Err(ManifestError::NotManifest(_))));
    }

    #[test]
    fn empty_index_is_written_with_its_list() {
        assert_eq!(
            ImageIndex::new(Vec::new()).to_bytes(),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
