//! `registries.conf`, version 2: from where repositories are read, and which registries are insecure or blocked
//! (containers-registries.conf(5)).

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_store::{Error, ErrorKind, Result};
use serde::Deserialize;

/// The maximum size of a file in bytes.
const MAX_SIZE: u64 = 16 << 20;

/// Rules for registries: their mirrors, their locations, and whether they are insecure or blocked. With
/// [`RegistriesConf::system`], a client follows the rules of the machine.
///
/// Short names are not supported, so other tables of the file are ignored.
#[derive(Clone, Debug, Default)]
pub struct RegistriesConf {
    /// The rules by their prefixes.
    rules: BTreeMap<String, Rule>,
}

/// The rule for the repositories under a prefix.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// The location that replaces the prefix for reads; empty for none.
    pub(crate) location: String,
    /// Certificates are not verified, and HTTP is used if HTTPS fails.
    pub(crate) insecure: bool,
    /// Reads and writes are rejected.
    pub(crate) blocked: bool,
    /// The mirrors to try before the registry itself, in order.
    pub(crate) mirrors: Vec<MirrorRule>,
    /// The file that contains the rule.
    pub(crate) file: Arc<Path>,
}

/// A mirror.
#[derive(Clone, Debug)]
pub(crate) struct MirrorRule {
    pub(crate) location: String,
    pub(crate) insecure: bool,
    /// Whether the mirror serves reads by digest.
    pub(crate) digests: bool,
    /// Whether the mirror serves reads by tag.
    pub(crate) tags: bool,
}

/// A rule that matches a name.
#[derive(Debug)]
pub(crate) struct RuleMatch<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) rule: &'a Rule,
    /// The rest of the name after the prefix.
    rest: &'a str,
}

/// A registry that `registries.conf` blocks; found in the chain of an error of kind `Denied`. It names the rule:
///
/// ```
/// use oras_remote::RegistryBlocked;
/// use oras_remote::store::Error;
///
/// /// Returns the file that an administrator has to change, if the registry is blocked.
/// fn blocking_file(error: &Error) -> Option<&std::path::Path> {
///     error.find::<RegistryBlocked>().map(|blocked| blocked.file.as_path())
/// }
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
#[error("registry {prefix} is blocked in {}", file.display())]
pub struct RegistryBlocked {
    /// The prefix of the rule: a host, or a host with the beginning of repositories.
    pub prefix: String,
    /// The file that contains the rule.
    pub file: PathBuf,
}

impl RegistriesConf {
    /// Loads the rules of `file` and of every `*.conf` in the `directories`, in order of names. A later rule for a
    /// prefix replaces an earlier one. A missing directory counts as empty.
    ///
    /// # Errors
    /// `Io` for unreadable files; `InvalidInput` with file and line for invalid ones.
    pub fn load(file: Option<&Path>, directories: &[PathBuf]) -> Result<Self> {
        let mut conf = Self::default();
        let mut files: Vec<PathBuf> = file.into_iter().map(Path::to_owned).collect();
        for directory in directories {
            let mut found = list(directory)
                .map_err(|error| Error::io(format!("failed to list {}", directory.display()), error))?;
            found.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
            // The order of names decides which rule is used: a later file replaces the rules of an earlier one.
            found.sort();
            files.append(&mut found);
        }
        for path in files {
            let text = read(&path)
                .map_err(|error| Error::io(format!("failed to read {}", path.display()), error))?;
            conf.add(&text, &path)?;
        }
        Ok(conf)
    }

    /// Adds the rules in the text of a file.
    fn add(&mut self, text: &str, path: &Path) -> Result<()> {
        let invalid = |why: String| Error::new(ErrorKind::InvalidInput, format!("{}: {why}", path.display()));
        let parsed: File = toml::from_str(text).map_err(|error| {
            // Only the line and the reason are shown: the error of the parser would print the content of the file.
            let line = 1 + text[..error.span().map_or(0, |span| span.start)].matches('\n').count();
            invalid(format!("line {line}: {}", error.message()))
        })?;
        let file: Arc<Path> = path.into();
        for table in parsed.registry {
            let (prefix, rule) = rule(table, &file).map_err(invalid)?;
            self.rules.insert(prefix, rule);
        }
        Ok(())
    }

