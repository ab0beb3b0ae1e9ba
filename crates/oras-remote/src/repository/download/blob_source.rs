//! The requests for one blob, and the state that they share.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use oras_spec::Descriptor;
use oras_store::Result;
use parking_lot::Mutex;
use reqwest::Method;
use reqwest::header::{IF_RANGE, RANGE};
use url::Url;

use crate::connection::connection_budget::ConnectionBudget;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::repository::repository::Repository;

/// The state that all requests for one blob share.
pub(crate) struct BlobSource {
    pub(crate) repository: Repository,
    pub(crate) url: Url,
    pub(crate) descriptor: Descriptor,
    pub(crate) connections: Arc<ConnectionBudget>,
    /// The strong ETag of the first answer that had one. It proves that later ranges are of the same content.
    pub(crate) validator: Mutex<Option<String>>,
    /// The redirect target of the last request. Never logged, because the address may be signed.
    pub(crate) direct: Mutex<Option<Url>>,
    /// Bytes that were downloaded again because the server ignored a range.
    pub(crate) skipped: AtomicU64,
}

impl BlobSource {
    /// Requests a range or the whole blob from the registry, because a signed redirect target may expire. With
    /// `direct`, the client first sends the request to the last redirect target.
    pub(crate) async fn request(&self, range: Option<Range<u64>>, direct: bool) -> Result<Response> {
        let url = self.direct.lock().clone().filter(|_| direct);
        if let Some(url) = url {
            match self.send(url, range.clone()).await {
                Ok(response) if response.status.is_success() => return Ok(response),
                // The target has probably expired. The request below gets a new one from the registry.
                _ => *self.direct.lock() = None,
            }
        }
        self.send(self.url.clone(), range).await
    }

    async fn send(&self, url: Url, range: Option<Range<u64>>) -> Result<Response> {
        let mut request = Request::new(Method::GET, url, self.repository.pull_scopes()).limit(None);
        if let Some(range) = range {
            // The last byte of a range is inclusive (RFC 9110, section 14.1.2).
            let bytes = format!("bytes={}-{}", range.start, range.end.saturating_sub(1));
            request = request.header(RANGE, &bytes)?;
            let validator = self.validator.lock().clone();
            if let Some(validator) = validator {
                // If the content has changed, the server sends all of it instead of a range of the new version.
                request = request.header(IF_RANGE, &validator)?;
            }
        }
        self.repository.send(&request).await
    }
}
