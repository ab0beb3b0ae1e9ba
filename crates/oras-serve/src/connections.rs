//! Connections: accepted, bounded, and all joined at the end.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::patience::Patience;
use crate::tls::Certificate;
use crate::trace::Remote;

/// How long a client may take to send the head of a request, and may keep a connection idle: longer than the
/// clients of the field keep theirs (90 s in Go and reqwest), so that none sends into a closing one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes nothing of its answer for so long is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no more connections to give.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Connections that may be open at once; others wait to be accepted.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests may go on after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Serves every connection until `shutdown` is ready; then lets the open ones finish their requests. Dropping the
/// future ends all of them at once.
pub(crate) async fn accept(
    listener: TcpListener,
    certificate: Option<Certificate>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let (close, closing) = watch::channel(());
    let mut open = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = open.join_next() => report(ended),
            accepted = listener.accept(), if open.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, remote)) => {
                    let router = router.clone().layer(Extension(Remote(remote)));
                    let tls = certificate.as_ref().map(Certificate::current);
                    open.spawn(serve(stream, tls, router, closing.clone()));
                }
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

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request failed");
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    closing: watch::Receiver<()>,
) {
    // A small answer must not wait for the acknowledgement of the one before.
    drop(stream.set_nodelay(true));
    let stream = Patience::new(stream, SILENCE);
    let Some(config) = tls else { return speak(stream, router, closing).await };
    match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => speak(stream, router, closing).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not become secure"),
        Err(_) => tracing::debug!("a connection did not become secure in time"),
    }
}

/// Answers the requests of a connection.
async fn speak<S>(stream: S, router: Router, mut closing: watch::Receiver<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = closing.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
