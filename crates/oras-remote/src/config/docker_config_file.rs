//! One configuration file of Docker or of the containers tools: its entries, known and unknown, and how it is replaced.

use std::io::Read;
use std::path::{Path, PathBuf};

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use oras_store::{Error, Kind, Result, check_written_size, fsio};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::credentials::Credential;
use crate::secret::Secret;

/// The largest file that is read.
const MAX_SIZE: u64 = 16 << 20;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One file: all of its fields, known or not, in their order.
pub(crate) struct ConfigFile {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl ConfigFile {
    /// A missing or blank file has no fields.
    pub(crate) async fn read(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        fsio::blocking(move || Self::load(&path)).await
    }

    pub(crate) fn load(path: &Path) -> Result<Self> {
        let bytes = match bounded(path) {
            Ok(bytes) => bytes,
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

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The name of the helper for `server`, if one is configured.
    pub(crate) fn helper(&self, server: &str) -> Result<Option<&str>> {
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

    /// The credential in the entry that `rank` puts highest, with the key; the first of several.
    pub(crate) fn find(&self, rank: impl Fn(&str) -> Option<usize>) -> Result<Option<(String, Credential)>> {
        let Some(auths) = self.object("auths")? else {
            return Ok(None);
        };
        let ranked = auths.iter().rev().filter_map(|(key, entry)| Some((rank(key)?, key, entry)));
        let Some((_, key, entry)) = ranked.max_by_key(|(rank, ..)| *rank) else {
            return Ok(None);
        };
        // What the entry holds is not repeated: it is secret.
        let credential =
            decode(entry).map_err(|why| invalid(&self.path, &format!("the entry of {key}: {why}")))?;
        Ok(credential.map(|credential| (key.clone(), credential)))
    }

    /// Files `credential` under `key` in place of any other.
    pub(crate) fn put(&mut self, key: &str, credential: &Credential) -> Result<()> {
        let entry = encode(credential)?;
        if !self.fields.contains_key("auths") {
            insert(&mut self.fields, "auths", Value::Null);
        }
        let auths = self.fields.entry("auths").or_insert(Value::Null);
        if auths.is_null() {
            *auths = json!({});
        }
        let Value::Object(auths) = auths else {
            return Err(invalid(&self.path, "auths is not an object"));
        };
        insert(auths, key, entry);
        Ok(())
    }

    /// Removes the entries that `is_meant`; whether there were any.
    pub(crate) fn remove(&mut self, is_meant: impl Fn(&str) -> bool) -> Result<bool> {
        if self.object("auths")?.is_none() {
            return Ok(false);
        }
        let Some(Value::Object(auths)) = self.fields.get_mut("auths") else { return Ok(false) };
        let before = auths.len();
        auths.retain(|key, _| !is_meant(key));
        Ok(auths.len() != before)
    }

    fn object(&self, field: &str) -> Result<Option<&Map<String, Value>>> {
        match self.fields.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(invalid(&self.path, &format!("{field} is not an object"))),
        }
    }

    /// Replaces the file; a link to it stays one.
    pub(crate) async fn write(mut self) -> Result<()> {
        if self.fields.get("credsStore").is_some_and(|name| name == "" || name.is_null()) {
            self.fields.shift_remove("credsStore");
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let formatter = PrettyFormatter::with_indent(b"\t");
        self.fields
            .serialize(&mut serde_json::Serializer::with_formatter(&mut *bytes, formatter))
            .map_err(|error| Error::new(Kind::Other, "failed to encode config file").with_source(error))?;
        check_written_size(&self.path.display().to_string(), bytes.len(), MAX_SIZE)?;
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

/// Puts a new key where it belongs in keys that are sorted, as the Go tool writes them; else last. A known key stays in
/// its place.
fn insert(map: &mut Map<String, Value>, key: &str, value: Value) {
    if map.contains_key(key) || !map.keys().is_sorted() {
        map.insert(key.to_owned(), value);
        return;
    }
    let place = map.keys().position(|known| known.as_str() > key).unwrap_or(map.len());
    map.shift_insert(place, key.to_owned(), value);
}

/// What is in a file, unless it is too large to be a configuration.
fn bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
    file.take(MAX_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(format!("it is larger than {MAX_SIZE} bytes")));
    }
    Ok(bytes)
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
