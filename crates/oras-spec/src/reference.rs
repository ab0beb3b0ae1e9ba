//! References to artifacts in registries: `registry/repository[:tag][@digest]`.
//!
//! Use a [`Reference`] to take the name of an artifact from a user. The functions check parts of a name that come from
//! elsewhere, such as a tag.
//!
//! The parser is written by hand and lenient on purpose, like that of the Go tool: it drops a malformed tag before a
//! digest. There are no defaults for registry, repository prefix and tag. The parser of `oci-spec` does not fit: it
//! adds `docker.io`, `library/` and `latest`, rejects IPv6 and compiles a regular expression on first use.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// A parsed reference, which names a repository or an artifact in a registry. `Display` writes the digest, or else the
/// tag.
///
/// ```
/// use oras_spec::{Reference, ReferenceError};
///
/// let reference: Reference = "docker.io/library/alpine:3".parse()?;
/// assert_eq!((reference.repository.as_str(), reference.host()), ("library/alpine", "registry-1.docker.io"));
/// assert_eq!(reference.with_target("edge")?.to_string(), "docker.io/library/alpine:edge");
///
/// let error: ReferenceError = "alpine".parse::<Reference>().unwrap_err();
/// println!("{error}");
/// # Ok::<(), ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The host and optional port: `localhost:5000`, `[::1]:5000`, `docker.io`.
    pub registry: String,
    /// The name of the repository in lower case, with parts separated by `/`.
    pub repository: String,
    /// The tag. If there is a digest, too, the tag is only for display.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
}

/// An error of parsing a reference. The messages are those of the Go tool, which scripts match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text contains no `/`.
    #[error("invalid reference: missing registry or repository")]
    Missing,
    /// The registry is not `host` or `host:port`.
    #[error("invalid reference: invalid registry {0:?}")]
    Registry(String),
    /// The repository does not follow the grammar of the distribution-spec.
    #[error("invalid reference: invalid repository {0:?}")]
    Repository(String),
    /// The tag does not follow the grammar of the distribution-spec.
    #[error("invalid reference: invalid tag {0:?}")]
    Tag(String),
    /// The digest is malformed.
    #[error("invalid reference: invalid digest {0:?}: {1}")]
    Digest(String, DigestError),
    /// The reference names another repository than expected.
    #[error("invalid reference: mismatch between received {received:?} and expected {expected:?}")]
    Mismatch {
        /// The reference that was parsed.
        received: String,
        /// The reference whose repository was expected.
        expected: String,
    },
    /// The reference has neither a tag nor a digest.
    #[error("invalid reference: missing tag or digest")]
    NoTarget,
}

impl Reference {
    /// Returns the digest, or else the tag. A request for a manifest contains this text.
    pub fn target(&self) -> Option<String> {
        self.digest.as_ref().map(ToString::to_string).or_else(|| self.tag.clone())
    }

