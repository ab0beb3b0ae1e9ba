//! Packs files into an artifact and stores it, and stores single blobs.

use oras_copy::Concurrency;
use std::sync::Arc;

use oras_copy::{TagPolicy, copy_graph, without_subject};
use oras_files::Collection;
use oras_spec::Descriptor;
use oras_store::{Content, Result, Store, Target};

use crate::artifact_layers::{self, ArtifactLayers};
use crate::earlier_layers::{EarlierLayers, NewArtifact};
use crate::listener::CopyObserver;
use crate::pack::{Pack, Packed};
use crate::{Artifact, Listener, Quiet, Step, tag};

/// The options of [`push`]. The default writes one tag at most.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PushOptions {
    /// Tags beyond the first.
    pub extra_tags: Vec<String>,
    /// The maximum number of nodes that are transferred at a time.
    pub concurrency: Concurrency,
    /// Also visits the children of manifests that the target has. This repairs a target with a part of a graph.
    pub force: bool,
}

impl PushOptions {
    oras_store::setters! {
        extra_tags: impl IntoIterator<Item = impl Into<String>> => extra_tags.into_iter().map(Into::into).collect();
        concurrency: impl Into<Concurrency> => concurrency.into();
        force: bool;
    }
}

/// The result of [`push`]. Its `root` is the subject of artifacts that refer to the pushed one.
#[derive(Clone, Debug)]
pub struct PushedArtifact {
    /// The manifest, with its artifact type and annotations.
    pub root: Descriptor,
    /// The manifest as content, with its bytes in memory.
    pub manifest: Content,
}

/// Stores `artifact` in `target`, and tags it with `first_tag` and `options.extra_tags`.
///
/// Blobs are stored before the manifest, and the manifest before the extra tags. A client that resolves a tag therefore
/// finds the complete artifact. Content that the target already has is skipped. The subject is not read.
///
/// ```
/// use oras::{Artifact, Memory, PushOptions, Quiet, push};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// let artifact = Artifact::new("application/vnd.me").layer("text/plain", "hello\n");
/// let options = PushOptions::default().extra_tags(["latest"]);
/// let pushed = push(store.clone(), Some("v1"), artifact, options, Quiet).await?;
/// assert_eq!(store.resolve("latest").await?.digest, pushed.root.digest);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Returns an error for a file that cannot be read, a malformed type, a tag that the target rejects, and for each error
/// of the target. `first_tag` is not written unless everything else is stored.
pub async fn push(
    target: impl Store + 'static,
    first_tag: Option<&str>,
    artifact: Artifact,
    options: PushOptions,
    listener: impl Listener + 'static,
) -> Result<PushedArtifact> {
    let (target, listener): (Arc<dyn Store>, Arc<dyn Listener>) = (Arc::new(target), Arc::new(listener));
    // Checked before any file is read, so that an invalid tag fails at once.
    tag::check_tags(&*target, first_tag.into_iter().chain(options.extra_tags.iter().map(String::as_str)))?;
    // The config is read first, so that an unreadable config fails the push before a large layer is sent.
    let collection = Collection::new().directories(artifact.directories);
    let config =
        artifact_layers::add_config(&collection, artifact.config, &artifact.config_annotations).await?;
    let earlier = EarlierLayers::new(&target, NewArtifact::Tagged(first_tag));
    let ArtifactLayers { layers, present } =
        artifact_layers::add_layers(&collection, artifact.layers, &*target, earlier, &listener).await?;
    let pack = Pack {
        version: artifact.image_spec,
        artifact_type: artifact.artifact_type,
        config,
        config_annotations: artifact.config_annotations,
        layers,
        subject: artifact.subject,
        annotations: artifact.annotations,
    };
    let copy = oras_copy::CopyOptions::default()
        // The first tag is written by the request that stores the manifest. Each other tag needs a request of its own.
        .tag(TagPolicy::with_root(first_tag))
        // `add_layers` has already stored these layers, so the copy skips them.
        .present(present)
        .concurrency(options.concurrency)
        .force(options.force)
        // The target usually has the subject, and the collection does not.
        .selection(without_subject);
    let root = store_artifact(&target, collection, pack, copy, &listener).await?;
    // Written last, because each extra tag names the stored manifest.
    tag::write_tags(&*target, &root, &options.extra_tags, options.concurrency, &*listener).await?;
    Ok(PushedArtifact { root: root.descriptor().clone(), manifest: root })
}

impl Artifact {
    /// Stores the artifact in `store`, and makes `tag` name it. A referrer usually has no tag.
    ///
    /// # Errors
    /// Those of [`push`](fn@crate::push).
    pub async fn push<S: Store + Clone + 'static>(
        self,
        store: &S,
        tag: Option<&str>,
    ) -> Result<PushedArtifact> {
        push(store.clone(), tag, self, PushOptions::default(), Quiet).await
    }
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
        collection.add_content(blob);
    }
    let copy = copy.observer(Arc::new(CopyObserver(Arc::clone(listener))));
    let target = Arc::clone(target) as Arc<dyn Target>;
    copy_graph(collection, target, vec![manifest.clone()], copy).await?;
    listener.step(Step::Stored(manifest.descriptor()));
    Ok(manifest)
}

/// Stores `blob` in `target`, unless the target already has it.
///
/// # Errors
/// Returns an error if the blob cannot be read, and any error of the target. After an error, the blob is not stored.
pub async fn push_blob(
    target: impl Target + 'static,
    blob: Content,
    listener: impl Listener + 'static,
) -> Result<()> {
    let options = oras_copy::CopyOptions::default().observer(Arc::new(CopyObserver(Arc::new(listener))));
    // The source is empty, because the content of the blob has a source of its own.
    copy_graph(Collection::new(), target, vec![blob], options).await.map(drop)
}
