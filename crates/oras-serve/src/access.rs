//! Who may do what: Basic authentication (RFC 7617), and nothing but reading if so told.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::Refusal;
use crate::server::Registry;

/// Lets a request pass if everybody may come in, or if it carries the name and password of a user. Where anybody may
/// pull, a request without credentials may read; one with wrong credentials is refused.
pub(crate) async fn check(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let options = &registry.options;
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if !registry.users.is_empty() {
        let admitted = match Given::of(request.headers().get(header::AUTHORIZATION)) {
            Given::Credentials(credentials) => registry.users.know(credentials).await,
            Given::Nothing => options.anonymous_pull && reads && !is_root(request.uri().path()),
            Given::Unknown => false,
        };
        if !admitted {
            return Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
                .with("www-authenticate", "Basic realm=\"oras\"".to_owned())
                .response();
        }
    }
    if options.read_only && !reads {
        return Refusal::unsupported().response();
    }
    next.run(request).await
}

/// Where clients ask how to log in, and whether they did: that needs credentials always.
fn is_root(path: &str) -> bool {
    matches!(path, "/v2" | "/v2/")
}

/// What a request says of who sends it.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    /// `name:password`.
    Credentials(String),
    Unknown,
}

impl Given {
    fn of(header: Option<&HeaderValue>) -> Self {
        let Some(header) = header else { return Self::Nothing };
        let decoded = header.to_str().ok().and_then(|text| {
            let (scheme, encoded) = text.split_once(' ')?;
            let decoded = STANDARD.decode(encoded.trim()).ok()?;
            String::from_utf8(decoded).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))
        });
        match decoded {
            // What skopeo and podman send when they have no credentials and were asked for some.
            Some(credentials) if credentials == ":" => Self::Nothing,
            Some(credentials) => Self::Credentials(credentials),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_basic_or_none() {
        let read = |text: &str| Given::of(Some(&HeaderValue::from_str(text).unwrap()));
        assert_eq!(read("Basic YW5uOmE6Yg=="), Given::Credentials("ann:a:b".to_owned()));
        assert_eq!(read("bAsIc  Ym9iOg== "), Given::Credentials("bob:".to_owned()));
        assert_eq!(read("Basic Og=="), Given::Nothing);
        assert_eq!(Given::of(None), Given::Nothing);
        for bad in ["Basic", "Basic %", "Bearer YW5uOmE6Yg==", "YW5uOmE6Yg==", "Basic /w=="] {
            assert_eq!(read(bad), Given::Unknown, "{bad}");
        }
    }
}
