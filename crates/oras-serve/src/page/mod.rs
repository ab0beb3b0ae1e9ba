//! The web page: what is in the registry, for people with a browser. It only reads, and works without scripts.
//!
//! What is shown comes from whoever may push: every text is escaped by `maud`, clipped and freed of characters that
//! reorder what is around them, addresses are made of encoded names alone, and a policy lets the browser load nothing
//! but the two files that are built in. Whatever is read and shown has a limit.

mod assets;
mod commands;
mod frame;
mod manifest;
mod overview;
mod place;
mod repositories;
mod tags;
mod text;
mod tree;

use std::sync::Arc;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use maud::Markup;
use oras_store::{Error, Kind, ReadStore};

use crate::error::Refusal;
use crate::query::Query;
use crate::scope::Action;
use crate::server::Registry;
use crate::visitor::Visitor;
use place::Place;

/// Pages that are made at the same time: each may hold a large manifest.
pub(crate) const AT_ONCE: usize = 4;

/// What a browser may do with a page: load our style, our script and our icon, and nothing else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Whether a page is at a path, or a note that there is none: at `/` and below `/-/`, where no endpoint of the
/// distribution-spec is.
pub(crate) fn is_at(path: &str) -> bool {
    path == "/" || path.starts_with("/-/")
}

/// The page at a path.
pub(crate) async fn answer(
    registry: &Registry,
    path: &str,
    visitor: &Visitor,
    request: Request<Body>,
) -> Response<Body> {
    let head = request.into_parts().0;
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Refusal::unsupported().with("allow", "GET, HEAD".to_owned()).response();
    }
    let place = Place::parse(path);
    if let Some(Place::Asset(name)) = place
        && let Some(asset) = assets::find(name)
    {
        return assets::response(asset);
    }
    let made = match Query::of(&head.uri) {
        Ok(query) => {
            let visit = Visit { registry, visitor, headers: &head.headers, query: &query };
            make(&visit, place).await
        }
        Err(_) => Err(Problem { status: StatusCode::BAD_REQUEST, message: "The address can't be read." }),
    };
    match made {
        Ok(page) => html(StatusCode::OK, page),
        Err(Problem { status, message }) => html(status, frame::problem(status, message)),
    }
}

async fn make(visit: &Visit<'_>, place: Option<Place<'_>>) -> Result<Markup, Problem> {
    // Nobody closes it.
    let _turn = visit.registry.pages.acquire().await.map_err(|_| Problem::failed())?;
    match place {
        Some(Place::Repositories) => repositories::page(visit).await,
        Some(Place::Repository { name }) => tags::page(visit, name).await,
        Some(Place::Manifest { name, reference }) => manifest::page(visit, name, reference).await,
        Some(Place::Asset(_)) | None => Err(Problem::new("There is no page at this address.")),
    }
}

/// One request for a page.
struct Visit<'a> {
    registry: &'a Registry,
    visitor: &'a Visitor,
    headers: &'a HeaderMap,
    query: &'a Query,
}

impl Visit<'_> {
    /// Whether who asks may pull from a repository.
    fn may_pull(&self, name: &str) -> bool {
        self.registry.may(self.visitor, name, Action::Pull)
    }

    /// What is looked for.
    fn asked(&self) -> &str {
        self.query.get("q").unwrap_or_default()
    }

    /// The name after which a list goes on.
    fn after(&self) -> Option<&str> {
        self.query.get("last")
    }

    /// A repository that who asks may pull from; others are not told apart from those that are not there.
    async fn repository(&self, name: &str) -> Result<Arc<dyn ReadStore>, Problem> {
        let found = match self.may_pull(name) {
            true => self.registry.stores.repository(name).await.map_err(|error| Problem::of(&error))?,
            false => None,
        };
        found.ok_or_else(|| Problem::new("There is no such repository here."))
    }
}

/// Why there is no page.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    message: &'static str,
}

impl Problem {
    fn new(message: &'static str) -> Self {
        Self { status: StatusCode::NOT_FOUND, message }
    }

    fn failed() -> Self {
        let message = "The registry could not read this. Its log tells why.";
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, message }
    }

    fn of(error: &Error) -> Self {
        match error.kind() {
            Kind::NotFound | Kind::InvalidInput => {
                Self::new("There is no such tag or manifest in this repository.")
            }
            // What the disk says is for the log, not for visitors.
            _ => {
                tracing::error!(error = error.chain(), "a store failed");
                Self::failed()
            }
        }
    }
}

fn html(status: StatusCode, page: Markup) -> Response<Body> {
    let mut response = Response::new(Body::from(page.into_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    // Tags move, and a page may be for one visitor alone.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    protect(headers);
    response
}

/// What keeps a browser from taking an answer for anything else, from telling others of it and from framing it.
fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-frame-options", "DENY"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
