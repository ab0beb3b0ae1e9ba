//! Manifests as they are: stored under names, and their configs.

use std::sync::Arc;

use oras_copy::Event;
use oras_spec::{Platform, View};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Pushed, Result, Source, Store};

use crate::resolve::fetch_root;
use crate::{Listener, Step, tag};

/// The names that a manifest gets.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The first tag, or the manifest's own digest; `None` stores it without a tag.
    pub reference: Option<String>,
    /// Tags beyond the first.
    pub extra_tags: Vec<String>,
    /// Tags written at the same time; 0 means the default.
    pub concurrency: usize,
}

impl Names {
    /// That name alone; without a tag when it is empty.
    pub fn only(reference: &str) -> Self {
        let reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
        Self { reference, ..Self::default() }
    }
}

/// Stores `manifest`, whose bytes are sent as they are, under `names`; one that has the first name already is not
/// sent again.
///
/// What the manifest lists must be there: nothing but the manifest is sent.
///
/// # Errors
/// Those of the store; tags written before the first error stay.
pub async fn push_manifest(
    store: Arc<dyn Store>,
    manifest: &Content,
    names: &Names,
    listener: Arc<dyn Listener>,
) -> Result<Pushed> {
    tag::check(&*store, names.reference.iter().chain(&names.extra_tags))?;
    let node = manifest.descriptor();
    let digest = node.digest.to_string();
    let there = match store.resolve(names.reference.as_deref().unwrap_or(&digest)).await {
        Ok(found) => found.digest == node.digest,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    let outcome = if there { Pushed::Existed } else { Pushed::Copied };
    if !there {
        listener.step(Step::Node(Event::Started(node)));
        store.tag(manifest, names.reference.as_deref().unwrap_or(&digest)).await?;
    }
    listener.step(Step::Node(Event::Finished { node, outcome, children: &[] }));
    listener.step(Step::Stored(node));
    tag::write(&*store, manifest, &names.extra_tags, names.concurrency, &*listener).await?;
    Ok(outcome)
}

/// Stores `manifest` under `names`, whatever has them: under its own digest when the first name is a digest or none.
pub async fn store_manifest(
    store: Arc<dyn Store>,
    manifest: &Content,
    names: &Names,
    listener: Arc<dyn Listener>,
) -> Result<()> {
    tag::check(&*store, names.reference.iter().chain(&names.extra_tags))?;
    let digest = manifest.descriptor().digest.to_string();
    let tag = names.reference.as_deref().filter(|name| name.parse::<oras_spec::Digest>().is_err());
    store.tag(manifest, tag.unwrap_or(&digest)).await?;
    listener.step(Step::Stored(manifest.descriptor()));
    tag::write(&*store, manifest, &names.extra_tags, names.concurrency, &*listener).await
}

/// The config of the image manifest that `reference` names; with a `platform`, of the image for it.
///
/// The config itself is not read yet.
///
/// # Errors
/// `InvalidInput` when it names something that has no config.
pub async fn fetch_config(
    source: Arc<dyn Source>,
    reference: &str,
    platform: Option<&Platform>,
) -> Result<Content> {
    let root = fetch_root(Arc::clone(&source), reference, platform).await?;
    let no_config = || {
        let message =
            format!("\"{}\" is not an image manifest and does not have a config", root.descriptor().digest);
        Error::new(ErrorKind::InvalidInput, message)
    };
    if !root.descriptor().media_type.is_manifest() {
        return Err(no_config());
    }
    match root.manifest(MAX_MANIFEST_SIZE).await?.view() {
        View::Image(manifest) => Ok(Content::from_source(source, manifest.config.clone())),
        _ => Err(no_config()),
    }
}
