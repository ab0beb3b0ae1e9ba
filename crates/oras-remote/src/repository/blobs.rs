//! Blobs: their descriptors, existence and deletion; the last two also for manifests (distribution-spec, "Pulling
//! blobs").

use futures::TryStreamExt;
use oras_spec::{Descriptor, Digest, Hasher, MediaType};
use oras_store::{ErrorKind, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, RANGE};
use tokio::time::timeout;

use crate::auth::scope::Scopes;
use crate::http::network_error;
use crate::http::request::Request;
use crate::http::response::{Response, ResponseBody};
use crate::http::response_error::request_error;
use crate::registry_profile::Profile;
use crate::repository::download::content_range::{content_range, unsatisfied_range_size};
use crate::repository::repository::Repository;
use crate::repository::response_checks::{check_digest, is_inconclusive_head, is_web_page};

impl Repository {
    /// Returns the descriptor of the blob `digest`, with the generic media type for bytes.
    ///
    /// If the answer to `HEAD` is missing or has no size, sends a `GET` for the first byte, and reads the
    /// blob if that answer has no size either. A wrong size in the answer to `HEAD` is not detected: a later read
    /// fails with `SizeMismatch`, and [`Repository::measure_blob`] returns the right one.
    ///
    /// # Errors
    /// `NotFound`, and `DigestMismatch` for a blob that had to be read and has another digest.
    pub async fn resolve_blob(&self, digest: &Digest) -> Result<Descriptor> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response = self.send(&Request::new(Method::HEAD, url, self.pull_scopes())).await?;
        let size = if is_inconclusive_head(&response) {
            None
        } else if response.status == 404 {
            return Err(response.not_found(self.reference_to(&digest.to_string())?));
        } else {
            let response = response.expect(&[200])?;
            check_digest(&response, digest)?;
            // A length of 0 may come from a gateway that answers `HEAD` itself, so a `GET` confirms it.
            response.content_length().filter(|size| *size > 0)
        };
        match size {
            Some(size) => Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)),
            None => self.measure_blob(digest).await,
        }
    }

    /// Returns the descriptor of a blob like [`Repository::resolve_blob`], but with the size that a `GET` shows.
    ///
    /// # Errors
    /// Those of [`Repository::resolve_blob`].
    pub async fn measure_blob(&self, digest: &Digest) -> Result<Descriptor> {
        let size = self.size_by_get(digest).await?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
    }

    /// Returns the size of a blob by a `GET`.
    async fn size_by_get(&self, digest: &Digest) -> Result<u64> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let request = Request::new(Method::GET, url, self.pull_scopes()).limit(None);
        // One byte is enough: the answer states the size of the whole.
        let part = request.clone().header(RANGE, "bytes=0-0")?;
        let response = self.send(&part).await?;
        let stated = response.header(CONTENT_RANGE.as_str());
        let stated = match response.status.as_u16() {
            // The size is the total after the slash of `Content-Range`, which a 416 states too (RFC 9110, section
            // 14.4).
            206 => stated.and_then(content_range).and_then(|(_, size)| size),
            416 => stated.and_then(unsatisfied_range_size),
            200 => response.content_length(),
            _ => None,
        };
        if let Some(size) = stated.filter(|_| response.encodings().is_empty() && !is_web_page(&response)) {
            check_digest(&response, digest)?;
            return Ok(size);
        }
        let response = match response.status.as_u16() {
            // A range without a total size does not help, so the whole blob is requested and counted.
            206 | 416 => self.send(&request).await?,
            _ => response,
        };
        if response.status == 404 {
            return Err(response.not_found(self.reference_to(&digest.to_string())?));
        }
        self.measure(response.expect(&[200])?, digest).await
    }

    /// Returns the size of a blob by reading it.
    async fn measure(&self, response: Response, digest: &Digest) -> Result<u64> {
        check_digest(&response, digest)?;
        let unknown = response.bad(ErrorKind::InvalidContent, "unknown response Content-Length");
        let (encodings, method, url) = (response.encodings(), response.method.clone(), response.url.clone());
        let (ResponseBody::Stream(http), Some(algorithm)) = (response.body, digest.algorithm()) else {
            return Err(unknown);
        };
        let idle = self.client().options().idle_timeout;
        // The size is that of the received bytes, so their digest must be verified.
        let (mut body, mut hasher, mut size) = (encodings.decode(http, u64::MAX), Hasher::new(algorithm), 0);
        loop {
            let next = timeout(idle, body.try_next())
                .await
                .map_err(|_| network_error::timeout(&method, &url).error)?;
            let Some(chunk) = next.map_err(|error| error.into_failed(&method, &url).error)? else { break };
            hasher.update(&chunk);
            size += chunk.len() as u64;
        }
        let found = hasher.finish();
        if found == *digest {
            return Ok(size);
        }
        let why = format!("the answer has the digest {found} instead of {digest}");
        Err(request_error(ErrorKind::DigestMismatch, &method, &url, &why))
    }

    /// Returns true if the repository has the content of `descriptor`. `kind` is `blobs` or `manifests`.
    pub(crate) async fn has(&self, kind: &str, descriptor: &Descriptor) -> Result<bool> {
        let url = self.url(&format!("{kind}/{}", descriptor.digest))?;
        // This check precedes a push, so its token should allow the push as well.
        let mut request = Request::new(Method::HEAD, url, self.push_scopes());
        if kind == "manifests" {
            request = request.header(reqwest::header::ACCEPT, &self.accept())?;
        }
        let response = self.send(&request).await?;
        // Some registries return 403 for missing content. Without write access, the upload returns an error.
        let is_missing = match response.status.as_u16() {
            404 => !is_inconclusive_head(&response),
            403 => Profile::of(self.endpoint().server()).forbids_missing,
            _ => false,
        };
        if is_missing {
            return Ok(false);
        }
        if is_inconclusive_head(&response) {
            return self.has_by_get(kind, descriptor).await;
        }
        let response = response.expect(&[200])?;
        check_digest(&response, &descriptor.digest)?;
        Ok(true)
    }

    async fn has_by_get(&self, kind: &str, descriptor: &Descriptor) -> Result<bool> {
        let digest = &descriptor.digest;
        let found = match kind {
            "manifests" => self.get_manifest(&self.reference_to(&digest.to_string())?).await.map(|_| true),
            _ => self.size_by_get(digest).await.map(|size| size == descriptor.size),
        };
        match found {
            // A digest mismatch means that other content is stored under this digest.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DigestMismatch) => {
                Ok(false)
            }
            found => found,
        }
    }

    /// Returns true if the blob exists.
    pub(crate) async fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool> {
        self.has("blobs", &Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)).await
    }

    /// Deletes a digest or a tag from the `kind`: `blobs` or `manifests`.
    pub(crate) async fn remove(&self, kind: &str, name: &str) -> Result<()> {
        let url = self.url(&format!("{kind}/{name}"))?;
        // Some registries require both scopes (IBM), others only one.
        let scopes = Scopes::repository(self.path(), &["pull", "delete"]);
        let response = self.send(&Request::new(Method::DELETE, url, scopes)).await?;
        if response.status == 404 {
            return Err(response.not_found(self.reference_to(name)?));
        }
        response.expect(&[200, 202, 204]).map(drop)
    }
}
