//! What blobs and manifests have in common, and the descriptor of a blob (distribution-spec, "Pulling blobs").

use oras_spec::{Descriptor, Digest, MediaType};
use oras_store::{Error, Kind, Result};
use reqwest::Method;

use crate::profile::Profile;
use crate::repository::Repository;
use crate::request::{Request, Response};
use crate::scope::Scopes;

impl Repository {
    /// The descriptor of a blob that is known by its digest only: bytes of no known type.
    ///
    /// # Errors
    /// `NotFound`, and `InvalidContent` when the registry does not tell the size.
    pub async fn resolve_blob(&self, digest: &Digest) -> Result<Descriptor> {
        let url = self.url(&format!("blobs/{digest}"))?;
        let response =
            self.client().send(self.endpoint(), &Request::new(Method::HEAD, url, self.pull())).await?;
        if response.status == 404 {
            return Err(Error::not_found(self.named(&digest.to_string())?));
        }
        let response = response.expect(&[200])?;
        check_digest(&response, digest)?;
        let size = response
            .content_length()
            .ok_or_else(|| response.bad(Kind::InvalidContent, "unknown response Content-Length"))?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), size))
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
            404 => true,
            403 => Profile::of(self.endpoint().server()).forbids_missing,
            _ => false,
        };
        if is_missing {
            return Ok(false);
        }
        let response = response.expect(&[200])?;
        check_digest(&response, &descriptor.digest)?;
        Ok(true)
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
