//! References to artifacts in registries: `registry/repository[:tag][@digest]`.
//!
//! The parser is our own because `oci-spec`'s adds `docker.io`, `library/` and `latest`, refuses IPv6 and compiles
//! a regular expression on first use. There is no default registry, no default repository prefix, no default tag.

use std::fmt;
use std::str::FromStr;

use crate::{Digest, DigestError};

/// A parsed reference. `Display` gives it back in full.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference {
    /// Host, with a port if it was given: `localhost:5000`, `[::1]:5000`, `docker.io`.
    pub registry: String,
    /// Repository name, lower case, parts separated by `/`.
    pub repository: String,
    /// The tag; kept beside a digest only for display.
    pub tag: Option<String>,
    /// The digest.
    pub digest: Option<Digest>,
}

/// Why a text is not a reference. The texts are those of the Go tool, which scripts match.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// No `/`.
    #[error("invalid reference: missing registry or repository")]
    Missing,
    /// The registry is not `host` or `host:port`.
    #[error("invalid reference: invalid registry {0:?}")]
    Registry(String),
    /// The repository is outside the grammar of the distribution-spec.
    #[error("invalid reference: invalid repository {0:?}")]
    Repository(String),
    /// The tag is outside the grammar of the distribution-spec.
    #[error("invalid reference: invalid tag {0:?}")]
    Tag(String),
    /// The digest is malformed.
    #[error("invalid reference: invalid digest {0:?}: {1}")]
    Digest(String, DigestError),
    /// The reference is to another repository than the one that is written or read.
    #[error("invalid reference: mismatch between received {received:?} and expected {expected:?}")]
    Mismatch {
        /// The reference as it was given.
        received: String,
        /// The reference that is read or written.
        expected: String,
    },
    /// Neither a tag nor a digest.
    #[error("invalid reference: missing tag or digest")]
    NoTarget,
}

impl Reference {
    /// The digest, else the tag: what a request for a manifest names.
    pub fn target(&self) -> Option<String> {
        self.digest.as_ref().map(ToString::to_string).or_else(|| self.tag.clone())
    }

    /// `registry/repository`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The host to connect to: `docker.io` is served by `registry-1.docker.io`.
    pub fn host(&self) -> &str {
        match self.registry.as_str() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        }
    }

    /// Returns the reference to `target` in this repository. `target` is a tag, a digest, `tag@digest`, or a full
    /// reference to this repository.
    ///
    /// # Errors
    /// [`ReferenceError::Mismatch`] if `target` is a reference to another repository, [`ReferenceError::NoTarget`] if it
    /// has neither tag nor digest, and the errors of its tag or digest.
    pub fn with_target(&self, target: &str) -> Result<Self, ReferenceError> {
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
        let (registry, path) = text.split_once('/').ok_or(ReferenceError::Missing)?;
        let (repository, tag, digest) = match path.split_once('@') {
            // As in the Go tool a tag before a digest is dropped: the digest decides.
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

/// A digest that a person names: of an algorithm that its content can be checked with.
fn parse_digest(text: &str) -> Result<Digest, DigestError> {
    let digest: Digest = text.parse()?;
    if digest.algorithm().is_some() { Ok(digest) } else { Err(DigestError::Unsupported) }
}

/// The registry, if it is `host`, `host:port`, `ipv4[:port]` or `[ipv6][:port]`: no scheme, user or path.
pub fn check_registry(text: &str) -> Result<&str, ReferenceError> {
    let invalid = || ReferenceError::Registry(text.to_owned());
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']').ok_or_else(invalid)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| invalid())?;
            ("v6", if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or_else(invalid)?) })
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let host_ok = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    let port_ok = port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit()) && port.len() <= 5);
    if host_ok && port_ok { Ok(text) } else { Err(invalid()) }
}

/// The repository, if it follows `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/...)*` (distribution-spec, "Pulling
/// manifests").
pub fn check_repository(text: &str) -> Result<&str, ReferenceError> {
    let part_ok = |part: &str| {
        let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = part.as_bytes();
        let ends_ok =
            bytes.first().is_some_and(|b| alphanumeric(*b)) && bytes.last().is_some_and(|b| alphanumeric(*b));
        ends_ok
            && bytes.split(|b| alphanumeric(*b)).all(|separator| {
                matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|b| *b == b'-')
            })
    };
    if text.split('/').all(part_ok) { Ok(text) } else { Err(ReferenceError::Repository(text.to_owned())) }
}

/// Returns true if `tag` is the digest of a known algorithm with `-` for `:`, as referrers lists are tagged
/// (distribution-spec, "Referrers Tag Schema"): `sha256-` and 64 hexadecimal digits, but not `1.0-rc1`.
pub fn is_digest_tag(tag: &str) -> bool {
    parse_digest(&tag.replacen('-', ":", 1)).is_ok()
}

/// The tag, if it follows `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}` (distribution-spec, "Pulling manifests").
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
    fn forms() {
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
    fn only_known_algorithms_make_digest_tags() {
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
    fn errors_are_those_of_the_go_tool() {
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
    fn target_replaces_tag_or_digest() {
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
