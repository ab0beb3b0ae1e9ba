//! Authentication: passwords by Basic (RFC 7617), tokens by Bearer (RFC 6750).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use super::access_control::AccessControl;
use super::challenge::{Challenge, ChallengeReason};
use super::identity::Identity;
use super::tokens::Claims;
use super::users::LoginOutcome;
use crate::api::error::ApiError;

/// The credentials in the headers of a request.
#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    None,
    /// `name:password`.
    Password(String),
    Token(String),
    Malformed,
}

impl Credentials {
    /// Reads the headers. More than one `Authorization` header is malformed: a proxy may have checked another one.
    fn of(headers: &HeaderMap) -> Self {
        let mut all = headers.get_all(header::AUTHORIZATION).iter();
        let Some(first) = all.next() else { return Self::None };
        let text = first.to_str().ok().filter(|_| all.next().is_none());
        let Some((scheme, rest)) = text.and_then(|text| text.split_once(' ')) else { return Self::Malformed };
        if scheme.eq_ignore_ascii_case("bearer") {
            return Self::Token(rest.trim().to_owned());
        }
        let decoded = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.filter(|_| scheme.eq_ignore_ascii_case("basic")) {
            // skopeo and podman send this when they have no credentials and received a challenge.
            Some(credentials) if credentials == ":" => Self::None,
            Some(credentials) => Self::Password(credentials),
            None => Self::Malformed,
        }
    }
}

impl AccessControl {
    /// Identifies the sender of a request. Wrong credentials are rejected even where none are needed, so that a user
    /// notices a mistyped password.
    pub(super) async fn authenticate(
        &self,
        headers: &HeaderMap,
        client: IpAddr,
        challenge: &Challenge,
    ) -> Result<Identity, ApiError> {
        match Credentials::of(headers) {
            Credentials::None => Ok(Identity::default()),
            Credentials::Password(credentials) => self.log_in(credentials, client, challenge).await,
            Credentials::Token(token) => {
                // A token may outlive its user, so the user must still exist.
                let has_user = |claims: &Claims| claims.user().is_none_or(|name| self.users.contains(name));
                let claims = self.tokens.verify(&token).filter(has_user);
                claims.map(Identity::of_token).ok_or_else(|| challenge.error(ChallengeReason::InvalidToken))
            }
            Credentials::Malformed => Err(challenge.error(ChallengeReason::NoCredentials)),
        }
    }

    /// Checks `credentials`, which are `name:password`. A client that sent too many wrong passwords has to wait.
    pub(super) async fn log_in(
        &self,
        credentials: String,
        client: IpAddr,
        challenge: &Challenge,
    ) -> Result<Identity, ApiError> {
        let name = credentials.split(':').next().unwrap_or_default().to_owned();
        // Checked before the throttle, so that other clients behind the same address can't lock this user out.
        if self.users.is_recently_verified(&credentials) {
            return Ok(Identity::of_user(&name));
        }
        let outcome = match self.throttle.wait(client) {
            Some(wait) => LoginOutcome::Throttled(wait),
            None => self.users.verify(credentials, client, &self.throttle).await,
        };
        match outcome {
            LoginOutcome::Accepted => Ok(Identity::of_user(&name)),
            LoginOutcome::Rejected => Err(challenge.error(ChallengeReason::NoCredentials)),
            LoginOutcome::Throttled(wait) => {
                // `retry-after` is rounded up: a retry within the same second would fail again.
                let message = "too many wrong passwords: try again later";
                Err(ApiError::too_many_requests(message, wait.as_secs() + 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(values: &[&str]) -> Credentials {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        Credentials::of(&headers)
    }

    #[test]
    fn reads_passwords_and_tokens() {
        assert_eq!(read(&["Basic YW5uOmE6Yg=="]), Credentials::Password("ann:a:b".to_owned()));
        assert_eq!(read(&["bAsIc  Ym9iOg== "]), Credentials::Password("bob:".to_owned()));
        assert_eq!(read(&["bearer a.b.c"]), Credentials::Token("a.b.c".to_owned()));
        assert_eq!(read(&["Basic Og=="]), Credentials::None);
        assert_eq!(read(&[]), Credentials::None);
        for bad in ["Basic", "Bearer", "Basic %", "Digest YW5uOmE6Yg==", "YW5uOmE6Yg==", "Basic /w=="] {
            assert_eq!(read(&[bad]), Credentials::Malformed, "{bad}");
        }
        assert_eq!(read(&["Basic YW5uOmE6Yg==", "Basic YW5uOmE6Yg=="]), Credentials::Malformed);
        assert_eq!(read(&["Basic Og==", "Basic YW5uOmE6Yg=="]), Credentials::Malformed);
    }
}
