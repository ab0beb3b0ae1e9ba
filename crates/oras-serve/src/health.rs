//! Whether the server lives, and whether it can work: for those that start and stop servers. Never asks for a password.

use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use tokio::sync::Mutex;

use crate::error::Refusal;
use crate::respond::{Answer, json, set};
use crate::server::Registry;

/// Answered as long as the server answers at all.
pub(crate) const LIVE_PATH: &str = "/healthz";
/// Answered with 503 when the store can't be used.
pub(crate) const READY_PATH: &str = "/readyz";

/// How long it is believed what the store was found to be.
const BELIEVED: Duration = Duration::from_secs(1);
/// A store that takes longer to say whether it works does not.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether the store worked when it was last asked: it is asked once a second, however many want to know.
#[derive(Default)]
pub(crate) struct Health(Mutex<Option<(Instant, bool)>>);

impl Health {
    async fn is_ready(&self, registry: &Registry) -> bool {
        let mut known = self.0.lock().await;
        if let Some((asked, ready)) = *known
            && asked.elapsed() < BELIEVED
        {
            return ready;
        }
        let asked = registry.stores.check(!registry.options.read_only);
        let ready = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::error!(error = error.chain(), "the store can't be used");
                false
            }
            Err(_) => {
                tracing::error!("the store does not answer");
                false
            }
        };
        *known = Some((Instant::now(), ready));
        ready
    }
}

/// Says so.
pub(crate) async fn answer(registry: &Registry, path: &str, method: &Method) -> Answer {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(Refusal::unsupported());
    }
    if path == READY_PATH && !registry.health.is_ready(registry).await {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(Refusal::new(status, "UNAVAILABLE", "the store can't be used: see the log"));
    }
    let mut response = json(b"ok\n".to_vec());
    set(&mut response, "content-type", "text/plain; charset=utf-8");
    set(&mut response, "cache-control", "no-store");
    Ok(response)
}
