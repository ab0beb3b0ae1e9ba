//! Creates and edits image indexes.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_spec::{Descriptor, Digest, ImageManifest, IndexDocument, Manifest, MediaKind, MediaType};
use oras_spec::{Platform, View};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Source, check_written_size};

use crate::resolve::fetch_manifest;
use crate::{Listener, Step};

/// The size in bytes of the largest config that is read for its platform.
const MAX_CONFIG_SIZE: u64 = 4 * 1024 * 1024;

/// The options of [`create_index`]. Each field has a setter of its name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IndexOptions {
    /// The tags or digests of the manifests, in order.
    pub manifests: Vec<String>,
    /// The artifact type of the index.
    pub artifact_type: Option<MediaType>,
    /// Annotations of the index.
    pub annotations: BTreeMap<String, String>,
}

impl IndexOptions {
    oras_store::setters! {
        manifests: Vec<String>;
        artifact_type: impl Into<Option<MediaType>> => artifact_type.into();
        annotations: BTreeMap<String, String>;
    }
}

/// The changes of [`update_index`]. They are applied in the order of these fields.
///
/// ```
/// use oras::{Artifact, IndexOptions, IndexUpdate, Memory, Names, Quiet};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let old = Artifact::new("application/vnd.me").annotation("n", "1").push(&store, Some("old")).await?;
/// let new = Artifact::new("application/vnd.me").annotation("n", "2").push(&store, Some("new")).await?;
/// let options = IndexOptions::default().manifests(vec!["old".into()]);
/// let index = oras::create_index(store.clone(), &options, &Quiet).await?;
/// oras::store_manifest(store.clone(), &index, &Names::only("all"), Quiet).await?;
///
/// let update = IndexUpdate::default().remove(vec![old.root.digest]).add(vec!["new".into()]);
/// let index = oras::update_index(store.clone(), "all", &update, &Quiet).await?;
/// oras::store_manifest(store.clone(), &index, &Names::only("all"), Quiet).await?;
/// assert_eq!(store.manifest("all").await?.manifests()[0].digest, new.root.digest);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IndexUpdate {
    /// The new artifact type. `Some(None)` removes the artifact type; `None` does not change it.
    pub artifact_type: Option<Option<MediaType>>,
    /// The digests of the entries to remove.
    pub remove: Vec<Digest>,
    /// The tags or digests of manifests to append.
    pub add: Vec<String>,
    /// The tags or digests of indexes whose entries are appended.
    pub merge: Vec<String>,
}

impl IndexUpdate {
    oras_store::setters! {
        artifact_type: impl Into<Option<Option<MediaType>>> => artifact_type.into();
        remove: Vec<Digest>;
        add: Vec<String>;
        merge: Vec<String>;
    }
}

/// Creates an index of manifests in `source`, without storing it. Each entry has the platform and artifact type of its
/// manifest.
///
/// ```
/// use oras::{Artifact, IndexOptions, Memory, Names, Quiet, create_index, store_manifest};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").push(&store, Some("one")).await?;
/// Artifact::new("application/vnd.me").layer("text/plain", "2").push(&store, Some("two")).await?;
/// let options = IndexOptions::default().manifests(vec!["one".into(), "two".into()]);
/// let index = create_index(store.clone(), &options, &Quiet).await?;
/// store_manifest(store.clone(), &index, &Names::only("both"), Quiet).await?;
/// assert_eq!(store.manifest("both").await?.manifests().len(), 2);
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] for a malformed artifact type, and for a reference that does not name a manifest.
/// - [`ErrorKind::TooLarge`] if the index is larger than clients accept.
/// - The errors of the source.
pub async fn create_index(
    source: impl Source + 'static,
    options: &IndexOptions,
    listener: &dyn Listener,
) -> Result<Content> {
    let source: Arc<dyn Source> = Arc::new(source);
    // Checked before the first request, so that a malformed type costs no transfer.
    check_type(options.artifact_type.as_ref())?;
    let mut index = IndexDocument::new();
    index.set_artifact_type(options.artifact_type.clone());
    for (key, value) in &options.annotations {
        index.annotate(key.clone(), value.clone());
    }
    // One manifest at a time: the steps are printed in the order of the entries.
    for reference in &options.manifests {
        index.add(fetch_entry(&source, reference, listener).await?.0);
    }
    to_content(MediaType::IMAGE_INDEX, index.to_bytes())
}

