//! One request, however often it must be sent: retries, redirects and authorization happen here and nowhere else.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use oras_store::{ByteStream, Error, Kind, Result};
use parking_lot::Mutex;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_LENGTH, HOST, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode};
use tokio::time::{Instant, timeout};
use url::Url;

use crate::body;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::network::{self, WrongScheme};
use crate::rate::RateLimit;
use crate::request::{Answer, Body, Request, Response};
use crate::response::redact;
use crate::retry::{Again, Failed, MAX_ASKED, again};
use crate::throttle::Load;
use crate::trace::Exchange;
use crate::upload::Payload;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 10;
/// Idle timeouts that a registry has to answer an upload when it has all bytes: it stores them first.
const ANSWER_TIMEOUTS: u32 = 2;
/// The bytes that it may take a second more for.
const STORED_PER_SECOND: u64 = 16 << 20;

impl Client {
    /// Sends a request until it is answered by something else than a passing failure.
    pub(crate) async fn send(&self, endpoint: &Endpoint, request: &Request) -> Result<Response> {
        self.send_and(endpoint, request, |response| std::future::ready(Ok(response))).await
    }

    /// Sends a request until it is answered and `read` has read the answer, both without a passing failure.
    pub(crate) async fn send_and<T, F: Future<Output = Result<T, Failed>>>(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        read: impl Fn(Response) -> F,
    ) -> Result<T> {
        let mut tries = self.options().retry.tries();
        loop {
            let answer = match self.attempt(endpoint, request).await {
                Ok(response) => read(response).await,
                Err(failed) => Err(failed),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(failed) if request.is_replayable() && failed.is_busy() => {
                    self.connections(endpoint).pushed_back();
                    tries.again_after(failed).await?;
                }
                Err(failed) if request.is_replayable() => tries.again_after(failed).await?,
                Err(failed) => return Err(failed.error),
            }
        }
    }

    /// Sends a request once; once more with credentials if the registry asks for them.
    ///
    /// A status that calls for another try is a failure; any other status is an answer.
    pub(crate) async fn attempt(&self, endpoint: &Endpoint, request: &Request) -> Result<Response, Failed> {
        let known = self.known(endpoint, request).await?;
        let response = self.follow(endpoint, request, known.as_ref()).await?;
        // Only the registry itself can ask for its credentials, not whoever it redirects to.
        let asked = (response.status == StatusCode::UNAUTHORIZED
            || (known.is_some() && blames_token(&response)))
            && endpoint.is_registry()
            && endpoint.owns(&response.url)
            && !endpoint.brings_authorization();
        let response = match asked && request.is_replayable() {
            true => match self.authorize(endpoint, request, &response, known.as_ref()).await? {
                Some(authorization) => self.follow(endpoint, request, Some(&authorization)).await?,
                None => response,
            },
            false => response,
        };
        match self.again(&response) {
            // A blob that another client sends at this moment may be missing for the blink of an eye.
            Again::Never if response.status.is_client_error() && lacks_blob(&response) => {
                Err(Failed { error: response.error().into_error(), again: Again::Once })
            }
            Again::Never => Ok(response),
            again => Err(Failed { error: response.error().into_error(), again }),
        }
    }

