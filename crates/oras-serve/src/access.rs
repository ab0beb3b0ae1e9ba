//! Who comes in: passwords by Basic authentication (RFC 7617), tokens by Bearer (RFC 6750), nobody in particular where
//! that is allowed. What is asked for is decided by the same reading of the path as what is done.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::challenge::{self, TOKEN_PATH, Why};
use crate::error::Refusal;
use crate::health::{LIVE_PATH, READY_PATH};
use crate::metrics::{Endpoint, METRICS_PATH};
use crate::route::{self, Route};
use crate::scope::{self, Action};
use crate::server::Registry;
use crate::shares::Activity;
use crate::trace::Remote;
use crate::users::LogIn;
use crate::visitor::Visitor;

/// Lets a request pass with who sent it ([`Visitor`]) if they may do what it asks for. One with wrong credentials is
/// refused, also where none are needed: who mistyped a password should learn of it.
pub(crate) async fn check(State(registry): State<Arc<Registry>>, request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let path = route::decoded(&head.uri);
    let route = Route::parse(&path);
    let endpoint = Endpoint::of(&path, route.as_ref());
    let mut response = match admit(&registry, &path, route.as_ref(), &head).await {
        Ok(visitor) => {
            if let Some(activity) = head.extensions.get::<Arc<Activity>>() {
                activity.set_user(visitor.name());
            }
            head.extensions.insert(visitor.clone());
            let mut response = next.run(Request::from_parts(head, body)).await;
            response.extensions_mut().insert(visitor);
            response
        }
        Err(refusal) => refusal.response(),
    };
    response.extensions_mut().insert(endpoint);
    response
}

/// What a request needs.
#[derive(Debug, PartialEq, Eq)]
enum Need<'a> {
    Nothing,
    /// To be somebody: where clients ask how to log in, and whether they did.
    Somebody,
    /// A user.
    User,
    /// To read something: what is shown is chosen later.
    Reading,
    Catalog,
    Action(&'a str, Action),
}

async fn admit(
    registry: &Registry,
    path: &str,
    route: Option<&Route<'_>>,
    head: &Parts,
) -> Result<Visitor, Refusal> {
    if head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        // RFC 9112, section 3.2.
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "more than one Host"));
    }
    let method = &head.method;
    let need = need(path, route, method, registry.options.open_metrics);
    let mut visitor = Visitor::default();
    if !registry.users.is_empty() && need != Need::Nothing || path == TOKEN_PATH {
        // Browsers and tools that ask for a page have no use for tokens.
        let realm = route.is_some().then(|| challenge::realm(registry, head)).flatten();
        let scopes = scopes(&need, route);
        visitor = registry.identify(head, realm.as_deref(), &scopes).await?;
        registry.permit(&visitor, &need, realm.as_deref(), &scopes)?;
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if registry.options.read_only && !reads && path != TOKEN_PATH {
        return Err(Refusal::unsupported());
    }
    Ok(visitor)
}

fn need<'a>(path: &str, route: Option<&Route<'a>>, method: &Method, open_metrics: bool) -> Need<'a> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match route {
        None => match path {
            // Passwords are looked at there, too.
            TOKEN_PATH | LIVE_PATH | READY_PATH => Need::Nothing,
            METRICS_PATH if open_metrics => Need::Nothing,
            METRICS_PATH => Need::User,
            _ if reads => Need::Reading,
            _ => Need::User,
        },
        Some(Route::Root) => Need::Somebody,
        Some(Route::Catalog) => Need::Catalog,
        // Also to ask how far it is, and to give it up.
        Some(Route::Upload { name, .. } | Route::Uploads { name }) => Need::Action(name, Action::Push),
        Some(route) if reads => Need::Action(route.name(), Action::Pull),
        Some(route) if *method == Method::DELETE => Need::Action(route.name(), Action::Delete),
        Some(route) => Need::Action(route.name(), Action::Push),
    }
}

/// What a client should ask a token for: who pushes reads, too.
fn scopes(need: &Need<'_>, route: Option<&Route<'_>>) -> String {
    match (need, route) {
        (Need::Catalog, _) => "registry:catalog:*".to_owned(),
        (Need::Action(name, Action::Push), _) => scope::repository(name, &[Action::Pull, Action::Push]),
        (Need::Action(name, action), _) => scope::repository(name, &[*action]),
        _ => String::new(),
    }
}

impl Registry {
    /// Finds out who sends a request.
    async fn identify(&self, head: &Parts, realm: Option<&str>, scopes: &str) -> Result<Visitor, Refusal> {
        match Given::of(&head.headers) {
            Given::Nothing => Ok(Visitor::default()),
            Given::Credentials(credentials) => {
                let client = head.extensions.get::<Remote>().copied();
                self.log_in(credentials, client, realm.map(|realm| (realm, scopes))).await
            }
            Given::Token(token) => {
                let claims = self.tokens.read(&token);
                let claims = claims.filter(|claims| claims.user().is_none_or(|name| self.users.has(name)));
                let invalid = || challenge::refusal(realm, scopes, Why::InvalidToken);
                claims.map(Visitor::with_token).ok_or_else(invalid)
            }
            Given::Unknown => Err(challenge::refusal(realm, scopes, Why::Unknown)),
        }
    }

