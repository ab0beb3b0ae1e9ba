//! Manifests: the original bytes and their parsed content.
//!
//! Use [`Manifest::parse`] to read a manifest, and [`ImageManifest`] or [`ImageIndex`] to make one. No other module
//! decodes a manifest by its media type.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::json::{self, null_is_default};
use crate::{Descriptor, MediaKind, MediaType};

/// A parsed manifest with its original bytes, which are never serialized again. Its methods return the parts that most
/// programs need, of every kind of manifest; [`Manifest::view`] returns the fields of its kind.
///
/// ```
/// use oras_spec::{Descriptor, ImageManifest, Manifest, ManifestError, MediaType, View};
///
/// # fn main() -> Result<(), ManifestError> {
/// let layer = Descriptor::of(MediaType::LAYER_TAR, b"hello world\n");
/// let bytes = ImageManifest::new(Descriptor::empty_json(), vec![layer]).to_bytes();
/// let manifest = Manifest::parse(&MediaType::IMAGE_MANIFEST, bytes.clone())?;
/// assert_eq!(manifest.layers()[0].size, 12);
/// match manifest.view() {
///     View::Image(image) => assert_eq!(image.config, Descriptor::empty_json()),
///     View::Index(index) => println!("{} manifests", index.manifests.len()),
///     View::Artifact(artifact) => println!("{} blobs", artifact.blobs.len()),
/// }
///
/// let error = Manifest::parse(&MediaType::LAYER_TAR, bytes).unwrap_err();
/// assert!(matches!(error, ManifestError::NotManifest(_)));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Manifest {
    media_type: MediaType,
    bytes: Bytes,
    view: View,
}

/// The content of a manifest, by its kind. Match it to reach the fields that only one kind has; see [`Manifest`] for an
/// example.
#[derive(Clone, Debug)]
pub enum View {
    /// An image manifest, OCI or Docker schema 2.
    Image(Box<ImageManifest>),
    /// An image index or a Docker manifest list.
    Index(Box<ImageIndex>),
    /// The withdrawn OCI artifact manifest.
    Artifact(Box<ArtifactManifest>),
}

/// An error of parsing a manifest. A store or client must not use such a manifest, even if its digest is right.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The media type is not that of a manifest.
    #[error("{} is not the media type of a manifest", quoted(.0))]
    NotManifest(MediaType),
    /// The bytes are not JSON, have duplicate keys, or have fields of the wrong type.
    #[error("malformed manifest")]
    Json(#[from] serde_json::Error),
    /// The field `mediaType` differs from the media type of the descriptor (CVE-2021-41190).
    #[error("the manifest says it is {found}, but it is described as {expected}")]
    MediaType {
        /// The media type in the descriptor or the response.
        expected: MediaType,
        /// The media type in the manifest.
        found: MediaType,
    },
    /// The manifest can be read as an image and as an index, because it has `layers` or `config` and also `manifests`
    /// (CVE-2021-41190).
    #[error("ambiguous manifest: it has both layers and manifests")]
    Ambiguous,
}

/// Returns a media type for a message. An empty one is shown as `""`.
fn quoted(media_type: &MediaType) -> &str {
    if media_type.as_str().is_empty() { "\"\"" } else { media_type.as_str() }
}

/// An image manifest (image-spec, manifest.md). It lists the config and the layers of an image or another artifact.
/// Docker's schema 2 manifest has the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of the manifest.
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
    /// The manifest to which this one refers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image index (image-spec, image-index.md). It lists manifests, for example the images of several platforms.
/// Docker's manifest list has the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// The media type of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The manifests, in order. The first manifest that matches a platform is used.
    #[serde(default, deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest to which this one refers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The artifact manifest that image-spec 1.1 withdrew. Old artifacts have one: ORAS reads it but never writes it.
///
/// ```
/// use oras_spec::{ArtifactManifest, Manifest, ManifestError, MediaType, View};
///
/// /// Returns the artifact manifest in `manifest`, if it has the withdrawn form.
/// fn withdrawn(manifest: &Manifest) -> Option<&ArtifactManifest> {
///     if let View::Artifact(artifact) = manifest.view() { Some(artifact) } else { None }
/// }
///
/// # fn main() -> Result<(), ManifestError> {
/// let text = r#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"a/b","blobs":[]}"#;
/// let manifest = Manifest::parse(&MediaType::ARTIFACT_MANIFEST, text.into())?;
/// assert_eq!(withdrawn(&manifest).and_then(|old| old.artifact_type.clone()), Some(MediaType::new("a/b")));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArtifactManifest {
    /// The media type of the manifest.
    pub media_type: MediaType,
    /// The type of the artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The content.
    #[serde(default, deserialize_with = "null_is_default")]
    pub blobs: Vec<Descriptor>,
    /// The manifest to which this one refers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations, sorted by key.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl ImageManifest {
    /// Makes an OCI manifest with a config and layers.
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

    /// Serializes the manifest to the bytes that the Go tool writes.
    pub fn to_bytes(&self) -> Bytes {
        json::to_vec(self).into()
    }
}

impl ImageIndex {
    /// Makes an OCI index of `manifests`.
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

    /// Serializes the manifest to the bytes that the Go tool writes.
    pub fn to_bytes(&self) -> Bytes {
        json::to_vec(self).into()
    }
}

