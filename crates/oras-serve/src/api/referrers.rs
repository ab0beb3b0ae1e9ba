//! The list of referrers (distribution-spec, "Listing Referrers").

use oras_spec::{Descriptor, Digest, ImageIndex, MediaType, json};

use super::blobs::parse_digest;
use super::error::{Answer, ApiError, found_or_none};
use super::manifests::failed;
use super::pagination::{encoded, entry_count};
use super::request_context::RequestContext;
use crate::http_message::{json as json_response, set_header};

/// The maximum number of bytes of the entries of one page. Clients read documents of at most 4 MiB; 1 KiB is left for
/// the frame.
const MAX_PAGE_SIZE: usize = 4 * 1024 * 1024 - 1024;

/// Lists the manifests that refer to a digest.
pub(super) async fn list(context: &RequestContext, name: &str, digest: &str) -> Answer {
    let query = &context.query;
    // After a 404, clients use the referrers tag schema (distribution-spec, "Listing Referrers").
    if !context.registry.options.referrers {
        return Err(ApiError::manifest_unknown());
    }
    // Stores find referrers by the digest only: the type and the size are placeholders.
    let subject = Descriptor::new(MediaType::IMAGE_MANIFEST, parse_digest(digest)?, 0);
    let artifact_type = query.get("artifactType").map(MediaType::new);
    let found = match found_or_none(context.store(name).await)? {
        Some(store) => store.predecessors(&subject, artifact_type.as_ref()).await.map_err(failed)?,
        // The specification requires an empty list instead of 404.
        None => Vec::new(),
    };
    let ReferrersPage { entries, last } = ReferrersPage::of(found, entry_count(query)?, query.get("last"));
    let mut response = json_response(ImageIndex::new(entries).to_bytes().to_vec());
    // The list is an image index, not plain JSON.
    set_header(&mut response, "content-type", MediaType::IMAGE_INDEX.as_str());
    let mut filter = String::new();
    if let Some(artifact_type) = &artifact_type {
        set_header(&mut response, "oci-filters-applied", "artifactType");
        filter = format!("&artifactType={}", encoded(artifact_type.as_str()));
    }
    if let Some(last) = last {
        let n = query.get("n").map(|n| format!("&n={}", encoded(n))).unwrap_or_default();
        let path = context.api_path(format_args!("{name}/referrers/{digest}"));
        let next = format!("<{path}?last={last}{n}{filter}>; rel=\"next\"");
        set_header(&mut response, "link", &next);
    }
    Ok(response)
}

/// One page of a list of referrers.
#[derive(Debug, PartialEq)]
struct ReferrersPage {
    entries: Vec<Descriptor>,
    /// The digest after which the next page begins, if there is one.
    last: Option<Digest>,
}

impl ReferrersPage {
    /// Cuts the page that follows the digest `last` from all referrers.
    ///
    /// A list that fits into one page keeps the order of the store. Longer lists are sorted by digest, so that no entry
    /// is lost if referrers are added or deleted between the requests for two pages.
    fn of(mut all: Vec<Descriptor>, count: usize, last: Option<&str>) -> Self {
        if last.is_none() && fitting(&all, count) == all.len() {
            return Self { entries: all, last: None };
        }
        // Sorted as text, because `last` is compared as text.
        all.sort_by_cached_key(|node| node.digest.to_string());
        all.dedup_by(|one, other| one.digest == other.digest);
        if let Some(last) = last {
            all.retain(|node| node.digest.to_string().as_str() > last);
        }
        let fitting = fitting(&all, count);
        let has_more = all.len() > fitting;
        all.truncate(fitting);
        let last = all.last().filter(|_| has_more).map(|node| node.digest.clone());
        Self { entries: all, last }
    }
}

/// Returns how many of the first entries fit into a page. The first entry fits even if it exceeds the limit.
fn fitting(all: &[Descriptor], count: usize) -> usize {
    let mut left = MAX_PAGE_SIZE;
    // One byte more for the comma between entries.
    let fits = |node: &&Descriptor| match left.checked_sub(json::to_vec(node).len() + 1) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let fitting = all.iter().take(count).take_while(fits).count();
    // The link of an empty page would lead to the same page forever.
    fitting.max(1.min(count)).min(all.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pagination::MAX_ENTRIES;

    fn node(number: usize, size: usize) -> Descriptor {
        let mut node = Descriptor::of(MediaType::IMAGE_MANIFEST, number.to_string().as_bytes());
        node.annotations.insert("x".to_owned(), "y".repeat(size));
        node
    }

    #[test]
    fn pages_are_bounded_in_size_and_lose_no_entry() {
        let all: Vec<_> = (0..50).map(|number| node(number, 200_000 * (number % 3))).collect();
        let (mut seen, mut last, mut pages) = (Vec::new(), None::<Digest>, 0);
        loop {
            let text = last.as_ref().map(ToString::to_string);
            let page = ReferrersPage::of(all.clone(), MAX_ENTRIES, text.as_deref());
            assert!(ImageIndex::new(page.entries.clone()).to_bytes().len() <= 4 << 20);
            seen.extend(page.entries.into_iter().map(|node| node.digest));
            (last, pages) = (page.last, pages + 1);
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
    fn page_has_at_least_one_entry_and_short_list_keeps_its_order() {
        let (large, small) = (node(1, 5 << 20), node(2, 1));
        let first = ReferrersPage::of(vec![large.clone(), small.clone()], MAX_ENTRIES, None);
        assert_eq!((first.entries.len(), first.last.is_some()), (1, true));
        let three = vec![node(3, 1), node(1, 1), node(2, 1)];
        let whole = ReferrersPage { entries: three.clone(), last: None };
        assert_eq!(ReferrersPage::of(three.clone(), MAX_ENTRIES, None), whole);
        let first = ReferrersPage::of(three.clone(), 2, None);
        assert_eq!(first.last.as_ref(), Some(&first.entries[1].digest));
        let second = ReferrersPage::of(three, 2, Some(&first.entries[1].digest.to_string()));
        assert_eq!((second.entries.len(), second.last), (1, None));
    }
}
