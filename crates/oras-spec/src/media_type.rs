//! Media types and their classification for the graph of an artifact.
//!
//! Use a [`MediaType`] in descriptors and manifests. Its constants are the types that OCI and Docker define, and
//! [`MediaType::kind`] tells a manifest from a blob.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A media type, which names the format of content in descriptors and manifests. It may be any text, because
/// descriptors with unknown media types are kept unchanged.
///
/// Parsing accepts only well-formed types; [`MediaType::new`] accepts any text.
///
/// ```
/// use oras_spec::MediaType;
///
/// let media_type: MediaType = "application/vnd.example.config+json".parse()?;
/// assert_eq!(media_type.as_str(), "application/vnd.example.config+json");
/// assert!(MediaType::try_from("example").is_err());
/// assert_eq!(MediaType::new("example").as_str(), "example");
/// # Ok::<(), oras_spec::MediaTypeError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(Cow<'static, str>);

/// The role of a media type in the graph of an artifact. It decides whether content is parsed as a manifest:
///
/// ```
/// use oras_spec::{MediaKind, MediaType};
///
/// assert_eq!(MediaType::IMAGE_INDEX.kind(), MediaKind::Index);
/// assert!(!MediaType::LAYER_TAR.is_manifest());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// An image manifest, OCI or Docker schema 2: config, layers, and in OCI a subject.
    Manifest,
    /// An image index or a Docker manifest list: manifests, and in OCI a subject.
    Index,
    /// The OCI artifact manifest, which was withdrawn before image-spec 1.1: blobs and a subject.
    ArtifactManifest,
    /// A layer that must not be distributed. Its descriptor is copied, but its content is never uploaded.
    Foreign,
    /// Content without children.
    Blob,
}

impl MediaType {
    /// OCI image manifest.
    pub const IMAGE_MANIFEST: Self = Self::of("application/vnd.oci.image.manifest.v1+json");
    /// OCI image index.
    pub const IMAGE_INDEX: Self = Self::of("application/vnd.oci.image.index.v1+json");
    /// OCI image configuration.
    pub const IMAGE_CONFIG: Self = Self::of("application/vnd.oci.image.config.v1+json");
    /// The empty JSON object, `{}`.
    pub const EMPTY_JSON: Self = Self::of("application/vnd.oci.empty.v1+json");
    /// OCI layer. The default media type of a file.
    pub const LAYER_TAR: Self = Self::of("application/vnd.oci.image.layer.v1.tar");
    /// OCI layer, gzip. The default media type of a directory.
    pub const LAYER_TAR_GZIP: Self = Self::of("application/vnd.oci.image.layer.v1.tar+gzip");
    /// OCI layer, zstd.
    pub const LAYER_TAR_ZSTD: Self = Self::of("application/vnd.oci.image.layer.v1.tar+zstd");
    /// The withdrawn OCI artifact manifest.
    pub const ARTIFACT_MANIFEST: Self = Self::of("application/vnd.oci.artifact.manifest.v1+json");
    /// Docker image manifest, schema 2.
    pub const DOCKER_MANIFEST: Self = Self::of("application/vnd.docker.distribution.manifest.v2+json");
    /// Docker manifest list.
    pub const DOCKER_MANIFEST_LIST: Self =
        Self::of("application/vnd.docker.distribution.manifest.list.v2+json");
    /// Docker image configuration.
    pub const DOCKER_CONFIG: Self = Self::of("application/vnd.docker.container.image.v1+json");
    /// Bytes of no known type.
    pub const OCTET_STREAM: Self = Self::of("application/octet-stream");
    /// The default artifact type.
    pub const UNKNOWN_ARTIFACT: Self = Self::of("application/vnd.unknown.artifact.v1");
    /// The default media type of the config in an artifact of image-spec 1.0.
    pub const UNKNOWN_CONFIG: Self = Self::of("application/vnd.unknown.config.v1+json");

    /// The media types of manifests in the order of the `Accept` header.
    pub const MANIFESTS: [Self; 5] = [
        Self::DOCKER_MANIFEST,
        Self::DOCKER_MANIFEST_LIST,
        Self::IMAGE_MANIFEST,
        Self::IMAGE_INDEX,
        Self::ARTIFACT_MANIFEST,
    ];

    const fn of(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Makes a media type of any text, without a check. [`str::parse`] checks the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the role of the media type in a graph. No other function lists the media types of manifests.
    pub fn kind(&self) -> MediaKind {
        match self.as_str() {
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json" => MediaKind::Manifest,
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json" => MediaKind::Index,
            "application/vnd.oci.artifact.manifest.v1+json" => MediaKind::ArtifactManifest,
            "application/vnd.oci.image.layer.nondistributable.v1.tar"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
            | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => MediaKind::Foreign,
            // ORAS knows no children of an unknown type, so it copies such content as plain bytes.
            _ => MediaKind::Blob,
        }
    }

    /// Returns true if content of this type is stored as a manifest, which can have children.
    pub fn is_manifest(&self) -> bool {
        matches!(self.kind(), MediaKind::Manifest | MediaKind::Index | MediaKind::ArtifactManifest)
    }

    /// Returns true for OCI and Docker image configurations, which name a platform.
    pub fn is_image_config(&self) -> bool {
        *self == Self::IMAGE_CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// Returns true if the text is `type/subtype` with restricted names (RFC 6838, section 4.2), which image-spec
    /// requires of the types of artifacts and configs.
    pub fn is_well_formed(&self) -> bool {
        let name = |part: &str| {
            // RFC 6838 limits names to 127 characters.
            part.len() <= 127
                && part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
        };
        self.0.split_once('/').is_some_and(|(main, sub)| name(main) && name(sub))
    }
}

/// The error of parsing a text that is not a media type: see [`MediaType::is_well_formed`]. [`MediaType::new`] accepts
/// such a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a media type such as application/vnd.example+json")]
pub struct MediaTypeError(String);

impl TryFrom<String> for MediaType {
    type Error = MediaTypeError;

    fn try_from(text: String) -> Result<Self, MediaTypeError> {
        let media_type = Self::new(text);
        if media_type.is_well_formed() {
            Ok(media_type)
        } else {
            Err(MediaTypeError(media_type.0.into_owned()))
        }
    }
}

impl TryFrom<&str> for MediaType {
    type Error = MediaTypeError;

    fn try_from(text: &str) -> Result<Self, MediaTypeError> {
        text.to_owned().try_into()
    }
}

impl FromStr for MediaType {
    type Err = MediaTypeError;

    fn from_str(text: &str) -> Result<Self, MediaTypeError> {
        text.try_into()
    }
}

impl From<MediaType> for String {
    fn from(media_type: MediaType) -> Self {
        media_type.0.into_owned()
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `pad` applies the width and alignment of the format.
        f.pad(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_types_of_manifests() {
        assert!(MediaType::MANIFESTS.iter().all(MediaType::is_manifest));
        assert!(!MediaType::LAYER_TAR.is_manifest());
        assert_eq!(MediaType::new("application/vnd.oci.image.index.v1+json"), MediaType::IMAGE_INDEX);
    }

    #[test]
    fn checks_names_by_rfc_6838() {
        for good in ["a/b", "application/vnd.x+json", "text/plain", "1/2"] {
            assert!(MediaType::new(good).is_well_formed(), "{good}");
        }
        let long = format!("a/{}", "b".repeat(128));
        for bad in ["", "bad", "/b", "a/", "a/b/c", "a b/c", "a/.b", "a/b;c=d", long.as_str()] {
            assert!(!MediaType::new(bad).is_well_formed(), "{bad}");
        }
    }
}
