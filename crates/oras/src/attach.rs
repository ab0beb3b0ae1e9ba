//! Stores an artifact that refers to another artifact.

use oras_copy::Concurrency;
use std::sync::Arc;

use oras_copy::without_subject;
use oras_files::Collection;
use oras_spec::{Descriptor, Manifest, Platform};
use oras_store::{Content, Result, Source, Store};

use crate::artifact_layers::{self, ArtifactLayers};
use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::pack::Pack;
use crate::push::store_artifact;
use crate::{Artifact, Listener, resolve_verified};

/// The options of [`attach`]. The default is enough for an artifact that refers to a tag or digest.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AttachOptions {
    /// Selects the image for this platform as the subject, if the reference names an index.
    pub platform: Option<Platform>,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
}

impl AttachOptions {
    oras_store::setters! {
        platform: impl Into<Option<Platform>> => platform.into();
        concurrency: impl Into<Concurrency> => concurrency.into();
    }
}

/// The result of [`attach`]. A program uses it to print the new referrer or to refer to it.
#[derive(Clone, Debug)]
pub struct Attached {
    /// The manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The manifest as content, with its bytes in memory.
    pub manifest: Content,
    /// The manifest that the artifact refers to.
    pub subject: Descriptor,
}

/// Stores `artifact` as a referrer of the manifest that `reference` names. That manifest replaces the subject of
/// `artifact`.
///
/// The artifact gets no tag. Clients find it in the list of the subject's referrers. It may have no layers, only
/// annotations or a config.
///
/// ```
/// use oras::{Artifact, AttachOptions, DiscoverOptions, Memory, Quiet, attach, discover};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&store, Some("v1")).await?;
/// let note = Artifact::new("application/vnd.me.note").annotation("by", "me");
/// let attached = attach(store.clone(), "v1", note, AttachOptions::default(), Quiet).await?;
/// let tree = discover(store, "v1", &DiscoverOptions::default()).await?;
/// assert_eq!(tree.referrers[0].descriptor.digest, attached.root.digest);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Returns an error if the subject does not exist, for a file that cannot be read, for a malformed type, and for each
/// error of the store.
pub async fn attach(
    store: impl Store + 'static,
    reference: &str,
    artifact: Artifact,
    options: AttachOptions,
    listener: impl Listener + 'static,
) -> Result<Attached> {
    let (store, listener): (Arc<dyn Store>, Arc<dyn Listener>) = (Arc::new(store), Arc::new(listener));
    let source = Arc::clone(&store) as Arc<dyn Source>;
    // The descriptor becomes part of the manifest, so a wrong size in a `HEAD` response must not get into it.
    let subject = resolve_verified(source, reference, options.platform.as_ref())
        .await
        .map_err(|error| error.context(format!("failed to resolve {reference}")))?;
    let collection = Collection::new().directories(artifact.directories);
    let artifact_type = artifact.artifact_type.as_ref();
    let earlier = EarlierLayers::new(&store, NewArtifact::Referrer { subject: &subject, artifact_type });
    let ArtifactLayers { layers, present } =
        artifact_layers::add_layers(&collection, artifact.layers, &*store, earlier, &listener).await?;
    let config =
        artifact_layers::add_config(&collection, artifact.config, &artifact.config_annotations).await?;
    // A subject that was selected from an index keeps the platform and artifact type of its entry.
    let mut described = subject.plain();
    if options.platform.is_some() {
        described.platform.clone_from(&subject.platform);
        described.artifact_type.clone_from(&subject.artifact_type);
    }
    let pack = Pack {
        version: artifact.image_spec,
        artifact_type: artifact.artifact_type,
        config,
        config_annotations: artifact.config_annotations,
        layers,
        subject: Some(described),
        annotations: artifact.annotations,
    };
    let copy = oras_copy::CopyOptions::default()
        // `add_layers` has already stored these layers, so the copy skips them.
        .present(present)
        .concurrency(options.concurrency)
        .selection(layers_first);
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
