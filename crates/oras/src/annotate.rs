//! Edits the annotations of a manifest.

use std::sync::Arc;

use oras_spec::annotation_edit::{self, EditError};
use oras_spec::{Descriptor, MediaType};
use oras_store::{Content, Error, ErrorKind, MAX_MANIFEST_SIZE, Result, Store};

use crate::manifest::store_manifest;
use crate::resolve::fetch_manifest;
use crate::{Names, Quiet};

/// The changes of [`annotate`](fn@annotate). Each field has a setter of its name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Annotations {
    /// The annotations to set, in order.
    pub set: Vec<(String, String)>,
    /// The keys to remove. They are removed before annotations are set.
    pub remove: Vec<String>,
}

impl Annotations {
    oras_store::setters! {
        set: Vec<(String, String)>;
        remove: Vec<String>;
    }
}

/// The result of [`annotate`](fn@annotate). It shows whether the manifest changed.
#[derive(Clone, Debug)]
pub struct Annotated {
    /// The manifest that the reference named.
    pub before: Descriptor,
    /// The manifest with the new annotations. It equals `before` if nothing changed.
    pub after: Descriptor,
}

/// Edits the annotations of the manifest or index that `reference` names, and stores the new manifest.
///
/// If `reference` is a tag, it names the new manifest afterwards. The edit does not change the order of fields, unknown
/// fields, or white space outside the annotations. The old manifest keeps its digest, its other tags and its referrers.
///
/// ```
/// use oras::{Annotations, Artifact, Memory, annotate};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let store = Memory::new();
/// Artifact::new("application/vnd.me").annotation("old", "x").push(&store, Some("v1")).await?;
/// let edits = Annotations::default().set(vec![("new".into(), "y".into())]).remove(vec!["old".into()]);
/// let annotated = annotate(store.clone(), "v1", &edits).await?;
/// assert_ne!(annotated.before.digest, annotated.after.digest);
/// assert_eq!(store.manifest("v1").await?.annotations()["new"], "y");
/// # Ok(()) }
/// ```
///
/// # Errors
/// - [`ErrorKind::InvalidInput`] if the manifest is of a type without annotations, or if it lacks a key to remove.
/// - [`ErrorKind::TooLarge`] if the new manifest exceeds the size limit of manifests.
/// - The errors of the store.
pub async fn annotate(
    store: impl Store + 'static,
    reference: &str,
    edits: &Annotations,
) -> Result<Annotated> {
    let store: Arc<dyn Store> = Arc::new(store);
    let content = fetch_manifest(Arc::clone(&store), reference).await?;
    let before = content.descriptor().clone();
    let types = [MediaType::IMAGE_MANIFEST, MediaType::IMAGE_INDEX, MediaType::ARTIFACT_MANIFEST];
    if !types.contains(&before.media_type) {
        let message = format!("{reference} is of type {}, which has no annotations", before.media_type);
        return Err(Error::new(ErrorKind::InvalidInput, message));
    }
    let bytes = content.bytes(MAX_MANIFEST_SIZE).await?;
    let edited =
        annotation_edit::annotate(&bytes, &edits.set, &edits.remove).map_err(|error| match error {
            // A missing key is a mistake of the caller. All other errors come from the stored manifest.
            EditError::Missing(_) => Error::new(ErrorKind::InvalidInput, format!("{error} in {reference}")),
            error => Error::from_source(ErrorKind::InvalidContent, error),
        })?;
    // An unchanged manifest is already stored under the reference, so a write would only cost a request.
    if edited == bytes {
        return Ok(Annotated { after: before.clone(), before });
    }
    if edited.len() as u64 > MAX_MANIFEST_SIZE {
        let message = format!("with these annotations the manifest exceeds {MAX_MANIFEST_SIZE} bytes");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let annotated = Content::of(before.media_type.clone(), edited);
    // Parses the result before it is stored, so that the edit never replaces a valid manifest by an invalid one.
    annotated.manifest(MAX_MANIFEST_SIZE).await?;
    store_manifest(store, &annotated, &Names::only(reference), Arc::new(Quiet)).await?;
    Ok(Annotated { before, after: annotated.descriptor().clone() })
}
