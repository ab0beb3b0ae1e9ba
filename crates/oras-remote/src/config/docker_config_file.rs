//! One configuration file of Docker or the containers tools: reads and replaces it, and keeps unknown fields.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use oras_store::{Error, ErrorKind, Result, check_written_size};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::auth::credential::Credential;
use crate::auth::secret::Secret;

/// The maximum size in bytes of a configuration file.
const MAX_SIZE: u64 = 16 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    // Accepts values with and without the padding characters `=`.
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file with all of its fields, known or unknown, in order.
pub(crate) struct DockerConfigFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl DockerConfigFile {
    /// Reads a file; a missing or blank one has no fields.
    pub(crate) async fn read(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        oras_fs::blocking(move || Self::load(&path)).await
    }

    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = match read_bounded(path) {
            Ok(bytes) => bytes,
            // A missing file is normal before the first login.
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

    /// Returns the path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name of the helper for `server`, if one is configured.
    pub(crate) fn helper(&self, server: &str) -> Result<Option<&str>> {
        // Docker gives the helper of one registry precedence over the helper for all.
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

    /// Returns the key and credential of the entry that `rank` rates highest, the first one among equals.
    pub(crate) fn find(&self, rank: impl Fn(&str) -> Option<usize>) -> Result<Option<(String, Credential)>> {
        let Some(auths) = self.object("auths")? else {
            return Ok(None);
        };
        // `max_by_key` returns the last of several equal entries, so the reversed order selects the first one.
        let ranked = auths.iter().rev().filter_map(|(key, entry)| Some((rank(key)?, key, entry)));
        let Some((_, key, entry)) = ranked.max_by_key(|(rank, ..)| *rank) else {
            return Ok(None);
        };
        // The error omits the entry's content, which is secret.
        let credential =
            decode(entry).map_err(|why| invalid(&self.path, &format!("the entry of {key}: {why}")))?;
        Ok(credential.map(|credential| (key.clone(), credential)))
    }

    /// Stores `credential` under `key`, replacing any other.
    pub(crate) fn put(&mut self, key: &str, credential: &Credential) -> Result<()> {
        let entry = encode(credential)?;
        if self.object("auths")?.is_none() {
            insert(&mut self.fields, "auths", json!({}));
        }
        if let Some(Value::Object(auths)) = self.fields.get_mut("auths") {
            insert(auths, key, entry);
        }
        Ok(())
    }

    /// Deletes the entries for which `should_delete` is true; returns true if there were any.
    pub(crate) fn remove(&mut self, should_delete: impl Fn(&str) -> bool) -> Result<bool> {
        // Fails if it is not an object.
        self.object("auths")?;
        let Some(Value::Object(auths)) = self.fields.get_mut("auths") else { return Ok(false) };
        let before = auths.len();
        auths.retain(|key, _| !should_delete(key));
        Ok(auths.len() != before)
    }

    fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(invalid(&self.path, &format!("{field} is not an object"))),
        }
    }

    /// Replaces the file, or the target of a symbolic link.
    pub(crate) async fn write(mut self) -> Result<()> {
        // An empty name means no helper. The Go tool omits the field when it writes the file.
        if self.fields.get("credsStore").is_some_and(|name| name == "" || name.is_null()) {
            self.fields.shift_remove("credsStore");
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let formatter = PrettyFormatter::with_indent(b"\t");
        self.fields.serialize(&mut serde_json::Serializer::with_formatter(&mut *bytes, formatter)).map_err(
            |error| Error::new(ErrorKind::Other, "failed to encode config file").with_source(error),
        )?;
        check_written_size(&self.path.display().to_string(), bytes.len(), MAX_SIZE)?;
        let path = self.path;
        oras_fs::blocking(move || {
            // Replacing a symbolic link itself would detach a file that the user manages elsewhere.
            let path = std::fs::canonicalize(&path).unwrap_or(path);
            if let Some(parent) = path.parent() {
                create_private(parent)?;
            }
            // Replaces the file atomically: a concurrent reader sees the old or the new file, never a part.
            oras_fs::replace(&path, &bytes, 0o600)
        })
        .await
    }
}

/// Inserts a new key in order if the keys are sorted, as the Go tool writes them, otherwise at the end. A known key
/// keeps its position.
fn insert(map: &mut Map<String, Value>, key: &str, value: Value) {
    if map.contains_key(key) || !map.keys().is_sorted() {
        map.insert(key.to_owned(), value);
        return;
    }
    let place = map.keys().position(|known| known.as_str() > key).unwrap_or(map.len());
    map.shift_insert(place, key.to_owned(), value);
}

/// Reads a file, unless it is too large for a configuration.
fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    // One byte beyond the limit shows that the file is too large, without reading the rest.
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(format!("it is larger than {MAX_SIZE} bytes")));
    }
    Ok(bytes)
}

/// Creates `directory` and its parents, accessible to their owner alone.
fn create_private(directory: &Path) -> Result<()> {
    if directory.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    // The mode applies to directories that are created here. Existing ones keep theirs.
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
        .create(directory)
        .map_err(|error| Error::io(format!("failed to create the directory {}", directory.display()), error))
}

fn invalid(path: &Path, why: &str) -> Error {
    let message = format!("failed to decode config file {}: invalid config format: {why}", path.display());
    Error::new(ErrorKind::InvalidContent, message)
}

/// Reads the credential in an entry of `auths`, if it has one.
fn decode(entry: &Value) -> Result<Option<Credential>, &'static str> {
    let field = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text.as_str()),
        Some(_) => Err("a field is not a string"),
    };
    if !(entry.is_object() || entry.is_null()) {
        return Err("not an object");
    }
    // A token takes precedence over a password.
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
    // The decoded password is wiped from memory on every return, also after an error.
    let bytes = Zeroizing::new(BASE64.decode(auth.trim()).ok()?);
    let (username, password) = std::str::from_utf8(&bytes).ok()?.split_once(':')?;
    // Docker pads some passwords with zero bytes.
    let password = Secret::from(password.trim_end_matches('\0'));
    Some(Credential::Basic { username: username.to_owned(), password })
}

/// Creates the entry of `auths` for `credential`.
fn encode(credential: &Credential) -> Result<Value> {
    Ok(match credential {
        // The file stores `user:password`, so a colon in the user name would move the boundary.
        Credential::Basic { username, .. } if username.contains(':') => {
            let message = "bad credential format: colons(:) are not allowed in username";
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        Credential::Basic { username, password } => {
            let text = Zeroizing::new(format!("{username}:{}", password.expose()));
            json!({ "auth": BASE64.encode(text.as_bytes()) })
        }
        Credential::Refresh(token) => json!({ "identitytoken": token.expose() }),
        Credential::Access(token) => json!({ "registrytoken": token.expose() }),
    })
}
