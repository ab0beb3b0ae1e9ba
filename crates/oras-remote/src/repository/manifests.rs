//! Manifests by tag and by digest (distribution-spec, "Pulling manifests" and "Pushing manifests").

use bytes::Bytes;
use oras_spec::{Descriptor, Digest, MediaType, Reference};
use oras_store::{Content, Error, Kind, Result};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;

use crate::blobs::{check_digest, tells_nothing, told_digest};
use crate::referrers_tag::Sure;
use crate::repository::Repository;
use crate::request::{Body, Request, Response};

impl Repository {
    /// What the headers tell of a manifest; `None` when they do not tell enough, or the registry refuses `HEAD`.
    pub(crate) async fn head_manifest(&self, reference: &Reference) -> Result<Option<Descriptor>> {
        let request = self.manifest_request(Method::HEAD, reference)?.header(ACCEPT, &self.accept())?;
        let response = self.client().send(self.endpoint(), &request).await?;
        if tells_nothing(&response) {
            return Ok(None);
        }
        let response = found(response, reference)?;
        if let Some(digest) = &reference.digest {
            check_digest(&response, digest)?;
        }
        let digest = reference.digest.clone().or_else(|| known_digest(&response));
        let media_type = response.content_type().filter(|media_type| !is_generic(media_type));
        let size = response.content_length().filter(|size| *size > 0);
        let (Some(digest), Some(media_type), Some(size)) = (digest, media_type, size) else {
            return Ok(None);
        };
        Ok(Some(Descriptor::new(media_type.into(), digest, size)))
    }

    /// What a tag names, if the registry tells at the first try. With the rights of a push, which may follow.
    pub(crate) async fn tagged_digest(&self, tag: &str) -> Option<Digest> {
        let mut request = self.manifest_request(Method::HEAD, &self.named(tag).ok()?).ok()?;
        request.scopes = self.push_scopes();
        let request = request.header(ACCEPT, &self.accept()).ok()?;
        let response = self.client().attempt(self.endpoint(), &request).await.ok()?;
        if response.status == 200 { known_digest(&response) } else { None }
    }

    /// A manifest, checked against the digest that was asked for or that the registry tells.
    pub(crate) async fn get_manifest(&self, reference: &Reference) -> Result<(Descriptor, Bytes)> {
        self.get_manifest_within(reference, self.client().options().max_manifest_size).await
    }

    /// The same, of at most `limit` bytes.
    pub(crate) async fn get_manifest_within(
        &self,
        reference: &Reference,
        limit: u64,
    ) -> Result<(Descriptor, Bytes)> {
        let request = self.manifest_request(Method::GET, reference)?.header(ACCEPT, &self.accept())?;
        let request = request.limit(Some(limit));
        let response = self.client().send(self.endpoint(), &request).await?;
        let response = found(response, reference)?;
        let digest = match &reference.digest {
            Some(asked) => {
                check_digest(&response, asked)?;
                asked.clone()
            }
            None => known_digest(&response).unwrap_or_else(|| Digest::sha256(response.bytes())),
        };
        let media_type = media_type(&response);
        let bytes = response.into_bytes();
        let descriptor = Descriptor::new(media_type, digest, bytes.len() as u64);
        Content::from_bytes(descriptor.clone(), bytes.clone())?;
        Ok((descriptor, bytes))
    }

    /// The bytes of a manifest that is known by its descriptor; whoever asked verifies them.
    pub(crate) async fn fetch_manifest(&self, descriptor: &Descriptor) -> Result<Bytes> {
        let limit = self.client().options().max_manifest_size;
        let size = descriptor.size;
        if size > limit {
            let message =
                format!("content size {size} exceeds the limit of {limit} bytes: size exceeds limit");
            return Err(Error::new(Kind::TooLarge, message));
        }
        let reference = self.named(&descriptor.digest.to_string())?;
        let request =
            self.manifest_request(Method::GET, &reference)?.header(ACCEPT, descriptor.media_type.as_str())?;
        let response = self.client().send(self.endpoint(), &request).await?;
        if response.status == 404 {
            return Err(Error::not_found(&descriptor.digest));
        }
        let response = response.expect(&[200])?;
        check_digest(&response, &descriptor.digest)?;
        if response.bytes().len() as u64 != size {
            return Err(response.bad(Kind::SizeMismatch, "mismatch Content-Length"));
        }
        Ok(response.into_bytes())
    }

