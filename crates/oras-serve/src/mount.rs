//! Mounting a blob from another repository of this registry (distribution-spec, "Mounting a blob from another
//! repository").

use std::sync::Arc;

use oras_spec::reference::check_repository;
use oras_spec::{Digest, MediaType};
use oras_store::{Content, Error, Source, Store};

use crate::blobs::find;
use crate::error::{Refusal, absent_is_none};
use crate::scope::Action;
use crate::server::Registry;
use crate::visitor::Visitor;

/// Repositories that are searched for a blob when the client does not say where it is.
const MAX_SEARCHED: usize = 256;

/// Gives `target` the blob if a repository of this registry has it; `false` when the client must send it.
///
/// The bytes are copied, verified, from one store to the other. A repository that the visitor may not read is one that
/// does not have the blob: nobody learns of content that is not theirs.
pub(crate) async fn mount(
    registry: &Registry,
    visitor: &Visitor,
    from: Option<&str>,
    target: &dyn Store,
    digest: &Digest,
) -> Result<bool, Refusal> {
    if let Some(from) = from {
        // A name that no repository can have is one without the blob: the client sends it then.
        let is_readable = check_repository(from).is_ok() && registry.may(visitor, from, Action::Pull);
        return if is_readable { adopt(registry, from, target, digest).await } else { Ok(false) };
    }
    let names = registry.stores.repositories().await.map_err(|error| failed(&error))?;
    let readable = names.iter().filter(|name| registry.may(visitor, name, Action::Pull));
    for name in readable.take(MAX_SEARCHED) {
        // One repository that can't be read does not keep a blob from being found in another.
        if adopt(registry, name, target, digest).await.unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn adopt(
    registry: &Registry,
    from: &str,
    target: &dyn Store,
    digest: &Digest,
) -> Result<bool, Refusal> {
    let Some(source) = absent_is_none(registry.store(from).await)? else { return Ok(false) };
    let Some(mut node) = absent_is_none(find(&*source, digest).await)? else { return Ok(false) };
    // A manifest stays what it is where it is already, and comes as a blob where it is not.
    node.media_type = MediaType::OCTET_STREAM;
    if !target.exists(&node).await.map_err(|error| failed(&error))? {
        let content = Content::from_source(source as Arc<dyn Source>, node);
        target.push(&content).await.map_err(|error| failed(&error))?;
    }
    Ok(true)
}

fn failed(error: &Error) -> Refusal {
    Refusal::of(error, Refusal::blob_unknown)
}
