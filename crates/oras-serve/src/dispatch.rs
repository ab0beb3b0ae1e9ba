//! From a request to the handler of its endpoint and method.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};

use crate::challenge::TOKEN_PATH;
use crate::conditions::Conditions;
use crate::error::Refusal;
use crate::health::{LIVE_PATH, READY_PATH};
use crate::metrics::METRICS_PATH;
use crate::query::Query;
use crate::respond::{Answer, json, set};
use crate::route::{self, Route};
use crate::server::Registry;
use crate::trace::Remote;
use crate::visitor::Visitor;
use crate::{
    access, blobs, grant, health, lists, manifests, metrics, namespace, pace, page, trace, uploads, warnings,
};

/// The service of a server.
pub(crate) fn router(registry: Arc<Registry>) -> Router {
    Router::new()
        .fallback(dispatch)
        .layer(from_fn_with_state(Arc::clone(&registry), enter))
        .layer(from_fn_with_state(Arc::clone(&registry), trace::request))
        .with_state(registry)
}

/// What surrounds every answer, in one layer, as each is a lot of code: the pace of the body, and what is left of it
/// when the answer is there.
async fn enter(State(registry): State<Arc<Registry>>, request: Request<Body>, next: Next) -> Response<Body> {
    let is_api = route::is_api(request.uri());
    let (request, unread) = pace::keep(request);
    let mut response = scoped(registry, request, next).await;
    if is_api {
        // Clients such as dockerd recognize a registry by this header, also on refusals.
        let version = HeaderValue::from_static("registry/2.0");
        response.headers_mut().insert("docker-distribution-api-version", version);
    }
    if let Some(unread) = unread
        && !unread.discard().await
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Finds the repository that a request means, then checks who may do that, and answers.
async fn scoped(registry: Arc<Registry>, request: Request<Body>, next: Next) -> Response<Body> {
    let (request, namespace) = match namespace::apply(&*registry.stores, request) {
        Ok(scoped) => scoped,
        Err(refusal) => return refusal.response(),
    };
    let mut response = warnings::collect(access::check(State(registry), request, next)).await;
    if let Some(namespace) = namespace {
        set(&mut response, "oci-namespace", &namespace);
    }
    response
}

async fn dispatch(State(registry): State<Arc<Registry>>, request: Request<Body>) -> Response<Body> {
    let path = route::decoded(request.uri());
    let visitor = request.extensions().get::<Visitor>().cloned().unwrap_or_default();
    let beside = match path.as_str() {
        TOKEN_PATH => {
            return grant::answer(&registry, visitor, request).await.unwrap_or_else(Refusal::response);
        }
        METRICS_PATH => Some(metrics::answer(&registry, request.method())),
        LIVE_PATH | READY_PATH => Some(health::answer(&registry, &path, request.method()).await),
        _ => None,
    };
    if let Some(answer) = beside {
        return answer.unwrap_or_else(Refusal::response);
    }
    if registry.options.page && page::is_at(&path) {
        return page::answer(&registry, &path, &visitor, request).await;
    }
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    match Route::parse(&path) {
        Some(_) if is_write => write(registry, path, visitor, request).await,
        Some(route) => answer(&registry, route, visitor, request).await.unwrap_or_else(Refusal::response),
        None => {
            Refusal::new(StatusCode::NOT_FOUND, "NAME_INVALID", "no such endpoint or repository").response()
        }
    }
}

/// Answers a request that may write, in a task of its own. When the client disconnects, its body ends with an error; a write
/// that has all it needs goes on with all that it holds (memory, locks, digests that must not be collected), and its outcome
/// is logged.
async fn write(
    registry: Arc<Registry>,
    path: String,
    visitor: Visitor,
    request: Request<Body>,
) -> Response<Body> {
    let owner = visitor.owner(request.extensions().get::<Remote>());
    let entry = request.extensions().get::<Arc<trace::Entry>>().cloned();
    let (tasks, limit) = (registry.write_tasks.clone(), registry.options.max_connections);
    let work = async move {
        let response = match Route::parse(&path) {
            Some(route) => answer(&registry, route, visitor.clone(), request).await,
            None => Err(Refusal::name_invalid()),
        };
        let response = response.unwrap_or_else(Refusal::response);
        if let Some(entry) = entry {
            entry.note_outcome(response.status(), visitor.name());
        }
        response
    };
    let Some(response) = tasks.begin(&owner, limit, work) else {
        let message = "too many writes of this client are under way";
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message);
        return refusal.with("retry-after", "1".to_owned()).response();
    };
    // It panicked, which is in the log.
    let failed = |_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "internal error").response();
    response.await.unwrap_or_else(failed)
}

async fn answer(
    registry: &Arc<Registry>,
    route: Route<'_>,
    visitor: Visitor,
    request: Request<Body>,
) -> Answer {
    let query = Query::of(request.uri())?;
    let method = request.method().clone();
    if let Route::Upload { session, .. } = route {
        registry.begun.check(&visitor, session)?;
    }
    match (route, method) {
        (Route::Root, Method::GET | Method::HEAD) => Ok(json(b"{}".to_vec())),
        (Route::Catalog, Method::GET) => lists::catalog(registry, &visitor, &query).await,
        (Route::Tags { name }, Method::GET) => lists::tags(registry, name, &query).await,
        (Route::Referrers { name, digest }, Method::GET) => {
            lists::referrers(registry, name, digest, &query).await
        }
        (Route::Blob { name, digest }, Method::GET | Method::HEAD) => {
            blobs::get(registry, name, digest, blobs::Wanted::of(&request)).await
        }
        (Route::Blob { name, digest }, Method::DELETE) => {
            blobs::delete(registry, (name, digest), &Conditions::of(request.headers())).await
        }
        (Route::Uploads { name }, Method::POST) => {
            uploads::open(registry, (name, &visitor), &query, request).await
        }
        (Route::Upload { name, session }, Method::PATCH) => {
            uploads::append(registry, name, session, request).await
        }
        (Route::Upload { name, session }, Method::PUT) => {
            uploads::close(registry, (name, session), &query, request).await
        }
        (Route::Upload { name, session }, Method::GET) => uploads::status(registry, name, session).await,
        (Route::Upload { name, session }, Method::DELETE) => uploads::cancel(registry, name, session).await,
        (Route::Manifest { name, reference }, Method::GET | Method::HEAD) => {
            manifests::get(registry, (name, reference), &Conditions::of(request.headers())).await
        }
        (Route::Manifest { name, reference }, Method::PUT) => {
            manifests::put(registry, (name, reference, &visitor), &query, request).await
        }
        (Route::Manifest { name, reference }, Method::DELETE) => {
            manifests::delete(registry, (name, reference), &Conditions::of(request.headers())).await
        }
        _ => Err(Refusal::unsupported()),
    }
}
