//! Image indexes made of manifests of one repository, and changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_spec::{Descriptor, Digest, ImageManifest, IndexDocument, Manifest, MediaKind, MediaType};
use oras_spec::{Platform, View};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Source, check_written_size};

use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// The largest config that is read for its platform.
const MAX_CONFIG_SIZE: u64 = 4 * 1024 * 1024;

/// What an index is to be.
#[derive(Clone, Debug, Default)]
pub struct IndexOptions {
    /// Tags or digests of the manifests, in order.
    pub manifests: Vec<String>,
    /// The type of the artifact.
    pub artifact_type: Option<MediaType>,
    /// Annotations of the index.
    pub annotations: BTreeMap<String, String>,
}

/// Changes of an index, made in the order of these fields.
#[derive(Clone, Debug, Default)]
pub struct IndexUpdate {
    /// A new artifact type; `Some(None)` removes it.
    pub artifact_type: Option<Option<MediaType>>,
    /// Digests whose entries go.
    pub remove: Vec<Digest>,
    /// Tags or digests of manifests to append.
    pub add: Vec<String>,
    /// Tags or digests of indexes whose entries are appended.
    pub merge: Vec<String>,
}

/// An index of manifests that are in `source`, each with its platform and artifact type. Nothing is stored.
///
/// # Errors
/// `InvalidInput` for a malformed artifact type and a source that is no manifest; the errors of reading.
pub async fn create_index(
    source: Arc<dyn Source>,
    options: &IndexOptions,
    listener: &dyn Listener,
) -> Result<Content> {
    check_type(options.artifact_type.as_ref())?;
    let mut index = IndexDocument::new();
    index.set_artifact_type(options.artifact_type.clone());
    for (key, value) in &options.annotations {
        index.annotate(key.clone(), value.clone());
    }
    for reference in &options.manifests {
        index.add(entry(&source, reference, listener).await?.0);
    }
    content(MediaType::IMAGE_INDEX, index.to_bytes())
}

/// The index that `reference` names in `source`, changed. Nothing is stored.
///
/// Fields that the specification does not define are kept.
///
/// # Errors
/// `InvalidInput` when it is no index, when a digest to be removed is not listed, when something to be added is no
/// manifest or something to be merged no index; the errors of reading.
pub async fn update_index(
    source: Arc<dyn Source>,
    reference: &str,
    update: &IndexUpdate,
    listener: &dyn Listener,
) -> Result<Content> {
    check_type(update.artifact_type.as_ref().and_then(Option::as_ref))?;
    let (_, mut index) = fetch_index(&source, reference, listener).await?;
    if let Some(artifact_type) = &update.artifact_type {
        index.set_artifact_type(artifact_type.clone());
    }
    for (place, digest) in update.remove.iter().enumerate() {
        if update.remove[..place].contains(digest) {
            continue;
        }
        if !index.remove(digest) {
            let message = format!("{digest} does not exist in the index {reference}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        listener.step(Step::Removed(digest));
    }
    for added in &update.add {
        let (descriptor, fetched) = entry(&source, added, listener).await?;
        index.add(descriptor);
        listener.step(Step::Added(added, &fetched));
    }
    for merged in &update.merge {
        let (fetched, other) = fetch_index(&source, merged, listener).await?;
        index.merge(other);
        listener.step(Step::Merged(merged, &fetched));
    }
    content(index.media_type().clone(), index.to_bytes())
}

/// The index as content; refused if it would be too large for its readers.
fn content(media_type: MediaType, bytes: Vec<u8>) -> Result<Content> {
    check_written_size("the index", bytes.len(), MAX_MANIFEST_SIZE)?;
    Ok(Content::of(media_type, bytes))
}

/// What image-spec demands of an artifact type, in the words of the Go tool.
fn check_type(artifact_type: Option<&MediaType>) -> Result<()> {
    match artifact_type.filter(|artifact_type| !artifact_type.is_well_formed()) {
        Some(bad) => Err(Error::new(ErrorKind::InvalidInput, format!("{bad}: invalid media type"))),
        None => Ok(()),
    }
}

async fn fetch(source: &Arc<dyn Source>, what: &str, reference: &str) -> Result<Content> {
    fetch_manifest(Arc::clone(source), reference)
        .await
        .map_err(|error| error.context(format!("could not find the {what} {reference}")))
}

async fn fetch_index(
    source: &Arc<dyn Source>,
    reference: &str,
    listener: &dyn Listener,
) -> Result<(Descriptor, IndexDocument)> {
    listener.step(Step::Fetching(reference));
    let content = fetch(source, "index", reference).await?;
    let node = content.descriptor().clone();
    if node.media_type.kind() != MediaKind::Index {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{reference} is not an index")));
    }
    listener.step(Step::Fetched(reference, &node));
    let index = IndexDocument::of(&content.manifest(MAX_MANIFEST_SIZE).await?)?;
    Ok((node, index.unwrap_or_default()))
}

/// The entry for a manifest, and the manifest's descriptor as it was found.
async fn entry(
    source: &Arc<dyn Source>,
    reference: &str,
    listener: &dyn Listener,
) -> Result<(Descriptor, Descriptor)> {
    listener.step(Step::Fetching(reference));
    let content = fetch(source, "manifest", reference).await?;
    let node = content.descriptor();
    if !matches!(node.media_type.kind(), MediaKind::Manifest | MediaKind::Index) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{reference} is not a manifest")));
    }
    listener.step(Step::Fetched(reference, node));
    let manifest = content.manifest(MAX_MANIFEST_SIZE).await?;
    let mut entry = node.plain();
    match manifest.view() {
        View::Image(image) => {
            entry.platform = platform(source, image).await?;
            entry.artifact_type = artifact_type(image, &manifest);
        }
        View::Index(index) => entry.artifact_type = given(index.artifact_type.as_ref()),
        View::Artifact(_) => {}
    }
    Ok((entry, node.clone()))
}

fn given(media_type: Option<&MediaType>) -> Option<MediaType> {
    media_type.filter(|text| !text.as_str().is_empty()).cloned()
}

/// The manifest's own artifact type, else the config's type, unless that is one every image has.
fn artifact_type(image: &ImageManifest, manifest: &Manifest) -> Option<MediaType> {
    given(image.artifact_type.as_ref()).or_else(|| {
        let common =
            image.config.media_type.is_image_config() || image.config.media_type == MediaType::EMPTY_JSON;
        if common { None } else { given(manifest.artifact_type()) }
    })
}

/// The platform that the config of an image tells; a config that tells none is not an error.
async fn platform(source: &Arc<dyn Source>, image: &ImageManifest) -> Result<Option<Platform>> {
    let config = &image.config;
    if !config.media_type.is_image_config() {
        return Ok(None);
    }
    if config.size > MAX_CONFIG_SIZE {
        let message = format!(
            "config size {} exceeds the limit of {MAX_CONFIG_SIZE} bytes: size exceeds limit",
            config.size
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let bytes = Content::from_source(Arc::clone(source), config.clone()).bytes(MAX_CONFIG_SIZE).await?;
    let platform: Option<Platform> = serde_json::from_slice(&bytes).ok();
    Ok(platform.filter(|platform| !(platform.os.is_empty() && platform.architecture.is_empty())))
}
