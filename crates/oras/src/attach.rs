//! Attach: files become an artifact that refers to another.

use std::collections::BTreeMap;
use std::sync::Arc;

use oras_copy::{copy_graph, without_subject};
use oras_files::{Collection, DirectoryOptions};
use oras_spec::{Descriptor, Manifest, MediaType, Platform};
use oras_store::{Content, Result, Source, Store, Target};

use crate::collect::Layers;
use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::listener::Nodes;
use crate::push::with_blobs;
use crate::{ConfigArgument, FileArgument, ImageSpec, Listener, Pack, Step, collect, resolve_verified};

/// What to attach, and how.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// Files and directories; each becomes a layer.
    pub files: Vec<FileArgument>,
    /// The config.
    pub config: ConfigArgument,
    /// The type of the artifact; required.
    pub artifact_type: Option<MediaType>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// Annotations of the config.
    pub config_annotations: BTreeMap<String, String>,
    /// Attaches to the image for this platform.
    pub platform: Option<Platform>,
    /// Nodes in flight; 0 means the default.
    pub concurrency: usize,
    /// How directories are packed.
    pub directories: DirectoryOptions,
}

/// What was attached, and to what.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The new manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The new manifest's bytes.
    pub manifest: Content,
    /// What it refers to.
    pub subject: Descriptor,
}

/// Packs the files of `options` into an artifact whose subject is what `reference` names in `store`, and stores it
/// there, untagged: whoever lists the subject's referrers finds it.
///
/// # Errors
/// A subject that is not there, files that can't be read, a malformed type, and the store's errors.
pub async fn attach(
    store: Arc<dyn Store>,
    reference: &str,
    options: AttachOptions,
    listener: Arc<dyn Listener>,
) -> Result<Attached> {
    let source = Arc::clone(&store) as Arc<dyn Source>;
    let subject = resolve_verified(source, reference, options.platform.as_ref())
        .await
        .map_err(|error| error.context(format!("failed to resolve {reference}")))?;
    let collection = Collection::new().directories(options.directories);
    let artifact_type = options.artifact_type.as_ref();
    let earlier = EarlierLayers::new(&store, NewArtifact::Referrer { subject: &subject, artifact_type });
    let Layers { layers, sent } =
        collect::files(&collection, options.files, &*store, earlier, &listener).await?;
    let config = collect::config(&collection, options.config, &options.config_annotations).await?;
    let mut described = subject.plain();
    if options.platform.is_some() {
        described.platform.clone_from(&subject.platform);
        described.artifact_type.clone_from(&subject.artifact_type);
    }
    let packed = Pack {
        version: ImageSpec::V1_1,
        artifact_type: options.artifact_type,
        config,
        config_annotations: options.config_annotations,
        layers,
        subject: Some(described),
        annotations: options.annotations,
    }
    .manifest()?;
    let root = packed.manifest.clone();
    let source = with_blobs(collection, packed)?;
    let copy = oras_copy::CopyOptions {
        present: sent,
        concurrency: options.concurrency,
        selection: Box::new(layers_first),
        observer: Arc::new(Nodes(Arc::clone(&listener))),
        ..oras_copy::CopyOptions::default()
    };
    copy_graph(source, store as Arc<dyn Target>, vec![root.clone()], copy).await?;
    listener.step(Step::Stored(root.descriptor()));
    Ok(Attached { root: root.descriptor().clone(), manifest: root, subject })
}

/// The children to send: not the subject, which is there; the config last, as the Go tool does.
fn layers_first(manifest: &Manifest) -> Vec<Descriptor> {
    let mut children = without_subject(manifest);
    if manifest.config().is_some() && !children.is_empty() {
        children.rotate_left(1);
    }
    children
}
