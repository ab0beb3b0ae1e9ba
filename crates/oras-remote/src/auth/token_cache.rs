//! What registries have granted, kept for the requests to come.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use reqwest::header::HeaderValue;
use url::Url;

use crate::credentials::Credential;
use crate::endpoint::Endpoint;
use crate::scope::Scopes;

/// A token is taken to live at least this long (distribution's token specification).
const LIFETIME: Duration = Duration::from_secs(60);
/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(5);

/// What each registry has granted, by its origin and the repository: the credential may differ by it.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<Key, Arc<Session>>>);

/// An origin, and a repository there.
type Key = (String, Option<String>);

impl Sessions {
    /// The `Authorization` that is known to be good for `scopes` at this registry.
    pub(crate) fn known(&self, endpoint: &Endpoint, scopes: &Scopes) -> Option<HeaderValue> {
        if !endpoint.is_registry() {
            return None;
        }
        let session = self.session(endpoint);
        session.token(scopes, None).or_else(|| session.basic())
    }

    /// What was granted at this registry.
    pub(crate) fn session(&self, endpoint: &Endpoint) -> Arc<Session> {
        let key = (endpoint.origin(), endpoint.repository().map(ToOwned::to_owned));
        let mut sessions = self.0.lock();
        Arc::clone(sessions.entry(key).or_default())
    }
}

/// What one registry has granted for one repository.
#[derive(Default)]
pub(crate) struct Session {
    granted: Mutex<Granted>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Granted {
    basic: Option<HeaderValue>,
    tokens: Vec<Grant>,
    /// Where tokens came from, by what they are for: also of those that have ended.
    sources: Vec<Bearer>,
    /// What was found when it was looked for.
    credential: Option<Option<Arc<Credential>>>,
}

struct Grant {
    scopes: Scopes,
    header: HeaderValue,
    until: Instant,
}

/// What a challenge wants a token for.
#[derive(Clone, Debug)]
pub(crate) struct Bearer {
    /// The token server.
    pub(crate) realm: Url,
    /// What it knows the registry as.
    pub(crate) service: Option<String>,
    /// What the token must allow.
    pub(crate) scopes: Scopes,
}

impl Session {
    /// Held while a token is fetched, so that requests that need the same one wait for it.
    pub(crate) async fn flight(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.flight.lock().await
    }

    /// A token that allows all of `scopes`, other than the one that was refused.
    pub(crate) fn token(&self, scopes: &Scopes, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut granted = self.lock();
        let now = Instant::now();
        granted.tokens.retain(|grant| grant.until > now && Some(&grant.header) != refused);
        let token = granted.tokens.iter().find(|grant| grant.scopes.covers(scopes));
        token.map(|grant| grant.header.clone())
    }

    /// Where a token for `scopes` came from.
    pub(crate) fn source(&self, scopes: &Scopes) -> Option<Bearer> {
        self.lock().sources.iter().find(|source| source.scopes.covers(scopes)).cloned()
    }

    /// Keeps a token for as long as it lives.
    pub(crate) fn keep_token(&self, source: Bearer, header: HeaderValue, expires: Option<Duration>) {
        let until = Instant::now() + (expires.unwrap_or(LIFETIME).max(LIFETIME) - MARGIN);
        let mut granted = self.lock();
        granted.tokens.push(Grant { scopes: source.scopes.clone(), header, until });
        granted.sources.retain(|known| known.scopes != source.scopes);
        granted.sources.push(source);
    }

    /// The user name and the password as a header, once a registry has asked for them.
    pub(crate) fn basic(&self) -> Option<HeaderValue> {
        self.lock().basic.clone()
    }

    /// Keeps such a header.
    pub(crate) fn keep_basic(&self, header: HeaderValue) {
        self.lock().basic = Some(header);
    }

    /// What was found when a credential was looked for; `None` when nobody has looked yet.
    pub(crate) fn credential(&self) -> Option<Option<Arc<Credential>>> {
        self.lock().credential.clone()
    }

    /// Keeps what was found.
    pub(crate) fn keep_credential(&self, found: Option<Arc<Credential>>) {
        self.lock().credential = Some(found);
    }

    /// Has the credential looked for anew: a helper may have another one by now.
    pub(crate) fn forget_credential(&self) {
        self.lock().credential = None;
    }

    fn lock(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock()
    }
}
