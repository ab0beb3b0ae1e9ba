//! Packs files into an artifact and stores it, and stores single blobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_copy::{TagPolicy, copy_graph};
use oras_files::{Collection, DirectoryOptions};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, Result, Store, Target};

use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::file_arguments::FileLayers;
use crate::listener::CopyObserver;
use crate::{ConfigArgument, FileArgument, ImageSpec, Listener, Pack, Packed, Step, file_arguments, tag};

/// The options of [`push`].
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// The files and directories to pack. Each becomes a layer.
    pub files: Vec<FileArgument>,
    /// The config.
    pub config: ConfigArgument,
    /// The type of the artifact. Image-spec 1.1 requires it, unless there is a config whose media type is not
    /// [`MediaType::EMPTY_JSON`].
    pub artifact_type: Option<MediaType>,
    /// The version of the image-spec whose rules the manifest follows.
    pub version: ImageSpec,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the config.
    pub config_annotations: BTreeMap<String, String>,
    /// Tags beyond the first.
    pub extra_tags: Vec<String>,
    /// The maximum number of nodes that are transferred at a time. 0 means the default.
    pub concurrency: usize,
    /// Also visits the children of manifests that the target has. This repairs a target with a part of a graph.
    pub force: bool,
    /// The options for packing directories.
    pub directories: DirectoryOptions,
}

impl PushOptions {
    /// Returns the options for an artifact of this type without files, by the rules of image-spec 1.1.
    pub fn artifact(artifact_type: impl Into<String>) -> Self {
        Self { artifact_type: Some(artifact_type.into().into()), ..Self::default() }
    }
}

/// The result of [`push`].
#[derive(Clone, Debug)]
pub struct PushedArtifact {
    /// The manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The manifest as content, with its bytes in memory.
    pub manifest: Content,
}

/// Packs the files of `options` into an artifact, stores it in `target`, and tags it with `first_tag` and
/// `options.extra_tags`.
///
/// Blobs are stored before the manifest, and the manifest before the extra tags. A client that resolves a tag therefore
/// finds the complete artifact. Content that the target already has is skipped.
///
/// # Errors
/// Returns an error for a file that cannot be read, a malformed type, a tag that the target rejects, and for each error
/// of the target. `first_tag` is not written unless everything else is stored.
pub async fn push(
    target: Arc<dyn Store>,
    first_tag: Option<&str>,
    options: PushOptions,
    listener: Arc<dyn Listener>,
) -> Result<PushedArtifact> {
    // Checked before any file is read, so that an invalid tag fails at once.
    tag::check_tags(&*target, first_tag.into_iter().chain(options.extra_tags.iter().map(String::as_str)))?;
    // The config is read first, so that an unreadable config fails the push before a large layer is sent.
    let collection = Collection::new().directories(options.directories);
    let config = file_arguments::add_config(&collection, options.config, &options.config_annotations).await?;
    let earlier = EarlierLayers::new(&target, NewArtifact::Tagged(first_tag));
    let FileLayers { layers, present } =
        file_arguments::add_files(&collection, options.files, &*target, earlier, &listener).await?;
    let pack = Pack {
        version: options.version,
        artifact_type: options.artifact_type,
        config,
        config_annotations: options.config_annotations,
        layers,
        subject: None,
        annotations: options.annotations,
    };
    let copy = oras_copy::CopyOptions {
        // The request that stores the manifest also writes the first tag. Each further tag needs a separate
        // request.
        tag: TagPolicy::with_root(first_tag),
        // `add_files` has already stored these layers, so the copy skips them.
        present,
        concurrency: options.concurrency,
        force: options.force,
        ..oras_copy::CopyOptions::default()
    };
    let root = store_artifact(&target, collection, pack, copy, &listener).await?;
    // Written last, because each extra tag names the stored manifest.
    tag::write_tags(&*target, &root, &options.extra_tags, options.concurrency, &*listener).await?;
    Ok(PushedArtifact { root: root.descriptor().clone(), manifest: root })
}

/// Builds the manifest of `pack`, and copies it with its layers, which are in `collection`, to `target`. Returns the
/// manifest.
pub(crate) async fn store_artifact(
    target: &Arc<dyn Store>,
    collection: Collection,
    pack: Pack,
    copy: oras_copy::CopyOptions,
    listener: &Arc<dyn Listener>,
) -> Result<Content> {
    let Packed { manifest, blobs } = pack.manifest()?;
    // The copy reads the blobs that packing generated from the collection.
    for blob in blobs {
        if let Some(bytes) = blob.in_memory() {
            collection.add_bytes(blob.descriptor().media_type.clone(), bytes.clone())?;
        }
    }
    let copy = oras_copy::CopyOptions { observer: Arc::new(CopyObserver(Arc::clone(listener))), ..copy };
    let target = Arc::clone(target) as Arc<dyn Target>;
    copy_graph(Arc::new(collection), target, vec![manifest.clone()], copy).await?;
    listener.step(Step::Stored(manifest.descriptor()));
    Ok(manifest)
}

/// Stores `blob` in `target`, unless the target already has it.
///
/// # Errors
/// Returns an error if the blob cannot be read, and any error of the target. After an error, the blob is not stored.
pub async fn push_blob(target: Arc<dyn Target>, blob: Content, listener: Arc<dyn Listener>) -> Result<()> {
    let options = oras_copy::CopyOptions {
        observer: Arc::new(CopyObserver(listener)),
        ..oras_copy::CopyOptions::default()
    };
    // The source is empty, because `blob` contains its own source.
    copy_graph(Arc::new(Collection::new()), target, vec![blob], options).await.map(drop)
}
