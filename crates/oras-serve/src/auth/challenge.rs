//! Challenges, which describe to a client how to log in (RFC 9110, section 11.6.1; distribution, "Token Authentication
//! Specification").

use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri, header};

use super::tokens::SERVICE;
use crate::api::endpoint::TOKEN_PATH;
use crate::api::error::ApiError;
use crate::registry_state::RegistryState;

/// Headers that a reverse proxy adds.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-for"];

/// Returns the URL at which a client gets a token, or `None` if the server can't know it: then the challenge is Basic,
/// which contains no URL.
///
/// The host is taken from the public URL or from the request. A forged `Host` misleads only its sender, because no
/// cache stores the response. Behind a reverse proxy, and in a registry without a server, the scheme is unknown if
/// there is no public URL: the client may use HTTPS where this server sees HTTP.
pub(super) fn realm(registry: &RegistryState, head: &Parts) -> Option<String> {
    let base = match &registry.options.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None if FORWARDED.iter().any(|name| head.headers.contains_key(*name)) => return None,
        None => {
            // A request over HTTP/2 names its scheme. A wrong guess could make clients send passwords unencrypted.
            let scheme = registry.scheme.or(head.uri.scheme_str())?;
            format!("{scheme}://{}{}", host(&head.uri, &head.headers)?, registry.options.base_path)
        }
    };
    Some(format!("{base}{TOKEN_PATH}"))
}

/// Returns the requested host (RFC 9112, section 3.2.2) if it is well-formed.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let named = uri.authority().map(|authority| authority.as_str());
    let host = named.or_else(|| headers.get(header::HOST)?.to_str().ok())?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    (!host.is_empty() && host.len() <= 262 && host.chars().all(is_plain)).then_some(host)
}

/// Why the client must log in, or log in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChallengeReason {
    /// The request has no credentials, or wrong ones.
    NoCredentials,
    /// The token was not issued by this server, or has expired.
    InvalidToken,
    /// The token was not issued for this scope (RFC 6750, section 3.1).
    InsufficientScope,
}

/// How a client can log in.
pub(super) struct Challenge {
    /// The URL that issues tokens; without it, the client sends its password.
    pub(super) realm: Option<String>,
    /// The scope to request a token for.
    pub(super) scope: String,
}

impl Challenge {
    /// Creates a challenge that requests a password.
    pub(super) fn basic() -> Self {
        Self { realm: None, scope: String::new() }
    }

    /// Returns the 401 with the challenge.
    pub(super) fn error(&self, reason: ChallengeReason) -> ApiError {
        let (parameter, message) = match reason {
            ChallengeReason::NoCredentials => ("", "authentication required"),
            ChallengeReason::InvalidToken => {
                (",error=\"invalid_token\"", "the token is not valid, or not any more")
            }
            ChallengeReason::InsufficientScope => {
                (",error=\"insufficient_scope\"", "the token was not given for this")
            }
        };
        let challenge = match &self.realm {
            None => "Basic realm=\"oras\"".to_owned(),
            Some(realm) => {
                let mut text = format!("Bearer realm=\"{realm}\",service=\"{SERVICE}\"");
                if !self.scope.is_empty() {
                    text.push_str(&format!(",scope=\"{}\"", self.scope));
                }
                text + parameter
            }
        };
        ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
            .with_header("www-authenticate", challenge)
            // `realm` relies on this: no other client receives a URL from a forged `Host`.
            .with_header("cache-control", "no-store".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn rejects_malformed_hosts() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_bytes(text.as_bytes()).unwrap());
            host(&Uri::from_static("/v2/"), &headers).map(ToOwned::to_owned)
        };
        for good in ["localhost:5000", "[::1]:5000", "registry.example", "10.0.0.1"] {
            assert_eq!(read(good).as_deref(), Some(good));
        }
        for bad in ["", "a\"b", "a/b", "a,b", "a b", "user@a", "a?b", "ä", &"a".repeat(300)] {
            assert_eq!(read(bad), None, "{bad}");
        }
        let (uri, headers) = (Uri::from_static("http://other.example/v2/"), HeaderMap::new());
        assert_eq!(host(&uri, &headers), Some("other.example"));
        assert_eq!(host(&Uri::from_static("/v2/"), &headers), None);
    }
}