    /// Stores a manifest under a tag or its digest, and makes it known as a referrer if it has a subject.
    pub(crate) async fn push_manifest(&self, content: &Content, reference: &Reference) -> Result<()> {
        self.store_manifest(content, reference, Sure::Now).await
    }

    /// Stores a manifest under one more name. It has been there before, so nothing else is written: whether it is among the
    /// referrers of its subject is up to whoever pushed it.
    pub(crate) async fn put_again(&self, content: &Content, reference: &Reference) -> Result<()> {
        let bytes = content.bytes(self.client().options().max_manifest_size).await?;
        self.put_manifest(reference, &content.descriptor().media_type, bytes).await.map(drop)
    }

    /// Stores a manifest as one of many: what is entered into referrers is made sure of by
    /// [`Repository::settle_tagged_referrers`].
    pub(crate) async fn gather_manifest(&self, content: &Content) -> Result<()> {
        let reference = self.named(&content.descriptor().digest.to_string())?;
        self.store_manifest(content, &reference, Sure::Later).await
    }

    async fn store_manifest(&self, content: &Content, reference: &Reference, sure: Sure) -> Result<()> {
        let descriptor = content.descriptor();
        let bytes = content.bytes(self.client().options().max_manifest_size).await?;
        let subject_known = self.put_manifest(reference, &descriptor.media_type, bytes.clone()).await?;
        self.learn_referrer(descriptor, bytes, subject_known, sure).await
    }

    /// Sends a manifest; whether the registry takes care of its subject.
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
        let response = self.client().send(self.endpoint(), &request).await?.expect(&[200, 201, 202])?;
        let digest = reference.digest.clone().unwrap_or_else(|| Digest::sha256(&bytes));
        check_digest(&response, &digest)?;
        Ok(response.header("oci-subject").is_some())
    }

    /// The manifest types that are asked for.
    pub(crate) fn accept(&self) -> String {
        let types: Vec<_> =
            self.client().options().manifest_types.iter().map(|media_type| media_type.as_str()).collect();
        types.join(", ")
    }

    fn manifest_request(&self, method: Method, reference: &Reference) -> Result<Request> {
        let target = reference.target().ok_or_else(|| {
            Error::new(Kind::InvalidInput, format!("\"{reference}\": no tag or digest specified"))
        })?;
        let url = self.url(&format!("manifests/{target}"))?;
        let scopes = if method == Method::PUT { self.push_scopes() } else { self.pull() };
        let limit = self.client().options().max_manifest_size;
        Ok(Request::new(method, url, scopes).limit(Some(limit)))
    }
}

fn found(response: Response, reference: &Reference) -> Result<Response> {
    if response.status == 404 {
        return Err(Error::not_found(reference));
    }
    response.expect(&[200])
}

/// The digest that a registry tells, if bytes can be checked against it.
fn known_digest(response: &Response) -> Option<Digest> {
    told_digest(response).filter(|digest| digest.algorithm().is_some())
}

/// Types that servers of plain files give to anything.
fn is_generic(media_type: &str) -> bool {
    matches!(media_type, "application/json" | "text/plain" | "application/octet-stream")
}

/// The type a registry says, or else that in the manifest itself.
fn media_type(response: &Response) -> MediaType {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Inner {
        media_type: MediaType,
    }
    match response.content_type().filter(|media_type| !is_generic(media_type)) {
        Some(media_type) => media_type.into(),
        None => match serde_json::from_slice::<Inner>(response.bytes()) {
            Ok(inner) if !inner.media_type.as_str().trim().is_empty() => inner.media_type,
            _ => response.content_type().unwrap_or("application/octet-stream").into(),
        },
    }
}
