//! Stores manifests byte for byte, and reads their configs.

use oras_copy::Concurrency;
use std::sync::Arc;

use oras_copy::Event;
use oras_spec::{Platform, View};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, PushMode, Pushed, Result, Source, Store};

use crate::resolve::fetch_root;
use crate::{Listener, Step, tag};

/// The tags under which a manifest is stored. [`push_manifest`] and [`store_manifest`] take them.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The first tag, or the digest of the manifest. `None` stores the manifest without a tag.
    pub reference: Option<String>,
    /// Tags beyond the first.
    pub extra_tags: Vec<String>,
    /// The maximum number of tags that are written at a time; 5 by default.
    pub concurrency: Concurrency,
}

impl Names {
    /// Returns the names with `reference` only. An empty string means no tag.
    pub fn only(reference: &str) -> Self {
        let reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
        Self { reference, ..Self::default() }
    }
}

/// Stores the bytes of `manifest` unchanged under `names`. If the first name already names the manifest, it is not
/// sent.
///
/// Only the manifest is sent. The store must already have the content that the manifest lists.
///
/// # Errors
/// Returns the errors of the store. Tags that were written before the first error stay.
pub async fn push_manifest(
    store: impl Store + 'static,
    manifest: &Content,
    names: &Names,
    listener: impl Listener + 'static,
) -> Result<Pushed> {
    let store: Arc<dyn Store> = Arc::new(store);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    tag::check_tags(&*store, names.reference.iter().chain(&names.extra_tags))?;
    let node = manifest.descriptor();
    let digest = node.digest.to_string();
    // An unchanged tag costs one read instead of a write.
    let exists = match store.resolve(names.reference.as_deref().unwrap_or(&digest)).await {
        Ok(found) => found.digest == node.digest,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let outcome = if exists { Pushed::Existed } else { Pushed::Copied };
    if !exists {
        listener.step(Step::Node(Event::Started(node)));
        store.push(manifest, PushMode::Tagged(names.reference.as_deref().unwrap_or(&digest))).await?;
    }
    // Reported for an existing manifest, too, so that the output always contains the node.
    listener.step(Step::Node(Event::Finished { node, outcome, children: &[] }));
    listener.step(Step::Stored(node));
    tag::write_tags(&*store, manifest, &names.extra_tags, names.concurrency, &*listener).await?;
    Ok(outcome)
}

/// Stores `manifest` under `names`, without a check of what they name. If the first name is missing or a digest, the
/// manifest is stored under its own digest.
///
/// # Errors
/// Returns the errors of the store. Tags that were written before the first error stay.
pub async fn store_manifest(
    store: impl Store + 'static,
    manifest: &Content,
    names: &Names,
    listener: impl Listener + 'static,
) -> Result<()> {
    let store: Arc<dyn Store> = Arc::new(store);
    let listener: Arc<dyn Listener> = Arc::new(listener);
    tag::check_tags(&*store, names.reference.iter().chain(&names.extra_tags))?;
    let digest = manifest.descriptor().digest.to_string();
    // A digest names the manifest before the edit, so it can't name the new one.
    let tag = names.reference.as_deref().filter(|name| name.parse::<oras_spec::Digest>().is_err());
    store.push(manifest, PushMode::Tagged(tag.unwrap_or(&digest))).await?;
    listener.step(Step::Stored(manifest.descriptor()));
    tag::write_tags(&*store, manifest, &names.extra_tags, names.concurrency, &*listener).await
}

/// Opens the config of the image that `reference` names. With a `platform`, selects the image for it from an index.
///
/// The config is transferred when the content is read.
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] if the manifest has no config.
/// - The errors of the source.
pub async fn fetch_config(
    source: impl Source + 'static,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Content> {
    let source: Arc<dyn Source> = Arc::new(source);
    let root = fetch_root(Arc::clone(&source), reference, platform).await?;
    if root.descriptor().media_type.is_manifest()
        && let View::Image(manifest) = root.manifest(MAX_MANIFEST_SIZE).await?.view()
    {
        return Ok(Content::from_source(source, manifest.config.clone()));
    }
    let digest = &root.descriptor().digest;
    let message = format!("\"{digest}\" is not an image manifest and does not have a config");
    Err(Error::new(ErrorKind::InvalidInput, message))
}
