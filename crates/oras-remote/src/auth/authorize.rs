//! Who we are to a registry: credentials and tokens, bound to the registry they were asked for.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_store::{Error, Kind, Result};
use reqwest::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode};

use crate::challenge::{self, Challenge};
use crate::client::Client;
use crate::credentials::Credential;
use crate::endpoint::Endpoint;
use crate::request::{Body, Request, Response};
use crate::response::{MissingCredential, ResponseError, redact};
use crate::retry::{Again, Failed};
use crate::scope::Scopes;
use crate::secret::Secret;
use crate::session::{Bearer, Session};
use crate::token::{self, Token};

impl Client {
    /// The `Authorization` to send without being asked: one that is known to be good, or a token in place of one that
    /// has ended.
    pub(crate) async fn known(
        &self,
        endpoint: &Endpoint,
        request: &Request,
    ) -> Result<Option<HeaderValue>, Failed> {
        let known = self.sessions().known(endpoint, &request.scopes);
        if known.is_some() || !endpoint.is_registry() {
            return Ok(known);
        }
        let session = self.sessions().session(endpoint);
        let Some(source) = session.source(&request.scopes) else { return Ok(None) };
        let _flight = session.flight().await;
        self.bearer(endpoint, &session, source, None).await.map(Some)
    }

