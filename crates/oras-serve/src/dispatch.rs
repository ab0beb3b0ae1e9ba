//! From a request to the handler of its endpoint and method.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use percent_encoding::percent_decode_str;

use crate::error::Refusal;
use crate::query::Query;
use crate::respond::{Answer, json};
use crate::route::Route;
use crate::server::Registry;
use crate::{access, blobs, lists, manifests, page, trace, uploads};

/// The service of a server.
pub(crate) fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .fallback(dispatch)
        .layer(from_fn_with_state(Arc::clone(&registry), access::check))
        .layer(from_fn(trace::request))
        .with_state(registry)
}

async fn dispatch(State(registry): State<Arc<Registry>>, request: Request<Body>) -> Response<Body> {
    let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
    if registry.options.page && page::is_at(&path) {
        return page::answer(&registry, &path, request).await;
    }
    let mut response = match Route::parse(&path) {
        Some(route) => answer(&registry, route, request).await.unwrap_or_else(Refusal::response),
        None => {
            Refusal::new(StatusCode::NOT_FOUND, "NAME_INVALID", "no such endpoint or repository").response()
        }
    };
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert("docker-distribution-api-version", version);
    response
}

async fn answer(registry: &Arc<Registry>, route: Route<'_>, request: Request<Body>) -> Answer {
    let query = Query::of(request.uri())?;
    let method = request.method().clone();
    match (route, method) {
        (Route::Root, Method::GET | Method::HEAD) => Ok(json(b"{}".to_vec())),
        (Route::Catalog, Method::GET) => lists::catalog(registry, &query).await,
        (Route::Tags { name }, Method::GET) => lists::tags(registry, name, &query).await,
        (Route::Referrers { name, digest }, Method::GET) => {
            lists::referrers(registry, name, digest, &query).await
        }
        (Route::Blob { name, digest }, Method::GET | Method::HEAD) => {
            blobs::get(registry, name, digest, blobs::Wanted::of(&request)).await
        }
        (Route::Blob { name, digest }, Method::DELETE) => blobs::delete(registry, name, digest).await,
        (Route::Uploads { name }, Method::POST) => uploads::open(registry, name, &query, request).await,
        (Route::Upload { name, session }, Method::PATCH) => {
            uploads::append(registry, name, session, request).await
        }
        (Route::Upload { name, session }, Method::PUT) => {
            uploads::close(registry, (name, session), &query, request).await
        }
        (Route::Upload { name, session }, Method::GET) => uploads::status(registry, name, session),
        (Route::Upload { name, session }, Method::DELETE) => uploads::cancel(registry, name, session),
        (Route::Manifest { name, reference }, Method::GET | Method::HEAD) => {
            manifests::get(registry, name, reference).await
        }
        (Route::Manifest { name, reference }, Method::PUT) => {
            manifests::put(registry, (name, reference), &query, request).await
        }
        (Route::Manifest { name, reference }, Method::DELETE) => {
            manifests::delete(registry, name, reference).await
        }
        _ => Err(Refusal::unsupported()),
    }
}