/// The fields that determine the kind of a document.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    media_type: Option<MediaType>,
    layers: Option<serde::de::IgnoredAny>,
    config: Option<serde::de::IgnoredAny>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Manifest {
    /// Parses `bytes` as a manifest of `media_type`. The caller has verified their digest.
    ///
    /// Unknown fields are ignored, and children may have unknown media types.
    ///
    /// # Errors
    /// Rejects duplicate keys, a `mediaType` in the bytes that differs from `media_type`, an index with layers or a
    /// config, and an image with manifests (OCI advisory CVE-2021-41190). Also rejects a `media_type` that is not that
    /// of a manifest.
    pub fn parse(media_type: &MediaType, bytes: Bytes) -> Result<Self, ManifestError> {
        let kind = media_type.kind();
        if !media_type.is_manifest() {
            return Err(ManifestError::NotManifest(media_type.clone()));
        }
        // Two parsers can read different values of a duplicate key, so duplicates are rejected before anything is
        // decoded.
        json::check_strict(&bytes)?;
        let probe: Probe = serde_json::from_slice(&bytes)?;
        if let Some(found) =
            // The field is optional in OCI documents, so only a different value is an error.
            probe.media_type.filter(|found| !found.as_str().is_empty() && found != media_type)
        {
            return Err(ManifestError::MediaType { expected: media_type.clone(), found });
        }
        let (is_index, is_image) =
            (probe.manifests.is_some(), probe.layers.is_some() || probe.config.is_some());
        // Another tool could read such a document as the other kind under the same digest.
        let other = match kind {
            MediaKind::Index => is_image,
            MediaKind::Manifest => is_index,
            _ => is_index && is_image,
        };
        if other {
            return Err(ManifestError::Ambiguous);
        }
        let view = match kind {
            MediaKind::Manifest => View::Image(serde_json::from_slice(&bytes)?),
            MediaKind::Index => View::Index(serde_json::from_slice(&bytes)?),
            _ => View::Artifact(serde_json::from_slice(&bytes)?),
        };
        Ok(Self { media_type: media_type.clone(), bytes, view })
    }

    /// Returns the original bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the media type with which the bytes were parsed.
    pub fn media_type(&self) -> &MediaType {
        &self.media_type
    }

    /// Returns the parsed content.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// Returns the layers of an image manifest, or the blobs of an artifact manifest, in order. An index has none.
    pub fn layers(&self) -> &[Descriptor] {
        match &self.view {
            View::Image(manifest) => &manifest.layers,
            View::Index(_) => &[],
            View::Artifact(artifact) => &artifact.blobs,
        }
    }

    /// Returns the manifests that an index lists, in order. Other manifests have none.
    pub fn manifests(&self) -> &[Descriptor] {
        match &self.view {
            View::Index(index) => &index.manifests,
            View::Image(_) | View::Artifact(_) => &[],
        }
    }

    /// Returns the descriptors of all children: the subject, then the config, then layers, manifests or blobs in order.
    ///
    /// Docker's manifests have no subject. Foreign layers are included, and the caller decides whether to copy them.
    pub fn children(&self) -> Vec<Descriptor> {
        let listed = self.layers().iter().chain(self.manifests());
        self.subject().into_iter().chain(self.config()).chain(listed).cloned().collect()
    }

    /// Returns the manifest to which this one refers, if there is one.
    pub fn subject(&self) -> Option<&Descriptor> {
        // Docker's schema does not define the field.
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

    /// Returns the artifact type of the manifest, or else the media type of its config (distribution-spec, "Listing
    /// Referrers").
    pub fn artifact_type(&self) -> Option<&MediaType> {
        let own = match &self.view {
            View::Image(manifest) => manifest.artifact_type.as_ref(),
            View::Index(index) => index.artifact_type.as_ref(),
            View::Artifact(artifact) => artifact.artifact_type.as_ref(),
        };
        // An empty type counts as missing, as in the Go tool.
        own.filter(|text| !text.as_str().is_empty())
            .or_else(|| self.config().map(|config| &config.media_type))
    }

    /// Returns the annotations of the manifest.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        match &self.view {
            View::Image(manifest) => &manifest.annotations,
            View::Index(index) => &index.annotations,
            View::Artifact(artifact) => &artifact.annotations,
        }
    }

    /// Returns the config of an image manifest.
    pub fn config(&self) -> Option<&Descriptor> {
        match &self.view {
            View::Image(manifest) => Some(&manifest.config),
            _ => None,
        }
    }

    /// Returns the descriptor of this manifest for a list of referrers: `described` with the artifact type and
    /// annotations of the manifest (distribution-spec, "Listing Referrers").
    pub fn referrer_descriptor(&self, described: &Descriptor) -> Descriptor {
        Descriptor {
            annotations: self.annotations().clone(),
            artifact_type: self.artifact_type().cloned(),
            ..described.plain()
        }
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
    fn keeps_bytes_and_lists_children_in_order() {
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
    fn falls_back_to_media_type_of_config() {
        let text = format!(r#"{{"schemaVersion":2,"config":{EMPTY},"layers":null}}"#);
        let manifest = parse(MediaType::IMAGE_MANIFEST, &text).unwrap();
        assert_eq!(manifest.artifact_type(), Some(&MediaType::EMPTY_JSON));
        let index = parse(MediaType::IMAGE_INDEX, r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        assert_eq!(index.artifact_type(), None);
    }

    #[test]
    fn rejects_ambiguous_documents() {
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
    fn writes_empty_list_of_empty_index() {
        assert_eq!(
            ImageIndex::new(Vec::new()).to_bytes(),
            r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#
        );
    }
}
