//! How a client is told to log in (RFC 9110, section 11.6.1; distribution, "Token Authentication Specification").

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri, header};

use crate::error::Refusal;
use crate::server::Registry;
use crate::tokens::SERVICE;

/// Where tokens are given.
pub(crate) const TOKEN_PATH: &str = "/token";

/// What a proxy adds to a request that came another way than the server can see.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"];

/// Where a client gets a token, or `None` when the server can't know: then it is told to send its password, which names
/// no place.
///
/// The place is the public URL, if there is one, or what the client itself calls this server: a `Host` that somebody made
/// up leads nobody but them astray, as the answer goes to them alone and is kept by no cache. A request that came through a
/// proxy gets no place without a public URL, as the client may have meant HTTPS where the server sees HTTP.
pub(crate) fn realm(registry: &Registry, head: &Parts) -> Option<String> {
    let base = match &registry.options.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if FORWARDED.iter().any(|name| head.headers.contains_key(*name)) => return None,
        None => {
            let scheme = if registry.secure { "https" } else { "http" };
            format!("{scheme}://{}", host(&head.uri, &head.headers)?)
        }
    };
    Some(format!("{base}{TOKEN_PATH}"))
}

/// The host that was asked for (RFC 9112, section 3.2.2), if it is one.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| headers.get(header::HOST)?.to_str().ok())?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!host.is_empty() && host.len() <= 262 && host.chars().all(is_plain)).then_some(host)
}

/// Whether a URL can be told to clients: `http` or `https`, a host, maybe a path.
pub(crate) fn is_public_url(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    let authority = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    scheme && authority && uri.query().is_none() && !text.contains(['"', '\\', ','])
}

/// Why somebody must log in, or log in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// There are no credentials, or wrong ones.
    Unknown,
    /// The token is none of ours, or its time has passed.
    InvalidToken,
    /// The token was not given for that (RFC 6750, section 3.1).
    InsufficientScope,
}

/// The refusal that tells a client how to log in: for a token with `scopes` at `realm`, or with its password if there
/// is none.
pub(crate) fn refusal(realm: Option<&str>, scopes: &str, why: Why) -> Refusal {
    let challenge = match realm {
        None => "Basic realm=\"oras\"".to_owned(),
        Some(realm) => {
            let mut text = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
            if !scopes.is_empty() {
                text.push_str(&format!(",scope=\"{scopes}\""));
            }
            text.push_str(match why {
                Why::Unknown => "",
                Why::InvalidToken => ",error=\"invalid_token\"",
                Why::InsufficientScope => ",error=\"insufficient_scope\"",
            });
            text
        }
    };
    let message = match why {
        Why::Unknown => "authentication required",
        Why::InvalidToken => "the token is not valid, or not any more",
        Why::InsufficientScope => "the token was not given for this",
    };
    Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
        .with("www-authenticate", challenge)
        .with("cache-control", "no-store".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_host_is_a_host_and_nothing_else() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            host(&Uri::from_static("/v2/"), &headers).map(ToOwned::to_owned)
        };
        for good in ["localhost:5000", "[::1]:5000", "registry.example", "10.0.0.1"] {
            assert_eq!(told(good).as_deref(), Some(good));
        }
        for bad in ["", "a\"b", "a/b", "a,b", "a b", "user@a", "a?b", "ä", &"a".repeat(300)] {
            assert_eq!(told(bad), None, "{bad}");
        }
        let (uri, headers) = (Uri::from_static("http://other.example/v2/"), HeaderMap::new());
        assert_eq!(host(&uri, &headers), Some("other.example"));
        assert_eq!(host(&Uri::from_static("/v2/"), &headers), None);
    }

    #[test]
    fn a_public_url_has_a_host_and_no_more_than_a_path() {
        for good in ["https://registry.example", "http://localhost:5000/", "https://a.example/registry"] {
            assert!(is_public_url(good), "{good}");
        }
        for bad in [
            "registry.example",
            "ftp://a",
            "https://",
            "/",
            "https://a?b",
            "https://u:p@a",
            "https://a\"",
            "",
        ] {
            assert!(!is_public_url(bad), "{bad}");
        }
    }
}