    /// Returns `registry/repository`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// Returns the host to connect to, which is `registry-1.docker.io` for `docker.io`.
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            // Docker Hub does not serve the registry API at the host that its references name.
            "docker.io" => "registry-1.docker.io",
            host => host,
        }
    }

    /// Returns the reference to `target` in this repository. `target` is a tag, a digest, `tag@digest`, or a full
    /// reference to this repository.
    ///
    /// # Errors
    /// [`ReferenceError::Mismatch`] if `target` is a reference to another repository, [`ReferenceError::NoTarget`] if
    /// it has neither tag nor digest, [`ReferenceError::Tag`] or [`ReferenceError::Digest`] if one is malformed.
    pub fn with_target(&self, target: &str) -> Result<Self, ReferenceError> {
        // A tag contains no slash, so every text with one is a full reference or malformed.
        if let Ok(full) = target.parse::<Self>() {
            if (&full.registry, &full.repository) != (&self.registry, &self.repository) {
                return Err(ReferenceError::Mismatch {
                    received: target.to_owned(),
                    expected: self.to_string(),
                });
            }
            return if full.target().is_some() { Ok(full) } else { Err(ReferenceError::NoTarget) };
        }
        let mut reference = Self { tag: None, digest: None, ..self.clone() };
        if target.is_empty() {
            return Err(ReferenceError::NoTarget);
        }
        // A digest follows `@`; the tag before it is dropped.
        let (target, is_digest) = match target.split_once('@') {
            Some((_, digest)) => (digest, true),
            None => (target, target.contains(':')),
        };
        match parse_digest(target) {
            Ok(digest) => reference.digest = Some(digest),
            Err(error) if is_digest => {
                return Err(ReferenceError::Digest(target.to_owned(), error));
            }
            Err(_) => reference.tag = Some(check_tag(target)?.to_owned()),
        }
        Ok(reference)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        // The first slash ends the registry. A text such as `hello:v1` has no registry, and there is no default.
        let (registry, path) = text.split_once('/').ok_or(ReferenceError::Missing)?;
        let (repository, tag, digest) = match path.split_once('@') {
            // The digest takes precedence over a tag, so a malformed tag before it is dropped, as in the Go tool.
            Some((named, digest)) => {
                let (repository, tag) = named.split_once(':').unwrap_or((named, ""));
                (repository, Some(tag).filter(|tag| check_tag(tag).is_ok()), Some(digest))
            }
            None => match path.split_once(':') {
                Some((repository, tag)) => (repository, Some(tag), None),
                None => (path, None, None),
            },
        };
        let reference = Self {
            registry: check_registry(registry)?.to_owned(),
            repository: check_repository(repository)?.to_owned(),
            digest: digest
                // The Go tool treats an empty tag or digest as missing.
                .filter(|digest| !digest.is_empty())
                .map(|text| {
                    parse_digest(text).map_err(|error| ReferenceError::Digest(text.to_owned(), error))
                })
                .transpose()?,
            tag: tag
                .filter(|tag| !tag.is_empty())
                .map(|tag| check_tag(tag).map(ToOwned::to_owned))
                .transpose()?,
        };
        Ok(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => write!(f, "@{digest}"),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

/// Parses a digest of an algorithm that ORAS can compute.
fn parse_digest(text: &str) -> Result<Digest, DigestError> {
    let digest: Digest = text.parse()?;
    if digest.algorithm().is_some() { Ok(digest) } else { Err(DigestError::Unsupported) }
}

/// Checks a registry and returns it.
///
/// # Errors
/// [`ReferenceError::Registry`] unless it is `host[:port]`, `ipv4[:port]` or `[ipv6][:port]`.
pub fn check_registry(text: &str) -> Result<&str, ReferenceError> {
    let invalid = || ReferenceError::Registry(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(invalid)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| invalid())?;
            // The IPv6 address is already verified, so the host name check below uses a placeholder for it.
            ("v6", if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(invalid)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host_ok = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    // The range of the port is checked when the client connects, as in the Go tool.
    let port_ok = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5);
    if host_ok && port_ok { Ok(text) } else { Err(invalid()) }
}

/// Checks a repository and returns it.
///
/// # Errors
/// [`ReferenceError::Repository`] unless it follows `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/...)*` (distribution-spec,
/// "Pulling manifests").
pub fn check_repository(text: &str) -> Result<&str, ReferenceError> {
    let part_ok = |part: &str| {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = part.as_bytes();
        // A part starts and ends with a letter or digit, and the separators between them are checked one by one.
        let ends_ok =
            bytes.first().is_some_and(|b| alphanumeric(*b)) && bytes.last().is_some_and(|b| alphanumeric(*b));
        ends_ok
            && bytes.split(|b| alphanumeric(*b)).all(|separator| {
                matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
            })
    };
    if text.split('/').all(part_ok) { Ok(text) } else { Err(ReferenceError::Repository(text.to_owned())) }
}

/// Returns true if `tag` is a digest with `-` in place of `:`, as tags of referrers lists are (distribution-spec,
/// "Referrers Tag Schema"). An example is `sha256-` and 64 hexadecimal digits, but not `1.0-rc1`.
pub fn is_digest_tag(tag: &str) -> bool {
    parse_digest(&tag.replacen('-', ":", 1)).is_ok()
}

/// Checks a tag and returns it.
///
/// # Errors
/// [`ReferenceError::Tag`] unless it follows `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec, "Pulling
/// manifests").
pub fn check_tag(text: &str) -> Result<&str, ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    let ok = bytes.first().is_some_and(|b| word(*b))
        && bytes.len() <= 128
        && bytes.iter().all(|b| word(*b) || matches!(b, b'.' | b'-'));
    if ok { Ok(text) } else { Err(ReferenceError::Tag(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn parses_all_forms() {
        let parse = |text: &str| text.parse::<Reference>().unwrap();
        assert_eq!(parse("localhost:5000/a/b:v1").target().unwrap(), "v1");
        assert_eq!(parse("[::1]:5000/a").registry, "[::1]:5000");
        assert_eq!(parse("docker.io/a").host(), "registry-1.docker.io");
        assert_eq!(parse("h/a:").target(), None);
        assert_eq!(parse("h/a@").target(), None);
        let both = parse(&format!("h/a:v1@{DIGEST}"));
        assert_eq!((both.target().unwrap().as_str(), both.tag.as_deref()), (DIGEST, Some("v1")));
        assert_eq!(both.to_string(), format!("h/a@{DIGEST}"));
        assert_eq!(parse(&format!("h/a:-bad@{DIGEST}")).target().unwrap(), DIGEST);
        assert_eq!(parse("h/a__b/c--d/e.f").repository, "a__b/c--d/e.f");
    }

    #[test]
    fn recognizes_digest_tags_of_known_algorithms() {
        for (algorithm, length) in [("sha256", 64), ("sha384", 96), ("sha512", 128)] {
            let of = |length| format!("{algorithm}-{}", "a".repeat(length));
            assert!(is_digest_tag(&of(length)));
            assert!(!is_digest_tag(&of(length - 1)));
            assert!(!is_digest_tag(&format!("{}.sig", of(length))));
            assert!(!is_digest_tag(&of(length).replace('a', "A")));
        }
        for tag in
            ["1.0-rc1", "v1-alpine", "linux-amd64", "sha256", "md5-d41d8cd98f00b204e9800998ecf8427e", "a:b"]
        {
            assert!(!is_digest_tag(tag), "{tag}");
        }
    }

    #[test]
    fn reports_errors_as_the_go_tool() {
        for (text, message) in [
            ("hello:v1", "invalid reference: missing registry or repository"),
            ("localhost:5101/Hello:v1", r#"invalid reference: invalid repository "Hello""#),
            ("http://localhost:5101/hello:v1", r#"invalid reference: invalid repository "/localhost""#),
            ("localhost:5101/hello:bad:tag", r#"invalid reference: invalid tag "bad:tag""#),
            (
                "localhost:5101/hello@sha256:abc",
                r#"invalid reference: invalid digest "sha256:abc": invalid checksum digest length"#,
            ),
            ("/a", r#"invalid reference: invalid registry """#),
            ("a b/c", r#"invalid reference: invalid registry "a b""#),
            ("h/", r#"invalid reference: invalid repository """#),
            ("h/a_-b", r#"invalid reference: invalid repository "a_-b""#),
            ("h/a..b", r#"invalid reference: invalid repository "a..b""#),
            ("user@h/a", r#"invalid reference: invalid registry "user@h""#),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert_eq!(error, message, "{text}");
        }
    }

    #[test]
    fn replaces_tag_or_digest_by_target() {
        let reference: Reference = "h/a:v1".parse().unwrap();
        assert_eq!(reference.with_target("v2").unwrap().to_string(), "h/a:v2");
        assert_eq!(reference.with_target(DIGEST).unwrap().to_string(), format!("h/a@{DIGEST}"));
        for full in ["h/a:v2".to_owned(), format!("h/a@{DIGEST}"), format!("h/a:v2@{DIGEST}")] {
            assert_eq!(reference.with_target(&full).unwrap(), full.parse().unwrap(), "{full}");
        }
        for (other, message) in [
            ("h/b:v2", r#"mismatch between received "h/b:v2" and expected "h/a:v1""#),
            ("g/a:v2", r#"mismatch between received "g/a:v2" and expected "h/a:v1""#),
            ("h/a", "missing tag or digest"),
            ("", "missing tag or digest"),
            ("a:b", r#"invalid digest "a:b": unsupported digest algorithm"#),
            ("sha256:abc", r#"invalid digest "sha256:abc": invalid checksum digest length"#),
            ("a@b", r#"invalid digest "b": invalid checksum digest format"#),
            ("a b", r#"invalid tag "a b""#),
        ] {
            let error = reference.with_target(other).unwrap_err().to_string();
            assert_eq!(error, format!("invalid reference: {message}"), "{other}");
        }
        assert!(reference.with_target("-x").is_err());
        assert!(reference.with_target("a,b").is_err());
    }
}
