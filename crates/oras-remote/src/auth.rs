//! Who we are to a registry: credentials and tokens, bound to the registry they were asked for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_store::{Error, Kind, Result};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use crate::challenge::{self, Challenge};
use crate::client::Client;
use crate::credentials::Credential;
use crate::endpoint::Endpoint;
use crate::request::{Body, Request, Response};
use crate::response::{MissingCredential, ResponseError, redact};
use crate::retry::{Again, Failed, again};
use crate::scope::Scopes;
use crate::secret::Secret;
use crate::token::{self, Token};

/// A token is taken to live at least this long (distribution's token specification).
const LIFETIME: Duration = Duration::from_secs(60);
/// A token is renewed so long before it ends.
const MARGIN: Duration = Duration::from_secs(5);

/// What each registry has granted, by its origin.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

#[derive(Default)]
struct Session {
    granted: Mutex<Granted>,
    /// Held while a token is fetched, so that requests that need the same one wait for it.
    flight: tokio::sync::Mutex<()>,
    credential: tokio::sync::OnceCell<Option<Credential>>,
}

#[derive(Default)]
struct Granted {
    basic: Option<HeaderValue>,
    tokens: Vec<Grant>,
}

struct Grant {
    scopes: Scopes,
    header: HeaderValue,
    until: Instant,
}

impl Sessions {
    /// The `Authorization` that is known to be good for `scopes` at this registry.
    pub(crate) fn known(&self, endpoint: &Endpoint, scopes: &Scopes) -> Option<HeaderValue> {
        if !endpoint.is_registry() {
            return None;
        }
        let session = self.session(endpoint);
        session.token(scopes, None).or_else(|| session.lock().basic.clone())
    }

    fn session(&self, endpoint: &Endpoint) -> Arc<Session> {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(sessions.entry(endpoint.origin()).or_default())
    }
}

impl Session {
    fn lock(&self) -> std::sync::MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token that allows all of `scopes`, other than the one that was refused.
    fn token(&self, scopes: &Scopes, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        let mut granted = self.lock();
        let now = Instant::now();
        granted.tokens.retain(|grant| grant.until > now && Some(&grant.header) != refused);
        let token = granted.tokens.iter().find(|grant| grant.scopes.covers(scopes));
        token.map(|grant| grant.header.clone())
    }

    async fn credential(&self, client: &Client, server: &str) -> Result<Option<&Credential>> {
        let found = self.credential.get_or_try_init(|| client.options().credentials.get(server)).await;
        Ok(found.map_err(|error| error.context("failed to resolve credential"))?.as_ref())
    }
}

