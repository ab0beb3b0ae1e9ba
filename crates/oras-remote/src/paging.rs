//! Lists that come page by page: tags, repositories, referrers.

use std::collections::HashSet;

use futures::stream::{self, BoxStream, StreamExt};
use oras_store::{Error, Kind, Result};
use reqwest::Method;
use serde::de::DeserializeOwned;
use url::Url;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::link;
use crate::request::{Request, Response};
use crate::scope::Scopes;

/// More pages than this are no list but an attack.
const MAX_PAGES: usize = 10_000;

/// A list on a registry.
#[derive(Clone, Debug)]
pub(crate) struct List {
    pub(crate) client: Client,
    pub(crate) endpoint: Endpoint,
    pub(crate) scopes: Scopes,
    pub(crate) url: Url,
}

impl List {
    /// The list after `last`.
    pub(crate) fn after(mut self, last: Option<&str>) -> Self {
        if let Some(last) = last.filter(|last| !last.is_empty()) {
            self.url.query_pairs_mut().append_pair("last", last);
        }
        self
    }

    /// One page at `url`, whatever its status.
    pub(crate) async fn page(&self, url: Url) -> Result<Response> {
        let request = Request::new(Method::GET, url, self.scopes.clone());
        self.client.send(&self.endpoint, &request).await
    }

    /// All items that `items` finds in the pages, page by page as they are asked for.
    pub(crate) fn items<P, T>(self, items: fn(P) -> Vec<T>) -> BoxStream<'static, Result<T>>
    where
        P: DeserializeOwned + 'static,
        T: Send + 'static,
    {
        let first = self.url.clone();
        let begin = (self, Some(first), Walked::default());
        let pages = stream::try_unfold(begin, move |(list, url, mut walked)| async move {
            let Some(url) = url else { return Ok::<_, Error>(None) };
            let page = list.page(url.clone()).await?.expect(&[200])?;
            let following = walked.next(&url, &page)?;
            Ok(Some((stream::iter(items(decode(&page)?).into_iter().map(Ok)), (list, following, walked))))
        });
        futures::TryStreamExt::try_flatten(pages).boxed()
    }
}

/// The pages of one list that were read.
#[derive(Debug, Default)]
pub(crate) struct Walked(HashSet<Url>);

impl Walked {
    /// The address of the page after `page`, which was asked for at `url`.
    ///
    /// # Errors
    /// For a link to another server, for one to a page that was read before, and after [`MAX_PAGES`].
    pub(crate) fn next(&mut self, url: &Url, page: &Response) -> Result<Option<Url>> {
        let links = page.headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
        let Some(target) = link::next(links) else { return Ok(None) };
        let next = link::resolve(target, url).map_err(|why| page.bad(Kind::InvalidContent, &why))?;
        self.0.insert(url.clone());
        if self.0.contains(&next) {
            return Err(page.bad(Kind::InvalidContent, "the next page is one that was read before"));
        }
        if self.0.len() >= MAX_PAGES {
            return Err(page.bad(Kind::TooLarge, &format!("more than {MAX_PAGES} pages")));
        }
        Ok(Some(next))
    }
}

/// The body of a page.
pub(crate) fn decode<P: DeserializeOwned>(page: &Response) -> Result<P> {
    serde_json::from_slice(page.bytes()).map_err(|error| {
        let why = match page.bytes() {
            [] => "EOF".to_owned(),
            _ if error.is_eof() => "unexpected EOF".to_owned(),
            _ => error.to_string(),
        };
        page.bad(Kind::InvalidContent, &format!("failed to decode response: {why}"))
    })
}
