//! Connections: accepted, bounded, and all joined at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::metrics::Metrics;
use crate::patience::Patience;
use crate::shares::Shares;
use crate::tls::Certificate;
use crate::trace::Remote;

/// How long a client may take to send the head of a request, and may keep a connection idle: longer than the
/// clients of the field keep theirs (90 s in Go and reqwest), so that none sends into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// Header fields of a request at most; hyper allows 100, and chains of gateways send more. The buffer bounds their bytes.
const MAX_HEADER_FIELDS: usize = 1000;
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes nothing of its answer for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no more connections to give.
const BACK_OFF: Duration = Duration::from_millis(50);

/// So many connections have large buffers, which one big transfer gains from (a third of the CPU time of a push, half of a
/// pull); with the bodies that are on their way a connection holds up to four of its buffers.
const FEW: usize = 24;
const LARGE_BUFFER: usize = 400 * 1024;
/// What the others have: memory must stay bounded with all of them.
const SMALL_BUFFER: usize = 64 * 1024;

/// How long requests may go on after the server was told to stop.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// What a client is told when it has the most connections already, and uses them all.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ndocker-distribution-api-version: registry/2.0\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// What connections share.
pub(crate) struct Connections {
    pub(crate) certificate: Option<Certificate>,
    pub(crate) shares: Arc<Shares>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) router: Router,
}

impl Connections {
    /// Serves every connection until `shutdown` is ready; then lets the open ones finish their requests. Dropping the
    /// future ends all of them at once.
    pub(crate) async fn accept(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (close, closing) = watch::channel(());
        let mut open = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(ended) = open.join_next() => report(ended),
                accepted = listener.accept() => match accepted {
                    Ok((stream, remote)) => self.begin(stream, remote, &closing, &mut open),
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        tokio::time::sleep(BACK_OFF).await;
                    }
                },
            }
        }
        drop(listener);
        close.send_replace(());
        let finish = async {
            while let Some(ended) = open.join_next().await {
                report(ended);
            }
        };
        if tokio::time::timeout(GRACE, finish).await.is_err() {
            tracing::warn!(connections = open.len(), "requests did not end in time");
            open.shutdown().await;
        }
    }

    /// Serves a connection if there is a place for it.
    fn begin(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        closing: &watch::Receiver<()>,
        open: &mut JoinSet<()>,
    ) {
        let Some(place) = self.shares.enter(remote.ip()) else {
            if self.certificate.is_none() {
                // It fits into what the system buffers for a new connection, or is lost.
                drop(stream.try_write(TOO_MANY));
            }
            return;
        };
        // A small answer must not wait for the acknowledgement of the one before.
        drop(stream.set_nodelay(true));
        let router = self
            .router
            .clone()
            .layer(Extension(Remote(remote)))
            .layer(Extension(Arc::clone(&place.activity)));
        let tls = self.certificate.as_ref().map(Certificate::current);
        let stream = Patience::new(stream, SILENCE, Arc::clone(&place.activity), Arc::clone(&self.metrics));
        let closing = closing.clone();
        let buffer = if open.len() < FEW { LARGE_BUFFER } else { SMALL_BUFFER };
        open.spawn(async move {
            tokio::select! {
                () = serve(stream, tls, Talk { router, remote, buffer }, closing) => (),
                () = place.taken() => tracing::debug!(%remote, "a connection made room for another client"),
            }
        });
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request failed");
    }
}

/// How a connection is spoken on.
struct Talk {
    router: Router,
    remote: SocketAddr,
    /// Bytes that are read, or written, in one step at most.
    buffer: usize,
}

async fn serve(
    stream: Patience<TcpStream>,
    tls: Option<Arc<ServerConfig>>,
    talk: Talk,
    closing: watch::Receiver<()>,
) {
    let remote = talk.remote;
    let Some(config) = tls else { return speak(stream, talk, closing).await };
    let deadline = Instant::now() + HANDSHAKE;
    if let Ok(Ok(true)) = tokio::time::timeout_at(deadline, speaks_http(stream.get_ref())).await {
        tracing::info!(%remote, "a client sent an HTTP request to the HTTPS port");
        return speak(stream, Talk { router: Router::new().fallback(https_only), ..talk }, closing).await;
    }
    match tokio::time::timeout_at(deadline, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, talk, closing).await,
        Ok(Err(error)) => {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
            let error = tls.map_or_else(|| error.to_string(), |tls| oras_tls::describe("", tls));
            tracing::debug!(%remote, error, "a connection did not become secure");
        }
        Err(_) => tracing::info!(%remote, "a connection did not become secure in time"),
    }
}

/// Returns true if the first byte is that of a method; the records of a TLS handshake begin with 22.
async fn speaks_http(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase())
}

/// Answers a request without TLS on a port for TLS, in the words of Go's `net/http`.
async fn https_only() -> impl IntoResponse {
    (StatusCode::BAD_REQUEST, [(CONNECTION, "close")], "Client sent an HTTP request to an HTTPS server.\n")
}

/// Answers the requests of a connection.
async fn speak<S>(stream: S, Talk { router, remote, buffer }: Talk, mut closing: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(buffer)
        .max_headers(MAX_HEADER_FIELDS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match ended {
        Ok(()) => (),
        // What is no request, or too long a head, has been answered 400, 414 or 431 and gets no line otherwise.
        Err(error) if error.is_parse() || is_too_long(&error) => {
            tracing::warn!(%remote, error = cause(&error), "refused what is no request");
        }
        Err(error) => tracing::debug!(%remote, %error, "a connection ended early"),
    }
}

/// Whether a connection ended because a head had no end.
fn is_too_long(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

fn cause(error: &hyper::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