    /// The user whose name and password these are. A client that guesses has to wait.
    pub(crate) async fn log_in(
        &self,
        credentials: String,
        client: Option<Remote>,
        bearer: Option<(&str, &str)>,
    ) -> Result<Visitor, Refusal> {
        let name = credentials.split(':').next().unwrap_or_default().to_owned();
        if self.users.remember(&credentials) {
            return Ok(Visitor::user(&name));
        }
        let client = client.map(|Remote(address)| address.ip());
        let result = match client.and_then(|client| self.failures.wait(client)) {
            Some(wait) => LogIn::Wait(wait),
            None => self.users.know(credentials, client, &self.failures).await,
        };
        match result {
            LogIn::Right => Ok(Visitor::user(&name)),
            LogIn::Wrong => {
                let (realm, scopes) = bearer.unzip();
                Err(challenge::refusal(realm, scopes.unwrap_or_default(), Why::Unknown))
            }
            LogIn::Wait(wait) => {
                let message = "too many wrong passwords: try again later";
                Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message)
                    .with("retry-after", (wait.as_secs() + 1).to_string()))
            }
        }
    }

    /// Whether a visitor may have what a request needs; tells them how to log in where that could help.
    fn permit(
        &self,
        visitor: &Visitor,
        need: &Need<'_>,
        realm: Option<&str>,
        scopes: &str,
    ) -> Result<(), Refusal> {
        let (permitted, allowed) = match need {
            Need::Nothing => (true, true),
            Need::Somebody => (visitor.name().is_some() || visitor.has_token(), false),
            Need::User => (visitor.name().is_some(), false),
            Need::Reading => (self.allows_reading(visitor.name()), false),
            Need::Catalog => (self.may_list(visitor), self.allows_reading(visitor.name())),
            Need::Action(name, action) => {
                (self.may(visitor, name, *action), self.allows(visitor.name(), name, *action))
            }
        };
        match (visitor.name(), need) {
            _ if permitted => Ok(()),
            // Another token would help.
            _ if allowed => Err(challenge::refusal(realm, scopes, Why::InsufficientScope)),
            // No token would.
            (Some(user), Need::Action(name, action)) => {
                let message = format!("{user} may not {} {name}", verb(*action));
                Err(Refusal::new(StatusCode::FORBIDDEN, "DENIED", message))
            }
            _ => Err(challenge::refusal(realm, scopes, Why::Unknown)),
        }
    }
}

fn verb(action: Action) -> &'static str {
    match action {
        Action::Pull => "pull from",
        Action::Push => "push to",
        Action::Delete => "delete from",
    }
}

/// What a request says of who sends it.
#[derive(Debug, PartialEq, Eq)]
enum Given {
    Nothing,
    /// `name:password`.
    Credentials(String),
    Token(String),
    Unknown,
}

impl Given {
    /// Two that could differ are none.
    fn of(headers: &HeaderMap) -> Self {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let Some(first) = all.next() else { return Self::Nothing };
        let text = first.to_str().ok().filter(|_| all.next().is_none());
        let Some((scheme, rest)) = text.and_then(|text| text.split_once(' ')) else { return Self::Unknown };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Token(rest.trim().to_owned());
        }
        let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
            // What skopeo and podman send when they have no credentials and were asked for some.
            Some(credentials) if credentials == ":" => Self::Nothing,
            Some(credentials) => Self::Credentials(credentials),
            None => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn read(values: &[&str]) -> Given {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Given::of(&headers)
    }

    #[test]
    fn credentials_are_a_password_a_token_or_none() {
        assert_eq!(read(&["Basic YW5uOmE6Yg=="]), Given::Credentials("ann:a:b".to_owned()));
        assert_eq!(read(&["bAsIc  Ym9iOg== "]), Given::Credentials("bob:".to_owned()));
        assert_eq!(read(&["bearer a.b.c"]), Given::Token("a.b.c".to_owned()));
        assert_eq!(read(&["Basic Og=="]), Given::Nothing);
        assert_eq!(read(&[]), Given::Nothing);
        for bad in ["Basic", "Bearer", "Basic %", "Digest YW5uOmE6Yg==", "YW5uOmE6Yg==", "Basic /w=="] {
            assert_eq!(read(&[bad]), Given::Unknown, "{bad}");
        }
        assert_eq!(read(&["Basic YW5uOmE6Yg==", "Basic YW5uOmE6Yg=="]), Given::Unknown);
        assert_eq!(read(&["Basic Og==", "Basic YW5uOmE6Yg=="]), Given::Unknown);
    }

    #[test]
    fn what_a_request_needs_is_what_it_would_do() {
        let of = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            format!("{:?}", need(path, Route::parse(path).as_ref(), &method, false))
        };
        for (method, path, needed) in [
            ("GET", "/v2/", "Somebody"),
            ("POST", "/v2/", "Somebody"),
            ("GET", "/v2/_catalog", "Catalog"),
            ("HEAD", "/v2/a/manifests/v1", "Action(\"a\", Pull)"),
            ("GET", "/v2/a/b/tags/list", "Action(\"a/b\", Pull)"),
            ("GET", "/v2/a/blobs/uploads/1", "Action(\"a\", Push)"),
            ("DELETE", "/v2/a/blobs/uploads/1", "Action(\"a\", Push)"),
            ("POST", "/v2/a/blobs/uploads/", "Action(\"a\", Push)"),
            ("DELETE", "/v2/a/manifests/v1", "Action(\"a\", Delete)"),
            ("PUT", "/v2/a/manifests/v1", "Action(\"a\", Push)"),
            ("get", "/v2/a/manifests/v1", "Action(\"a\", Push)"),
            ("OPTIONS", "/v2/a/manifests/v1", "Action(\"a\", Push)"),
            ("GET", "/metrics", "User"),
            ("GET", "/healthz", "Nothing"),
            ("GET", "/", "Reading"),
            ("POST", "/", "User"),
            ("GET", "/v2/A/tags/list", "Reading"),
        ] {
            assert_eq!(of(method, path), needed, "{method} {path}");
        }
    }
}
