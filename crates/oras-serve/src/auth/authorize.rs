//! Authorization: checks that the sender may perform the requested action.

use http::request::Parts;
use http::{Method, StatusCode, header};

use super::access_control::AccessControl;
use super::challenge::{Challenge, ChallengeReason, realm};
use super::identity::Identity;
use super::scope::{self, Action};
use crate::api::endpoint::Endpoint;
use crate::api::error::ApiError;
use crate::api::route::{Resource, Route};
use crate::http_message::is_read;
use crate::limits::connection_activity::Peer;
use crate::registry_state::RegistryState;

/// What a request requires.
#[derive(Debug, PartialEq, Eq)]
enum Requirement<'a> {
    None,
    /// A user or a token. Clients send a request to `/v2/` to get a challenge, and to check their credentials.
    Known,
    User,
    /// The right to read at least one repository. The handler shows only the repositories that the user may read.
    Reading,
    Catalog,
    Action(&'a str, Action),
}

/// Authenticates the sender of a request and checks that it may use the method of the request on the endpoint.
pub(crate) async fn authorize(
    registry: &RegistryState,
    peer: &Peer,
    endpoint: &Endpoint,
    head: &Parts,
) -> Result<Identity, ApiError> {
    if head.headers.get_all(header::HOST).iter().nth(1).is_some() {
        // RFC 9112, section 3.2, requires 400, because a proxy and this server could use different `Host` headers.
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "UNSUPPORTED", "more than one Host"));
    }
    let is_token = *endpoint == Endpoint::Token;
    let requirement = Requirement::of(endpoint, &head.method, registry.options.open_metrics);
    let mut identity = Identity::default();
    // The token endpoint requires nothing here, but its handler needs the identity.
    if registry.access.has_users() && requirement != Requirement::None || is_token {
        // Only clients of the API can use tokens: browsers and metrics scrapers get a Basic challenge.
        let realm = endpoint.route().and_then(|_| realm(registry, head));
        let challenge = Challenge { realm, scope: requirement.scope() };
        identity = registry.access.authenticate(&head.headers, peer.address.ip(), &challenge).await?;
        requirement.check(&registry.access, &identity, &challenge)?;
    }
    // Checked after authentication, so that a client without credentials learns nothing about the server.
    if registry.options.read_only && !is_read(&head.method) && !is_token {
        return Err(ApiError::unsupported());
    }
    Ok(identity)
}

impl<'a> Requirement<'a> {
    fn of(endpoint: &'a Endpoint, method: &Method, open_metrics: bool) -> Self {
        match endpoint {
            // The token endpoint checks passwords itself.
            Endpoint::Token | Endpoint::Live | Endpoint::Ready => Self::None,
            Endpoint::Metrics if open_metrics => Self::None,
            Endpoint::Metrics => Self::User,
            Endpoint::Other(_) if is_read(method) => Self::Reading,
            Endpoint::Other(_) => Self::User,
            Endpoint::Registry(Route::Root) => Self::Known,
            Endpoint::Registry(Route::Catalog) => Self::Catalog,
            Endpoint::Registry(Route::Repository { name, resource }) => {
                let action = match resource {
                    // Reading the progress of an upload and cancelling it need the same right as writing it.
                    Resource::Uploads | Resource::Upload { .. } => Action::Push,
                    _ if is_read(method) => Action::Pull,
                    _ if *method == Method::DELETE => Action::Delete,
                    _ => Action::Push,
                };
                Self::Action(name, action)
            }
        }
    }

    /// Returns the scope that a client should request a token for. Clients that push also read.
    fn scope(&self) -> String {
        match self {
            Self::Catalog => "registry:catalog:*".to_owned(),
            Self::Action(name, Action::Push) => scope::repository(name, &[Action::Pull, Action::Push]),
            Self::Action(name, action) => scope::repository(name, &[*action]),
            _ => String::new(),
        }
    }

    /// Fails with 401 if other credentials might help, and with 403 if none would.
    fn check(
        &self,
        access: &AccessControl,
        identity: &Identity,
        challenge: &Challenge,
    ) -> Result<(), ApiError> {
        let user = identity.user();
        // What the user may do, and whether the token covers it.
        let (is_allowed, is_covered) = match self {
            Self::None => (true, true),
            Self::Known => (identity.is_known(), true),
            Self::User => (user.is_some(), true),
            Self::Reading => (access.allows_reading(user), true),
            // The list contains the repositories that the user may read.
            Self::Catalog => (access.allows_reading(user), identity.token_covers_catalog()),
            Self::Action(name, action) => {
                (access.allows(user, name, *action), identity.token_covers(name, *action))
            }
        };
        match (self, user) {
            _ if is_allowed && is_covered => Ok(()),
            // A client can get a token that covers it.
            _ if is_allowed => Err(challenge.error(ChallengeReason::InsufficientScope)),
            (Self::Action(name, action), Some(user)) => {
                let message = format!("{user} may not {} {name}", verb(*action));
                Err(ApiError::new(StatusCode::FORBIDDEN, "DENIED", message))
            }
            _ => Err(challenge.error(ChallengeReason::NoCredentials)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_matches_what_the_request_does() {
        let of = |method: &str, path: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            format!("{:?}", Requirement::of(&Endpoint::parse(path), &method, false))
        };
        for (method, path, required) in [
            ("GET", "/v2/", "Known"),
            ("POST", "/v2/", "Known"),
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
            ("GET", "/healthz", "None"),
            ("GET", "/", "Reading"),
            ("POST", "/", "User"),
            ("GET", "/v2/A/tags/list", "Reading"),
        ] {
            assert_eq!(of(method, path), required, "{method} {path}");
        }
    }
}
