//! Paged lists: tags, repositories, referrers.

use std::collections::HashSet;
use std::io::{self, BufReader, Read};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures::TryStreamExt;
use futures::stream::{self, BoxStream, StreamExt};
use oras_store::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::Url;

use crate::auth::scope::Scopes;
use crate::client::Client;
use crate::http::content_encoding::DecodedBody;
use crate::http::endpoint::Endpoint;
use crate::http::request::Request;
use crate::http::response::{Response, ResponseBody};
use crate::http::response_body::too_large;
use crate::http::retry::FailedAttempt;
use crate::http::{link_header, network_error};

/// The most pages of one list. A registry that sends more is faulty or hostile.
const MAX_PAGES: usize = 10_000;
/// The most bytes of one page. Registries without paging send the whole list as one page. The index of the referrers
/// tag schema counts as a page.
pub(crate) const MAX_PAGE: u64 = 64 << 20;
/// The most bytes of all pages of one list.
const MAX_LIST: u64 = 2 * MAX_PAGE;
/// The most chunks of a list that wait for the parser.
const MAX_QUEUED_CHUNKS: usize = 4;

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
    pub(crate) async fn page<P: DeserializeOwned + Send + 'static>(&self, url: Url) -> Result<Page<P>> {
        let request = Request::list(url, self.scopes.clone(), MAX_PAGE);
        let idle = self.client.options().idle_timeout;
        self.client.send_and(&self.endpoint, &request, |response| Page::read(response, idle)).await
    }

    /// Streams the items that `items` extracts, requesting pages as they are needed.
    pub(crate) fn items<P, T>(self, items: fn(P) -> Vec<T>) -> BoxStream<'static, Result<T>>
    where
        P: DeserializeOwned + Send + 'static,
        T: Send + 'static,
    {
        let first = self.url.clone();
        let begin = (self, Some(first), VisitedPages::default());
        let pages = stream::try_unfold(begin, move |(list, url, mut walked)| async move {
            let Some(url) = url else { return Ok::<_, Error>(None) };
            let page = list.page(url.clone()).await?;
            let length = page.length;
            let (response, page) = page.expect(&[200])?;
            let following = walked.next(&url, &response, length)?;
            Ok(Some((stream::iter(items(page).into_iter().map(Ok)), (list, following, walked))))
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
    /// Returns the address of the page after `page`, which was requested at `url` and has `length` bytes.
    ///
    /// # Errors
    /// For a link to another server or to an earlier page, and beyond [`MAX_PAGES`] or [`MAX_LIST`].
    pub(crate) fn next(&mut self, url: &Url, page: &Response, length: u64) -> Result<Option<Url>> {
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
        self.length += length;
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

/// A page of a list, or the registry's error.
pub(crate) struct Page<P> {
    pub(crate) response: Response,
    /// The decoded length of the body.
    pub(crate) length: u64,
    /// The parsed body of a success.
    parsed: Result<P, String>,
}

impl<P: DeserializeOwned + Send + 'static> Page<P> {
    async fn read(mut response: Response, idle: Duration) -> Result<Self, FailedAttempt> {
        let body = std::mem::replace(&mut response.body, ResponseBody::Whole(Bytes::new()));
        let (length, parsed) = match body {
            ResponseBody::Whole(bytes) if response.status == 200 => {
                let parsed = serde_json::from_slice(&bytes);
                (bytes.len() as u64, parsed.map_err(|error| explain(&error, bytes.is_empty())))
            }
            ResponseBody::Long(body) => {
                let body = body.into_inner();
                parse_long(body, &response, idle).await?
            }
            other => {
                response.body = other;
                (0, Err(String::new()))
            }
        };
        Ok(Self { response, length, parsed })
    }

    /// Returns the response and its content if the status is one of `statuses`, otherwise the registry's error.
    pub(crate) fn expect(self, statuses: &[u16]) -> Result<(Response, P)> {
        let response = self.response.expect(statuses)?;
        match self.parsed {
            Ok(parsed) => Ok((response, parsed)),
            Err(why) => {
                Err(response.bad(ErrorKind::InvalidContent, &format!("failed to decode response: {why}")))
            }
        }
    }
}

fn explain(error: &serde_json::Error, is_empty: bool) -> String {
    match is_empty {
        true => "EOF".to_owned(),
        false if error.is_eof() => "unexpected EOF".to_owned(),
        false => error.to_string(),
    }
}

/// Parses a long list while it arrives, on a blocking thread. Returns its length and content. If this future is
/// dropped, the channel closes and the thread ends.
async fn parse_long<P: DeserializeOwned + Send + 'static>(
    mut body: DecodedBody,
    response: &Response,
    idle: Duration,
) -> Result<(u64, Result<P, String>), FailedAttempt> {
    let (method, url) = (&response.method, &response.url);
    let (sender, pieces) = mpsc::channel(MAX_QUEUED_CHUNKS);
    // serde_json parses only from blocking readers. Parsing the whole text would keep both the text and the result in
    // memory.
    let parser = tokio::task::spawn_blocking(move || {
        let text = BufReader::new(ChunkReader { pieces, piece: Bytes::new() });
        serde_json::from_reader(text).map_err(|error| explain(&error, false))
    });
    let mut total = 0;
    loop {
        let next = timeout(idle, body.try_next()).await.map_err(|_| network_error::timeout(method, url))?;
        let Some(piece) = next.map_err(|error| error.into_failed(method, url))? else { break };
        total += piece.len() as u64;
        if total > MAX_PAGE {
            return Err(too_large(method, url, MAX_PAGE).into());
        }
        // The parser stopped at an error, which is returned below.
        if sender.send(piece).await.is_err() {
            break;
        }
    }
    // The end of the channel is the end of the text for the parser.
    drop(sender);
    Ok((total, parser.await.unwrap_or_else(|error| Err(error.to_string()))))
}

/// The text of a list as a blocking reader.
struct ChunkReader {
    pieces: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            let Some(piece) = self.pieces.blocking_recv() else { return Ok(0) };
            self.piece = piece;
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
