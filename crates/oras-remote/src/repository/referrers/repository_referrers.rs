//! Referrers by the referrers API, or by the tag schema if the registry lacks it (distribution-spec, "Listing
//! Referrers").

use std::sync::atomic::Ordering;

use bytes::Bytes;
use oras_spec::{Descriptor, ImageIndex, Manifest, MediaType};
use oras_store::{Error, ErrorKind, Result};

use crate::client_options::ReferrersMode;
use crate::http::paging::{self, List, VisitedPages};
use crate::http::response::Response;
use crate::repository::referrers::referrers_index::{ReferrersIndex, Verify};
use crate::repository::repository::Repository;

/// Whether a registry supports the referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ApiSupport {
    Unknown = 0,
    Supported = 1,
    Missing = 2,
}

/// The referrers in a repository.
pub(crate) struct RepositoryReferrers<'a>(pub(crate) &'a Repository);

impl RepositoryReferrers<'_> {
    fn api_support(&self) -> ApiSupport {
        match (self.0.client().options().referrers, self.0.referrers_state().load(Ordering::Relaxed)) {
            (ReferrersMode::Tag, _) => ApiSupport::Missing,
            (ReferrersMode::Api, _) | (_, 1) => ApiSupport::Supported,
            (_, 2) => ApiSupport::Missing,
            _ => ApiSupport::Unknown,
        }
    }

    fn set_api_support(&self, api: ApiSupport) {
        // Relaxed is enough: the value protects no other data, and two tasks that detect it store the same value.
        self.0.referrers_state().store(api as u8, Ordering::Relaxed);
    }

    /// Returns the referrers of `node`, only those of `artifact_type` if given.
    pub(crate) async fn list(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let api = self.api_support();
        if api != ApiSupport::Missing {
            if let Some(found) = self.list_by_api(node, artifact_type).await? {
                self.set_api_support(ApiSupport::Supported);
                return Ok(found);
            }
            // The API worked before or the user requires it, so a silent change to the tag schema could miss
            // referrers.
            if api == ApiSupport::Supported {
                return Err(Error::new(ErrorKind::Unsupported, "failed to query referrers API: unsupported"));
            }
            self.set_api_support(ApiSupport::Missing);
        }
        let mut found = ReferrersIndex::of(self.0, node)?.read().await?;
        found.retain(|referrer| is_of_type(referrer, artifact_type));
        Ok(found)
    }

    /// Returns the referrers by the API; `None` if the registry lacks it.
    async fn list_by_api(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Option<Vec<Descriptor>>> {
        let mut url = self.0.url(&format!("referrers/{}", node.digest))?;
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", artifact_type.as_str());
        }
        let (client, endpoint) = (self.0.client().clone(), self.0.endpoint().clone());
        let list = List { client, endpoint, scopes: self.0.pull_scopes(), url: url.clone() };
        let mut found = Vec::new();
        let (mut next, mut visited) = (Some(url.clone()), VisitedPages::default());
        while let Some(at) = next {
            let page = list.page(at.clone()).await?;
            // Only the first page shows that the API is missing. On a later page, the same answer is an error.
            if at == url && is_missing(&page) {
                return Ok(None);
            }
            let page = page.expect(&[200])?;
            let index: ImageIndex = paging::parse(&page)?;
            // A registry may ignore the filter. Without this header, the client filters (distribution-spec, "Listing
            // Referrers").
            let filtered = page
                .header("oci-filters-applied")
                .is_some_and(|filters| filters.split(',').any(|filter| filter.trim() == "artifactType"));
            let referrers = index.manifests.into_iter();
            found.extend(referrers.filter(|referrer| filtered || is_of_type(referrer, artifact_type)));
            next = visited.next(&at, &page)?;
        }
        Ok(Some(found))
    }

    /// Adds a stored manifest to the referrers of its subject, unless the registry has added it.
    pub(crate) async fn add(
        &self,
        descriptor: &Descriptor,
        bytes: Bytes,
        registry_knows_subject: bool,
        verify: Verify,
    ) -> Result<()> {
        let by_tag_only = self.0.client().options().referrers == ReferrersMode::Tag;
        // `OCI-Subject` in the answer means that the registry maintains the referrers itself.
        if registry_knows_subject && !by_tag_only {
            self.set_api_support(ApiSupport::Supported);
            return Ok(());
        }
        let Some((subject, referrer)) = referrer(descriptor, bytes) else { return Ok(()) };
        if self.api_support() == ApiSupport::Supported {
            if self.0.client().options().referrers == ReferrersMode::Api {
                let text = format!(
                    "the registry does not confirm that {} refers to {}: without the referrers API nobody finds it",
                    referrer.digest, subject.digest
                );
                self.0.client().warn_once(self.0.endpoint().server(), &text);
            }
            return Ok(());
        }
        self.set_api_support(ApiSupport::Missing);
        ReferrersIndex::of(self.0, &subject)?.add(&referrer, verify).await
    }

    /// Removes a manifest that is to be deleted from the referrers of its subject, unless the registry removes it
    /// itself.
    pub(crate) async fn remove(&self, descriptor: &Descriptor) -> Result<()> {
        if self.api_support() == ApiSupport::Supported {
            return Ok(());
        }
        // Fetches the manifest by reference, so that a missing one has the same error as a failed resolution.
        let reference = self.0.reference_to(&descriptor.digest.to_string())?;
        let (_, bytes) = self.0.get_manifest(&reference).await?;
        let Some((subject, _)) = referrer(descriptor, bytes) else { return Ok(()) };
        if self.api_support() == ApiSupport::Unknown && self.list_by_api(&subject, None).await?.is_some() {
            self.set_api_support(ApiSupport::Supported);
            return Ok(());
        }
        self.set_api_support(ApiSupport::Missing);
        ReferrersIndex::of(self.0, &subject)?.remove(&descriptor.digest).await
    }
}

/// Returns the subject of a manifest and the manifest's descriptor as a referrer, if it has a subject.
fn referrer(descriptor: &Descriptor, bytes: Bytes) -> Option<(Descriptor, Descriptor)> {
    // A manifest that can't be parsed has no known subject. That is no error, because the registry accepted it.
    let manifest = Manifest::parse(&descriptor.media_type, bytes).ok()?;
    let subject = manifest.subject()?.clone();
    Some((subject, manifest.referrer_descriptor(descriptor)))
}

fn is_of_type(referrer: &Descriptor, artifact_type: Option<&MediaType>) -> bool {
    artifact_type.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted))
}

/// Returns true if the answer means that the API is missing, by its status or its media type.
fn is_missing(page: &Response) -> bool {
    match page.status.as_u16() {
        // The specification requires the type of an image index. Any other type means that the API is missing.
        200 => page.content_type() != Some(MediaType::IMAGE_INDEX.as_str()),
        // `NAME_UNKNOWN` means an unknown repository. If there are no referrers, the API answers with an empty list.
        404 => !page.error().has_code("NAME_UNKNOWN"),
        400 | 405 | 406 | 501 => true,
        _ => false,
    }
}
