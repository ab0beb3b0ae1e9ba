//! Referrers without which an artifact is not copied.

use std::sync::Arc;

use oras_spec::{Descriptor, MediaType};
use oras_store::{Error, ErrorKind, ReadStore, Result, Side};

/// A required referrer does not exist. It is in the chain of an error of the kind [`ErrorKind::NotFound`]:
///
/// ```
/// use oras::spec::MediaType;
/// use oras::{Artifact, CopyOptions, Memory, MissingReferrer, Quiet, copy};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras::store::Result<()> {
/// let (from, to) = (Memory::new(), Memory::new());
/// Artifact::new("application/vnd.me").layer("text/plain", "hello\n").push(&from, Some("v1")).await?;
/// let options = CopyOptions::default().tags(["v1"]).require_referrers(vec![MediaType::new("test/signature")]);
/// let error = copy(from, "v1", to.clone(), options, Quiet).await.unwrap_err();
/// assert!(error.find::<MissingReferrer>().is_some());
/// assert!(to.tags().await?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no referrer of the type {artifact_type} refers to {subject}")]
#[non_exhaustive]
pub struct MissingReferrer {
    /// The artifact type.
    pub artifact_type: MediaType,
    /// The digest of the artifact, or a reference with it.
    pub subject: String,
}

impl MissingReferrer {
    /// Returns an error of the source.
    pub(crate) fn error(artifact_type: &MediaType, subject: String) -> Error {
        let missing = Self { artifact_type: artifact_type.clone(), subject };
        Error::from_source(ErrorKind::NotFound, missing).on(Side::Source)
    }
}

/// Fails unless `root` has a referrer of each of the `required` types.
pub(crate) async fn check_required(
    source: &Arc<dyn ReadStore>,
    root: &Descriptor,
    required: &[MediaType],
) -> Result<()> {
    for artifact_type in required {
        let found = source.predecessors(root, Some(artifact_type)).await;
        if found.map_err(|error| error.on(Side::Source))?.is_empty() {
            return Err(MissingReferrer::error(artifact_type, root.digest.to_string()));
        }
    }
    Ok(())
}
