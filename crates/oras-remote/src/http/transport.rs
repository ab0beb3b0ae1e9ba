//! Sends requests. All requests are retried and authorized here, except that uploads and downloads resume in their own
//! modules.

use std::sync::Arc;
use std::time::Duration;

use oras_store::{ErrorKind, Result};
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue};
use reqwest::{Method, StatusCode};
use tokio::time::timeout;
use url::Url;

use crate::client::Client;
use crate::connection::proxy::ProxyServer;
use crate::http::concurrency_limit::Load;
use crate::http::endpoint::Endpoint;
use crate::http::network_error::{self, WrongScheme};
use crate::http::request::{Body, Request};
use crate::http::response::{Response, ResponseBody};
use crate::http::response_body;
use crate::http::retry::{FailedAttempt, MAX_RETRY_AFTER, RetryAdvice, is_gateway_error, retry_advice};
use crate::http::runtime::require_runtime;
use crate::http::trace::TraceEntry;
use crate::http::upload_watchdog::{UploadWatchdog, rate_limited, watched_stream};

impl Client {
    /// Sends a request, with retries, and returns its answer.
    pub(crate) async fn send(&self, endpoint: &Endpoint, request: &Request) -> Result<Response> {
        let mut budget = self.options().retry.budget();
        loop {
            match self.attempt(endpoint, request).await {
                Ok(response) => return Ok(response),
                Err(failed) if request.is_replayable() && failed.is_busy() => {
                    // Parallel downloads from an overloaded registry should use fewer connections, too.
                    self.host(endpoint.base()).connections.pushed_back();
                    budget.wait_or_fail(failed).await?;
                }
                Err(failed) if request.is_replayable() => budget.wait_or_fail(failed).await?,
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// Sends a request once, and a second time with credentials if the registry asks for them.
    ///
    /// Returns an error for a status that calls for a retry, and an answer for any other status.
    pub(crate) async fn attempt(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Response, FailedAttempt> {
        require_runtime(self.attempt_with_credentials(endpoint, request)).await
    }

    async fn attempt_with_credentials(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Response, FailedAttempt> {
        let cached = self.cached_authorization(endpoint, request).await?;
        let response = self.follow(endpoint, request, cached.as_ref()).await?;
        // Only the registry itself may ask for its credentials, not a server to which it redirects.
        let asks_for_credentials = (response.status == StatusCode::UNAUTHORIZED
            || (cached.is_some() && rejects_token(&response)))
            && endpoint.is_registry()
            && endpoint.owns(&response.url)
            && !endpoint.has_own(&AUTHORIZATION);
        let response = match asks_for_credentials && request.is_replayable() {
            true => match self.authorize(endpoint, request, &response, cached.as_ref()).await? {
                // Retries with credentials only once: a second 401 means that the credential itself is wrong.
                Some(authorization) => self.follow(endpoint, request, Some(&authorization)).await?,
                None => response,
            },
            false => response,
        };
        match self.advice(&response) {
            // A blob that another client is pushing may be missing for a moment.
            RetryAdvice::Never if response.status.is_client_error() && is_missing_blob(&response) => {
                Err(FailedAttempt { error: response.error().into_error(), advice: RetryAdvice::Once })
            }
            RetryAdvice::Never => Ok(response),
            advice => Err(FailedAttempt { error: response.error().into_error(), advice }),
        }
    }

    pub(crate) async fn send_once(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, FailedAttempt> {
        let route = self.connect(endpoint, url)?;
        let lease = route.lease;
        let own_headers = endpoint.headers_for(url, authorization);
        let entry = TraceEntry::begin(self, endpoint, request, url, &own_headers);
        // With `identity`, lengths and ranges are those of the content itself.
        let wants_identity = matches!(request.method, Method::GET | Method::HEAD)
            && !own_headers.contains_key(ACCEPT_ENCODING);
        let mut builder = route
            .http
            .request(request.method.clone(), route.url)
            .headers(request.headers.clone())
            .headers(own_headers);
        if let Some(host) = route.host {
            builder = builder.header(HOST, host);
        }
        if wants_identity {
            builder = builder.header(ACCEPT_ENCODING, "identity");
        }
        let idle = self.options().idle_timeout;
        let watch = Arc::new(UploadWatchdog::new(idle));
        let builder = self.with_body(builder, request, &watch).await?;
        let load = if matches!(request.body, Body::Part(..)) { Load::Streamed } else { Load::Whole };
        // Enters the limit last, so that the request does not occupy a place while its content is opened.
        let in_flight = self.host(url).concurrency.enter(load).await;
        // Waiting for the concurrency limit is not a stall.
        watch.moved();
        let sent = watch.guard(builder.send()).await;
        let answered = match watch.take_error() {
            // Content that could not be read is not a network failure.
            Some(error) => Err(error.into()),
            None => match sent {
                Some(sent) => sent.map_err(|error| {
                    self.failed(endpoint, (&request.method, url), route.proxy.as_ref(), &error)
                }),
                None => {
                    self.pools().discard(&lease);
                    Err(network_error::timeout(&request.method, url))
                }
            },
        };
        let http = answered.inspect_err(|failed| entry.failed(&failed.error))?;
        self.warn(endpoint.server(), http.headers());
        let (status, headers) = (http.status(), http.headers().clone());
        // An answer of a gateway does not prove that the server behind it works.
        if !is_gateway_error(status) {
            self.host(url).set_answered();
        }
        let may_lack_tls = network_error::may_lack_tls(url, &http);
        match retry_advice(status, &headers) {
            // A `Retry-After` above the maximum fails this request, and must not delay other operations.
            advice if matches!(status.as_u16(), 429 | 503) => in_flight.refused(match advice {
                RetryAdvice::After(asked) => Some(asked).filter(|asked| *asked <= MAX_RETRY_AFTER),
                _ => None,
            }),
            _ => in_flight.answered(),
        }
        let body = response_body::read(http, request, url, idle).await.inspect_err(|failed| {
            // The other connections of the pool may be dead as well, so the retry opens a new one.
            if failed.error.kind() == ErrorKind::Network {
                self.pools().discard(&lease);
            }
        });
        entry.answered(endpoint, status, &headers, &body);
        let body = body?;
        // The message is in the body, which the answer to a `HEAD` lacks.
        let lacks_tls = match &body {
            ResponseBody::Whole(_) if may_lack_tls && request.method == Method::HEAD => {
                asks_for_tls(&route.http, url, idle).await
            }
            ResponseBody::Whole(bytes) => network_error::asks_for_tls(url, status, bytes),
            ResponseBody::Stream(_) => false,
        };
        if lacks_tls {
            return Err(network_error::expects_tls_error(&request.method, url, endpoint.role(url), status));
        }
        Ok(Response { method: request.method.clone(), url: url.clone(), status, headers, body, lease })
    }

    /// Attaches the body, whose progress `watch` observes.
    async fn with_body(
        &self,
        builder: reqwest::RequestBuilder,
        request: &Request,
        watch: &Arc<UploadWatchdog>,
    ) -> Result<reqwest::RequestBuilder> {
        Ok(match &request.body {
            // Registries expect `Content-Length: 0` for writes without a body.
            Body::Empty if matches!(request.method, Method::GET | Method::HEAD | Method::DELETE) => builder,
            Body::Empty => builder.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => builder.body(bytes.clone()),
            Body::Secret(text) => builder.body(text.expose().to_owned()),
            Body::Part(payload, range) => {
                let stream = watched_stream(payload, range.clone(), Arc::clone(watch)).await?;
                let stream = match self.options().limit_rate.clone() {
                    Some(limit) => rate_limited(stream, limit, Arc::clone(watch)),
                    None => stream,
                };
                builder
                    .header(CONTENT_LENGTH, range.end.saturating_sub(range.start))
                    .body(reqwest::Body::wrap_stream(stream))
            }
        })
    }

    /// Returns whether the status of an answer calls for a retry.
    pub(crate) fn advice(&self, response: &Response) -> RetryAdvice {
        match retry_advice(response.status, &response.headers) {
            advice @ (RetryAdvice::Later | RetryAdvice::After(_))
                if is_gateway_error(response.status) && self.host(&response.url).has_answered() =>
            {
                let asked = if let RetryAdvice::After(asked) = advice { Some(asked) } else { None };
                RetryAdvice::Outage { asked }
            }
            advice => advice,
        }
    }

    /// Converts the failure of a request, and records what it shows about the server.
    fn failed(
        &self,
        endpoint: &Endpoint,
        (method, url): (&Method, &Url),
        proxy: Option<&ProxyServer>,
        error: &reqwest::Error,
    ) -> FailedAttempt {
        if network_error::refuses_http1(error) {
            self.host(url).require_http2();
        }
        // `follow` reads this record and repeats the request by HTTP if the registry is insecure.
        if network_error::lacks_tls_server(error) {
            endpoint.refuses_tls(url);
        }
        let mut failed =
            network_error::failed(method, url, endpoint.role(url), proxy.map(ProxyServer::address), error);
        if let Some(proxy) = proxy.and_then(ProxyServer::https_host)
            && failed.error.find::<WrongScheme>().is_some()
        {
            failed.error = failed.error.context(format!("through the proxy https://{proxy}"));
        }
        // A first connection that fails is not an outage, so it is reported at once.
        if network_error::is_outage(error) && self.host(url).has_answered() {
            failed.advice = RetryAdvice::Outage { asked: None };
        }
        failed
    }
}

/// Sends a `GET` without credentials and returns true if the answer says that the server expects TLS.
async fn asks_for_tls(http: &reqwest::Client, url: &Url, idle: Duration) -> bool {
    let Ok(Ok(answer)) = timeout(idle, http.get(url.clone()).send()).await else { return false };
    let status = answer.status();
    network_error::asks_for_tls(url, status, &response_body::error_text(answer).await)
}

fn is_missing_blob(response: &Response) -> bool {
    response.method == Method::PUT && response.error().has_code("MANIFEST_BLOB_UNKNOWN")
}

/// Returns true if the registry rejects the token with another status than 401, as some do.
fn rejects_token(response: &Response) -> bool {
    if !matches!(response.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
        return false;
    }
    let text = String::from_utf8_lossy(response.bytes()).to_lowercase();
    text.contains("token") && (text.contains("expire") || text.contains("invalid"))
}
