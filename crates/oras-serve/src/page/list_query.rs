//! The query of a list: what the visitor searches for, the order, and the page. Without scripts, links and a form
//! change it.

use std::ops::Range;

use super::links::encoded_value;
use crate::api::request_context::RequestContext;

/// The query of a list.
#[derive(Clone, Copy)]
pub(super) struct ListQuery<'a> {
    pub(super) search: &'a str,
    /// The order that the visitor selected.
    pub(super) sort: Option<Sort>,
    page: usize,
}

/// An order of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) key: SortKey,
    pub(super) is_ascending: bool,
}

/// The column by which tags are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortKey {
    Tag,
    Created,
    Size,
}

impl SortKey {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Tag, "tag"), (Self::Created, "created"), (Self::Size, "size")];

    fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(key, _)| *key == self).map_or("", |(_, name)| name)
    }
}

impl<'a> ListQuery<'a> {
    /// Reads the query of a request. Ignores malformed values.
    pub(super) fn of(context: &'a RequestContext) -> Self {
        let get = |name| context.query.get(name);
        let key = get("sort").and_then(|wanted| SortKey::NAMES.iter().find(|(_, name)| *name == wanted));
        let sort = key.map(|(key, _)| Sort { key: *key, is_ascending: get("order") == Some("asc") });
        let page = get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
        Self { search: get("q").unwrap_or_default(), sort, page }
    }

    /// Returns the query in the default order.
    pub(super) fn unsorted(self) -> Self {
        Self { sort: None, ..self }
    }

    /// Returns the query of another page.
    pub(super) fn with_page(self, page: usize) -> Self {
        Self { page, ..self }
    }

    /// Returns the query of the first page in another order.
    pub(super) fn sorted(self, sort: Sort) -> Self {
        Self { sort: Some(sort), page: 1, ..self }
    }

    /// Returns the query of the whole list in the same order.
    pub(super) fn without_search(self) -> Self {
        Self { search: "", page: 1, ..self }
    }

    /// Returns the parameters for the order, which a form repeats in hidden fields.
    pub(super) fn order_parameters(&self) -> Vec<(&'static str, &'static str)> {
        let Some(sort) = self.sort else { return Vec::new() };
        let order = sort.is_ascending.then_some(("order", "asc"));
        [("sort", sort.key.name())].into_iter().chain(order).collect()
    }

    /// Returns the link to the list at the path `action` with this query.
    pub(super) fn to_link(self, action: &str) -> String {
        let page = self.page.to_string();
        let mut pairs = Vec::new();
        if !self.search.is_empty() {
            pairs.push(("q", self.search));
        }
        pairs.extend(self.order_parameters());
        if self.page > 1 {
            pairs.push(("page", &page));
        }
        let pairs: Vec<_> =
            pairs.into_iter().map(|(name, value)| format!("{name}={}", encoded_value(value))).collect();
        if pairs.is_empty() { action.to_owned() } else { format!("{action}?{}", pairs.join("&")) }
    }

    /// Returns the part of a list of `total` rows that the page shows.
    pub(super) fn part(&self, total: usize, of_page: usize) -> ListPart {
        let pages = total.div_ceil(of_page).max(1);
        let page = self.page.clamp(1, pages);
        let begin = (page - 1) * of_page;
        ListPart { page, pages, rows: begin..total.min(begin + of_page), total }
    }
}

/// The part of a list that one page shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListPart {
    /// Counts from 1.
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) rows: Range<usize>,
    pub(super) total: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_is_limited_to_list() {
        let part = |page, total| ListQuery { search: "", sort: None, page }.part(total, 50);
        assert_eq!(part(1, 0), ListPart { page: 1, pages: 1, rows: 0..0, total: 0 });
        assert_eq!(part(0, 120), ListPart { page: 1, pages: 3, rows: 0..50, total: 120 });
        assert_eq!(part(3, 120), ListPart { page: 3, pages: 3, rows: 100..120, total: 120 });
        assert_eq!(part(usize::MAX, 100), ListPart { page: 2, pages: 2, rows: 50..100, total: 100 });
    }

    #[test]
    fn links_repeat_query() {
        let query = ListQuery { search: "a b&", sort: None, page: 1 };
        assert_eq!(query.without_search().to_link("/-/a"), "/-/a");
        let sort = Sort { key: SortKey::Size, is_ascending: true };
        let link = query.sorted(sort).with_page(3).to_link("/-/a");
        assert_eq!(link, "/-/a?q=a%20b%26&sort=size&order=asc&page=3");
    }
}
