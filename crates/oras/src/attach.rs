//! Packs files into an artifact that refers to another artifact.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_copy::without_subject;
use oras_files::{Collection, DirectoryOptions};
use oras_spec::{Descriptor, Manifest, MediaType, Platform};
use oras_store::{Content, Result, Source, Store};

use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::file_arguments::FileLayers;
use crate::push::store_artifact;
use crate::{ConfigArgument, FileArgument, ImageSpec, Listener, Pack, file_arguments, resolve_verified};

/// The options of [`attach`].
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// The files and directories to pack. Each becomes a layer.
    pub files: Vec<FileArgument>,
    /// The config.
    pub config: ConfigArgument,
    /// The type of the artifact. It is required, unless there is a config whose media type is not
    /// [`MediaType::EMPTY_JSON`].
    pub artifact_type: Option<MediaType>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the config.
    pub config_annotations: BTreeMap<String, String>,
    /// Selects the image for this platform as the subject, if the reference names an index.
    pub platform: Option<Platform>,
    /// The maximum number of nodes that are transferred at a time. 0 means the default.
    pub concurrency: usize,
    /// The options for packing directories.
    pub directories: DirectoryOptions,
}

/// The result of [`attach`].
#[derive(Clone, Debug)]
pub struct Attached {
    /// The manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The manifest as content, with its bytes in memory.
    pub manifest: Content,
    /// The manifest that the artifact refers to.
    pub subject: Descriptor,
}

/// Packs the files of `options` into an artifact whose subject is the manifest that `reference` names, and stores it.
///
/// The artifact gets no tag. Clients find it in the list of the subject's referrers.
///
/// # Errors
/// Returns an error if the subject does not exist, for a file that cannot be read, for a malformed type, and for each
/// error of the store.
pub async fn attach(
    store: Arc<dyn Store>,
    reference: &str,
    options: AttachOptions,
    listener: Arc<dyn Listener>,
) -> Result<Attached> {
    let source = Arc::clone(&store) as Arc<dyn Source>;
    // The descriptor becomes part of the manifest, so a wrong size in a `HEAD` response must not get into it.
    let subject = resolve_verified(source, reference, options.platform.as_ref())
        .await
        .map_err(|error| error.context(format!("failed to resolve {reference}")))?;
    let collection = Collection::new().directories(options.directories);
    let artifact_type = options.artifact_type.as_ref();
    let earlier = EarlierLayers::new(&store, NewArtifact::Referrer { subject: &subject, artifact_type });
    let FileLayers { layers, present } =
        file_arguments::add_files(&collection, options.files, &*store, earlier, &listener).await?;
    let config = file_arguments::add_config(&collection, options.config, &options.config_annotations).await?;
    // A subject that was selected from an index keeps the platform and artifact type of its entry.
    let mut described = subject.plain();
    if options.platform.is_some() {
        described.platform.clone_from(&subject.platform);
        described.artifact_type.clone_from(&subject.artifact_type);
    }
    let pack = Pack {
        version: ImageSpec::V1_1,
        artifact_type: options.artifact_type,
        config,
        config_annotations: options.config_annotations,
        layers,
        subject: Some(described),
        annotations: options.annotations,
    };
    let copy = oras_copy::CopyOptions {
        // `add_files` has already stored these layers, so the copy skips them.
        present,
        concurrency: options.concurrency,
        selection: Box::new(layers_first),
        ..oras_copy::CopyOptions::default()
    };
    let root = store_artifact(&store, collection, pack, copy, &listener).await?;
    Ok(Attached { root: root.descriptor().clone(), manifest: root, subject })
}

/// Returns the children to copy: the layers, then the config, as in the Go tool. The store already has the subject.
fn layers_first(manifest: &Manifest) -> Vec<Descriptor> {
    let mut children = without_subject(manifest);
    if manifest.config().is_some() && !children.is_empty() {
        children.rotate_left(1);
    }
    children
}