    /// Returns the rule with the longest prefix for `name`, a host or `host/repository`.
    pub(crate) fn find<'a>(&'a self, name: &'a str) -> Option<RuleMatch<'a>> {
        let all = self.rules.iter().filter_map(|(prefix, rule)| {
            let rest = &name[matched_length(prefix, name)?..];
            Some(RuleMatch { prefix, rule, rest })
        });
        // Of two matches of the same length, the one without a wildcard is more specific.
        all.max_by_key(|found| {
            (name.len() - found.rest.len(), !found.prefix.starts_with('*'), found.prefix.len())
        })
    }
}

impl RuleMatch<'_> {
    /// Returns the name of the repository at `location`.
    pub(crate) fn at(&self, location: &str) -> String {
        format!("{location}{}", self.rest)
    }

    /// Returns the error if the rule blocks the registry.
    pub(crate) fn blocked(&self) -> Option<Error> {
        let blocked =
            || RegistryBlocked { prefix: self.prefix.to_owned(), file: self.rule.file.to_path_buf() };
        self.rule.blocked.then(|| Error::from_source(ErrorKind::Denied, blocked()))
    }
}

/// Lists the paths in a directory. Returns an empty list if the directory does not exist.
fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Reads a file of at most [`MAX_SIZE`] bytes.
fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(format!("larger than {} MiB", MAX_SIZE >> 20)));
    }
    Ok(text)
}

/// Returns the length of the part of `name` that the prefix matches. A wildcard matches one or more labels of
/// a host.
fn matched_length(prefix: &str, name: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix('*') {
        // The host must be longer than the domain: `*.example.com` does not match `example.com` itself.
        let host = name.split('/').next().unwrap_or_default();
        return (host.len() > domain.len() && host.ends_with(domain)).then_some(host.len());
    }
    let rest = name.strip_prefix(prefix)?;
    // The prefix must end at a `/`: a rule for `host/team` is not for `host/team-two`.
    (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    registry: Vec<RegistryTable>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct RegistryTable {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<MirrorTable>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct MirrorTable {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

fn rule(table: RegistryTable, file: &Arc<Path>) -> std::result::Result<(String, Rule), String> {
    let location = location(&table.location)?;
    let prefix = if table.prefix.is_empty() { location.clone() } else { self::location(&table.prefix)? };
    let is_wildcard = prefix.starts_with("*.") && !prefix.contains('/');
    if prefix.is_empty() {
        return Err("a registry has neither prefix nor location".to_owned());
    }
    if prefix.contains('*') && (!is_wildcard || prefix[1..].contains('*')) {
        return Err(format!("prefix {prefix:?}: a wildcard must be \"*.\" before a domain"));
    }
    // A wildcard matches many hosts, so it needs no location. The matched names stay unchanged.
    if location.is_empty() && !is_wildcard {
        return Err(format!("the registry with prefix {prefix:?} has no location"));
    }
    let by_digest = table.mirror_by_digest_only;
    let mirrors = table.mirror.into_iter().map(|table| mirror(table, by_digest)).collect::<Result<_, _>>()?;
    let (insecure, blocked) = (table.insecure, table.blocked);
    Ok((prefix, Rule { location, insecure, blocked, mirrors, file: Arc::clone(file) }))
}

fn mirror(table: MirrorTable, by_digest: bool) -> std::result::Result<MirrorRule, String> {
    let location = location(&table.location)?;
    if location.is_empty() {
        return Err("a mirror has no location".to_owned());
    }
    let (digests, tags) = match table.pull_from_mirror.as_str() {
        "" => (true, !by_digest),
        // containers-registries.conf(5) forbids both settings together.
        _ if by_digest => {
            return Err(format!(
                "mirror {location:?}: pull-from-mirror can't be used beside mirror-by-digest-only"
            ));
        }
        "all" => (true, true),
        "digest-only" => (true, false),
        "tag-only" => (false, true),
        other => {
            return Err(format!(
                "mirror {location:?}: pull-from-mirror is {other:?}, expecting all, digest-only or tag-only"
            ));
        }
    };
    Ok(MirrorRule { location, insecure: table.insecure, digests, tags })
}

/// Parses a host, or a host with the beginning of repositories.
fn location(text: &str) -> std::result::Result<String, String> {
    if text.contains("://") {
        return Err(format!("location {text:?}: expecting a host without http:// or https://"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[path = "registries_conf_tests.rs"]
mod tests;