    /// The `Authorization` that answers a refusal, if there is one that was not sent yet.
    ///
    /// A refusal is a 401 with its challenges, or another status that blames the token that was sent.
    pub(crate) async fn authorize(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failed> {
        let session = self.sessions().session(endpoint);
        let _flight = session.flight().await;
        let answer = match response.status {
            StatusCode::UNAUTHORIZED => self.answer(endpoint, &session, request, response, refused).await,
            _ => self.renew(endpoint, &session, request, refused).await,
        };
        answer.map_err(|failed| {
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
        session: &Session,
        request: &Request,
        response: &Response,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failed> {
        let texts = response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let mut missing = None;
        for challenge in challenge::parse(texts) {
            let answer = match challenge {
                Challenge::Basic { .. } => match self.basic(endpoint, session, refused).await? {
                    Ok(header) => Some(header),
                    Err(error) => {
                        missing.get_or_insert(error);
                        None
                    }
                },
                Challenge::Bearer { realm, service, scope } => {
                    let mut scopes = request.scopes.clone();
                    if let Some(scope) = &scope {
                        scopes.merge(&Scopes::parse(scope));
                    }
                    let bearer = Bearer { realm: token::realm(&realm, endpoint.base())?, service, scopes };
                    Some(self.bearer(endpoint, session, bearer, refused).await?)
                }
            };
            if let Some(header) = answer {
                // What was refused once is refused twice.
                return Ok(Some(header).filter(|header| Some(header) != refused));
            }
        }
        missing.map_or(Ok(None), |error| Err(error.into()))
    }

    /// Another `Authorization` in place of one that has ended, from where that one came from.
    async fn renew(
        &self,
        endpoint: &Endpoint,
        session: &Session,
        request: &Request,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failed> {
        let Some(refused) = refused else { return Ok(None) };
        let header = match session.token(&request.scopes, Some(refused)) {
            // Another request has renewed it.
            Some(header) => Some(header),
            None => match session.source(&request.scopes) {
                Some(bearer) => Some(self.bearer(endpoint, session, bearer, Some(refused)).await?),
                None => self.basic(endpoint, session, Some(refused)).await?.ok(),
            },
        };
        Ok(header.filter(|header| header != refused))
    }

    /// The user name and the password as a header; what was refused may have changed since it was asked for.
    async fn basic(
        &self,
        endpoint: &Endpoint,
        session: &Session,
        refused: Option<&HeaderValue>,
    ) -> Result<Result<HeaderValue>> {
        if refused.is_some() && session.basic().as_ref() == refused {
            session.forget_credential();
        }
        let credential = self.credential(endpoint, session).await?;
        let header = basic(credential.as_deref());
        if let Ok(header) = &header {
            session.keep_basic(header.clone());
        }
        Ok(header)
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
        let is_old = session.credential().is_some();
        let credential = self.credential(endpoint, session).await?;
        let token = match self.fetch_token(endpoint, &bearer, credential.as_deref()).await {
            Err(failed) if is_old && failed.error.kind() == Kind::Unauthorized => {
                // A helper may have another credential by now.
                session.forget_credential();
                let other = self.credential(endpoint, session).await?;
                if other == credential {
                    return Err(failed);
                }
                self.fetch_token(endpoint, &bearer, other.as_deref()).await?
            }
            fetched => fetched?,
        };
        let header = header("Bearer", &token.secret)?;
        session.keep_token(bearer, header.clone(), token.expires);
        Ok(header)
    }

    async fn credential(&self, endpoint: &Endpoint, session: &Session) -> Result<Option<Arc<Credential>>> {
        if let Some(known) = session.credential() {
            return Ok(known);
        }
        let found = self.options().credentials.get(endpoint.server(), endpoint.repository()).await;
        let found = found.map_err(|error| error.context("failed to resolve credential"))?.map(Arc::new);
        session.keep_credential(found.clone());
        Ok(found)
    }

    /// Asks a token server. Nothing but the credential for this registry is sent there.
    ///
    /// A refresh token goes by `POST` (OAuth2), a password by `GET`; where a server has only the other way, by that.
    async fn fetch_token(
        &self,
        endpoint: &Endpoint,
        bearer: &Bearer,
        credential: Option<&Credential>,
    ) -> Result<Token, Failed> {
        let server = endpoint.token_server(&bearer.realm);
        let get = || self.get_token(&server, bearer, credential);
        match credential {
            Some(Credential::Access(secret)) => Ok(Token { secret: secret.clone(), expires: None }),
            Some(credential @ Credential::Refresh(_)) => {
                let response = self.post_for_token(&server, bearer, credential).await?;
                if is_absent(response.status) { read(self, get().await?) } else { read(self, response) }
            }
            Some(credential @ Credential::Basic { .. }) => {
                let response = get().await?;
                if !is_absent(response.status) {
                    return read(self, response);
                }
                let other = self.post_for_token(&server, bearer, credential).await?;
                read(self, if is_absent(other.status) { response } else { other })
            }
            None => read(self, get().await?),
        }
    }

    async fn get_token(
        &self,
        server: &Endpoint,
        bearer: &Bearer,
        credential: Option<&Credential>,
    ) -> Result<Response, Failed> {
        let url = token::get_url(&bearer.realm, bearer.service.as_deref(), &bearer.scopes);
        let request = Request::new(Method::GET, url, Scopes::default()).limit(Some(token::MAX_RESPONSE));
        let authorization = match credential {
            Some(Credential::Basic { username, password }) => Some(basic_header(username, password)?),
            Some(Credential::Refresh(secret)) => Some(basic_header("", secret)?),
            _ => None,
        };
        self.follow(server, &request, authorization.as_ref()).await
    }

    async fn post_for_token(
        &self,
        server: &Endpoint,
        bearer: &Bearer,
        credential: &Credential,
    ) -> Result<Response, Failed> {
        let form = token::form(credential, bearer.service.as_deref(), &bearer.scopes);
        let request = Request::new(Method::POST, bearer.realm.clone(), Scopes::default())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")?
            .body(form.map_or(Body::Empty, Body::Secret))
            .limit(Some(token::MAX_RESPONSE));
        self.follow(server, &request, None).await
    }
}

/// Whether a token server doesn't have the way that was asked: it answers 404 or 405.
fn is_absent(status: StatusCode) -> bool {
    matches!(status.as_u16(), 404 | 405)
}

fn read(client: &Client, response: Response) -> Result<Token, Failed> {
    match client.again(&response) {
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
