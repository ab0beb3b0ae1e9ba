//! Connections: accepts them, serves HTTP on them, and joins all of them at shutdown.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::api::router;
use crate::http_message::received;
use crate::limits::connection_activity::Peer;
use crate::limits::write_timeout::WriteTimeout;
use crate::ops::tls_certificate::Certificate;
use crate::ops::write_tasks::log_panic;
use crate::registry_state::RegistryState;

/// How long a client may take to send the head of a request, and may keep a connection idle. Longer than common clients
/// keep idle connections (90 s in Go and reqwest), so that no client sends a request on a connection that the server is
/// closing.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// The maximum number of header fields of a request. hyper allows 100, but chains of gateways add more.
/// Another limit applies to their total size.
const MAX_HEADER_FIELDS: usize = 1000;
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The timeout of a write: a client that reads nothing of its response for this long is disconnected.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause after the system failed to accept a connection, as when no file descriptor is free.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// The number of connections with large buffers. One big transfer gains from them (a third of the CPU time of a push,
/// half of a pull); with the bodies in transit a connection holds up to four times its buffer.
const MAX_LARGE_BUFFERS: usize = 24;
const LARGE_BUFFER: usize = 400 * 1024;
/// The buffer of all other connections. Its small size bounds their total memory.
const SMALL_BUFFER: usize = 64 * 1024;

/// For how long, and how many bytes, a client may send after the last response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
const MAX_LINGER_SIZE: u64 = 16 * 1024 * 1024;

/// How long requests may run after the shutdown has begun.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The response on a connection above the limit. The server writes it without hyper, because no task serves such a
/// connection.
const TOO_MANY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ndocker-distribution-api-version: registry/2.0\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";

/// The response to an HTTP request on a port for HTTPS, in the words of Go's `net/http`.
const HTTPS_ONLY: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n\
    Client sent an HTTP request to an HTTPS server.\n";

/// The state that all connections share.
pub(crate) struct Connections {
    pub(crate) certificate: Option<Certificate>,
    pub(crate) registry: Arc<RegistryState>,
}

impl Connections {
    /// Serves connections until `shutdown` is ready, then lets the open ones finish their requests. Dropping the future
    /// ends all of them at once.
    pub(crate) async fn accept(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (close, closing) = watch::channel(());
        let mut open = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                // Joined as they end, so that the set does not grow.
                Some(ended) = open.join_next() => log_panic(ended, "a request failed"),
                accepted = listener.accept() => match accepted {
                    Ok((stream, remote)) => self.spawn(stream, remote, &closing, &mut open),
                    Err(error) => {
                        tracing::warn!(%error, "failed to accept a connection");
                        // Without a pause the loop would spin: `accept` fails again at once while no descriptor is
                        // free.
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                },
            }
        }
        // New clients are refused at once, so that they can try another server.
        drop(listener);
        close.send_replace(());
        let finish = async {
            while let Some(ended) = open.join_next().await {
                log_panic(ended, "a request failed");
            }
        };
        // Bounded, because a slow download must not delay the end of the process.
        if tokio::time::timeout(GRACE, finish).await.is_err() {
            tracing::warn!(connections = open.len(), "requests did not end in time");
            open.shutdown().await;
        }
    }

    /// Serves a connection in a task, if the limit allows it.
    fn spawn(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
        closing: &watch::Receiver<()>,
        open: &mut JoinSet<()>,
    ) {
        let Some(slot) = self.registry.connection_limits.acquire(remote.ip()) else {
            // A TLS client expects a handshake first, and could not read a plain response.
            if self.certificate.is_none() {
                // `try_write` does not wait: the response fits into the send buffer of a new connection, or is lost.
                drop(stream.try_write(TOO_MANY));
            }
            return;
        };
        // Without Nagle's algorithm: a small response must not wait until the previous one is acknowledged.
        drop(stream.set_nodelay(true));
        let connection = Connection {
            registry: Arc::clone(&self.registry),
            peer: Peer { address: remote, activity: Arc::clone(&slot.activity) },
            buffer: if open.len() < MAX_LARGE_BUFFERS { LARGE_BUFFER } else { SMALL_BUFFER },
            closing: closing.clone(),
        };
        // The current certificate: renewed files apply to new connections.
        let tls = self.certificate.as_ref().map(Certificate::current);
        let metrics = Arc::clone(&self.registry.metrics);
        let stream = WriteTimeout::new(stream, WRITE_TIMEOUT, Arc::clone(&slot.activity), metrics);
        open.spawn(async move {
            tokio::select! {
                () = connection.serve(stream, tls) => (),
                () = slot.evicted() => tracing::debug!(%remote, "a connection made room for another client"),
            }
        });
    }
}

