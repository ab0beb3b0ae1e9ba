//! What blobs and manifests have in common, and the descriptor of a blob (distribution-spec, "Pulling blobs").

use futures::TryStreamExt;
use oras_spec::{Descriptor, Digest, Hasher, MediaType};
use oras_store::{Error, Kind, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, RANGE, WWW_AUTHENTICATE};
use tokio::time::timeout;

use crate::download::{content_range, unsatisfied};
use crate::network;
use crate::profile::Profile;
use crate::repository::Repository;
use crate::request::{Answer, Request, Response};
use crate::response::redact;
use crate::scope::Scopes;

impl Repository {
    /// The descriptor of a blob that is known by its digest only: bytes of no known type.
    ///
    /// If the registry does not answer `HEAD`, or without a size, the size is that of a `GET` for the first byte. If that
    /// answer has no size either, the blob is read. A wrong size in the answer to `HEAD` is not detected: a later read fails
    /// with `SizeMismatch`, and [`Repository::measure_blob`] finds the right one.
    ///
    /// # Errors
    /// `NotFound`, and `DigestMismatch` for a blob that had to be read and is another one.
    pub async fn resolve_blob(&self, digest: &Digest) -> Result<Descriptor> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response =
            self.client().send(self.endpoint(), &Request::new(Method::HEAD, url, self.pull())).await?;
        let size = if tells_nothing(&response) {
            None
        } else if response.status == 404 {
            return Err(Error::not_found(self.named(&digest.to_string())?));
        } else {
            let response = response.expect(&[200])?;
            check_digest(&response, digest)?;
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
        match self.size_by_get(digest).await? {
            Some(size) => Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)),
            None => Err(Error::not_found(self.named(&digest.to_string())?)),
        }
    }

    /// The size of a blob by a `GET`; `None` when there is none.
    async fn size_by_get(&self, digest: &Digest) -> Result<Option<u64>> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let request = Request::new(Method::GET, url, self.pull()).limit(None);
        let part = request.clone().header(RANGE, "bytes=0-0")?;
        let response = self.client().send(self.endpoint(), &part).await?;
        let told = response.header(CONTENT_RANGE.as_str());
        let told = match response.status.as_u16() {
            206 => told.and_then(content_range).and_then(|(_, size)| size),
            416 => told.and_then(unsatisfied),
            200 => response.content_length(),
            _ => None,
        };
        if let Some(size) = told.filter(|_| response.encodings().is_empty() && !is_web_page(&response)) {
            check_digest(&response, digest)?;
            return Ok(Some(size));
        }
        let response = match response.status.as_u16() {
            206 | 416 => self.client().send(self.endpoint(), &request).await?,
            _ => response,
        };
        if response.status == 404 {
            return Ok(None);
        }
        self.measure(response.expect(&[200])?, digest).await.map(Some)
    }

    /// Reads a blob for its size.
    async fn measure(&self, response: Response, digest: &Digest) -> Result<u64> {
        check_digest(&response, digest)?;
        let unknown = response.bad(Kind::InvalidContent, "unknown response Content-Length");
        let (encodings, method, url) = (response.encodings(), response.method.clone(), response.url.clone());
        let (Answer::Stream(http), Some(algorithm)) = (response.body, digest.algorithm()) else {
            return Err(unknown);
        };
        let idle = self.client().options().idle_timeout;
        let (mut body, mut hasher, mut size) = (encodings.decode(http, u64::MAX), Hasher::new(algorithm), 0);
        loop {
            let next =
                timeout(idle, body.try_next()).await.map_err(|_| network::silent(&method, &url).error)?;
            let Some(chunk) = next.map_err(|error| error.into_failed(&method, &url).error)? else { break };
            hasher.update(&chunk);
            size += chunk.len() as u64;
        }
        let found = hasher.finish();
        if found == *digest {
            return Ok(size);
        }
        let message =
            format!("{method} \"{}\": the answer has the digest {found} instead of {digest}", redact(&url));
        Err(Error::new(Kind::DigestMismatch, message))
    }

    /// Whether the content of `descriptor` is among the `kind`: `blobs` or `manifests`.
    pub(crate) async fn has(&self, kind: &str, descriptor: &Descriptor) -> Result<bool> {
        let url = self.url(&format!("{kind}/{}", descriptor.digest))?;
        let mut request = Request::new(Method::HEAD, url, self.push_scopes());
        if kind == "manifests" {
            request = request.header(reqwest::header::ACCEPT, &self.accept())?;
        }
        let response = self.client().send(self.endpoint(), &request).await?;
        // Whoever may not write where what is missing is forbidden is told so when it is sent.
        let is_missing = match response.status.as_u16() {
            404 => !tells_nothing(&response),
            403 => Profile::of(self.endpoint().server()).forbids_missing,
            _ => false,
        };
        if is_missing {
            return Ok(false);
        }
        if tells_nothing(&response) {
            return self.has_by_get(kind, descriptor).await;
        }
        let response = response.expect(&[200])?;
        check_digest(&response, &descriptor.digest)?;
        Ok(true)
    }

    async fn has_by_get(&self, kind: &str, descriptor: &Descriptor) -> Result<bool> {
        let digest = &descriptor.digest;
        let found = match kind {
            "manifests" => self.get_manifest(&self.named(&digest.to_string())?).await.map(|_| true),
            _ => self.size_by_get(digest).await.map(|size| size == Some(descriptor.size)),
        };
        match found {
            // What is there is something else.
            Err(error) if matches!(error.kind(), Kind::NotFound | Kind::DigestMismatch) => Ok(false),
            found => found,
        }
    }

    /// Whether there is a blob of that digest.
    pub(crate) async fn has_blob(&self, digest: &Digest, size: u64) -> Result<bool> {
        self.has("blobs", &Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size)).await
    }

    /// Deletes a digest, or a tag, from the `kind`: `blobs` or `manifests`.
    pub(crate) async fn remove(&self, kind: &str, name: &str) -> Result<()> {
        let url = self.url(&format!("{kind}/{name}"))?;
        // Some registries want both (IBM), some the one that fits.
        let scopes = Scopes::repository(self.path(), &["pull", "delete"]);
        let response =
            self.client().send(self.endpoint(), &Request::new(Method::DELETE, url, scopes)).await?;
        if response.status == 404 {
            return Err(Error::not_found(self.named(name)?));
        }
        response.expect(&[200, 202, 204]).map(drop)
    }
}

/// Returns true if the answer to a `HEAD` says nothing of the content: the registry or a gateway before it refuses the
/// method, or answers with a page for people. Only a `GET` can tell then.
pub(crate) fn tells_nothing(response: &Response) -> bool {
    match response.status.as_u16() {
        400 | 403 | 405 | 406 | 501 => true,
        // A registry that wants a credential says which.
        401 => response.header(WWW_AUTHENTICATE.as_str()).is_none(),
        200 | 404 => is_web_page(response),
        _ => false,
    }
}

fn is_web_page(response: &Response) -> bool {
    response.content_type().is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/html"))
}

/// The digest that a registry says its answer has; what can't be read says nothing.
pub(crate) fn told_digest(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.trim().parse().ok()
}

/// An error when the registry says that the content has another digest than `expected`, of the same algorithm.
pub(crate) fn check_digest(response: &Response, expected: &Digest) -> Result<()> {
    match told_digest(response) {
        Some(told) if told != *expected && told.algorithm_name() == expected.algorithm_name() => {
            let why = format!(
                "invalid response; digest mismatch in Docker-Content-Digest: received \"{told}\" when expecting \"{expected}\""
            );
            Err(response.bad(Kind::DigestMismatch, &why))
        }
        _ => Ok(()),
    }
}
