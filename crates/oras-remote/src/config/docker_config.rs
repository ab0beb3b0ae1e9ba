//! Credentials in the configuration files of Docker and the containers tools, and in the credential helpers that they
//! name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use oras_store::{Error, ErrorKind, Result};
use tokio::sync::Mutex;

use crate::auth::credential::{Credential, CredentialStore};
use crate::auth::credential_helper::CredentialHelper;
use crate::config::docker_config_file::DockerConfigFile;

/// The key under which Docker stores the credential of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";
/// Names under which other tools store the credential of Docker Hub.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Receives notices for the user: a helper that is not installed, a file that can't be read.
/// [`DockerConfig::with_notices`] sets it.
pub type NoticeHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// A credential store in one or more configuration files, of which the first is written. With it, a program uses the
/// logins of `docker login` and `oras login`.
///
/// The files are read for each request and need not exist. A key may be a server, or a server with the path of a
/// repository or of its parents, as the containers tools write them; the longest match is used. Without a helper for
/// a server, the credential is stored encoded but not encrypted, in a file that only its owner can read.
///
/// ```
/// use std::sync::Arc;
///
/// use oras_remote::{Credential, CredentialStore, DockerConfig, Keeper, Located, NoticeHandler};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// # let directory = tempfile::tempdir().unwrap();
/// let notices: NoticeHandler = Arc::new(|text| eprintln!("{text}"));
/// let config = DockerConfig::open(vec![directory.path().join("config.json")]).with_notices(notices);
/// config.put("localhost:5000", &Credential::basic("user", "password")).await?;
/// if let Some(Located { file, keeper, .. }) = config.locate("localhost:5000", None).await? {
///     println!("logged in by {}", file.display());
///     assert_eq!(keeper, Keeper::Entry("localhost:5000".into()));
/// }
/// config.erase("localhost:5000").await?;
/// # Ok(()) }
/// ```
pub struct DockerConfig {
    paths: Vec<PathBuf>,
    fallbacks: Vec<PathBuf>,
    helpers: Option<PathBuf>,
    notices: Option<NoticeHandler>,
    writing: Mutex<()>,
}

/// A credential and its location. [`DockerConfig::locate`] returns it, so that a program can show where a login comes
/// from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Located {
    /// The credential.
    pub credential: Credential,
    /// The file that contains it, or that names the helper.
    pub file: PathBuf,
    /// The entry or helper that holds it.
    pub keeper: Keeper,
}

/// Where a credential is stored. It is a field of [`Located`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The entry of `auths` with this key.
    Entry(String),
    /// The credential helper with this name, `docker-credential-…`.
    Helper(String),
}

impl DockerConfig {
    /// Creates a store of the files at `paths`. The first file with a credential for a server is used.
    pub fn open(paths: Vec<PathBuf>) -> Self {
        Self { paths, fallbacks: Vec::new(), helpers: None, notices: None, writing: Mutex::new(()) }
    }

    /// Also reads the files at `paths`, if the first files have no credential. Fallback files are never written, and
    /// an unreadable one is skipped with a notice.
    #[must_use]
    pub fn with_fallbacks(mut self, paths: Vec<PathBuf>) -> Self {
        self.fallbacks = paths;
        self
    }