    /// Sends a request and follows where it is redirected; what is for the endpoint alone is left behind there.
    pub(crate) async fn follow(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failed> {
        let mut url = endpoint.spoken(&request.url);
        for _ in 0..=MAX_REDIRECTS {
            let before = self.uses_http2(&url);
            let response = match self.once(endpoint, request, &url, authorization).await {
                // It turned out which HTTP the server speaks.
                Err(_) if before != self.uses_http2(&url) && request.is_replayable() => {
                    self.once(endpoint, request, &url, authorization).await?
                }
                // Or that it speaks no TLS, where that may be.
                Err(_) if endpoint.spoken(&url) != url && request.is_replayable() => {
                    url = endpoint.spoken(&url);
                    self.once(endpoint, request, &url, authorization).await?
                }
                other => other?,
            };
            match redirect(endpoint, request, &response)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let message = format!(
            "{} \"{}\": stopped after {MAX_REDIRECTS} redirects",
            request.method,
            redact(&request.url)
        );
        Err(Error::new(Kind::InvalidContent, message).into())
    }

    async fn once(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        url: &Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Failed> {
        let route = self.connect(endpoint, url)?;
        let lease = route.lease;
        let given = endpoint.headers_for(url, authorization);
        let exchange = Exchange::begin(self, endpoint, request, url, &given);
        // Lengths and ranges are then those of the content itself.
        let wants_identity =
            matches!(request.method, Method::GET | Method::HEAD) && !given.contains_key(ACCEPT_ENCODING);
        let mut builder = route
            .http
            .request(request.method.clone(), route.url)
            .headers(request.headers.clone())
            .headers(given);
        if let Some(host) = route.host {
            builder = builder.header(HOST, host);
        }
        if wants_identity {
            builder = builder.header(ACCEPT_ENCODING, "identity");
        }
        let idle = self.options().idle_timeout;
        let watch = Arc::new(Watch::new(idle));
        let builder = self.with_body(builder, request, &watch).await?;
        let load = if matches!(request.body, Body::Part(..)) { Load::Streamed } else { Load::Whole };
        let under_way = self.throttle(url).enter(load).await;
        watch.moved();
        let sent = watch.guard(builder.send()).await;
        let answered = match watch.take_error() {
            // Content that could not be read is no failure of the network.
            Some(error) => Err(error.into()),
            None => match sent {
                Some(sent) => sent.map_err(|error| {
                    self.failed(endpoint, (&request.method, url), route.https_proxy.as_deref(), &error)
                }),
                None => {
                    self.discard(&lease);
                    Err(network::silent(&request.method, url))
                }
            },
        };
        let http = answered.inspect_err(|failed| exchange.failed(&failed.error))?;
        self.warn(endpoint.server(), http.headers());
        let (status, headers) = (http.status(), http.headers().clone());
        self.note_answer(url, status);
        let may_lack_tls = network::may_lack_tls(url, &http);
        match again(status, &headers) {
            again if matches!(status.as_u16(), 429 | 503) => under_way.refused(match again {
                Again::After(asked) => Some(asked).filter(|asked| *asked <= MAX_ASKED),
                _ => None,
            }),
            _ => under_way.answered(&request.method),
        }
        let body = body::read(http, request, url, idle).await.inspect_err(|failed| {
            if failed.error.kind() == Kind::Network {
                self.discard(&lease);
            }
        });
        exchange.answered(endpoint, status, &headers, &body);
        let body = body?;
        // The words are in the body, which the answer to a HEAD lacks.
        let lacks_tls = match &body {
            Answer::Whole(_) if may_lack_tls && request.method == Method::HEAD => {
                asks_for_tls(&route.http, url, idle).await
            }
            Answer::Whole(bytes) => network::asks_for_tls(url, status, bytes),
            Answer::Long(_) | Answer::Stream(_) => false,
        };
        if lacks_tls {
            return Err(network::lacks_tls(&request.method, url, endpoint.role(url), status));
        }
        Ok(Response { method: request.method.clone(), url: url.clone(), status, headers, body, lease })
    }

    /// The request with its body, whose progress `watch` sees.
    async fn with_body(
        &self,
        builder: reqwest::RequestBuilder,
        request: &Request,
        watch: &Arc<Watch>,
    ) -> Result<reqwest::RequestBuilder> {
        Ok(match &request.body {
            // Registries want to be told that there is nothing; the others have nothing to tell.
            Body::Empty if matches!(request.method, Method::GET | Method::HEAD | Method::DELETE) => builder,
            Body::Empty => builder.header(CONTENT_LENGTH, 0),
            Body::Bytes(bytes) => builder.body(bytes.clone()),
            Body::Secret(text) => builder.body(text.expose().to_owned()),
            Body::Part(payload, range) => {
                let stream = watched(payload, range.clone(), Arc::clone(watch)).await?;
                let stream = match self.options().limit_rate.clone() {
                    Some(limit) => limited(stream, limit, Arc::clone(watch)),
                    None => stream,
                };
                builder
                    .header(CONTENT_LENGTH, range.end.saturating_sub(range.start))
                    .body(reqwest::Body::wrap_stream(stream))
            }
        })
    }

    /// The failure of a request that got no answer, and what the client learns from it.
    fn failed(
        &self,
        endpoint: &Endpoint,
        (method, url): (&Method, &Url),
        https_proxy: Option<&str>,
        error: &reqwest::Error,
    ) -> Failed {
        if network::refuses_http1(error) {
            self.refuses_http1(url);
        }
        if network::speaks_no_tls(error) {
            endpoint.refuses_tls(url);
        }
        let mut failed = network::failed(method, url, endpoint.role(url), error);
        if let Some(proxy) = https_proxy
            && failed.error.find::<WrongScheme>().is_some()
        {
            failed.error = failed.error.context(format!("through the proxy https://{proxy}"));
        }
        // A first connection that fails is reported at once.
        if network::is_outage(error) && self.has_answered(url) {
            failed.again = Again::Outage { asked: None };
        }
        failed
    }
}

/// Asks the server of `url`, with nothing that is for the registry alone, whether it speaks TLS.
async fn asks_for_tls(http: &reqwest::Client, url: &Url, idle: Duration) -> bool {
    let Ok(Ok(answer)) = timeout(idle, http.get(url.clone()).send()).await else { return false };
    let status = answer.status();
    network::asks_for_tls(url, status, &body::error_text(answer).await)
}

fn lacks_blob(response: &Response) -> bool {
    response.method == Method::PUT && response.error().has_code("MANIFEST_BLOB_UNKNOWN")
}

/// Whether the registry says, with another status than 401, that the token it was sent has ended or is none; some do.
fn blames_token(response: &Response) -> bool {
    if !matches!(response.status, StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN) {
        return false;
    }
    let text = String::from_utf8_lossy(response.bytes()).to_lowercase();
    text.contains("token") && (text.contains("expire") || text.contains("invalid"))
}

/// Where the response says to go next, if it is followed there.
fn redirect(endpoint: &Endpoint, request: &Request, response: &Response) -> Result<Option<Url>> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    let followed = match response.status.as_u16() {
        301..=303 => reads,
        307 | 308 => request.is_replayable(),
        _ => false,
    };
    let Some(location) = response.header(LOCATION.as_str()).filter(|_| followed) else { return Ok(None) };
    let next = response
        .url
        .join(location)
        .map_err(|_| response.bad(Kind::InvalidContent, "redirected to an invalid address"))?;
    if !matches!(next.scheme(), "http" | "https")
        || (response.url.scheme() == "https" && next.scheme() == "http")
    {
        let why =
            format!("refusing to follow a redirect from {} to {}", response.url.scheme(), next.scheme());
        return Err(response.bad(Kind::Denied, &why));
    }
    // Headers are left behind by themselves; what is in the body would go along.
    if matches!(request.body, Body::Secret(_)) && !endpoint.owns(&next) {
        return Err(response.bad(Kind::Denied, "refusing to send an identity token or a password elsewhere"));
    }
    Ok(Some(next))
}

/// Sees that an upload makes progress, and keeps the error of the content if it can't be read.
struct Watch {
    progress: Mutex<Progress>,
    error: Mutex<Option<Error>>,
}

struct Progress {
    moved: Instant,
    /// How long the next progress may take.
    timeout: Duration,
}

impl Watch {
    fn new(timeout: Duration) -> Self {
        Self { progress: Mutex::new(Progress { moved: Instant::now(), timeout }), error: Mutex::new(None) }
    }

    fn moved(&self) {
        self.progress.lock().moved = Instant::now();
    }

    /// Notes that all `length` bytes of a body were sent: what is awaited now is the answer.
    fn sent_all(&self, length: u64) {
        let mut progress = self.progress.lock();
        progress.moved = Instant::now();
        progress.timeout =
            progress.timeout * ANSWER_TIMEOUTS + Duration::from_secs(length / STORED_PER_SECOND);
    }

    fn deadline(&self) -> Instant {
        let progress = self.progress.lock();
        progress.moved + progress.timeout
    }

    fn take_error(&self) -> Option<Error> {
        self.error.lock().take()
    }

    /// The result of `work`, or `None` when nothing moved for too long.
    async fn guard<F: Future>(&self, work: F) -> Option<F::Output> {
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout_at(self.deadline(), &mut work).await {
                return Some(done);
            }
            if self.deadline() <= Instant::now() {
                return None;
            }
        }
    }
}

/// The bytes of `payload` within `range`: exactly as many, and no more behind a range that goes to the end.
async fn watched(payload: &Payload, range: Range<u64>, watch: Arc<Watch>) -> Result<ByteStream> {
    let (size, length) = (payload.size(), range.end.saturating_sub(range.start));
    let is_last = range.end == size;
    let stream = payload.open(range).await?;
    let next = move |state: Option<(ByteStream, u64)>| {
        let watch = Arc::clone(&watch);
        async move {
            let (mut stream, left) = state?;
            if left == 0 && !is_last {
                return None;
            }
            let item = match stream.next().await {
                Some(Ok(chunk)) if chunk.len() as u64 <= left => Ok(chunk),
                Some(Ok(chunk)) if !is_last => Ok(chunk.slice(..usize::try_from(left).unwrap_or(0))),
                Some(Ok(_)) => Err(Error::new(
                    Kind::SizeMismatch,
                    format!("content is longer than its {size} bytes: trailing data"),
                )),
                Some(Err(error)) => Err(error),
                None if left == 0 => return None,
                None => Err(Error::new(
                    Kind::SizeMismatch,
                    format!("content is shorter than its {size} bytes: unexpected EOF"),
                )),
            };
            watch.moved();
            match item {
                Ok(chunk) => {
                    let left = left - chunk.len() as u64;
                    if left == 0 {
                        watch.sent_all(length);
                    }
                    Some((Ok(chunk), Some((stream, left))))
                }
                Err(error) => {
                    let cause = Error::new(error.kind(), "content could not be read");
                    *watch.error.lock() = Some(error);
                    Some((Err(cause), None))
                }
            }
        }
    };
    Ok(futures::stream::unfold(Some((stream, length)), next).boxed())
}

/// The bytes of `stream` in small pieces, none before its time.
fn limited(stream: ByteStream, limit: RateLimit, watch: Arc<Watch>) -> ByteStream {
    let next = move |(mut stream, mut rest): (ByteStream, Bytes)| {
        let (limit, watch) = (limit.clone(), Arc::clone(&watch));
        async move {
            while rest.is_empty() {
                let Some(chunk) = stream.try_next().await? else { return Ok(None) };
                rest = chunk;
            }
            let piece = limit.piece(&mut rest);
            limit.spend(piece.len()).await;
            // Whoever waits for its turn has not stalled.
            watch.moved();
            Ok(Some((piece, (stream, rest))))
        }
    };
    futures::stream::try_unfold((stream, Bytes::new()), next).boxed()
}
