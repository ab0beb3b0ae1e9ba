//! Credentials in the configuration file of Docker, which other tools share, and in the helpers it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use oras_store::{Error, Kind, Result, fsio};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::credentials::{Credential, CredentialStore};
use crate::helper::Helper;
use crate::secret::Secret;

/// The key of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Docker's configuration: one file or more, of which the first is written.
///
/// The files are read whenever they are asked, and need not exist. Without a helper for a server, what is stored
/// is only encoded, not encrypted; the file is readable by its owner alone.
#[derive(Debug)]
pub struct DockerConfig {
    paths: Vec<PathBuf>,
    helpers: Option<PathBuf>,
    writing: Mutex<()>,
}

impl DockerConfig {
    /// The configuration in the files at `paths`: the first that has a server is used for it.
    pub fn open(paths: Vec<PathBuf>) -> Self {
        Self { paths, helpers: None, writing: Mutex::new(()) }
    }

    /// Looks for credential helpers in `directory` only, not wherever the system has its programs.
    #[must_use]
    pub fn with_helper_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.helpers = Some(directory.into());
        self
    }

    /// The file, when there is exactly one.
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

#[async_trait]
impl CredentialStore for DockerConfig {
    async fn get(&self, server: &str) -> Result<Option<Credential>> {
        let server = key(server);
        for path in &self.paths {
            let file = ConfigFile::read(path).await?;
            let found = match self.helper(&file, server)? {
                Some(helper) => helper.get(server).await?,
                None => file.find(server)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn put(&self, server: &str, credential: &Credential) -> Result<()> {
        let server = key(server);
        let _writing = self.writing.lock().await;
        let mut file = ConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, server)? {
            return helper.store(server, credential).await;
        }
        let entry = encode(credential)?;
        file.change_auths(|auths| drop(auths.insert(server.to_owned(), entry)))?;
        file.write().await
    }

    async fn erase(&self, server: &str) -> Result<()> {
        let server = key(server);
        let _writing = self.writing.lock().await;
        let mut file = ConfigFile::read(self.first()?).await?;
        if let Some(helper) = self.helper(&file, server)? {
            return helper.erase(server).await;
        }
        let mut changed = false;
        file.change_auths(|auths| {
            let before = auths.len();
            // Keys of older tools too, as they would be found again.
            auths.retain(|key, _| key != server && !(key.contains("://") && host_of(key) == server));
            changed = auths.len() != before;
        })?;
        if changed { file.write().await } else { Ok(()) }
    }
}

/// What `server` is filed under.
fn key(server: &str) -> &str {
    match server {
        "docker.io" | "registry-1.docker.io" => HUB,
        other => other,
    }
}

/// The host in a key of an older tool, as `http://localhost:5000/v1/`.
fn host_of(key: &str) -> &str {
    let rest = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

/// One file: all of its fields, known or not.
struct ConfigFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl ConfigFile {
    /// A missing or blank file has no fields.
    async fn read(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        fsio::blocking(move || Self::load(&path)).await
    }

    fn load(path: &Path) -> Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(error) => {
                return Err(Error::io(format!("failed to open config file {}", path.display()), error));
            }
        };
        let path = path.to_owned();
        if bytes.trim_ascii().is_empty() {
            return Ok(Self { path, fields: Map::new() });
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(fields)) => Ok(Self { path, fields }),
            Ok(_) => Err(invalid(&path, "not an object")),
            Err(error) if error.is_eof() => Err(invalid(&path, "unexpected EOF")),
            Err(error) => Err(invalid(&path, &error.to_string())),
        }
    }

    /// The name of the helper for `server`, if one is configured.
    fn helper(&self, server: &str) -> Result<Option<&str>> {
        let own = self.object("credHelpers")?.and_then(|helpers| helpers.get(server));
        for (field, value) in [("credHelpers", own), ("credsStore", self.fields.get("credsStore"))] {
            match value {
                None | Some(Value::Null) => {}
                Some(Value::String(name)) if name.is_empty() => {}
                Some(Value::String(name)) => return Ok(Some(name)),
                Some(_) => return Err(invalid(&self.path, &format!("{field} doesn't name a helper"))),
            }
        }
        Ok(None)
    }

