//! Lists: tags, repositories, referrers (distribution-spec, "Listing Tags", "Listing Referrers").

use axum::http::StatusCode;
use futures::{TryStreamExt, future};
use oras_spec::reference::check_tag;
use oras_spec::wire::{CatalogPage, TagPage};
use oras_spec::{Descriptor, Digest, ImageIndex, MediaType, json};
use oras_store::{Error, Predecessors, TagList};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use crate::blobs::digest;
use crate::error::{Refusal, absent_is_none};
use crate::query::Query;
use crate::respond::{Answer, json as respond, set};
use crate::server::Registry;
use crate::visitor::Visitor;

fn failed(error: &Error) -> Refusal {
    Refusal::of(error, Refusal::manifest_unknown)
}

/// The most entries of one page: the rest is behind its `Link`.
const MAX_PAGE: usize = 1000;
/// The most bytes of the entries of one page. Clients read documents of 4 MiB at most; what is left is for the frame.
const MAX_PAGE_SIZE: usize = 4 * 1024 * 1024 - 1024;

/// How many entries the query asks for.
fn count(query: &Query) -> Result<usize, Refusal> {
    let count = match query.get("n") {
        Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().unwrap_or(MAX_PAGE),
        Some(_) => {
            // The code is that of the distribution registry: the specification has none.
            let code = "PAGINATION_NUMBER_INVALID";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, code, "n is not a number"));
        }
        None => MAX_PAGE,
    };
    Ok(count.min(MAX_PAGE))
}

/// A value of a query, encoded.
fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, QUERY)
}

/// All but what queries may have as it is (RFC 3986, section 2.3), and the colon of digests.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':').remove(b'/');

/// The page that the query asks for, and the address of the next.
fn page(mut all: Vec<String>, query: &Query, path: &str) -> Result<(Vec<String>, Option<String>), Refusal> {
    let count = count(query)?;
    if let Some(last) = query.get("last") {
        all.retain(|name| name.as_str() > last);
    }
    let more = all.len() > count;
    all.truncate(count);
    let next = all.last().filter(|_| more);
    let next = next.map(|last| format!("<{path}?n={count}&last={}>; rel=\"next\"", encoded(last)));
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
    // An upstream may list what is no tag, and what nobody can ask for here.
    let tags = TagList::tags(&*store, None).try_filter(|tag| future::ready(check_tag(tag).is_ok()));
    let all: Vec<String> = tags.try_collect().await.map_err(|error| failed(&error))?;
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
    let found = match absent_is_none(registry.store(name).await)? {
        Some(store) => Predecessors::predecessors(&*store, &subject, artifact_type.as_ref())
            .await
            .map_err(|error| failed(&error))?,
        // Nothing refers to what is in a repository that is not there.
        None => Vec::new(),
    };
    let (found, last) = referrers_page(found, count(query)?, query.get("last"));
    let mut response = respond(ImageIndex::new(found).to_bytes().to_vec());
    set(&mut response, "content-type", MediaType::IMAGE_INDEX.as_str());
    let mut filter = String::new();
    if let Some(artifact_type) = &artifact_type {
        set(&mut response, "oci-filters-applied", "artifactType");
        filter = format!("&artifactType={}", encoded(artifact_type.as_str()));
    }
    if let Some(last) = last {
        let n = query.get("n").map(|n| format!("&n={}", encoded(n))).unwrap_or_default();
        let next = format!("</v2/{name}/referrers/{text}?last={last}{n}{filter}>; rel=\"next\"");
        set(&mut response, "link", &next);
    }
    Ok(response)
}

/// The page of `all` behind the digest `last`, and the digest after which the next page begins.
///
/// A list that is one page has the order of the store. Longer ones are ordered by digest, so that the pages fit together
/// when referrers come and go between two requests.
fn referrers_page(
    mut all: Vec<Descriptor>,
    count: usize,
    last: Option<&str>,
) -> (Vec<Descriptor>, Option<Digest>) {
    if last.is_none() && fitting(&all, count) == all.len() {
        return (all, None);
    }
    // As text, in which the digest of the last page comes.
    all.sort_by_cached_key(|node| node.digest.to_string());
    all.dedup_by(|one, other| one.digest == other.digest);
    if let Some(last) = last {
        all.retain(|node| node.digest.to_string().as_str() > last);
    }
    let fitting = fitting(&all, count);
    let more = all.len() > fitting;
    all.truncate(fitting);
    let last = all.last().filter(|_| more).map(|node| node.digest.clone());
    (all, last)
}

/// How many of the first entries are a page: at least one, however large it is.
fn fitting(all: &[Descriptor], count: usize) -> usize {
    let mut left = MAX_PAGE_SIZE;
    let fits = |node: &&Descriptor| match left.checked_sub(json::to_vec(node).len() + 1) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let fitting = all.iter().take(count).take_while(fits).count();
    fitting.max(1.min(count)).min(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: usize, size: usize) -> Descriptor {
        let mut node = Descriptor::of(MediaType::IMAGE_MANIFEST, number.to_string().as_bytes());
        node.annotations.insert("x".to_owned(), "y".repeat(size));
        node
    }

    #[test]
    fn pages_of_referrers_are_bounded_and_lose_nothing() {
        let all: Vec<_> = (0..50).map(|number| node(number, 200_000 * (number % 3))).collect();
        let (mut seen, mut last, mut pages) = (Vec::new(), None::<Digest>, 0);
        loop {
            let text = last.as_ref().map(ToString::to_string);
            let (page, next) = referrers_page(all.clone(), MAX_PAGE, text.as_deref());
            assert!(ImageIndex::new(page.clone()).to_bytes().len() <= 4 << 20);
            seen.extend(page.into_iter().map(|node| node.digest));
            (last, pages) = (next, pages + 1);
            if last.is_none() {
                break;
            }
        }
        assert_eq!((seen.len(), pages), (50, 3));
        seen.sort_by_key(ToString::to_string);
        seen.dedup();
        assert_eq!(seen.len(), 50);
    }

    #[test]
    fn a_page_has_an_entry_and_a_short_list_keeps_its_order() {
        let (large, small) = (node(1, 5 << 20), node(2, 1));
        let (first, last) = referrers_page(vec![large.clone(), small.clone()], MAX_PAGE, None);
        assert_eq!((first.len(), last.is_some()), (1, true));
        let three = vec![node(3, 1), node(1, 1), node(2, 1)];
        assert_eq!(referrers_page(three.clone(), MAX_PAGE, None), (three.clone(), None));
        let (first, last) = referrers_page(three.clone(), 2, None);
        assert_eq!(last.as_ref(), Some(&first[1].digest));
        let (second, last) = referrers_page(three, 2, Some(&first[1].digest.to_string()));
        assert_eq!((second.len(), last), (1, None));
    }
}