/// One connection.
struct Connection {
    registry: Arc<RegistryState>,
    peer: Peer,
    /// The maximum number of bytes that are read or written in one step.
    buffer: usize,
    /// Changes when the server stops.
    closing: watch::Receiver<()>,
}

impl Connection {
    /// Accepts TLS, if there is a configuration, then answers requests.
    async fn serve(self, mut stream: WriteTimeout<TcpStream>, tls: Option<Arc<ServerConfig>>) {
        let remote = self.peer.address;
        let Some(config) = tls else { return self.answer(stream).await };
        // One deadline covers both waits, so that a client can't hold the connection twice as long.
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        // An HTTP client gets a readable error instead of a failed handshake.
        if let Ok(Ok(true)) = tokio::time::timeout_at(deadline, speaks_http(stream.get_ref())).await {
            tracing::info!(%remote, "a client sent an HTTP request to the HTTPS port");
            drop(stream.write_all(HTTPS_ONLY).await);
            return close(stream, true).await;
        }
        match tokio::time::timeout_at(deadline, TlsAcceptor::from(config).accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream).await,
            Ok(Err(error)) => {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
                let error = tls.map_or_else(|| error.to_string(), |tls| oras_tls::describe("", tls));
                tracing::debug!(%remote, error, "a connection did not become secure");
            }
            Err(_) => tracing::info!(%remote, "a connection did not become secure in time"),
        }
    }

    /// Answers requests.
    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let Self { registry, peer, buffer, mut closing } = self;
        let service = service_fn(|request: Request<Incoming>| {
            let response = router::serve(Arc::clone(&registry), peer.clone(), request.map(received));
            // Boxed, because `poll_without_shutdown` moves the future.
            Box::pin(async { Ok::<_, Infallible>(response.await) })
        });
        let mut connection = http1::Builder::new()
            // hyper needs a timer for `header_read_timeout`.
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(buffer)
            .max_headers(MAX_HEADER_FIELDS)
            .serve_connection(TokioIo::new(stream), service);
        let ended = tokio::select! {
            ended = poll_fn(|cx| connection.poll_without_shutdown(cx)) => ended,
            _ = closing.changed() => {
                // Finishes the current request, then closes instead of waiting for the next one.
                std::pin::Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await
            }
        };
        let remote = peer.address;
        match ended {
            Ok(()) => (),
            // hyper has answered 400, 414 or 431 itself, so the request has no entry in the access log.
            Err(error) if error.is_parse() || is_head_too_long(&error) => {
                tracing::warn!(%remote, error = cause(&error), "rejected malformed request");
            }
            Err(error) => return tracing::debug!(%remote, %error, "a connection ended early"),
        }
        close(connection.into_parts().io.into_inner(), peer.activity.has_unread()).await;
    }
}

/// Closes a connection. If the client may still be sending, also discards what it sends for a moment: closing a socket
/// with unread bytes resets the connection, and the client loses the response.
async fn close<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, is_client_sending: bool) {
    if stream.shutdown().await.is_ok() && is_client_sending {
        let mut sent = stream.take(MAX_LINGER_SIZE);
        let discard = async { tokio::io::copy(&mut sent, &mut tokio::io::sink()).await };
        drop(tokio::time::timeout(LINGER_TIMEOUT, discard).await);
    }
}

/// Returns true if the first byte is a capital letter, as in HTTP methods. The records of a TLS handshake begin with
/// 22.
async fn speaks_http(stream: &TcpStream) -> std::io::Result<bool> {
    let mut first = [0];
    // Peeked and not read, because the TLS handshake needs the byte, too.
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase())
}

/// Returns true if a connection ended because the head of a request exceeded the limit that [`WriteTimeout`] enforces.
fn is_head_too_long(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|error| error.kind() == std::io::ErrorKind::InvalidData)
}

/// Returns the message of the cause, which is more specific than that of hyper.
fn cause(error: &hyper::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
