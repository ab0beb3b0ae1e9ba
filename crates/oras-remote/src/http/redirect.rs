//! Redirects: which ones the client follows, and to which addresses.
//!
//! A redirect to another origin drops credentials and the user's headers, because [`Endpoint::headers_for`] attaches
//! them per address.

use oras_store::{ErrorKind, Result};
use reqwest::Method;
use reqwest::header::{HeaderValue, LOCATION};
use url::Url;

use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::request::{Body, Request};
use crate::http::response::Response;
use crate::http::response_error::request_error;
use crate::http::retry::FailedAttempt;

/// The maximum number of redirects that the client follows for one request.
const MAX_REDIRECTS: usize = 10;

impl Client {
    /// Sends a request and follows its redirects.
    pub(crate) async fn follow(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, FailedAttempt> {
        let mut url = endpoint.address_in_use(&request.url);
        for _ in 0..=MAX_REDIRECTS {
            let before = self.uses_http2(&url);
            let response = match self.send_once(endpoint, request, &url, authorization).await {
                // The failed attempt showed which version of HTTP the server uses.
                Err(_) if before != self.uses_http2(&url) && request.is_replayable() => {
                    self.send_once(endpoint, request, &url, authorization).await?
                }
                // The failed attempt showed that the insecure registry has no TLS.
                Err(_) if endpoint.address_in_use(&url) != url && request.is_replayable() => {
                    url = endpoint.address_in_use(&url);
                    self.send_once(endpoint, request, &url, authorization).await?
                }
                other => other?,
            };
            match redirect(endpoint, request, &response)? {
                Some(next) => url = next,
                None => return Ok(response),
            }
        }
        let why = format!("stopped after {MAX_REDIRECTS} redirects");
        Err(request_error(ErrorKind::InvalidContent, &request.method, &request.url, &why).into())
    }
}

/// Returns the address to follow, if `response` is a redirect that is followed.
fn redirect(endpoint: &Endpoint, request: &Request, response: &Response) -> Result<Option<Url>> {
    let reads = request.method == Method::GET || request.method == Method::HEAD;
    let followed = match response.status.as_u16() {
        // These may change the method of a write, so only reads follow them (RFC 9110, section 15.4).
        301..=303 => reads,
        // These keep the method and the body, so the client must be able to send the body a second time.
        307 | 308 => request.is_replayable(),
        _ => false,
    };
    let Some(location) = response.header(LOCATION.as_str()).filter(|_| followed) else { return Ok(None) };
    let next = response
        .url
        .join(location)
        .map_err(|_| response.bad(ErrorKind::InvalidContent, "redirected to an invalid address"))?;
    // After HTTPS, the content must not be sent or received without encryption.
    if !matches!(next.scheme(), "http" | "https")
        || (response.url.scheme() == "https" && next.scheme() == "http")
    {
        let why =
            format!("refusing to follow a redirect from {} to {}", response.url.scheme(), next.scheme());
        return Err(response.bad(ErrorKind::Denied, &why));
    }
    // [`Endpoint::headers_for`] removes headers for another origin, but the body would still be sent.
    if matches!(request.body, Body::Secret(_)) && !endpoint.owns(&next) {
        return Err(
            response.bad(ErrorKind::Denied, "refusing to send an identity token or a password elsewhere")
        );
    }
    Ok(Some(next))
}
