//! Lists: tags, repositories, referrers (distribution-spec, "Listing Tags", "Listing Referrers").

use axum::http::StatusCode;
use futures::TryStreamExt;
use oras_spec::wire::{CatalogPage, TagPage};
use oras_spec::{Descriptor, ImageIndex, MediaType, json};
use oras_store::{Error, Predecessors, TagList};

use crate::blobs::digest;
use crate::error::Refusal;
use crate::query::Query;
use crate::respond::{Answer, json as respond, set};
use crate::server::Registry;
use crate::visitor::Visitor;

fn failed(error: &Error) -> Refusal {
    Refusal::of(error, Refusal::manifest_unknown)
}

/// The most entries of one page: the rest is behind its `Link`.
const MAX_PAGE: usize = 1000;

/// The page that the query asks for, and the address of the next.
fn page(mut all: Vec<String>, query: &Query, path: &str) -> Result<(Vec<String>, Option<String>), Refusal> {
    let count = match query.get("n") {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().unwrap_or(MAX_PAGE),
        Some(_) => {
            // The code is that of the distribution registry: the specification has none.
            let code = "PAGINATION_NUMBER_INVALID";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, code, "n is not a number"));
        }
        None => MAX_PAGE,
    };
    let count = count.min(MAX_PAGE);
    if let Some(last) = query.get("last") {
        all.retain(|name| name.as_str() > last);
    }
    let more = all.len() > count;
    all.truncate(count);
    let next =
        all.last().filter(|_| more).map(|last| format!("<{path}?n={count}&last={last}>; rel=\"next\""));
    Ok((all, next))
}

/// The repositories that a visitor may read.
pub(crate) async fn catalog(registry: &Registry, visitor: &Visitor, query: &Query) -> Answer {
    let all = registry.readable(visitor).await.map_err(|error| failed(&error))?;
    let (repositories, next) = page(all, query, "/v2/_catalog")?;
    let mut response = respond(json::to_vec(&CatalogPage { repositories }));
    if let Some(next) = next {
        set(&mut response, "link", &next);
    }
    Ok(response)
}

pub(crate) async fn tags(registry: &Registry, name: &str, query: &Query) -> Answer {
    let store = registry.store(name).await?;
    let all: Vec<String> =
        TagList::tags(&*store, None).try_collect().await.map_err(|error| failed(&error))?;
    let (tags, next) = page(all, query, &format!("/v2/{name}/tags/list"))?;
    let mut response = respond(json::to_vec(&TagPage { name: name.to_owned(), tags }));
    if let Some(next) = next {
        set(&mut response, "link", &next);
    }
    Ok(response)
}

pub(crate) async fn referrers(registry: &Registry, name: &str, text: &str, query: &Query) -> Answer {
    if !registry.options.referrers {
        return Err(Refusal::manifest_unknown());
    }
    let subject = Descriptor::new(MediaType::IMAGE_MANIFEST, digest(text)?, 0);
    let artifact_type = query.get("artifactType").filter(|text| !text.is_empty()).map(MediaType::from);
    let found = match registry.store(name).await {
        Ok(store) => Predecessors::predecessors(&*store, &subject, artifact_type.as_ref())
            .await
            .map_err(|error| failed(&error))?,
        // Nothing refers to what is in a repository that is not there.
        Err(_) => Vec::new(),
    };
    let mut response = respond(ImageIndex::new(found).to_bytes().to_vec());
    set(&mut response, "content-type", MediaType::IMAGE_INDEX.as_str());
    if artifact_type.is_some() {
        set(&mut response, "oci-filters-applied", "artifactType");
    }
    Ok(response)
}