/// Applies `update` to the index that `reference` names in `source`, and returns the new index without storing it.
///
/// Fields that the specification does not define stay in the index.
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] if `reference` does not name an index, if the index has no entry for a digest to
///   remove, if a reference to add does not name a manifest, or if a reference to merge does not name an index.
/// - [`ErrorKind::TooLarge`] if the new index is larger than clients accept.
/// - The errors of the source.
pub async fn update_index(
    source: impl Source + 'static,
    reference: &str,
    update: &IndexUpdate,
    listener: &dyn Listener,
) -> Result<Content> {
    let source: Arc<dyn Source> = Arc::new(source);
    check_type(update.artifact_type.as_ref().and_then(Option::as_ref))?;
    let (_, mut index) = fetch_index(&source, reference, listener).await?;
    if let Some(artifact_type) = &update.artifact_type {
        index.set_artifact_type(artifact_type.clone());
    }
    for (position, digest) in update.remove.iter().enumerate() {
        // A digest may be given twice. The first removal deletes all its entries.
        if update.remove[..position].contains(digest) {
            continue;
        }
        if !index.remove(digest) {
            let message = format!("{digest} does not exist in the index {reference}");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        listener.step(Step::Removed(digest));
    }
    for added in &update.add {
        let (descriptor, fetched) = fetch_entry(&source, added, listener).await?;
        index.add(descriptor);
        listener.step(Step::Added(added, &fetched));
    }
    for merged in &update.merge {
        let (fetched, other) = fetch_index(&source, merged, listener).await?;
        index.merge(other);
        listener.step(Step::Merged(merged, &fetched));
    }
    to_content(index.media_type().clone(), index.to_bytes())
}

/// Returns the index as content, or an error if it exceeds the limit that clients apply to manifests.
fn to_content(media_type: MediaType, bytes: Vec<u8>) -> Result<Content> {
    check_written_size("the index", bytes.len(), MAX_MANIFEST_SIZE)?;
    Ok(Content::of(media_type, bytes))
}

/// Returns an error, with the message of the Go tool, if the artifact type is not a valid media type.
fn check_type(artifact_type: Option<&MediaType>) -> Result<()> {
    match artifact_type.filter(|artifact_type| !artifact_type.is_well_formed()) {
        Some(bad) => Err(Error::new(ErrorKind::InvalidInput, format!("{bad}: invalid media type"))),
        None => Ok(()),
    }
}

/// Reads a manifest. The message of an error contains `what` and `reference`.
async fn fetch_named(source: &Arc<dyn Source>, what: &str, reference: &str) -> Result<Content> {
    fetch_manifest(Arc::clone(source), reference)
        .await
        .map_err(|error| error.context(format!("could not find the {what} {reference}")))
}

/// Reads an index. Returns its descriptor and the document to edit.
async fn fetch_index(
    source: &Arc<dyn Source>,
    reference: &str,
    listener: &dyn Listener,
) -> Result<(Descriptor, IndexDocument)> {
    listener.step(Step::Fetching(reference));
    let content = fetch_named(source, "index", reference).await?;
    let node = content.descriptor().clone();
    if node.media_type.kind() != MediaKind::Index {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{reference} is not an index")));
    }
    listener.step(Step::Fetched(reference, &node));
    let index = IndexDocument::of(&content.manifest(MAX_MANIFEST_SIZE).await?)?;
    Ok((node, index.unwrap_or_default()))
}

/// Reads a manifest. Returns its entry in the index, and its descriptor in the source.
async fn fetch_entry(
    source: &Arc<dyn Source>,
    reference: &str,
    listener: &dyn Listener,
) -> Result<(Descriptor, Descriptor)> {
    listener.step(Step::Fetching(reference));
    let content = fetch_named(source, "manifest", reference).await?;
    let node = content.descriptor();
    if !matches!(node.media_type.kind(), MediaKind::Manifest | MediaKind::Index) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("{reference} is not a manifest")));
    }
    listener.step(Step::Fetched(reference, node));
    let manifest = content.manifest(MAX_MANIFEST_SIZE).await?;
    let mut entry = node.plain();
    match manifest.view() {
        View::Image(image) => {
            entry.platform = fetch_platform(source, image).await?;
            entry.artifact_type = artifact_type(image, &manifest);
        }
        View::Index(index) => entry.artifact_type = non_empty(index.artifact_type.as_ref()),
        View::Artifact(_) => {}
    }
    Ok((entry, node.clone()))
}

/// Returns the media type unless it is an empty string.
fn non_empty(media_type: Option<&MediaType>) -> Option<MediaType> {
    media_type.filter(|text| !text.as_str().is_empty()).cloned()
}

/// Returns the artifact type of the manifest, or else the type of its config, unless it is the type of image configs.
fn artifact_type(image: &ImageManifest, manifest: &Manifest) -> Option<MediaType> {
    non_empty(image.artifact_type.as_ref()).or_else(|| {
        // These types describe the format of the config, and not the artifact.
        let common =
            image.config.media_type.is_image_config() || image.config.media_type == MediaType::EMPTY_JSON;
        if common { None } else { non_empty(manifest.artifact_type()) }
    })
}

/// Reads the platform from the config of an image. A config without a platform is not an error.
async fn fetch_platform(source: &Arc<dyn Source>, image: &ImageManifest) -> Result<Option<Platform>> {
    let config = &image.config;
    if !config.media_type.is_image_config() {
        return Ok(None);
    }
    // The size in the manifest is checked first, so that a large config is not transferred.
    if config.size > MAX_CONFIG_SIZE {
        let message = format!(
            "config size {} exceeds the limit of {MAX_CONFIG_SIZE} bytes: size exceeds limit",
            config.size
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let bytes = Content::from_source(Arc::clone(source), config.clone()).bytes(MAX_CONFIG_SIZE).await?;
    // Malformed JSON counts as a config without a platform.
    let platform: Option<Platform> = serde_json::from_slice(&bytes).ok();
    Ok(platform.filter(|platform| !(platform.os.is_empty() && platform.architecture.is_empty())))
}
