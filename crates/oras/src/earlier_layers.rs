//! Finds the layers of earlier artifacts in the repository, which a new artifact is likely to share.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use oras_spec::{Descriptor, MediaType};
use oras_store::{MAX_MANIFEST_SIZE, Source, Store};

use crate::fetch_manifest;

/// The maximum number of manifests that the lookup reads besides the nearest one. Each read is a request, and some
/// registries count it as a pull.
const MAX_EARLIER: usize = 4;
/// The maximum number of tags that the lookup lists. Most registries return as many in one page.
const MAX_LISTED: usize = 1000;

/// The new artifact, which decides where the lookup starts.
pub(crate) enum NewArtifact<'a> {
    /// An artifact that gets this tag, or none. The lookup reads the current artifact of the tag, or else the last
    /// tags.
    Tagged(Option<&'a str>),
    /// A referrer of `subject`. The lookup reads the last referrers of the subject, and the subject.
    Referrer {
        /// The manifest that the artifact refers to.
        subject: &'a Descriptor,
        /// The type of the artifact.
        artifact_type: Option<&'a MediaType>,
    },
}

/// The layers of the artifacts that are probably most similar to the new one. They are looked up on first use, and only
/// once.
///
/// The list is only a hint. Callers must hash the content and check whether the target has the digest.
pub(crate) struct EarlierLayers<'a> {
    store: &'a Arc<dyn Store>,
    new: NewArtifact<'a>,
    layers: Option<Arc<[Descriptor]>>,
}

impl<'a> EarlierLayers<'a> {
    pub(crate) fn new(store: &'a Arc<dyn Store>, new: NewArtifact<'a>) -> Self {
        Self { store, new, layers: None }
    }

    /// Returns the layers. Errors are ignored, because the lookup only saves a transfer.
    pub(crate) async fn get(&mut self) -> Arc<[Descriptor]> {
        if self.layers.is_none() {
            self.layers = Some(self.find().await.into());
        }
        self.layers.clone().unwrap_or_default()
    }

    /// Looks the layers up. The nearest artifact alone is enough if it has layers.
    async fn find(&self) -> Vec<Descriptor> {
        match self.new {
            NewArtifact::Tagged(tag) => {
                if let Some(tag) = tag {
                    let layers = self.layers_of(tag.to_owned()).await;
                    if !layers.is_empty() {
                        return layers;
                    }
                }
                // The last tags are a guess at the newest ones: registries list tags by name, not by time.
                let listed: Result<Vec<_>, _> =
                    self.store.tags_after(None).take(MAX_LISTED).try_collect().await;
                self.layers_of_last(listed.unwrap_or_default()).await
            }
            NewArtifact::Referrer { subject, artifact_type } => {
                let found = self.store.predecessors(subject, artifact_type).await.unwrap_or_default();
                let mut near: Vec<_> = found.iter().map(|referrer| referrer.digest.to_string()).collect();
                // Last, so that the subject is always among the manifests that are read.
                near.push(subject.digest.to_string());
                self.layers_of_last(near).await
            }
        }
    }

    /// Returns the layers of the last manifests in the list, all read at the same time.
    async fn layers_of_last(&self, mut references: Vec<String>) -> Vec<Descriptor> {
        let last = references.split_off(references.len().saturating_sub(MAX_EARLIER));
        let lookups: Vec<_> = last.into_iter().map(|reference| self.layers_of(reference)).collect();
        stream::iter(lookups).buffered(MAX_EARLIER).concat().await
    }

    /// Returns the layers of one manifest, or none if it cannot be read.
    async fn layers_of(&self, reference: String) -> Vec<Descriptor> {
        let store = Arc::clone(self.store) as Arc<dyn Source>;
        let Ok(content) = fetch_manifest(store, &reference).await else { return Vec::new() };
        let manifest = content.manifest(MAX_MANIFEST_SIZE).await;
        manifest.map(|manifest| manifest.children()).unwrap_or_default()
    }
}
