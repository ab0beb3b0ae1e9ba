//! Credentials in the configuration files of Docker and of the containers tools, which other tools share, and in the
//! helpers they name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use oras_store::{Error, Kind, Result};
use tokio::sync::Mutex;

use crate::config_file::ConfigFile;
use crate::credentials::{Credential, CredentialStore};
use crate::helper::Helper;

/// The key of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";
/// Names of Docker Hub that tools file credentials under.
const HUB_NAMES: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Told what a user should know: a helper that is configured but not installed, a file that can't be read.
pub type NoticeHandler = Arc<dyn Fn(&str) + Send + Sync>;

/// Docker's configuration: one file or more, of which the first is written.
///
/// The files are read whenever they are asked, and need not exist. Keys may be a server, or a server with the path of
/// a repository or of what is above it, as the containers tools write them: the longest that matches is used.
/// Without a helper for a server, what is stored is only encoded, not encrypted; the file is readable by its owner alone.
pub struct DockerConfig {
    paths: Vec<PathBuf>,
    fallbacks: Vec<PathBuf>,
    helpers: Option<PathBuf>,
    notices: Option<NoticeHandler>,
    writing: Mutex<()>,
}

/// A credential, and where it was found.
#[derive(Clone, Debug)]
pub struct Located {
    /// The credential.
    pub credential: Credential,
    /// The file that has it, or that names the helper that has it.
    pub file: PathBuf,
    /// What in the file.
    pub keeper: Keeper,
}

/// What keeps a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// The entry of `auths` with this key.
    Entry(String),
    /// The credential helper with this name, `docker-credential-…`.
    Helper(String),
}

impl DockerConfig {
    /// The configuration in the files at `paths`: the first that has a server is used for it.
    pub fn open(paths: Vec<PathBuf>) -> Self {
        Self { paths, fallbacks: Vec::new(), helpers: None, notices: None, writing: Mutex::new(()) }
    }

    /// Looks into the files at `paths` too when the others have nothing. They are never written, and one that can't be
    /// read is passed over with a notice.
    #[must_use]
    pub fn with_fallbacks(mut self, paths: Vec<PathBuf>) -> Self {
        self.fallbacks = paths;
        self
    }

    /// Looks for credential helpers in `directory` only, not wherever the system has its programs.
    #[must_use]
    pub fn with_helper_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.helpers = Some(directory.into());
        self
    }

    /// Tells `handler` what a user should know.
    #[must_use]
    pub fn with_notices(mut self, handler: NoticeHandler) -> Self {
        self.notices = Some(handler);
        self
    }

    /// The file, when there is exactly one besides those that are looked at last.
    pub fn path(&self) -> Option<&Path> {
        match self.paths.as_slice() {
            [path] => Some(path),
            _ => None,
        }
    }

    /// Reads all files, as they will be read again when a credential is asked for.
    ///
    /// # Errors
    /// When one is there and can't be read or understood.
    pub fn check(&self) -> Result<()> {
        self.paths.iter().try_for_each(|path| ConfigFile::load(path).map(drop))
    }

    /// Like [`DockerConfig::check`]; an error too when there is no file that could be written.
    pub fn check_writable(&self) -> Result<()> {
        self.first()?;
        self.check()
    }

    /// The file that a credential for `server` would be written to as it is, without a helper that would guard it.
    ///
    /// # Errors
    /// When the file can't be read or understood.
    pub async fn plain_text_path(&self, server: &str) -> Result<Option<PathBuf>> {
        let file = ConfigFile::read(self.first()?).await?;
        Ok(file.helper(&Key::of(server, None).own())?.is_none().then(|| file.path().to_owned()))
    }

    /// The credential for `repository` of `server`, and where it is.
    ///
    /// A helper that is configured but not installed is told of and passed over.
    ///
    /// # Errors
    /// When a file can't be read or understood, or a helper fails.
    pub async fn locate(&self, server: &str, repository: Option<&str>) -> Result<Option<Located>> {
        let key = Key::of(server, repository);
        for path in &self.paths {
            let found = self.locate_in(path, &key, false).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
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
        let file = ConfigFile::read(path).await?;
        let located = |credential, keeper| Located { credential, file: file.path().to_owned(), keeper };
        if let Some(helper) = self.helper(&file, &key.own())? {
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
            Error::new(Kind::Unsupported, "failed to get user home directory: $HOME is not defined")
        })
    }

    fn helper(&self, file: &ConfigFile, server: &str) -> Result<Option<Helper>> {
        let name = file.helper(server)?;
        name.map(|name| Helper::new(name, self.helpers.as_deref())).transpose()
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
        let server = Key::of(server, None).own();
        let _writing = self.writing.lock().await;
        let mut file = ConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, &server)? {
            return helper.store(&server, credential).await;
        }
        file.put(&server, credential)?;
        file.write().await
    }

    async fn erase(&self, server: &str) -> Result<()> {
        let key = Key::of(server, None);
        let _writing = self.writing.lock().await;
        let mut file = ConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, &key.own())? {
            return helper.erase(&key.own()).await;
        }
        // Keys of older tools too, as they would be found again.
        if file.remove(|entry| key.rank(entry, true).is_some())? { file.write().await } else { Ok(()) }
    }
}

/// What a credential is filed under.
struct Key {
    server: String,
    path: String,
}

impl Key {
    fn of(server: &str, repository: Option<&str>) -> Self {
        let is_hub = HUB_NAMES.contains(&server);
        let server = if is_hub { HUB_NAMES[0] } else { server };
        Self { server: server.to_owned(), path: repository.unwrap_or_default().to_owned() }
    }

    fn is_hub(&self) -> bool {
        self.server == HUB_NAMES[0]
    }

    /// The key that is written, and asked of helpers.
    fn own(&self) -> String {
        if self.is_hub() { HUB.to_owned() } else { self.server.clone() }
    }

    /// How well `entry` fits, if it does: the longest path first, then the key that is written, then keys of older
    /// tools, as `http://localhost:5000/v1/`. Unless it is `strict`, the path of another repository fits too, if nothing
    /// else does, as in the Go tool.
    fn rank(&self, entry: &str, strict: bool) -> Option<usize> {
        if entry == self.own() {
            return Some(2);
        }
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
