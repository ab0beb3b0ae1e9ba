//! The stages of a request: limits, namespace, authorization, handler and log.

use std::sync::Arc;

use http::{HeaderValue, Method, StatusCode, Version, header};
use hyper::body::Body as _;

use super::conditions::Conditions;
use super::endpoint::Endpoint;
use super::error::{Answer, ApiError};
use super::proxy_namespace::{self, Resolved};
use super::query::Query;
use super::request_context::RequestContext;
use super::route::{Resource, Route};
use super::uploads::UploadRequest;
use super::warnings::Warnings;
use super::{blobs, catalog, manifests, referrers, tags, uploads};
use crate::auth::{authorize, token_endpoint};
use crate::http_message::{Body, Request, Response, is_read, json, set_header, uncached_text};
use crate::limits::connection_activity::Peer;
use crate::limits::request_body;
use crate::ops::access_log::AccessLogEntry;
#[cfg(feature = "page")]
use crate::page;
use crate::registry_state::RegistryState;

/// Answers one request and logs it.
pub(crate) async fn serve(registry: Arc<RegistryState>, peer: Peer, request: Request) -> Response {
    let endpoint = registry.endpoint(request.uri());
    let version = request.version();
    let is_head = request.method() == Method::HEAD;
    // The entry begins before anything can fail or wait, so that every request is logged with its whole duration.
    let entry = AccessLogEntry::begin(&registry.metrics, &peer, &endpoint, &request);
    let is_below_v2 = endpoint.is_below_v2();
    // Enforced before authorization, so that an unauthorized client can't hold a connection by sending slowly.
    let request = request_body::enforce_rate(request, &peer.activity);
    let activity = Arc::clone(&peer.activity);
    let mut response = answer(registry, peer, endpoint, request, &entry).await;
    if is_below_v2 {
        // Clients such as dockerd recognize a registry by this header, also on errors.
        set_header(&mut response, "docker-distribution-api-version", "registry/2.0");
    }
    // HTTP/2 has no such header: the server resets the stream in place of the connection.
    if !request_body::discard_unread(&activity).await && version < Version::HTTP_2 {
        set_header(&mut response, "connection", "close");
    }
    entry.finish(&response);
    // The response to HEAD also contains the length of the body, although it has no body.
    if let Some(size) = response.body().size_hint().exact() {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(size));
    }
    if is_head {
        *response.body_mut() = Body::default();
    }
    response
}

/// Resolves the namespace, then authorizes, then calls the handler.
async fn answer(
    registry: Arc<RegistryState>,
    peer: Peer,
    endpoint: Endpoint,
    request: Request,
    entry: &Arc<AccessLogEntry>,
) -> Response {
    let Resolved { endpoint, namespace } =
        match proxy_namespace::resolve(&*registry.stores, endpoint, request.uri()) {
            Ok(resolved) => resolved,
            Err(error) => return error.into_response(),
        };
    let (head, body) = request.into_parts();
    let mut response = match authorize::authorize(&registry, &peer, &endpoint, &head).await {
        Ok(identity) => {
            // From now on the connection counts against the user instead of the address.
            peer.activity.set_user(identity.user());
            entry.set_user(identity.user());
            let warnings = Warnings::default();
            let (query, conditions) = (Query::of(&head.uri), Conditions::of(&head.headers));
            let context = RequestContext {
                registry,
                peer,
                endpoint,
                identity,
                head,
                query,
                conditions,
                warnings: warnings.clone(),
            };
            let mut response = dispatch(context, body, entry).await.unwrap_or_else(ApiError::into_response);
            warnings.write_to(response.headers_mut());
            response
        }
        Err(error) => error.into_response(),
    };
    if let Some(namespace) = namespace {
        set_header(&mut response, "oci-namespace", &namespace);
    }
    response
}

