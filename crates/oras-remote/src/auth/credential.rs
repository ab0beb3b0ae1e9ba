//! Credentials, and stores of them.

use async_trait::async_trait;
use oras_store::{Error, ErrorKind, Result};

use crate::auth::secret::Secret;

/// A credential for a registry or its token server.
#[derive(Clone, Debug, PartialEq)]
pub enum Credential {
    /// A user name and a password or access key.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// An identity token, which a token server exchanges for an access token.
    Refresh(Secret),
    /// An access token, sent to the registry unchanged.
    Access(Secret),
}

/// A store of one credential per server; a server is `host` or `host:port`.
#[async_trait]
pub trait CredentialStore: Send + Sync {
    /// Returns the credential for `server`, or for its `repository` if the store distinguishes repositories.
    ///
    /// # Errors
    /// If the store can't be read.
    async fn get(&self, server: &str, repository: Option<&str>) -> Result<Option<Credential>>;

    /// Stores `credential` for `server`, replacing any other.
    ///
    /// # Errors
    /// If the store can't be written. The default implementation always fails.
    async fn put(&self, _server: &str, _credential: &Credential) -> Result<()> {
        Err(read_only())
    }

    /// Deletes the credential for `server`, if there is one.
    ///
    /// # Errors
    /// If the store can't be written. The default implementation always fails.
    async fn erase(&self, _server: &str) -> Result<()> {
        Err(read_only())
    }
}

/// A store without credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl CredentialStore for Anonymous {
    async fn get(&self, _server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(None)
    }
}

/// A store with one credential for every server, as given on a command line.
#[derive(Clone, Debug)]
pub struct StaticCredentials(Option<Credential>);

impl StaticCredentials {
    /// Creates a store of `credential`; with `None`, it is like [`Anonymous`].
    pub fn new(credential: Option<Credential>) -> Self {
        Self(credential)
    }
}

#[async_trait]
impl CredentialStore for StaticCredentials {
    async fn get(&self, _server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(self.0.clone())
    }
}

fn read_only() -> Error {
    Error::new(ErrorKind::Unsupported, "this credential store is read-only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn static_stores_are_read_only() {
        let credential = Credential::Basic { username: "u".into(), password: "p".into() };
        assert_eq!(Anonymous.get("a", None).await.unwrap(), None);
        let store = StaticCredentials::new(Some(credential.clone()));
        assert_eq!(store.get("a", None).await.unwrap(), Some(credential.clone()));
        assert_eq!(store.put("a", &credential).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(!format!("{store:?}").contains("\"p\""));
    }
}
