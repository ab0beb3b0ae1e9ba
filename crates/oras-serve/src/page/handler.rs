//! The handler of all pages.

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use maud::Markup;

use super::links::PagePath;
use super::page_error::PageError;
use super::page_request::PageRequest;
use super::response::{asset, html};
use super::{assets, manifest_page, repositories_page, tags_page, template};
use crate::api::error::ApiError;
use crate::api::query::Query;
use crate::api::request_context::RequestContext;

/// Returns true for `/` and the paths below `/-/`, where the distribution-spec has no endpoint.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/-/")
}

/// Returns the page at a path.
pub(crate) async fn answer(context: &RequestContext, path: &str, request: Request<Body>) -> Response<Body> {
    let head = request.into_parts().0;
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return ApiError::unsupported().with_header("allow", "GET, HEAD".to_owned()).into_response();
    }
    let path = PagePath::parse(path);
    if let Some(PagePath::Asset(name)) = path
        && let Some(found) = assets::find(name)
    {
        return asset(found);
    }
    let request = PageRequest { context, headers: &head.headers, query: &Query::of(&head.uri) };
    match render(&request, path).await {
        Ok(page) => html(StatusCode::OK, page),
        Err(PageError { status, message }) => html(status, template::error(status, message)),
    }
}

async fn render(request: &PageRequest<'_>, path: Option<PagePath<'_>>) -> Result<Markup, PageError> {
    // Fails only if the semaphore is closed, which never happens.
    // A permit for each page bounds the memory for manifests.
    let permit = request.context.registry.page_permits.acquire().await;
    let _permit = permit.map_err(|_| PageError::internal())?;
    match path {
        Some(PagePath::Repositories) => repositories_page::render(request).await,
        Some(PagePath::Repository { name }) => tags_page::render(request, name).await,
        Some(PagePath::Manifest { name, reference }) => manifest_page::render(request, name, reference).await,
        Some(PagePath::Asset(_)) | None => Err(PageError::not_found("There is no page at this address.")),
    }
}
