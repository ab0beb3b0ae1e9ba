//! What a directory was packed to, remembered: as long as nothing in it changes, a store that has it is not sent it again.

use oras_spec::{Descriptor, Digest};
use oras_store::fsio::blocking;
use oras_store::{PackedDirectory, Result, Sink};

use crate::archive::{self, DirectoryOptions, Packed};
use crate::cancel::Cancel;
use crate::collection::Collection;
use crate::found::Found;

impl Collection {
    /// The node that the directory was packed to before, if it is as it was and `target` has that.
    pub(crate) async fn unchanged(&self, found: &Found, target: &dyn Sink) -> Result<Option<Descriptor>> {
        let Some(digests) = &self.shared.digests else { return Ok(None) };
        let Some(before) = digests.directory(&place(found, self.directories)) else { return Ok(None) };
        let cancel = Cancel::default();
        let (path, cancelled) = (found.path.clone(), cancel.0.clone());
        // Whatever can't be read is told by who packs it.
        let state = blocking(move || Ok(archive::state(&path, &cancelled).ok().flatten())).await?;
        if state.as_ref() != Some(&before.state) {
            return Ok(None);
        }
        let packed =
            Packed { digest: before.digest, size: before.size, content_digest: before.content_digest };
        let node = found.packed(&packed);
        Ok(target.exists(&node).await?.then_some(node))
    }

    /// Remembers what the directory was packed to when it was in that state.
    pub(crate) fn remember_packed(&self, found: &Found, packed: &Packed, state: Option<Digest>) {
        if let (Some(digests), Some(state)) = (&self.shared.digests, state) {
            let directory = PackedDirectory {
                state,
                digest: packed.digest.clone(),
                size: packed.size,
                content_digest: packed.content_digest.clone(),
            };
            digests.put_directory(&place(found, self.directories), &directory);
        }
    }
}

/// What is packed, and how: another version may compress otherwise.
fn place(found: &Found, options: DirectoryOptions) -> Digest {
    let version = env!("CARGO_PKG_VERSION");
    Digest::sha256(format!("{version} {options:?} {:?} {:?}", found.title, found.path).as_bytes())
}
