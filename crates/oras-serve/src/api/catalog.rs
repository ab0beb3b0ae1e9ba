//! The list of repositories (`/v2/_catalog`).

use oras_spec::api_bodies::CatalogPage;
use oras_spec::json;

use super::error::Answer;
use super::manifests::failed;
use super::pagination::page_of;
use super::request_context::RequestContext;

/// Lists the repositories that the sender may read.
pub(super) async fn list(context: &RequestContext) -> Answer {
    let names = context.readable_repositories().await.map_err(failed)?;
    let path = context.api_path("_catalog");
    page_of(names, &context.query, &path, |repositories| json::to_vec(&CatalogPage { repositories }))
}
