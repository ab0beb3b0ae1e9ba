//! Tokens: JSON Web Tokens (RFC 7519) signed with HMAC-SHA256, in the form that distribution describes ("Token
//! Authentication Implementation").

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::scope::{Action, Scope};

/// The issuer and audience of tokens, and the `service` of challenges.
pub(crate) const SERVICE: &str = "oras";
/// How long a token is valid, in seconds. Clients treat one minute as the shortest lifetime worth caching.
pub(super) const LIFETIME: u64 = 300;
/// The maximum length of a token, in bytes. A token with `MAX_SCOPES` scopes and the longest names is shorter.
const MAX_TOKEN: usize = 24 * 1024;

/// The only header that the server issues and accepts, so a token cannot choose its algorithm (RFC 8725,
/// section 3.1).
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Issues tokens and verifies them. The key is random at every start and not stored: a restart invalidates all tokens,
/// and clients fetch new ones.
pub(crate) struct TokenIssuer {
    key: hmac::Key,
    header: String,
}

/// The claims of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user; empty for an anonymous client.
    sub: String,
    iat: u64,
    exp: u64,
    access: Vec<AccessClaim>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AccessClaim {
    r#type: String,
    name: String,
    actions: Vec<String>,
}

impl Claims {
    /// Claims for `user`, or an anonymous client, that are valid from now on.
    pub(super) fn new(user: Option<&str>, scopes: &[Scope]) -> Self {
        let entry = |scope: &Scope| match scope {
            Scope::Catalog => {
                AccessClaim { r#type: "registry".into(), name: "catalog".into(), actions: vec!["*".into()] }
            }
            Scope::Repository { name, actions } => AccessClaim {
                r#type: "repository".into(),
                name: name.clone(),
                actions: actions.iter().map(|action| action.name().to_owned()).collect(),
            },
        };
        let iat = now();
        Self {
            iss: SERVICE.to_owned(),
            aud: SERVICE.to_owned(),
            sub: user.unwrap_or_default().to_owned(),
            iat,
            exp: iat + LIFETIME,
            access: scopes.iter().map(entry).collect(),
        }
    }

    /// Returns the name of the user.
    pub(super) fn user(&self) -> Option<&str> {
        (!self.sub.is_empty()).then_some(self.sub.as_str())
    }

    /// Returns true if the token was issued for an action in a repository.
    pub(super) fn covers(&self, repository: &str, action: Action) -> bool {
        self.has("repository", repository, action.name())
    }

    /// Returns true if the token was issued for listing the repositories.
    pub(super) fn covers_catalog(&self) -> bool {
        self.has("registry", "catalog", "*")
    }

    fn has(&self, kind: &str, name: &str, action: &str) -> bool {
        let is_entry = |entry: &&AccessClaim| entry.r#type == kind && entry.name == name;
        self.access.iter().filter(is_entry).any(|entry| entry.actions.iter().any(|word| word == action))
    }
}

impl TokenIssuer {
    /// Generates a random key.
    pub(super) fn new() -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| io::Error::other("failed to generate the key that signs tokens"))?;
        Ok(Self { key, header: URL_SAFE_NO_PAD.encode(HEADER) })
    }

    /// Signs `claims`.
    pub(super) fn issue(&self, claims: &Claims) -> String {
        let claims = oras_spec::json::to_vec(claims);
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Returns the claims of a token if this server signed it and it has not expired.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_TOKEN)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // The signature is verified in constant time before the claims are parsed. A truncated signature is rejected.
        if signature.len() != digest::SHA256_OUTPUT_LEN {
            return None;
        }
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let claims = signed.strip_prefix(&self.header)?.strip_prefix('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        // If `iat` is in the future, the clock was set back. Rejecting the token prevents a lifetime above the limit.
        let (now, ours) = (now(), claims.iss == SERVICE && claims.aud == SERVICE);
        (ours && claims.iat <= now && now < claims.exp).then_some(claims)
    }
}

/// Returns the seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let scope = Scope::Repository { name: "a/b".to_owned(), actions: vec![Action::Pull] };
        Claims::new(Some("ann"), &[scope])
    }

    #[test]
    fn token_covers_what_it_was_issued_for() {
        let tokens = TokenIssuer::new().unwrap();
        let read = tokens.verify(&tokens.issue(&claims())).unwrap();
        assert_eq!(read, claims());
        assert_eq!(read.user(), Some("ann"));
        assert!(read.covers("a/b", Action::Pull));
        assert!(
            !read.covers("a/b", Action::Push) && !read.covers("a", Action::Pull) && !read.covers_catalog()
        );
        let nobody = tokens.verify(&tokens.issue(&Claims::new(None, &[Scope::Catalog]))).unwrap();
        assert!(nobody.user().is_none() && nobody.covers_catalog());
    }

    #[test]
    fn rejects_forged_and_expired_tokens() {
        let tokens = TokenIssuer::new().unwrap();
        let token = tokens.issue(&claims());
        assert_eq!(TokenIssuer::new().unwrap().verify(&token), None, "another key");
        let parts: Vec<_> = token.split('.').collect();
        let [header, body, signature] = parts[..] else { panic!("{token}") };
        let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
        let other =
            URL_SAFE_NO_PAD.encode(oras_spec::json::to_vec(&Claims { sub: "eve".into(), ..claims() }));
        for forged in [
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{header}.{other}.{signature}"),
            format!("{header}.{body}"),
            format!("{header}.{body}."),
            format!("{header}.{body}.{}", &signature[..20]),
            format!("{header}.{body}.{signature}="),
            format!("{header}.{body}.{signature}.{signature}"),
            format!("{token}{}", "A".repeat(MAX_TOKEN)),
            String::new(),
            "..".to_owned(),
        ] {
            assert_eq!(tokens.verify(&forged), None, "{forged}");
        }
        // Signed with our key, but expired, not yet valid, for another service, or with another header.
        let past = Claims { iat: now() - 2 * LIFETIME, exp: now() - LIFETIME, ..claims() };
        let ended = Claims { iat: now() - LIFETIME, exp: now(), ..claims() };
        let future = Claims { iat: now() + 60, ..claims() };
        let elsewhere = Claims { aud: "other".into(), ..claims() };
        for claims in [past, ended, future, elsewhere] {
            assert_eq!(tokens.verify(&tokens.issue(&claims)), None, "{claims:?}");
        }
        let strange = TokenIssuer { key: tokens.key.clone(), header: none };
        assert_eq!(tokens.verify(&strange.issue(&claims())), None);
    }
}
