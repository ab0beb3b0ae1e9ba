//! Answers a registry's request for credentials.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_store::{Error, ErrorKind, Result};
use reqwest::StatusCode;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};

use crate::auth::challenge::{self, Challenge};
use crate::auth::credential::Credential;
use crate::auth::scope::Scopes;
use crate::auth::secret::Secret;
use crate::auth::token_cache::{TokenCache, TokenRequest};
use crate::auth::token_messages;
use crate::client::Client;
use crate::http::endpoint::Endpoint;
use crate::http::redact::redact;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::response_error::{MissingCredential, ResponseError};
use crate::http::retry::FailedAttempt;

impl Client {
    /// Returns the `Authorization` for a retry of a rejected request, or `None` if the client has only the value that
    /// it already sent.
    ///
    /// The rejection is a 401 with challenges, or another status by which the registry rejects the token.
    pub(crate) async fn authorize(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, FailedAttempt> {
        let cache = self.tokens().cache(endpoint);
        // One request fetches a token while the others wait, so that a burst of requests costs one fetch.
        let _fetching = cache.lock_fetch().await;
        let answer = match response.status {
            StatusCode::UNAUTHORIZED => {
                self.answer_challenge(endpoint, &cache, request, response, refused).await
            }
            // A status other than 401 has no challenges, so the client repeats the request that fetched the token.
            _ => self.refresh_authorization(endpoint, &cache, request, refused).await,
        };
        answer.map_err(|failed| {
            // These two errors need no context. All others get the method and URL of the request.
            let is_complete = failed.error.find::<ResponseError>().is_some()
                || failed.error.find::<MissingCredential>().is_some();
            let error = match is_complete {
                true => failed.error,
                false => failed.error.context(format!("{} \"{}\"", request.method, redact(&request.url))),
            };
            // The registry refused the request, also where the message only says why there was no second one.
            let error = match error.find::<ResponseError>() {
                Some(_) => error,
                None => error.with_detail(response.error()),
            };
            FailedAttempt { error, advice: failed.advice }
        })
    }

    async fn answer_challenge(
        &self,
        endpoint: &Endpoint,
        cache: &TokenCache,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, FailedAttempt> {
        let texts = response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut missing = None;
        for challenge in challenge::parse(texts) {
            let answer = match challenge {
                Challenge::Basic { .. } => match self.basic_authorization(endpoint, cache, refused).await? {
                    Ok(header) => Some(header),
                    Err(error) => {
                        // A later challenge may still succeed, so the first error is returned only if none does.
                        missing.get_or_insert(error);
                        None
                    }
                },
                Challenge::Bearer { realm, service, scope } => {
                    let mut scopes = request.scopes.clone();
                    if let Some(scope) = &scope {
                        // The challenge may name fewer scopes than the operation needs later. The union saves a second
                        // token.
                        scopes.merge(&Scopes::parse(scope));
                    }
                    let bearer = TokenRequest {
                        realm: token_messages::realm(&realm, endpoint.base())?,
                        service,
                        scopes,
                    };
                    Some(self.bearer_header(endpoint, cache, bearer, refused).await?)
                }
            };
            if let Some(header) = answer {
                // Returns `None` for the header that the registry has just rejected.
                return Ok(Some(header).filter(|header| Some(header) != refused));
            }
        }
        missing.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Returns the header of basic authentication. If the cached one was refused, reads the credential again, because
    /// it may have changed.
    pub(crate) async fn basic_authorization(
        &self,
        endpoint: &Endpoint,
        cache: &TokenCache,
        refused: Option<&HeaderValue>,
    ) -> Result<Result<HeaderValue>> {
        if refused.is_some() && cache.basic().as_ref() == refused {
            cache.clear_credential();
        }
        let credential = self.credential(endpoint, cache).await?;
        let header = basic(credential.as_deref());
        if let Ok(header) = &header {
            cache.store_basic(header.clone());
        }
        Ok(header)
    }

    pub(crate) async fn credential(
        &self,
        endpoint: &Endpoint,
        cache: &TokenCache,
    ) -> Result<Option<Arc<Credential>>> {
        if let Some(known) = cache.credential() {
            return Ok(known);
        }
        let found = self.options().credentials.get(endpoint.host(), endpoint.repository()).await;
        let found = found.map_err(|error| error.context("failed to resolve credential"))?.map(Arc::new);
        // A missing credential is cached too, so that a helper program runs only once.
        cache.store_credential(found.clone());
        Ok(found)
    }
}

fn basic(credential: Option<&Credential>) -> Result<HeaderValue> {
    match credential {
        None => Err(Error::from_source(ErrorKind::Unauthorized, MissingCredential)),
        Some(Credential::Basic { username, password })
            if !username.is_empty() && !password.expose().is_empty() =>
        {
            basic_header(username, password)
        }
        Some(_) => Err(Error::new(ErrorKind::Unauthorized, "missing username or password for basic auth")),
    }
}

pub(crate) fn basic_header(username: &str, password: &Secret) -> Result<HeaderValue> {
    // `Secret` wipes each intermediate copy of the password from memory.
    let text = Secret::from(format!("{username}:{}", password.expose()));
    header("Basic", &Secret::from(STANDARD.encode(text.expose())))
}

pub(crate) fn header(scheme: &str, secret: &Secret) -> Result<HeaderValue> {
    let text = Secret::from(format!("{scheme} {}", secret.expose()));
    let mut value = HeaderValue::from_str(text.expose()).map_err(|_| {
        Error::new(ErrorKind::InvalidContent, "a credential has characters that cannot be sent")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