impl Client {
    /// The `Authorization` that answers a refusal, if there is one that was not sent yet.
    pub(crate) async fn authorize(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failed> {
        self.answer(endpoint, request, response, refused).await.map_err(|failed| {
            // What a token server answers and what is missing speak for themselves.
            let speaks = failed.error.find::<ResponseError>().is_some()
                || failed.error.find::<MissingCredential>().is_some();
            let error = match speaks {
                true => failed.error,
                false => failed.error.context(format!("{} \"{}\"", request.method, redact(&request.url))),
            };
            Failed { error, again: failed.again }
        })
    }

    async fn answer(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failed> {
        let texts = response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let session = self.sessions().session(endpoint);
        let _flight = session.flight.lock().await;
        let mut missing = None;
        for challenge in challenge::parse(texts) {
            let answer = match challenge {
                Challenge::Basic { .. } => {
                    let credential = session.credential(self, endpoint.server()).await?;
                    match basic(credential) {
                        Ok(header) => {
                            session.lock().basic = Some(header.clone());
                            Some(header)
                        }
                        Err(error) => {
                            missing.get_or_insert(error);
                            None
                        }
                    }
                }
                Challenge::Bearer { realm, service, scope } => {
                    let mut scopes = request.scopes.clone();
                    if let Some(scope) = &scope {
                        scopes.merge(&Scopes::parse(scope));
                    }
                    let bearer = Bearer { realm: token::realm(&realm, endpoint.base())?, service, scopes };
                    Some(self.bearer(endpoint, &session, bearer, refused).await?)
                }
            };
            if let Some(header) = answer {
                // What was refused once is refused twice.
                return Ok(Some(header).filter(|header| Some(header) != refused));
            }
        }
        missing.map_or(Ok(None), |error| Err(error.into()))
    }

    async fn bearer(
        &self,
        endpoint: &Endpoint,
        session: &Session,
        bearer: Bearer,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Failed> {
        if let Some(header) = session.token(&bearer.scopes, refused) {
            return Ok(header);
        }
        let credential = session.credential(self, endpoint.server()).await?;
        let token = self.fetch_token(endpoint, &bearer, credential).await?;
        let header = header("Bearer", &token.secret)?;
        let lifetime = token.expires.unwrap_or(LIFETIME).max(LIFETIME) - MARGIN;
        let until = Instant::now() + lifetime;
        session.lock().tokens.push(Grant { scopes: bearer.scopes, header: header.clone(), until });
        Ok(header)
    }

    /// Asks a token server. Nothing but the credential for this registry is sent there.
    async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        bearer: &Bearer,
        credential: Option<&Credential>,
    ) -> Result<Token, Failed> {
        let (realm, service) = (&bearer.realm, bearer.service.as_deref());
        let server = endpoint.token_server(realm);
        if let Some(Credential::Access(secret)) = credential {
            return Ok(Token { secret: secret.clone(), expires: None });
        }
        if let Some(credential @ Credential::Refresh(_)) = credential
            && let Some(form) = token::form(credential, service, &bearer.scopes)
        {
            let request = Request::new(Method::POST, realm.clone(), Scopes::default())
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")?
                .body(Body::Secret(form))
                .limit(Some(token::MAX_RESPONSE));
            let response = self.follow(&server, &request, None).await?;
            // Registries without the OAuth2 endpoint answer 404 or 405; what they offer is the older GET.
            if !matches!(response.status.as_u16(), 404 | 405) {
                return read(response);
            }
        }
        let url = token::get_url(realm, service, &bearer.scopes);
        let request = Request::new(Method::GET, url, Scopes::default()).limit(Some(token::MAX_RESPONSE));
        let authorization = match credential {
            Some(Credential::Basic { username, password }) => Some(basic_header(username, password)?),
            Some(Credential::Refresh(secret)) => Some(basic_header("", secret)?),
            _ => None,
        };
        read(self.follow(&server, &request, authorization.as_ref()).await?)
    }
}

/// What a challenge wants a token for.
struct Bearer {
    realm: Url,
    service: Option<String>,
    scopes: Scopes,
}

fn read(response: Response) -> Result<Token, Failed> {
    match again(response.status, &response.headers) {
        Again::Never => Ok(token::parse(response.expect(&[200, 201])?.bytes())?),
        again => Err(Failed { error: response.error().into_error(), again }),
    }
}

fn basic(credential: Option<&Credential>) -> Result<HeaderValue> {
    match credential {
        None => Err(Error::from_source(Kind::Unauthorized, MissingCredential)),
        Some(Credential::Basic { username, password })
            if !username.is_empty() && !password.expose().is_empty() =>
        {
            basic_header(username, password)
        }
        Some(_) => Err(Error::new(Kind::Unauthorized, "missing username or password for basic auth")),
    }
}

fn basic_header(username: &str, password: &Secret) -> Result<HeaderValue> {
    let text = Secret::from(format!("{username}:{}", password.expose()));
    header("Basic", &Secret::from(STANDARD.encode(text.expose())))
}

fn header(scheme: &str, secret: &Secret) -> Result<HeaderValue> {
    let text = Secret::from(format!("{scheme} {}", secret.expose()));
    let mut value = HeaderValue::from_str(text.expose())
        .map_err(|_| Error::new(Kind::InvalidContent, "a credential has characters that cannot be sent"))?;
    value.set_sensitive(true);
    Ok(value)
}