    /// The credential for `server` in the file itself.
    fn find(&self, server: &str) -> Result<Option<Credential>> {
        let Some(auths) = self.object("auths")? else {
            return Ok(None);
        };
        let legacy = || auths.iter().find(|(key, _)| host_of(key) == server).map(|(_, entry)| entry);
        let Some(entry) = auths.get(server).or_else(legacy) else {
            return Ok(None);
        };
        // What the entry holds is not repeated: it is secret.
        decode(entry).map_err(|why| invalid(&self.path, &format!("the entry of {server}: {why}")))
    }

    fn change_auths(&mut self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let auths = self.fields.entry("auths").or_insert(Value::Null);
        if auths.is_null() {
            *auths = json!({});
        }
        let Value::Object(auths) = auths else {
            return Err(invalid(&self.path, "auths is not an object"));
        };
        change(auths);
        auths.sort_keys();
        Ok(())
    }

    fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(invalid(&self.path, &format!("{field} is not an object"))),
        }
    }

    /// Replaces the file; a link to it stays one.
    async fn write(mut self) -> Result<()> {
        if self.fields.get("credsStore").is_some_and(|name| name == "" || name.is_null()) {
            self.fields.shift_remove("credsStore");
        }
        let sorted: BTreeMap<_, _> = self.fields.iter().collect();
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let formatter = PrettyFormatter::with_indent(b"\t");
        sorted
            .serialize(&mut serde_json::Serializer::with_formatter(&mut *bytes, formatter))
            .map_err(|error| Error::new(Kind::Other, "failed to encode config file").with_source(error))?;
        let path = self.path;
        fsio::blocking(move || {
            let path = std::fs::canonicalize(&path).unwrap_or(path);
            if let Some(parent) = path.parent() {
                create_private(parent)?;
            }
            fsio::replace(&path, &bytes, 0o600)
        })
        .await
    }
}

/// Makes `directory` and its parents, for their owner alone.
fn create_private(directory: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Error::io(format!("failed to create the directory {}", directory.display()), error))
}

fn invalid(path: &Path, why: &str) -> Error {
    let message = format!("failed to decode config file {}: invalid config format: {why}", path.display());
    Error::new(Kind::InvalidContent, message)
}

/// The credential in an entry of `auths`, if it has any.
fn decode(entry: &Value) -> Result<Option<Credential>, &'static str> {
    let field = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err("a field is not a string"),
    };
    if !(entry.is_object() || entry.is_null()) {
        return Err("not an object");
    }
    let (access, refresh) = (field("registrytoken")?, field("identitytoken")?);
    if !access.is_empty() {
        return Ok(Some(Credential::Access(access.into())));
    }
    if !refresh.is_empty() {
        return Ok(Some(Credential::Refresh(refresh.into())));
    }
    let auth = field("auth")?;
    if !auth.is_empty() {
        return basic(auth).map(Some).ok_or("auth is not the base64 of user:password");
    }
    let (username, password) = (field("username")?, field("password")?);
    if username.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(Credential::Basic { username: username.to_owned(), password: password.into() }))
}

fn basic(auth: &str) -> Option<Credential> {
    let bytes = Zeroizing::new(BASE64.decode(auth.trim()).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // Docker pads some passwords.
    let password = Secret::from(password.trim_end_matches('\0'));
    Some(Credential::Basic { username: username.to_owned(), password })
}

/// The entry of `auths` for `credential`.
fn encode(credential: &Credential) -> Result<Value> {
    Ok(match credential {
        Credential::Basic { username, .. } if username.contains(':') => {
            let message = "bad credential format: colons(:) are not allowed in username";
            return Err(Error::new(Kind::InvalidInput, message));
        }
        Credential::Basic { username, password } => {
            let text = Zeroizing::new(format!("{username}:{}", password.expose()));
            json!({ "auth": BASE64.encode(text.as_bytes()) })
        }
        Credential::Refresh(token) => json!({ "identitytoken": token.expose() }),
        Credential::Access(token) => json!({ "registrytoken": token.expose() }),
    })
}

#[cfg(test)]
#[path = "docker_config_tests.rs"]
mod tests;
