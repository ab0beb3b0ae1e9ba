//! Tokens that the server gives and takes: JSON Web Tokens (RFC 7519) under HMAC-SHA256, in the form that distribution
//! describes ("Token Authentication Implementation").

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::scope::{Action, Scope};

/// Who gives the tokens and whom they are for; the `service` of challenges.
pub(crate) const SERVICE: &str = "oras";
/// How long a token is good for, in seconds: clients take one minute for the least that is worth keeping.
pub(crate) const LIFE: u64 = 300;
/// Longer tokens are none of ours: the longest names in all scopes need less.
const MAX_TOKEN: usize = 24 * 1024;

/// The only header that is given, and the only one that is taken: what a token says of its own algorithm is never
/// followed (RFC 8725, section 3.1).
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Gives tokens and tells its own from others. The key is drawn anew at every start and kept nowhere: a restart ends
/// all tokens, and clients fetch new ones.
pub(crate) struct Tokens {
    key: hmac::Key,
    header: String,
}

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    /// The user; empty for nobody.
    sub: String,
    iat: u64,
    exp: u64,
    access: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    r#type: String,
    name: String,
    actions: Vec<String>,
}

impl Claims {
    /// What `user`, or nobody, may do from now on.
    pub(crate) fn new(user: Option<&str>, scopes: &[Scope]) -> Self {
        let entry = |scope: &Scope| match scope {
            Scope::Catalog => {
                Entry { r#type: "registry".into(), name: "catalog".into(), actions: vec!["*".into()] }
            }
            Scope::Repository { name, actions } => Entry {
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
            exp: iat + LIFE,
            access: scopes.iter().map(entry).collect(),
        }
    }

    pub(crate) fn user(&self) -> Option<&str> {
        (!self.sub.is_empty()).then_some(self.sub.as_str())
    }

    /// Whether the token was given for that.
    pub(crate) fn may(&self, repository: &str, action: Action) -> bool {
        self.has("repository", repository, action.name())
    }

    /// Whether the token was given for listing the repositories.
    pub(crate) fn may_list(&self) -> bool {
        self.has("registry", "catalog", "*")
    }

    fn has(&self, kind: &str, name: &str, action: &str) -> bool {
        let is_it = |entry: &&Entry| entry.r#type == kind && entry.name == name;
        self.access.iter().filter(is_it).any(|entry| entry.actions.iter().any(|word| word == action))
    }
}

impl Tokens {
    /// With a key that nobody knows.
    pub(crate) fn new() -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        let key = key.map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(Self { key, header: URL_SAFE_NO_PAD.encode(HEADER) })
    }

    /// The token that says so.
    pub(crate) fn give(&self, claims: &Claims) -> String {
        let claims = oras_spec::json::to_vec(claims);
        let signed = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = hmac::sign(&self.key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What a token says, if it is one of ours and its time has not passed.
    pub(crate) fn read(&self, token: &str) -> Option<Claims> {
        let (signed, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_TOKEN)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // Before anything in it is looked at; in constant time, and no part of a signature is one.
        if signature.len() != digest::SHA256_OUTPUT_LEN {
            return None;
        }
        hmac::verify(&self.key, signed.as_bytes(), &signature).ok()?;
        let claims = signed.strip_prefix(&self.header)?.strip_prefix('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let (now, ours) = (now(), claims.iss == SERVICE && claims.aud == SERVICE);
        (ours && claims.iat <= now && now < claims.exp).then_some(claims)
    }
}

/// Seconds of the system's clock.
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
    fn a_token_says_what_it_was_given_for() {
        let tokens = Tokens::new().unwrap();
        let read = tokens.read(&tokens.give(&claims())).unwrap();
        assert_eq!(read, claims());
        assert_eq!(read.user(), Some("ann"));
        assert!(read.may("a/b", Action::Pull));
        assert!(!read.may("a/b", Action::Push) && !read.may("a", Action::Pull) && !read.may_list());
        let nobody = tokens.read(&tokens.give(&Claims::new(None, &[Scope::Catalog]))).unwrap();
        assert!(nobody.user().is_none() && nobody.may_list());
    }

    #[test]
    fn tokens_of_others_and_of_the_past_are_refused() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.give(&claims());
        assert_eq!(Tokens::new().unwrap().read(&token), None, "another key");
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
            assert_eq!(tokens.read(&forged), None, "{forged}");
        }
        // Signed by us and still none of ours: of another time, for another service, with another header.
        let past = Claims { iat: now() - 2 * LIFE, exp: now() - LIFE, ..claims() };
        let ended = Claims { iat: now() - LIFE, exp: now(), ..claims() };
        let future = Claims { iat: now() + 60, ..claims() };
        let elsewhere = Claims { aud: "other".into(), ..claims() };
        for claims in [past, ended, future, elsewhere] {
            assert_eq!(tokens.read(&tokens.give(&claims)), None, "{claims:?}");
        }
        let strange = Tokens { key: tokens.key.clone(), header: none };
        assert_eq!(tokens.read(&strange.give(&claims())), None);
    }
}
