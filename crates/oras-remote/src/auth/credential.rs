//! Credentials, and stores of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use oras_store::{Error, ErrorKind, Result};

use crate::auth::secret::Secret;
use crate::http::endpoint::registry_host;

/// A credential for a registry or its token server. A [`CredentialStore`] returns it.
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

impl Credential {
    /// Creates a credential of a user name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self::Basic { username: username.into(), password: password.into() }
    }
}

/// A store of credentials by server. Implement it to read them from the program's own secret store.
///
/// A client looks up a credential when a registry asks for one. The key is the host of the registry as
/// [`Reference::host`](oras_spec::Reference::host) returns it, with the port if the reference has one: `ghcr.io`,
/// `localhost:5000`. The key of Docker Hub, whose references begin with `docker.io`, is `registry-1.docker.io`. A
/// client never looks up the name of a token server or of a server to which a registry redirects.
///
/// ```
/// use async_trait::async_trait;
/// use oras_remote::store::Result;
/// use oras_remote::{ClientOptions, Credential, CredentialStore, Secret};
///
/// /// Reads tokens from the secret store of the program.
/// struct Vault;
///
/// #[async_trait]
/// impl CredentialStore for Vault {
///     async fn get(&self, server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
///         let token: Secret = format!("token for {server}").into();
///         Ok(Some(Credential::Access(token)))
///     }
/// }
/// let options = ClientOptions::default().credentials(Vault);
/// # let _ = options;
/// ```
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
    /// If the store can't be written. The default implementation always fails with `Unsupported`.
    async fn put(&self, _server: &str, _credential: &Credential) -> Result<()> {
        Err(read_only())
    }

    /// Deletes the credential for `server`, if there is one.
    ///
    /// # Errors
    /// If the store can't be written. The default implementation always fails with `Unsupported`.
    async fn erase(&self, _server: &str) -> Result<()> {
        Err(read_only())
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<T: CredentialStore + ?Sized> CredentialStore for Arc<T> {
    async fn get(&self, server: &str, repository: Option<&str>) -> Result<Option<Credential>> {
        (**self).get(server, repository).await
    }

    async fn put(&self, server: &str, credential: &Credential) -> Result<()> {
        (**self).put(server, credential).await
    }

    async fn erase(&self, server: &str) -> Result<()> {
        (**self).erase(server).await
    }
}

/// A store without credentials. It is the default of [`ClientOptions`](crate::ClientOptions), and replaces the
/// credentials of options that come from elsewhere:
///
/// ```no_run
/// use oras_remote::{Anonymous, ClientOptions};
///
/// # fn main() -> oras_remote::store::Result<()> {
/// let options = ClientOptions::from_env()?.credentials(Anonymous);
/// # let _ = options;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

#[async_trait]
impl CredentialStore for Anonymous {
    async fn get(&self, _server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(None)
    }
}

/// A store of fixed credentials for named servers, for a program that gets them from its own configuration. Any other
/// server gets none.
///
/// ```
/// use oras_remote::{Credential, StaticCredentials};
///
/// let credentials = StaticCredentials::for_server("ghcr.io", Credential::basic("user", "password"))
///     .and("localhost:5000", Credential::Refresh("identity token".into()));
/// # let _ = credentials;
/// ```
#[derive(Clone, Debug, Default)]
pub struct StaticCredentials(BTreeMap<String, Credential>);

impl StaticCredentials {
    /// Creates a store of the credential for `server`: a host, with a port if references to it have one. `docker.io`
    /// and `registry-1.docker.io` are the same server.
    pub fn for_server(server: &str, credential: Credential) -> Self {
        Self::default().and(server, credential)
    }

    /// Adds the credential for `server`, replacing any other.
    #[must_use]
    pub fn and(mut self, server: &str, credential: Credential) -> Self {
        self.0.insert(Self::key(server), credential);
        self
    }

    fn key(server: &str) -> String {
        registry_host(&server.to_ascii_lowercase()).to_owned()
    }
}

#[async_trait]
impl CredentialStore for StaticCredentials {
    async fn get(&self, server: &str, _repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(self.0.get(&Self::key(server)).cloned())
    }
}

fn read_only() -> Error {
    Error::new(ErrorKind::Unsupported, "this credential store is read-only")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn static_credentials_are_for_named_servers() {
        let [one, two] = ["one", "two"].map(|name| Credential::basic(name, "secret"));
        let store = StaticCredentials::for_server("docker.io", one.clone()).and("h.test:5000", two.clone());
        for (server, expected) in [
            ("docker.io", Some(&one)),
            ("registry-1.docker.io", Some(&one)),
            ("h.test:5000", Some(&two)),
            ("H.test:5000", Some(&two)),
            ("h.test", None),
            ("h.test:5001", None),
            ("x.h.test:5000", None),
            ("", None),
        ] {
            assert_eq!(store.get(server, Some("a")).await.unwrap().as_ref(), expected, "{server}");
        }
        assert!(!format!("{store:?}").contains("secret"));
    }

    #[tokio::test]
    async fn stores_are_read_only_by_default() {
        let credential = Credential::basic("u", "p");
        assert_eq!(Anonymous.get("a", None).await.unwrap(), None);
        let store = Arc::new(StaticCredentials::for_server("a", credential.clone()));
        assert_eq!(store.put("a", &credential).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(store.erase("a").await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(store.get("a", None).await.unwrap(), Some(credential));
    }
}
