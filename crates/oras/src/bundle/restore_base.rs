//! Checks that the receiver of a bundle has the content that the bundle leaves out.

use std::fmt;

use futures::stream::{FuturesUnordered, StreamExt};
use oras_spec::Digest;
use oras_store::{Error, ErrorKind, Result, Side};

use super::open::Bundle;
use super::restore_target::BundleTarget;

/// The number of requests at the same time.
const REQUESTS: usize = 16;

/// The content that a bundle leaves out and that the target does not have. It is in the chain of the error of
/// [`restore`](super::restore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingBase {
    /// The full name of the repository in the bundle and the digest, sorted.
    pub missing: Vec<(String, Digest)>,
}

impl fmt::Display for MissingBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.missing.len();
        write!(f, "the bundle leaves out {count} blobs or manifests that the target does not have:")?;
        self.missing.iter().try_for_each(|(repository, digest)| write!(f, "\n{repository}@{digest}"))
    }
}

impl std::error::Error for MissingBase {}

/// Fails if the target does not have content that the bundle leaves out. `names` are those at the target.
pub(super) async fn check_base(bundle: &Bundle, target: &BundleTarget, names: &[String]) -> Result<()> {
    let mut missing = Vec::new();
    for (listed, name) in bundle.inventory().repositories.iter().zip(names) {
        if listed.omitted.is_empty() {
            continue;
        }
        let Some(store) = target.find(name).await? else {
            missing.extend(listed.omitted.iter().map(|node| (listed.name.clone(), node.digest.clone())));
            continue;
        };
        let (mut omitted, mut checks) = (listed.omitted.iter(), FuturesUnordered::new());
        loop {
            let store = &store;
            let free = REQUESTS - checks.len();
            checks.extend(
                omitted.by_ref().take(free).map(|node| async move { (node, store.exists(node).await) }),
            );
            let Some((node, exists)) = checks.next().await else { break };
            if !exists.map_err(|error| error.on(Side::Destination))? {
                missing.push((listed.name.clone(), node.digest.clone()));
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    missing.sort_by_cached_key(|(repository, digest)| (repository.clone(), digest.to_string()));
    Err(Error::from_source(ErrorKind::NotFound, MissingBase { missing }))
}
