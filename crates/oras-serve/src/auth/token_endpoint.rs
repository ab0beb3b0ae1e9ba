//! The endpoint that issues tokens: `GET /token` with a password (distribution, "Token Authentication Specification"),
//! and `POST /token` with a form (distribution, "OAuth2 Token Authentication").

use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Serialize;

use super::challenge::{Challenge, ChallengeReason};
use super::identity::Identity;
use super::scope::{MAX_SCOPES, Scope};
use super::tokens::{Claims, LIFETIME};
use crate::api::error::{Answer, ApiError};
use crate::api::query::Query;
use crate::api::request_context::RequestContext;
use crate::http_message::{Body, json, set_header};

/// The largest form.
const MAX_FORM: usize = 64 * 1024;

/// The response. It contains the token under both names that clients read.
#[derive(Serialize)]
struct TokenResponse<'a> {
    token: &'a str,
    access_token: &'a str,
    expires_in: u64,
}

/// A request for a token: its sender and its scopes.
struct TokenRequest {
    identity: Identity,
    scopes: Vec<Scope>,
}

/// Issues a token for the requested scopes, reduced to the rights of the sender.
///
/// The server issues no refresh tokens. A long-lived token would be like a second password, which stays valid when the
/// user changes the password. Clients that request one (`offline_token`, `access_type`) then use the password again.
pub(crate) async fn answer(context: &RequestContext, body: Body) -> Answer {
    let access = &context.registry.access;
    if !access.has_users() {
        return Err(ApiError::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "no token is needed here"));
    }
    let TokenRequest { identity, scopes } = match context.head.method {
        Method::GET => TokenRequest { identity: context.identity.clone(), scopes: scopes(&context.query) },
        Method::POST => read_form(context, body).await?,
        _ => return Err(ApiError::unsupported()),
    };
    let user = identity.user();
    // A token without any right would hide the 401, from which clients learn that they need a password.
    if user.is_none() && !access.allows_reading(None) {
        return Err(no_credentials());
    }
    let token = access.tokens.issue(&Claims::new(user, &access.granted(user, scopes)));
    let body = TokenResponse { token: &token, access_token: &token, expires_in: LIFETIME };
    let mut response = json(oras_spec::json::to_vec(&body));
    set_header(&mut response, "cache-control", "no-store");
    Ok(response)
}

fn scopes(query: &Query) -> Vec<Scope> {
    query.all("scope").flat_map(Scope::parse_all).take(MAX_SCOPES).collect()
}

/// Reads a form with `grant_type=password`, or one without a grant in a request whose headers contain a password.
async fn read_form(context: &RequestContext, body: Body) -> Result<TokenRequest, ApiError> {
    let invalid = |status, what: &str| ApiError::new(status, "UNSUPPORTED", what);
    let is_form = context.head.headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        value.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded")
    });
    if !is_form {
        return Err(invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "a token is asked for with a form"));
    }
    // Bounded: the sender is not authenticated yet.
    // Boxed: the compiler can't prove that the future of an unboxed `Limited` is `Send`.
    let body = Limited::new(body, MAX_FORM).boxed_unsync().collect().await;
    let body =
        body.map_err(|_| invalid(StatusCode::PAYLOAD_TOO_LARGE, "the form is too long, or not whole"))?;
    let form = Query::parse(&body.to_bytes());
    let value = |name| form.get(name).unwrap_or_default();
    let identity = match value("grant_type") {
        "password" => {
            let credentials = format!("{}:{}", value("username"), value("password"));
            let client = context.peer.address.ip();
            context.registry.access.log_in(credentials, client, &Challenge::basic()).await?
        }
        "" if context.identity.user().is_some() => context.identity.clone(),
        // This server issues no refresh tokens, so this one is from another server.
        "refresh_token" => return Err(no_credentials()),
        _ => return Err(invalid(StatusCode::BAD_REQUEST, "only the grant type \"password\" is supported")),
    };
    Ok(TokenRequest { identity, scopes: scopes(&form) })
}

fn no_credentials() -> ApiError {
    Challenge::basic().error(ChallengeReason::NoCredentials)
}
