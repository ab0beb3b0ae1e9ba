//! Push: files become an artifact in a store.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_copy::{TagPolicy, copy_graph};
use oras_files::{Collection, DirectoryOptions};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, Result, Store, Target};

use crate::collect::Layers;
use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::listener::Nodes;
use crate::{ConfigArgument, FileArgument, ImageSpec, Listener, Pack, Packed, Step, collect, tag};

/// What to push, and how.
#[derive(Clone, Debug, Default)]
pub struct PushOptions {
    /// Files and directories; each becomes a layer.
    pub files: Vec<FileArgument>,
    /// The config.
    pub config: ConfigArgument,
    /// The type of the artifact.
    pub artifact_type: Option<MediaType>,
    /// Whose rules the manifest follows.
    pub version: ImageSpec,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the config.
    pub config_annotations: BTreeMap<String, String>,
    /// Tags beyond the first.
    pub extra_tags: Vec<String>,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// Looks below manifests that the target has.
    pub force: bool,
    /// How directories are packed.
    pub directories: DirectoryOptions,
}

impl PushOptions {
    /// An artifact of that type, by the rules of image-spec 1.1.
    pub fn artifact(artifact_type: impl Into<String>) -> Self {
        Self { artifact_type: Some(artifact_type.into().into()), ..Self::default() }
    }
}

/// What was pushed.
#[derive(Clone, Debug)]
pub struct PushedArtifact {
    /// The manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The manifest's bytes.
    pub manifest: Content,
}

/// Packs the files of `options` into an artifact, stores it in `target`, and names it `first_tag` and
/// `options.extra_tags`.
///
/// Blobs come before the manifest, the manifest before the tags beyond the first, so whoever resolves a tag finds
/// everything. Content that the target already has is not sent again.
///
/// # Errors
/// Files that can't be read, a malformed type, and the target's errors; no tag is written then.
pub async fn push(
    target: Arc<dyn Store>,
    first_tag: Option<&str>,
    options: PushOptions,
    listener: Arc<dyn Listener>,
) -> Result<PushedArtifact> {
    tag::check(&*target, first_tag.into_iter().chain(options.extra_tags.iter().map(String::as_str)))?;
    let collection = Collection::new().directories(options.directories);
    let config = collect::config(&collection, options.config, &options.config_annotations).await?;
    let earlier = EarlierLayers::new(&target, NewArtifact::Tagged(first_tag));
    let Layers { layers, sent } =
        collect::files(&collection, options.files, &*target, earlier, &listener).await?;
    let packed = Pack {
        version: options.version,
        artifact_type: options.artifact_type,
        config,
        config_annotations: options.config_annotations,
        layers,
        subject: None,
        annotations: options.annotations,
    }
    .manifest()?;
    let root = packed.manifest.clone();
    let source = with_blobs(collection, packed)?;
    let copy = oras_copy::CopyOptions {
        tag: TagPolicy::with_root(first_tag),
        present: sent,
        concurrency: options.concurrency,
        force: options.force,
        observer: Arc::new(Nodes(Arc::clone(&listener))),
        ..oras_copy::CopyOptions::default()
    };
    copy_graph(source, Arc::clone(&target) as Arc<dyn Target>, vec![root.clone()], copy).await?;
    listener.step(Step::Stored(root.descriptor()));
    tag::write(&*target, &root, &options.extra_tags, options.concurrency, &*listener).await?;
    Ok(PushedArtifact { root: root.descriptor().clone(), manifest: root })
}

/// The collection with the blobs that packing made up.
pub(crate) fn with_blobs(collection: Collection, packed: Packed) -> Result<Arc<Collection>> {
    for blob in packed.blobs {
        if let Some(bytes) = blob.in_memory() {
            collection.add_bytes(blob.descriptor().media_type.clone(), bytes.clone())?;
        }
    }
    Ok(Arc::new(collection))
}
