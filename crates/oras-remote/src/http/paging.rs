//! Paged lists: tags, repositories, referrers.

use std::collections::HashSet;

use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use oras_store::{Error, ErrorKind, Result};
use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::auth::scope::Scopes;
use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::link_header;
use crate::http::request::Request;
use crate::http::response::Response;

/// The most pages of one list. A registry that sends more is faulty or hostile.
const MAX_PAGES: usize = 10_000;
/// The most bytes of one page. Registries without paging send the whole list as one page. The index of the referrers
/// tag schema counts as a page.
pub(crate) const MAX_PAGE: u64 = 64 << 20;
/// The most bytes of all pages of one list.
const MAX_LIST: u64 = 2 * MAX_PAGE;

/// A list on a registry.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) client: Client,
    pub(crate) endpoint: Endpoint,
    pub(crate) scopes: Scopes,
    pub(crate) url: Url,
}

impl List {
    /// Starts the list after the item `last`.
    pub(crate) fn after(mut self, last: Option<&str>) -> Self {
        if let Some(last) = last.filter(|last| !last.is_empty()) {
            // `last` is exclusive: the list starts after it (distribution-spec, "Listing Tags").
            self.url.query_pairs_mut().append_pair("last", last);
        }
        self
    }

    /// Requests one page, and returns it even if its status is an error.
    pub(crate) async fn page(&self, url: Url) -> Result<Response> {
        let request = Request::new(Method::GET, url, self.scopes.clone()).limit(Some(MAX_PAGE));
        self.client.send(&self.endpoint, &request).await
    }

    /// Streams the items that `items` extracts, requesting pages as they are needed.
    pub(crate) fn items<P, T>(self, items: fn(P) -> Vec<T>) -> BoxStream<'static, Result<T>>
    where
        P: DeserializeOwned + 'static,
        T: Send + 'static,
    {
        let first = self.url.clone();
        let begin = (self, Some(first), VisitedPages::default());
        let pages = stream::try_unfold(begin, move |(list, url, mut walked)| async move {
            let Some(url) = url else { return Ok::<_, Error>(None) };
            let page = list.page(url.clone()).await?.expect(&[200])?;
            let found = items(parse(&page)?);
            let following = walked.next(&url, &page)?;
            Ok(Some((stream::iter(found.into_iter().map(Ok)), (list, following, walked))))
        });
        pages.try_flatten().boxed()
    }
}

/// The pages of one list that were read, to detect loops and endless lists.
#[derive(Debug, Default)]
pub(crate) struct VisitedPages {
    pages: HashSet<Url>,
    length: u64,
}

impl VisitedPages {
    /// Returns the address of the page after `page`, which was requested at `url`.
    ///
    /// # Errors
    /// For a link to another server or to an earlier page, and beyond [`MAX_PAGES`] or [`MAX_LIST`].
    pub(crate) fn next(&mut self, url: &Url, page: &Response) -> Result<Option<Url>> {
        let links = page.headers.get_all("link").iter();
        let links: Vec<_> =
            links.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        let target = link_header::next(&links).map_err(|header| {
            let why = format!("the list goes on, but its Link can't be read: {header:?}");
            page.bad(ErrorKind::InvalidContent, &why)
        })?;
        let Some(target) = target else { return Ok(None) };
        let next =
            link_header::resolve(target, url).map_err(|why| page.bad(ErrorKind::InvalidContent, &why))?;
        self.pages.insert(url.clone());
        self.length += page.bytes().len() as u64;
        // A link to an earlier page would otherwise make the client loop.
        if self.pages.contains(&next) {
            return Err(page.bad(ErrorKind::InvalidContent, "the next page is one that was read before"));
        }
        if self.pages.len() >= MAX_PAGES {
            return Err(page.bad(ErrorKind::TooLarge, &format!("more than {MAX_PAGES} pages")));
        }
        if self.length >= MAX_LIST {
            let why =
                format!("the pages of the list exceed the limit of {MAX_LIST} bytes: size exceeds limit");
            return Err(page.bad(ErrorKind::TooLarge, &why));
        }
        Ok(Some(next))
    }
}

/// Parses the body of a page.
pub(crate) fn parse<P: DeserializeOwned>(page: &Response) -> Result<P> {
    serde_json::from_slice(page.bytes()).map_err(|error| {
        let why = match page.bytes().is_empty() {
            true => "EOF".to_owned(),
            false if error.is_eof() => "unexpected EOF".to_owned(),
            false => error.to_string(),
        };
        page.bad(ErrorKind::InvalidContent, &format!("failed to decode response: {why}"))
    })
}
