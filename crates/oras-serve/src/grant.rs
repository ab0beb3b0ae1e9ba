//! Where tokens are given: `GET /token` with a password (distribution, "Token Authentication Specification"), and
//! `POST /token` with a form (distribution, "OAuth2 Token Authentication").

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use serde::Serialize;

use crate::challenge::{self, Why};
use crate::error::Refusal;
use crate::respond::{Answer, json, set};
use crate::scope::{MAX_SCOPES, Scope};
use crate::server::Registry;
use crate::tokens::{Claims, LIFE};
use crate::trace::Remote;
use crate::visitor::Visitor;

/// The longest form.
const MAX_FORM: usize = 64 * 1024;

/// Both names that clients look for.
#[derive(Serialize)]
struct Given<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
}

/// Gives a token for what was asked for, as far as whoever asks may do it.
///
/// No refresh tokens are given: one that is good for long would be a second password, which a changed one does not end.
/// Who asks for one (`offline_token`, `access_type`) gets none and keeps the password, as clients do then.
pub(crate) async fn answer(registry: &Registry, visitor: Visitor, request: Request<Body>) -> Answer {
    if registry.users.is_empty() {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no token is needed here"));
    }
    let (visitor, asked) = match *request.method() {
        Method::GET => (visitor, scopes(request.uri().query().unwrap_or_default().as_bytes())),
        Method::POST => form(registry, visitor, request).await?,
        _ => return Err(Refusal::unsupported()),
    };
    let user = visitor.name();
    if user.is_none() && !registry.allows_reading(None) {
        return Err(challenge::refusal(None, "", Why::Unknown));
    }
    let token = registry.tokens.give(&Claims::new(user, &registry.granted(user, asked)));
    let given = Given { token: &token, access_token: &token, expires_in: LIFE };
    let mut response = json(oras_spec::json::to_vec(&given));
    set(&mut response, "cache-control", "no-store");
    Ok(response)
}

fn scopes(query: &[u8]) -> Vec<Scope> {
    let pairs = form_urlencoded::parse(query).filter(|(name, _)| name == "scope");
    pairs.flat_map(|(_, value)| Scope::parse_all(&value).collect::<Vec<_>>()).take(MAX_SCOPES).collect()
}

/// Reads a form with `grant_type=password`, or one without a grant that comes with a password in its head.
async fn form(
    registry: &Registry,
    visitor: Visitor,
    request: Request<Body>,
) -> Result<(Visitor, Vec<Scope>), Refusal> {
    let invalid = |status, what: &str| Refusal::new(status, "UNSUPPORTED", what);
    let is_form = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a token is asked for with a form"));
    }
    let client = request.extensions().get::<Remote>().copied();
    let body = axum::body::to_bytes(request.into_body(), MAX_FORM).await;
    let body =
        body.map_err(|_| invalid(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long, or not whole"))?;
    let value = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(&body);
        pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    match value("grant_type").as_str() {
        "password" => {
            let credentials = format!("{}:{}", value("username"), value("password"));
            let visitor = registry.log_in(credentials, client, None).await?;
            Ok((visitor, scopes(&body)))
        }
        "" if visitor.name().is_some() => Ok((visitor, scopes(&body))),
        // None of ours, then.
        "refresh_token" => Err(challenge::refusal(None, "", Why::Unknown)),
        _ => Err(invalid(StatusCode::BAD_REQUEST, "only the grant type \"password\" is supported")),
    }
}