    /// Runs credential helpers from `directory` only, instead of the search path.
    #[must_use]
    pub fn with_helper_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.helpers = Some(directory.into());
        self
    }

    /// Sends notices to `handler`.
    #[must_use]
    pub fn with_notices(mut self, handler: NoticeHandler) -> Self {
        self.notices = Some(handler);
        self
    }

    /// Returns all files in which credentials are looked up, in order. They need not exist.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().chain(&self.fallbacks).map(PathBuf::as_path)
    }

    /// Returns the path if the store has exactly one file, not counting fallbacks.
    pub fn path(&self) -> Option<&Path> {
        match self.paths.as_slice() {
            [path] => Some(path),
            _ => None,
        }
    }

    /// Checks that all files can be read.
    ///
    /// # Errors
    /// If an existing file can't be read or parsed.
    pub fn check(&self) -> Result<()> {
        self.paths.iter().try_for_each(|path| DockerConfigFile::load(path).map(drop))
    }

    /// Like [`DockerConfig::check`]; also fails if there is no file to write.
    pub fn check_writable(&self) -> Result<()> {
        self.first()?;
        self.check()
    }

    /// Returns the file to which a credential for `server` would be written without encryption, or `None` if a helper
    /// would store it.
    ///
    /// # Errors
    /// If the file can't be read or parsed.
    pub async fn plain_text_path(&self, server: &str) -> Result<Option<PathBuf>> {
        let file = DockerConfigFile::read(self.first()?).await?;
        Ok(file.helper(&Key::of(server, None).own())?.is_none().then(|| file.path().to_owned()))
    }

    /// Returns the credential for `repository` of `server` with its location.
    ///
    /// A configured helper that is not installed is skipped with a notice.
    ///
    /// # Errors
    /// If a file can't be read or parsed, or a helper fails.
    pub async fn locate(&self, server: &str, repository: Option<&str>) -> Result<Option<Located>> {
        let key = Key::of(server, repository);
        for path in &self.paths {
            let found = self.locate_in(path, &key, false).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        // Fallback files belong to other tools, so a broken one must not stop this client.
        for path in &self.fallbacks {
            match self.locate_in(path, &key, true).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => self.notice(&format!("passing over {}: {}", path.display(), error.chain())),
            }
        }
        Ok(None)
    }

    async fn locate_in(&self, path: &Path, key: &Key, strict: bool) -> Result<Option<Located>> {
        let file = DockerConfigFile::read(path).await?;
        let located = |credential, keeper| Located { credential, file: file.path().to_owned(), keeper };
        if let Some(helper) = self.helper(&file, &key.own())? {
            // Helpers receive the server alone, because they store no credentials per repository.
            match helper.get(&key.own()).await {
                Err(error) if helper.is_missing(&error) => self.notice(&format!(
                    "{} names the credential helper {}, which is not installed: looking elsewhere",
                    path.display(),
                    helper.name()
                )),
                found => {
                    return Ok(found?.map(|credential| located(credential, Keeper::Helper(helper.name()))));
                }
            }
        }
        // Without a usable helper, the entries of the file itself are searched.
        let found = file.find(|entry| key.rank(entry, strict))?;
        Ok(found.map(|(entry, credential)| located(credential, Keeper::Entry(entry))))
    }

    fn notice(&self, text: &str) {
        if let Some(handler) = &self.notices {
            handler(text);
        }
    }

    fn first(&self) -> Result<&Path> {
        self.paths.first().map(PathBuf::as_path).ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "failed to get user home directory: $HOME is not defined")
        })
    }

    fn helper(&self, file: &DockerConfigFile, server: &str) -> Result<Option<CredentialHelper>> {
        let name = file.helper(server)?;
        name.map(|name| CredentialHelper::new(name, self.helpers.as_deref())).transpose()
    }
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerConfig")
            .field("paths", &self.paths)
            .field("fallbacks", &self.fallbacks)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl CredentialStore for DockerConfig {
    async fn get(&self, server: &str, repository: Option<&str>) -> Result<Option<Credential>> {
        Ok(self.locate(server, repository).await?.map(|located| located.credential))
    }

    async fn put(&self, server: &str, credential: &Credential) -> Result<()> {
        // The lock serializes changes within this process. For other processes, the file is replaced atomically.
        let server = Key::of(server, None).own();
        let _writing = self.writing.lock().await;
        let mut file = DockerConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, &server)? {
            return helper.store(&server, credential).await;
        }
        file.put(&server, credential)?;
        file.write().await
    }

    async fn erase(&self, server: &str) -> Result<()> {
        let key = Key::of(server, None);
        let _writing = self.writing.lock().await;
        let mut file = DockerConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, &key.own())? {
            return helper.erase(&key.own()).await;
        }
        // Also deletes keys that older tools wrote. Otherwise a later look-up would find them.
        if file.remove(|entry| key.rank(entry, true).is_some())? { file.write().await } else { Ok(()) }
    }
}

/// The server and repository that a credential is for.
struct Key {
    server: String,
    path: String,
}

impl Key {
    fn of(server: &str, repository: Option<&str>) -> Self {
        // Docker Hub has several names. They are replaced by one name, so that all of them find the same credential.
        let is_hub = HUB_NAMES.contains(&server);
        let server = if is_hub { HUB_NAMES[0] } else { server };
        Self { server: server.to_owned(), path: repository.unwrap_or_default().to_owned() }
    }

    fn is_hub(&self) -> bool {
        self.server == HUB_NAMES[0]
    }

    /// Returns the key that is written, and that helpers receive.
    fn own(&self) -> String {
        if self.is_hub() { HUB.to_owned() } else { self.server.clone() }
    }

    /// Returns how well the key `entry` matches: the longest path ranks highest, then the key that is written, then
    /// keys of older tools such as `http://localhost:5000/v1/`. Unless `strict`, the path of another repository
    /// matches last, as in the Go tool.
    fn rank(&self, entry: &str, strict: bool) -> Option<usize> {
        if entry == self.own() {
            return Some(2);
        }
        // Old versions of Docker wrote whole URLs. Only the host is compared, because the path belongs to the API.
        if let Some((_, rest)) = entry.split_once("://") {
            let host = rest.split_once('/').map_or(rest, |(host, _)| host);
            return self.is_server(host).then_some(1);
        }
        let (host, path) = entry.split_once('/').unwrap_or((entry, ""));
        if !self.is_server(host) {
            return None;
        }
        if path.is_empty() {
            return Some(1);
        }
        // The prefix must end at a `/`: the credential of `team` is not for `team-two`.
        let below = self.path.strip_prefix(path).filter(|below| below.is_empty() || below.starts_with('/'));
        below.map(|_| 2 + path.len()).or((!strict).then_some(0))
    }

    fn is_server(&self, host: &str) -> bool {
        host == self.server || (self.is_hub() && HUB_NAMES.contains(&host))
    }
}

#[cfg(test)]
#[path = "docker_config_tests.rs"]
mod tests;
