//! Selects the image for a platform (image-spec, image-index.md). As in the Go tool, the first match wins.

use std::fmt;
use std::sync::Arc;

use crate::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Source};
use oras_spec::{Descriptor, MediaType, Platform, View};

/// The platforms of an index without an entry for the wanted one. [`Error::find`] finds it in the error of
/// [`select_platform`].
///
/// ```
/// use oras_store::{Error, PlatformNotFound};
///
/// fn advice(error: &Error) -> Option<String> {
///     let PlatformNotFound { offered, .. } = error.find()?;
///     let names: Vec<String> = offered.iter().map(ToString::to_string).collect();
///     Some(format!("the index has {}", names.join(", ")))
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlatformNotFound {
    /// The wanted platform.
    pub wanted: Platform,
    /// The platforms of the entries.
    pub offered: Vec<Platform>,
}

impl fmt::Display for PlatformNotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no entry for {}", self.wanted)
    }
}

impl std::error::Error for PlatformNotFound {}

/// Returns the manifest for `platform`.
///
/// For an index, returns the first entry that matches, with the annotations and the platform of the entry. For an
/// image, returns the image if its config matches.
///
/// # Errors
/// [`ErrorKind::NotFound`] if nothing matches; [`ErrorKind::Unsupported`] if `root` is neither an index nor an image
/// with a config that names a platform.
pub async fn select_platform(
    source: Arc<dyn Source>,
    root: &Content,
    platform: &Platform,
) -> Result<Descriptor> {
    let node = root.descriptor();
    if !node.media_type.is_manifest() {
        let message = format!("{}: {}: unsupported", node.digest, node.media_type);
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let manifest = root.manifest(MAX_MANIFEST_SIZE).await?;
    match manifest.view() {
        View::Index(index) => {
            let offered =
                |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|p| p.satisfies(platform));
            let missing = || {
                let message = format!(
                    "{}: not found: no matching manifest was found in the manifest list",
                    node.digest
                );
                let offered = index.manifests.iter().filter_map(|entry| entry.platform.clone()).collect();
                Error::new(ErrorKind::NotFound, message)
                    .with_detail(PlatformNotFound { wanted: platform.clone(), offered })
            };
            index.manifests.iter().find(offered).cloned().ok_or_else(missing)
        }
        View::Image(image) => {
            let config = &image.config;
            // Each format of a manifest has its own config type. Other types do not have the fields of a platform.
            let expected = if *manifest.media_type() == MediaType::DOCKER_MANIFEST {
                MediaType::DOCKER_CONFIG
            } else {
                MediaType::IMAGE_CONFIG
            };
            if config.media_type != expected {
                let message = format!(
                    "fail to recognize platform from unknown config {}: expect {expected}: unsupported",
                    config.media_type
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            let bytes = Content::from_source(source, config.clone()).bytes(MAX_MANIFEST_SIZE).await?;
            let found: Platform = serde_json::from_slice(&bytes).map_err(|error| {
                Error::new(ErrorKind::InvalidContent, format!("invalid image config {}", config.digest))
                    .with_source(error)
            })?;
            if found.satisfies(platform) {
                return Ok(node.clone());
            }
            let message =
                format!("{}: not found: platform in manifest does not match target platform", node.digest);
            Err(Error::new(ErrorKind::NotFound, message))
        }
        // An artifact manifest has no config that could name a platform.
        View::Artifact(_) => {
            let message = format!("{}: {}: unsupported", node.digest, node.media_type);
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    }
}
