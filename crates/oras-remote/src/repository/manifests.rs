//! Manifests by tag and digest (distribution-spec, "Pulling manifests" and "Pushing manifests").

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{Content, Error, ErrorKind, Result};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;

use crate::http::request::{Body, Request};
use crate::http::response::Response;
use crate::repository::referrers::referrers_index::Verify;
use crate::repository::referrers::repository_referrers::RepositoryReferrers;
use crate::repository::repository::Repository;
use crate::repository::response_checks::{check_digest, digest_header, is_inconclusive_head};

impl Repository {
    /// Returns the descriptor from the headers of a manifest; `None` if they don't suffice or the registry rejects
    /// `HEAD`.
    pub(crate) async fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let request = self.manifest_request(Method::HEAD, reference)?.header(ACCEPT, &self.accept())?;
        let response = self.send(&request).await?;
        if is_inconclusive_head(&response) {
            return Ok(None);
        }
        let response = expect_found(response, reference)?;
        if let Some(digest) = &reference.digest {
            check_digest(&response, digest)?;
        }
        let digest = reference.digest.clone().or_else(|| verifiable_digest(&response));
        let media_type = response.content_type().filter(|media_type| !is_generic(media_type));
        let size = response.content_length().filter(|size| *size > 0);
        // All three headers are optional for `HEAD`. A descriptor needs all of them.
        let (Some(digest), Some(media_type), Some(size)) = (digest, media_type, size) else {
            return Ok(None);
        };
        Ok(Some(Descriptor::new(MediaType::new(media_type), digest, size)))
    }

    /// Returns the digest that a tag names, or `None` if a single request does not return it. Uses the scopes of the
    /// push that may follow.
    pub(crate) async fn tagged_digest(&self, tag: &str) -> Option<Digest> {
        let mut request = self.manifest_request(Method::HEAD, &self.reference_to(tag).ok()?).ok()?;
        request.scopes = self.push_scopes();
        let request = request.header(ACCEPT, &self.accept()).ok()?;
        // Does not retry, because the answer only saves work and the push that follows has its own retries.
        let response = self.attempt(&request).await.ok()?;
        if response.status == 200 { verifiable_digest(&response) } else { None }
    }

    /// Returns a manifest, verified against the digest of the reference or the one that the registry states.
    pub(crate) async fn get_manifest(&self, reference: &Reference) -> Result<(Descriptor, Bytes)> {
        self.get_manifest_within(reference, self.client().options().max_manifest_size).await
    }

    /// Like [`Repository::get_manifest`], for a manifest of at most `limit` bytes.
    pub(crate) async fn get_manifest_within(
        &self,
        reference: &Reference,
        limit: u64,
    ) -> Result<(Descriptor, Bytes)> {
        let request = self.manifest_request(Method::GET, reference)?.header(ACCEPT, &self.accept())?;
        let request = request.limit(Some(limit));
        let response = self.send(&request).await?;
        let response = expect_found(response, reference)?;
        let digest = match &reference.digest {
            // The digest of the request is trusted; the header may only confirm it.
            Some(asked) => {
                check_digest(&response, asked)?;
                asked.clone()
            }
            None => verifiable_digest(&response).unwrap_or_else(|| Digest::sha256(response.bytes())),
        };
        let media_type = media_type(&response);
        let bytes = response.into_bytes();
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        // Verifies the bytes against the digest.
        Content::from_bytes(descriptor.clone(), bytes.clone())?;
        Ok((descriptor, bytes))
    }

    /// Returns the bytes of the manifest `descriptor`; the caller verifies them.
    pub(crate) async fn fetch_manifest(&self, descriptor: &Descriptor) -> Result<Bytes> {
        let limit = self.client().options().max_manifest_size;
        let size = descriptor.size;
        if size > limit {
            let message =
                format!("content size {size} exceeds the limit of {limit} bytes: size exceeds limit");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let reference = self.reference_to(&descriptor.digest.to_string())?;
        let request =
            self.manifest_request(Method::GET, &reference)?.header(ACCEPT, descriptor.media_type.as_str())?;
        let response = self.send(&request).await?;
        if response.status == 404 {
            return Err(response.not_found(&descriptor.digest));
        }
        let response = response.expect(&[200])?;
        check_digest(&response, &descriptor.digest)?;
        // Compares the size first: a wrong size is a clearer error than a wrong digest.
        if response.bytes().len() as u64 != size {
            return Err(response.bad(ErrorKind::SizeMismatch, "mismatch Content-Length"));
        }
        Ok(response.into_bytes())
    }

    /// Stores an existing manifest under another name. Referrers stay unchanged, because the first push updated them.
    pub(crate) async fn put_existing_manifest(&self, content: &Content, reference: &Reference) -> Result<()> {
        let bytes = content.bytes(self.client().options().max_manifest_size).await?;
        self.put_manifest(reference, &content.descriptor().media_type, bytes).await.map(drop)
    }

    /// Stores a manifest under a tag or its digest, and adds it to the referrers of its subject. With
    /// [`Verify::Deferred`], the check of that entry is deferred to the next `sync`.
    pub(crate) async fn store_manifest(
        &self,
        content: &Content,
        reference: &Reference,
        verify: Verify,
    ) -> Result<()> {
        let descriptor = content.descriptor();
        let bytes = content.bytes(self.client().options().max_manifest_size).await?;
        let subject_known = self.put_manifest(reference, &descriptor.media_type, bytes.clone()).await?;
        RepositoryReferrers(self).add(descriptor, bytes, subject_known, verify).await
    }

    /// Sends a manifest. Returns true if the registry maintains the referrers of its subject.
    pub(crate) async fn put_manifest(
        &self,
        reference: &Reference,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<bool> {
        let request = self
            .manifest_request(Method::PUT, reference)?
            .header(CONTENT_TYPE, media_type.as_str())?
            .body(Body::Bytes(bytes.clone()));
        let response = self.send(&request).await?.expect(&[200, 201, 202])?;
        let digest = reference.digest.clone().unwrap_or_else(|| Digest::sha256(&bytes));
        check_digest(&response, &digest)?;
        // The header confirms that the registry lists the manifest as a referrer (distribution-spec, "Pushing
        // Manifests with Subject").
        Ok(response.header("oci-subject").is_some())
    }

    /// Returns the `Accept` header for manifests.
    pub(crate) fn accept(&self) -> String {
        let types: Vec<_> =
            self.client().options().manifest_types.iter().map(|media_type| media_type.as_str()).collect();
        types.join(", ")
    }

    fn manifest_request(&self, method: Method, reference: &Reference) -> Result<Request> {
        let target = reference.target().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, format!("\"{reference}\": no tag or digest specified"))
        })?;
        let url = self.url(&format!("manifests/{target}"))?;
        // Reads request only pull scopes, because anonymous clients could not get a token for writing.
        let scopes = if method == Method::PUT { self.push_scopes() } else { self.pull_scopes() };
        let limit = self.client().options().max_manifest_size;
        Ok(Request::new(method, url, scopes).limit(Some(limit)))
    }
}

fn expect_found(response: Response, reference: &Reference) -> Result<Response> {
    if response.status == 404 {
        return Err(response.not_found(reference));
    }
    response.expect(&[200])
}

/// Returns the digest that the registry states, if its algorithm can be verified.
fn verifiable_digest(response: &Response) -> Option<Digest> {
    digest_header(response).filter(|digest| digest.algorithm().is_some())
}

/// Returns true for types that file servers assign to any file.
fn is_generic(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/plain" | "application/octet-stream")
}

/// Returns the type that the registry states, otherwise the one in the manifest.
fn media_type(response: &Response) -> MediaType {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        media_type: MediaType,
    }
    match response.content_type().filter(|media_type| !is_generic(media_type)) {
        Some(media_type) => MediaType::new(media_type),
        None => match serde_json::from_slice::<Inner>(response.bytes()) {
            Ok(inner) if !inner.media_type.as_str().trim().is_empty() => inner.media_type,
            _ => MediaType::new(response.content_type().unwrap_or("application/octet-stream")),
        },
    }
}
