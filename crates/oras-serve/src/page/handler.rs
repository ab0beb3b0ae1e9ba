//! The handler of all pages.

use http::StatusCode;
use maud::Markup;

use super::links::{Links, PagePath};
use super::page_request::PageError;
use super::{assets, compare_page, manifest_page, repositories_page, tags_page, template};
use crate::api::error::ApiError;
use crate::api::request_context::RequestContext;
use crate::http_message::{Body, Response, full, is_read, make_response};

/// Allows only the built-in style, script and icon. The script may request pages of this registry for the search.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Returns true for `/` and the paths below `/-/`, where the distribution-spec has no endpoint.
pub(crate) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/-/")
}

/// Returns the page at a path.
pub(crate) async fn answer(context: &RequestContext, path: &str) -> Response {
    if !is_read(&context.head.method) {
        return ApiError::unsupported().with_header("allow", "GET, HEAD".to_owned()).into_response();
    }
    let path = PagePath::parse(path);
    if let Some(PagePath::Asset(name)) = path
        && let Some(found) = assets::find(name)
    {
        // Browsers may cache it forever, because its name contains a digest.
        let caching = "max-age=31536000, immutable";
        return protected(StatusCode::OK, found.media_type, caching, full(found.text));
    }
    let (status, page) = match render(context, path).await {
        Ok(page) => (StatusCode::OK, page),
        Err(PageError { status, message }) => (status, template::error(Links::of(context), status, message)),
    };
    // Tags move, and another visitor may not be allowed to see the page.
    protected(status, "text/html; charset=utf-8", "private, no-cache", full(page.into_string()))
}

/// Returns a response with headers that prevent content sniffing, framing and referrer leaks.
fn protected(status: StatusCode, media_type: &str, caching: &str, body: Body) -> Response {
    let headers = [
        ("content-type", media_type),
        ("cache-control", caching),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ];
    make_response(status, headers, body)
}

async fn render(context: &RequestContext, path: Option<PagePath<'_>>) -> Result<Markup, PageError> {
    // Fails only if the semaphore is closed, which never happens.
    // A permit for each page bounds the memory for manifests.
    let permit = context.registry.page_permits.acquire().await;
    let _permit = permit.map_err(|_| PageError::internal())?;
    match path {
        Some(PagePath::Repositories) => repositories_page::render(context).await,
        Some(PagePath::Repository { name }) => {
            match (context.query.get("compare"), context.query.get("with")) {
                (Some(before), Some(after)) => compare_page::render(context, name, [before, after]).await,
                _ => tags_page::render(context, name).await,
            }
        }
        Some(PagePath::Manifest { name, reference }) => manifest_page::render(context, name, reference).await,
        Some(PagePath::Asset(_)) | None => Err(PageError::not_found("There is no page at this address.")),
    }
}
