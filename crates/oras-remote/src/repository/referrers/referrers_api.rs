//! What refers to a manifest: by the referrers API, or by the tag schema where a registry does not have it
//! (distribution-spec, "Listing Referrers").

use std::sync::atomic::Ordering;

use bytes::Bytes;
use oras_spec::{Descriptor, ImageIndex, Manifest, MediaType};
use oras_store::{Error, Kind, Result};

use crate::options::ReferrersMode;
use crate::paging::{List, Walked};
use crate::referrers_tag::Sure;
use crate::repository::Repository;
use crate::request::Response;

/// What is known of a registry's referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api {
    Unknown = 0,
    Supported = 1,
    Missing = 2,
}

impl Repository {
    fn api(&self) -> Api {
        match (self.client().options().referrers, self.referrers_state().load(Ordering::Relaxed)) {
            (ReferrersMode::Tag, _) => Api::Missing,
            (ReferrersMode::Api, _) | (_, 1) => Api::Supported,
            (_, 2) => Api::Missing,
            _ => Api::Unknown,
        }
    }

    fn learn(&self, api: Api) {
        self.referrers_state().store(api as u8, Ordering::Relaxed);
    }

    /// The referrers of `node`, only those of `artifact_type` if given.
    pub(crate) async fn referrers(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Vec<Descriptor>> {
        let api = self.api();
        if api != Api::Missing {
            if let Some(found) = self.referrers_by_api(node, artifact_type).await? {
                self.learn(Api::Supported);
                return Ok(found);
            }
            if api == Api::Supported {
                return Err(Error::new(Kind::Unsupported, "failed to query referrers API: unsupported"));
            }
            self.learn(Api::Missing);
        }
        let mut found = self.tagged_referrers(node).await?;
        found.retain(|referrer| is_of_type(referrer, artifact_type));
        Ok(found)
    }

    /// The referrers as the API has them; `None` without the API.
    async fn referrers_by_api(
        &self,
        node: &Descriptor,
        artifact_type: Option<&MediaType>,
    ) -> Result<Option<Vec<Descriptor>>> {
        let mut url = self.url(&format!("referrers/{}", node.digest))?;
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut().append_pair("artifactType", artifact_type.as_str());
        }
        let (client, endpoint) = (self.client().clone(), self.endpoint().clone());
        let list = List { client, endpoint, scopes: self.pull(), url: url.clone() };
        let mut found = Vec::new();
        let (mut next, mut walked) = (Some(url.clone()), Walked::default());
        while let Some(at) = next {
            let page = list.page::<ImageIndex>(at.clone()).await?;
            if at == url && is_missing(&page.response) {
                return Ok(None);
            }
            let length = page.length;
            let (page, index) = page.expect(&[200])?;
            let filtered = page
                .header("oci-filters-applied")
                .is_some_and(|filters| filters.split(',').any(|filter| filter.trim() == "artifactType"));
            let referrers = index.manifests.into_iter();
            found.extend(referrers.filter(|referrer| filtered || is_of_type(referrer, artifact_type)));
            next = walked.next(&at, &page, length)?;
        }
        Ok(Some(found))
    }

    /// Makes a manifest that was stored known as a referrer of its subject, unless the registry did.
    pub(crate) async fn learn_referrer(
        &self,
        descriptor: &Descriptor,
        bytes: Bytes,
        subject_known: bool,
        sure: Sure,
    ) -> Result<()> {
        let by_tag_only = self.client().options().referrers == ReferrersMode::Tag;
        if subject_known && !by_tag_only {
            self.learn(Api::Supported);
            return Ok(());
        }
        let Some((subject, referrer)) = referrer(descriptor, bytes) else { return Ok(()) };
        if self.api() == Api::Supported {
            if self.client().options().referrers == ReferrersMode::Api {
                let text = format!(
                    "the registry does not confirm that {} refers to {}: without the referrers API nobody finds it",
                    referrer.digest, subject.digest
                );
                self.client().tell(self.endpoint().server(), &text);
            }
            return Ok(());
        }
        self.learn(Api::Missing);
        self.add_tagged_referrer(&subject, &referrer, sure).await
    }

    /// Takes a manifest that is to be deleted out of the referrers of its subject, unless the registry will.
    pub(crate) async fn forget_referrer(&self, descriptor: &Descriptor) -> Result<()> {
        if self.api() == Api::Supported {
            return Ok(());
        }
        // The error for one that is not there has the words of a resolved reference.
        let reference = self.named(&descriptor.digest.to_string())?;
        let (_, bytes) = self.get_manifest(&reference).await?;
        let Some((subject, _)) = referrer(descriptor, bytes) else { return Ok(()) };
        if self.api() == Api::Unknown && self.referrers_by_api(&subject, None).await?.is_some() {
            self.learn(Api::Supported);
            return Ok(());
        }
        self.learn(Api::Missing);
        self.remove_tagged_referrer(&subject, &descriptor.digest).await
    }
}

/// The subject of a manifest and the manifest's descriptor as a referrer, if it is one.
fn referrer(descriptor: &Descriptor, bytes: Bytes) -> Option<(Descriptor, Descriptor)> {
    // What can't be read as a manifest has no subject that could be found; the registry took it all the same.
    let manifest = Manifest::parse(&descriptor.media_type, bytes).ok()?;
    let subject = manifest.subject()?.clone();
    Some((subject, manifest.referrer_descriptor(descriptor)))
}

fn is_of_type(referrer: &Descriptor, artifact_type: Option<&MediaType>) -> bool {
    artifact_type.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted))
}

/// Whether the answer says that there is no such API: by its status, or by its body being something else.
fn is_missing(page: &Response) -> bool {
    match page.status.as_u16() {
        200 => page.content_type() != Some(MediaType::IMAGE_INDEX.as_str()),
        404 => !page.error().has_code("NAME_UNKNOWN"),
        400 | 405 | 406 | 501 => true,
        _ => false,
    }
}
