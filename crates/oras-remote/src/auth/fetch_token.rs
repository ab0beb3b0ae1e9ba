//! Fetches tokens from the token server that a registry names, and refreshes expired ones.

use oras_store::{ErrorKind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};

use crate::auth::answer_challenge::{basic_header, header};
use crate::auth::credential::Credential;
use crate::auth::scope::Scopes;
use crate::auth::token_cache::{TokenCache, TokenRequest};
use crate::auth::token_messages::{self, Token};
use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::request::{Body, Request};
use crate::http::response::Response;
use crate::http::retry::{FailedAttempt, RetryAdvice};

impl Client {
    /// Returns the `Authorization` for the first attempt: a cached one, or a token that replaces an expired one.
    pub(crate) async fn cached_authorization(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Option<HeaderValue>, FailedAttempt> {
        // Requests to a token server set their own credential, and must never contain a token of a registry.
        if !endpoint.is_registry() {
            return Ok(None);
        }
        let cache = self.tokens().cache(endpoint);
        let cached = cache.token(&request.scopes, None).or_else(|| cache.basic());
        if cached.is_some() {
            return Ok(cached);
        }
        // Refreshing an expired token now saves the request that the registry would reject with 401.
        let Some(request_for_token) = cache.token_request(&request.scopes) else { return Ok(None) };
        let _fetching = cache.lock_fetch().await;
        self.bearer_header(endpoint, &cache, request_for_token, None).await.map(Some)
    }

    /// Replaces a rejected token or password by a new one from the same source.
    pub(crate) async fn refresh_authorization(
        &self,
        endpoint: &Endpoint,
        cache: &TokenCache,
        request: &Request,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, FailedAttempt> {
        let Some(refused) = refused else { return Ok(None) };
        let header = match cache.token(&request.scopes, Some(refused)) {
            // Another request has already refreshed it.
            Some(header) => Some(header),
            None => match cache.token_request(&request.scopes) {
                Some(bearer) => Some(self.bearer_header(endpoint, cache, bearer, Some(refused)).await?),
                None => self.basic_authorization(endpoint, cache, Some(refused)).await?.ok(),
            },
        };
        Ok(header.filter(|header| header != refused))
    }

    pub(crate) async fn bearer_header(
        &self,
        endpoint: &Endpoint,
        cache: &TokenCache,
        bearer: TokenRequest,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, FailedAttempt> {
        // Another request may have fetched this token while this one waited for the lock.
        if let Some(header) = cache.token(&bearer.scopes, refused) {
            return Ok(header);
        }
        // A cached credential may be outdated, so it is looked up again if the token server rejects it.
        let is_old = cache.credential().is_some();
        let credential = self.credential(endpoint, cache).await?;
        let token = match self.fetch_token(endpoint, &bearer, credential.as_deref()).await {
            Err(failed) if is_old && failed.error.kind() == ErrorKind::Unauthorized => {
                // A credential helper may have a newer credential.
                cache.clear_credential();
                let other = self.credential(endpoint, cache).await?;
                // The store has no newer credential, so the same request would fail in the same way.
                if other == credential {
                    return Err(failed);
                }
                self.fetch_token(endpoint, &bearer, other.as_deref()).await?
            }
            fetched => fetched?,
        };
        let header = header("Bearer", &token.secret)?;
        cache.store_token(bearer, header.clone(), token.expires);
        Ok(header)
    }

    /// Requests a token. Only the credential of this registry is sent to the token server.
    ///
    /// Sends an identity token by `POST` (OAuth2) and a password by `GET`. Falls back to the other method if the
    /// server lacks the first one.
    async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        bearer: &TokenRequest,
        credential: Option<&Credential>,
    ) -> Result<Token, FailedAttempt> {
        let server = endpoint.token_server(&bearer.realm);
        let get = || self.get_token(&server, bearer, credential);
        let response = match credential {
            // An access token is sent to the registry unchanged, so no request to the token server is needed.
            Some(Credential::Access(secret)) => return Ok(Token { secret: secret.clone(), expires: None }),
            Some(credential @ Credential::Refresh(_)) => {
                let response = self.post_for_token(&server, bearer, credential).await?;
                if lacks_method(response.status) { get().await? } else { response }
            }
            Some(credential @ Credential::Basic { .. }) => {
                let response = get().await?;
                if lacks_method(response.status) {
                    let other = self.post_for_token(&server, bearer, credential).await?;
                    // If the server lacks both methods, its answer to the preferred one is reported.
                    if lacks_method(other.status) { response } else { other }
                } else {
                    response
                }
            }
            None => get().await?,
        };
        match self.advice(&response) {
            RetryAdvice::Never => Ok(token_messages::parse(response.expect(&[200, 201])?.bytes())?),
            advice => Err(FailedAttempt { error: response.error().into_error(), advice }),
        }
    }

    async fn get_token(
        &self,
        server: &Endpoint,
        bearer: &TokenRequest,
        credential: Option<&Credential>,
    ) -> Result<Response, FailedAttempt> {
        let url = token_messages::get_url(&bearer.realm, bearer.service.as_deref(), &bearer.scopes);
        let request =
            Request::new(Method::GET, url, Scopes::default()).limit(Some(token_messages::MAX_RESPONSE));
        let authorization = match credential {
            Some(Credential::Basic { username, password }) => Some(basic_header(username, password)?),
            // A `GET` has no form for an identity token, so it is sent as the password of an empty user name.
            Some(Credential::Refresh(secret)) => Some(basic_header("", secret)?),
            _ => None,
        };
        self.follow(server, &request, authorization.as_ref()).await
    }

    async fn post_for_token(
        &self,
        server: &Endpoint,
        bearer: &TokenRequest,
        credential: &Credential,
    ) -> Result<Response, FailedAttempt> {
        let form = token_messages::form(credential, bearer.service.as_deref(), &bearer.scopes);
        let request = Request::new(Method::POST, bearer.realm.clone(), Scopes::default())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")?
            .body(form.map_or(Body::Empty, Body::Secret))
            .limit(Some(token_messages::MAX_RESPONSE));
        self.follow(server, &request, None).await
    }
}

/// Returns true if the token server lacks the method: it answers 404 or 405.
fn lacks_method(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405)
}