async fn dispatch(context: RequestContext, body: Body, entry: &Arc<AccessLogEntry>) -> Answer {
    let registry = &context.registry;
    let is_read = is_read(&context.head.method);
    match &context.endpoint {
        Endpoint::Token => token_endpoint::answer(&context, body).await,
        Endpoint::Metrics | Endpoint::Live | Endpoint::Ready if !is_read => Err(ApiError::unsupported()),
        Endpoint::Metrics => {
            let text = registry.metrics.to_text(&registry.connection_limits, &registry.uploads);
            Ok(uncached_text(text, "text/plain; version=0.0.4; charset=utf-8"))
        }
        Endpoint::Ready
            if !registry.health.is_ready(&*registry.stores, !registry.options.read_only).await =>
        {
            let message = "the store can't be used: see the log";
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message))
        }
        Endpoint::Live | Endpoint::Ready => Ok(uncached_text("ok\n", "text/plain; charset=utf-8")),
        Endpoint::Registry(route) if is_read => call(&context, route, body).await,
        // Unknown methods are treated as writes, as authorization does.
        Endpoint::Registry(_) => write(context, body, Arc::clone(entry)).await,
        #[cfg(feature = "page")]
        Endpoint::Other(path) if context.registry.options.page && page::is_page(path) => {
            Ok(page::answer(&context, path).await)
        }
        Endpoint::Other(_) => {
            Err(ApiError::new(StatusCode::NOT_FOUND, "NAME_INVALID", "no such endpoint or repository"))
        }
    }
}

/// Answers a request that may write, in a separate task. hyper drops the future of a request when its client
/// disconnects, which would interrupt a write. A write whose body is complete continues with its resources
/// (memory, locks, digests in use), and its outcome is logged.
async fn write(context: RequestContext, body: Body, entry: Arc<AccessLogEntry>) -> Answer {
    // The limit is the maximum number of connections, so only a client that disconnects early can exceed it.
    let (registry, client) = (Arc::clone(&context.registry), context.client_id());
    let work = async move {
        let answered = match context.endpoint.route() {
            Some(route) => call(&context, route, body).await,
            None => Err(ApiError::name_invalid()),
        };
        let response = answered.unwrap_or_else(ApiError::into_response);
        entry.set_outcome(response.status());
        response
    };
    let response = registry
        .write_tasks
        .spawn(client, registry.options.max_connections, work)
        .ok_or_else(|| ApiError::unavailable("too many writes of this client are under way", 1))?;
    // The sender is dropped when the task panics, which the log reports.
    response.await.map_err(|_| ApiError::internal())
}

/// Calls the handler of an endpoint and a method.
async fn call(context: &RequestContext, route: &Route, body: Body) -> Answer {
    let method = &context.head.method;
    let (name, resource) = match route {
        Route::Root if is_read(method) => return Ok(json(b"{}".to_vec())),
        Route::Catalog if *method == Method::GET => return catalog::list(context).await,
        Route::Root | Route::Catalog => return Err(ApiError::unsupported()),
        Route::Repository { name, resource } => (name.as_str(), resource),
    };
    match (resource, method) {
        (Resource::Tags, &Method::GET) => tags::list(context, name).await,
        (Resource::Referrers { digest }, &Method::GET) => referrers::list(context, name, digest).await,
        (Resource::Blob { digest }, &Method::GET | &Method::HEAD) => blobs::get(context, name, digest).await,
        (Resource::Blob { digest }, &Method::DELETE) => blobs::delete(context, name, digest).await,
        (Resource::Uploads, &Method::POST) => uploads::open(context, name, body).await,
        (Resource::Upload { id }, method) => {
            // Checked before the session is used, so that another user can't learn that it exists.
            context.registry.uploads.check_user(id, context.identity.user())?;
            let upload = UploadRequest { context, name, id };
            match *method {
                Method::PATCH => upload.append(body).await,
                Method::PUT => upload.close(body).await,
                Method::GET => upload.status().await,
                Method::DELETE => upload.cancel().await,
                _ => Err(ApiError::unsupported()),
            }
        }
        (Resource::Manifest { reference }, &Method::GET | &Method::HEAD) => {
            manifests::get(context, name, reference).await
        }
        (Resource::Manifest { reference }, &Method::PUT) => {
            manifests::put(context, name, reference, body).await
        }
        (Resource::Manifest { reference }, &Method::DELETE) => {
            manifests::delete(context, name, reference).await
        }
        _ => Err(ApiError::unsupported()),
    }
}
