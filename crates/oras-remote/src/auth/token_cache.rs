//! Tokens and credentials that are cached for later requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use reqwest::header::HeaderValue;
use url::Url;

use crate::auth::credential::Credential;
use crate::auth::scope::Scopes;
use crate::http::endpoint::Endpoint;

/// The shortest lifetime of a token (distribution's token specification).
const MIN_LIFETIME: Duration = Duration::from_secs(60);
/// The client refreshes a token this long before it expires, because a request takes time to arrive.
const REFRESH_MARGIN: Duration = Duration::from_secs(5);

/// The caches of a client, by the origin of the registry and the repository, because credentials may be per
/// repository.
#[derive(Default)]
pub(crate) struct TokenCaches(Mutex<HashMap<CacheKey, Arc<TokenCache>>>);

/// An origin and a repository.
type CacheKey = (String, Option<String>);

impl TokenCaches {
    /// Returns the cache for this registry and repository.
    pub(crate) fn cache(&self, endpoint: &Endpoint) -> Arc<TokenCache> {
        let key = (endpoint.origin(), endpoint.repository().map(ToOwned::to_owned));
        let mut caches = self.0.lock();
        Arc::clone(caches.entry(key).or_default())
    }
}

/// The tokens and the credential for one repository of a registry.
#[derive(Default)]
pub(crate) struct TokenCache {
    // There are two locks: `cached` is held only for a look-up, `fetching` while a token is requested.
    cached: Mutex<Cached>,
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Cached {
    basic: Option<HeaderValue>,
    tokens: Vec<CachedToken>,
    /// The requests that fetched tokens, including expired ones. They refresh a token without a new challenge.
    requests: Vec<TokenRequest>,
    /// The result of the last look-up; `None` before the first.
    credential: Option<Option<Arc<Credential>>>,
}

struct CachedToken {
    scopes: Scopes,
    header: HeaderValue,
    until: Instant,
}

/// The parameters of a request to a token server, taken from a challenge.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    /// The address of the token server.
    pub(crate) realm: Url,
    /// The name by which the token server knows the registry.
    pub(crate) service: Option<String>,
    /// The scopes that the token needs.
    pub(crate) scopes: Scopes,
}

impl TokenCache {
    /// Locks the fetching of tokens, so that concurrent requests wait for one fetch instead of each starting their
    /// own.
    pub(crate) async fn lock_fetch(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.fetching.lock().await
    }

    /// Returns a token that covers `scopes`, other than the refused one.
    pub(crate) fn token(&self, scopes: &Scopes, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut cached = self.lock();
        let now = Instant::now();
        cached.tokens.retain(|token| token.until > now && Some(&token.header) != refused);
        let token = cached.tokens.iter().find(|token| token.scopes.covers(scopes));
        token.map(|token| token.header.clone())
    }

    /// Returns the request by which a token for `scopes` was fetched.
    pub(crate) fn token_request(&self, scopes: &Scopes) -> Option<TokenRequest> {
        self.lock().requests.iter().find(|request| request.scopes.covers(scopes)).cloned()
    }

    /// Caches a token for its lifetime.
    pub(crate) fn store_token(&self, request: TokenRequest, header: HeaderValue, expires: Option<Duration>) {
        // A missing lifetime means 60 seconds, and a shorter one is raised to that.
        let until = Instant::now() + (expires.unwrap_or(MIN_LIFETIME).max(MIN_LIFETIME) - REFRESH_MARGIN);
        let mut cached = self.lock();
        cached.tokens.push(CachedToken { scopes: request.scopes.clone(), header, until });
        // Only the newest request per set of scopes is kept, which bounds the list.
        cached.requests.retain(|known| known.scopes != request.scopes);
        cached.requests.push(request);
    }

    /// Returns the cached header of basic authentication.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        self.lock().basic.clone()
    }

    /// Caches the header of basic authentication.
    pub(crate) fn store_basic(&self, header: HeaderValue) {
        self.lock().basic = Some(header);
    }

    /// Returns the credential found by the last look-up; the outer `None` means that there was no look-up.
    pub(crate) fn credential(&self) -> Option<Option<Arc<Credential>>> {
        self.lock().credential.clone()
    }

    /// Caches the result of a look-up.
    pub(crate) fn store_credential(&self, found: Option<Arc<Credential>>) {
        self.lock().credential = Some(found);
    }

    /// Makes the next request look up the credential again, because a helper may have a newer one.
    pub(crate) fn clear_credential(&self) {
        self.lock().credential = None;
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.cached.lock()
    }
}
