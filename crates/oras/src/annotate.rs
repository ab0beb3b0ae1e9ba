//! Annotations of a manifest, edited.

use std::sync::Arc;

use oras_spec::annotation_edit::{self, EditError};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Store};

use crate::manifest::store_manifest;
use crate::resolve::fetch_manifest;
use crate::{Names, Quiet};

/// Edits of annotations.
#[derive(Clone, Debug, Default)]
pub struct Annotations {
    /// Annotations to set, in order.
    pub set: Vec<(String, String)>,
    /// Keys to remove, before others are set.
    pub remove: Vec<String>,
}

/// A manifest before and after its annotations were edited.
#[derive(Clone, Debug)]
pub struct Annotated {
    /// What the reference named.
    pub before: Descriptor,
    /// What was stored instead; the same when nothing changed.
    pub after: Descriptor,
}

/// Stores the manifest or index that `reference` names with other annotations, and moves the tag, if it is one, to it.
///
/// The text of the manifest changes only there: order, unknown fields and white space are kept. The old manifest stays
/// under its digest and its other tags, and what refers to it goes on to refer to it, not to the new one.
///
/// # Errors
/// `InvalidInput` when it is of a type that has no annotations, or when a key to be removed is not there; `TooLarge`;
/// the errors of the store.
pub async fn annotate(store: Arc<dyn Store>, reference: &str, edits: &Annotations) -> Result<Annotated> {
    let content = fetch_manifest(Arc::clone(&store) as _, reference).await?;
    let before = content.descriptor().clone();
    let types = [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX, MediaType::ARTIFACT_MANIFEST];
    if !types.contains(&before.media_type) {
        let message = format!("{reference} is of type {}, which has no annotations", before.media_type);
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let bytes = content.bytes(MAX_MANIFEST_SIZE).await?;
    let edited =
        annotation_edit::annotate(&bytes, &edits.set, &edits.remove).map_err(|error| match error {
            EditError::Missing(_) => Error::new(ErrorKind::InvalidInput, format!("{error} in {reference}")),
            error => Error::from_source(ErrorKind::InvalidContent, error),
        })?;
    if edited == bytes {
        return Ok(Annotated { after: before.clone(), before });
    }
    if edited.len() as u64 > MAX_MANIFEST_SIZE {
        let message = format!("with these annotations the manifest exceeds {MAX_MANIFEST_SIZE} bytes");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let annotated = Content::of(before.media_type.clone(), edited);
    annotated.manifest(MAX_MANIFEST_SIZE).await?;
    store_manifest(store, &annotated, &Names::only(reference), Arc::new(Quiet)).await?;
    Ok(Annotated { before, after: annotated.descriptor().clone() })
}
