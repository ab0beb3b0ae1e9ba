//! Who may do what: Basic authentication (RFC 7617) against fixed users, and nothing but reading if so told.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::User;
use crate::error::Refusal;
use crate::server::Registry;

/// Lets a request pass if everybody may come in, or if it carries the name and password of a user.
pub(crate) async fn check(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let options = &registry.options;
    if !options.users.is_empty() && !is_known(request.headers().get(header::AUTHORIZATION), &options.users) {
        return Refusal::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required")
            .with("www-authenticate", "Basic realm=\"oras\"".to_owned())
            .response();
    }
    if options.read_only && !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Refusal::unsupported().response();
    }
    next.run(request).await
}

fn is_known(header: Option<&HeaderValue>, users: &[User]) -> bool {
    let credentials = header.and_then(|value| {
        let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
        let decoded =
            STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
        String::from_utf8(decoded).ok()
    });
    // Every user is looked at, so that time does not tell which one it was.
    credentials
        .is_some_and(|credentials| users.iter().fold(false, |known, user| user.is(&credentials) | known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_come_in() {
        let users = [User::new("ann", "a:b"), User::new("bob", "")];
        let header = |text: &str| HeaderValue::from_str(text).unwrap();
        let basic = |text: &str| header(&format!("Basic {}", STANDARD.encode(text)));
        assert!(is_known(Some(&basic("ann:a:b")), &users));
        assert!(is_known(Some(&basic("bob:")), &users));
        for bad in
            [basic("ann:a"), basic("ann"), basic(""), header("Basic"), header("Basic %"), header("Bearer x")]
        {
            assert!(!is_known(Some(&bad), &users), "{bad:?}");
        }
        assert!(!is_known(None, &users));
    }
}
