//! What proves who is asking, and where it is kept.

use async_trait::async_trait;
use oras_store::{Error, Kind, Result};

use crate::secret::Secret;

/// What a registry or its token server takes as proof.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// A user name and a password, or an access key in its place.
    Basic {
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An identity token, which a token server exchanges for an access token.
    Refresh(Secret),
    /// An access token, sent to the registry as it is.
    Access(Secret),
}

/// Keeps one credential per server; a server is `host` or `host:port`.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// The credential for `server`, if there is one; for one `repository` of it where the store can tell them apart.
    ///
    /// # Errors
    /// When the store can't be read.
    async fn get(&self, server: &str, repository: Option<&str>) -> Result<Option<Credential>>;

    /// Keeps `credential` for `server` in place of any other.
    ///
    /// # Errors
    /// When the store can't keep it.
    async fn put(&self, server: &str, credential: &Credential) -> Result<()>;

    /// Forgets the credential for `server`; one that isn't there is no error.
    ///
    /// # Errors
    /// When the store can't be changed.
    async fn erase(&self, server: &str) -> Result<()>;
}

/// The store without credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl CredentialStore for Anonymous {
    async fn get(&self, _server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(None)
    }

    async fn put(&self, _server: &str, _credential: &Credential) -> Result<()> {
        Err(read_only())
    }

    async fn erase(&self, _server: &str) -> Result<()> {
        Err(read_only())
    }
}

/// The same credential for every server, as given on a command line.
#[derive(Clone, Debug)]
pub struct StaticCredentials(Option<Credential>);

impl StaticCredentials {
    /// A store of `credential`; of none, it is like [`Anonymous`].
    pub fn new(credential: Option<Credential>) -> Self {
        Self(credential)
    }
}

#[async_trait]
impl CredentialStore for StaticCredentials {
    async fn get(&self, _server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(self.0.clone())
    }

    async fn put(&self, _server: &str, _credential: &Credential) -> Result<()> {
        Err(read_only())
    }

    async fn erase(&self, _server: &str) -> Result<()> {
        Err(read_only())
    }
}

fn read_only() -> Error {
    Error::new(Kind::Unsupported, "this credential store is read-only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn fixed_stores() {
        let credential = Credential::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(Anonymous.get("a", None).await.unwrap(), None);
        let store = StaticCredentials::new(Some(credential.clone()));
        assert_eq!(store.get("a", None).await.unwrap(), Some(credential.clone()));
        assert_eq!(store.put("a", &credential).await.unwrap_err().kind(), Kind::Unsupported);
        assert!(!format!("{store:?}").contains("\"p\""));
    }
}
