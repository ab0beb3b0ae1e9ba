//! Decides which server gets a credential: the credential and the headers of a registry are sent only to its
//! origin.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::http::endpoint::Endpoint;

impl Endpoint {
    /// Returns true if `url` has the scheme, host and port of this server.
    pub(crate) fn owns(&self, url: &Url) -> bool {
        self.base().origin() == url.origin()
    }

    /// Returns the headers to send to `url`. Returns none if `url` is on another origin.
    pub(crate) fn headers_for(&self, url: &Url, authorization: Option<&HeaderValue>) -> HeaderMap {
        // Only this check decides which server receives headers and credentials.
        if !self.owns(url) {
            return HeaderMap::new();
        }
        let mut headers = self.headers.clone();
        // An `Authorization` that the user set replaces the one of the client.
        if let (Some(value), false) = (authorization, self.has_own(&AUTHORIZATION)) {
            headers.insert(AUTHORIZATION, value.clone());
        }
        headers
    }

    /// Returns true if the user set a header of that name.
    pub(crate) fn has_own(&self, name: &HeaderName) -> bool {
        self.headers.contains_key(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sends_headers_only_to_its_own_origin() {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", "1".parse().unwrap());
        let endpoint = Endpoint::registry("h:5000", Some(true), headers).unwrap();
        let secret = HeaderValue::from_static("Basic x");
        let sent = |url: &str| endpoint.headers_for(&Url::parse(url).unwrap(), Some(&secret)).len();
        assert_eq!(sent("http://h:5000/v2/x"), 2);
        for other in ["https://h:5000/", "http://h/", "http://h:5001/", "http://i:5000/", "http://x.h:5000/"]
        {
            assert_eq!(sent(other), 0, "{other}");
        }
    }
}
