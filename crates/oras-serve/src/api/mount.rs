//! Mounting a blob from another repository of this registry (distribution-spec, "Mounting a blob from another
//! repository").

use std::sync::Arc;

use oras_spec::reference::check_repository;
use oras_spec::{Digest, MediaType};
use oras_store::{Content, PushMode, Source, Store};

use super::blobs::{failed, find};
use super::error::{ApiError, found_or_none};
use super::request_context::RequestContext;
use crate::auth::scope::Action;

/// The maximum number of repositories that are searched for a blob when the client does not name one.
const MAX_SEARCHED: usize = 256;

/// Mounts a blob into `target` if a repository of this registry has it; returns false if no repository has it, so that
/// the client uploads it.
///
/// The bytes are copied, verified, from one store to the other. Repositories that the client may not read are skipped,
/// so that a mount does not reveal their content.
pub(super) async fn mount(
    context: &RequestContext,
    from: Option<&str>,
    target: &dyn Store,
    digest: &Digest,
) -> Result<bool, ApiError> {
    if let Some(from) = from {
        // A malformed name is treated as a repository without the blob: the client then uploads it.
        let is_readable = check_repository(from).is_ok() && context.may(from, Action::Pull);
        // The specification lets a registry decline a mount: the client then uploads the blob.
        return if is_readable { mount_from(context, from, target, digest).await } else { Ok(false) };
    }
    let names = context.registry.stores.repositories().await.map_err(failed)?;
    let readable = names.iter().filter(|name| context.may(name, Action::Pull));
    // Each repository costs a lookup, and a client that gets no mount can still upload the blob.
    for name in readable.take(MAX_SEARCHED) {
        // An unreadable repository must not hide the blob in another one.
        if mount_from(context, name, target, digest).await.unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn mount_from(
    context: &RequestContext,
    from: &str,
    target: &dyn Store,
    digest: &Digest,
) -> Result<bool, ApiError> {
    let Some(source) = found_or_none(context.store(from).await)? else { return Ok(false) };
    let Some(mut node) = found_or_none(find(&*source, digest).await)? else { return Ok(false) };
    // A mounted manifest is stored as a blob. Only a PUT of a manifest stores it as a manifest.
    node.media_type = MediaType::OCTET_STREAM;
    let content = Content::from_source(source as Arc<dyn Source>, node);
    target.push(&content, PushMode::Untagged).await.map_err(failed)?;
    Ok(true)
}
