//! Platforms of images and how they match (image-spec, image-index.md).
//!
//! Use a [`Platform`] to describe the image of an index entry, and [`Platform::satisfies`] to select one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::json::null_is_default;

/// The platform on which an image runs. An index lists one for each image, so that clients select theirs. Missing `os`
/// and `architecture` are empty strings, as in the Go tool.
///
/// ```
/// use oras_spec::{Platform, PlatformError};
///
/// let offered: Platform = "linux/arm64/v8".parse()?;
/// assert!(offered.satisfies(&"linux/arm64".parse()?));
/// assert!(!offered.satisfies(&"linux/arm64/v9".parse()?));
/// assert_eq!("/amd64".parse::<Platform>(), Err(PlatformError::Os));
/// # Ok::<(), PlatformError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// The CPU architecture, as in Go's `GOARCH`.
    #[serde(default)]
    pub architecture: String,
    /// The operating system, as in Go's `GOOS`.
    #[serde(default)]
    pub os: String,
    /// The version of the operating system.
    #[serde(rename = "os.version", default, skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// The features of the operating system that the image requires.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_is_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the architecture.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// An error of parsing a platform. The messages are those of the Go tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// There are more parts than `os/arch/variant`.
    #[error("failed to parse platform {0:?}: expected format os[/arch[/variant]]")]
    Format(String),
    /// The operating system is empty.
    #[error("invalid platform: OS cannot be empty")]
    Os,
    /// The architecture after the slash is empty.
    #[error("invalid platform: Architecture cannot be empty")]
    Architecture,
}

impl Platform {
    /// Returns true if `self`, the platform of an index entry or an image config, satisfies `wanted`.
    ///
    /// `os` and `architecture` must be equal. `variant` and `os.version` must be equal if `wanted` has them. `self`
    /// must have all features of `wanted`.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        let asked = |wanted: &str, offered: &str| wanted.is_empty() || wanted == offered;
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && asked(&wanted.variant, &self.variant)
            && asked(&wanted.os_version, &self.os_version)
            && wanted.os_features.iter().all(|feature| self.os_features.contains(feature))
    }

    /// Returns the architecture of this build, as in Go's `GOARCH`.
    pub fn host_architecture() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "x86" => "386",
            "aarch64" => "arm64",
            // Rust has one name for both byte orders, Go has two. Images are little-endian.
            "powerpc64" => "ppc64le",
            "loongarch64" => "loong64",
            other => other,
        }
    }
}

/// Parses `os[/arch[/variant]][:os_version]`. The default architecture is that of this build.
impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        // The version of the operating system follows a colon, as in the Go tool.
        let (names, version) = text.split_once(':').unwrap_or((text, ""));
        let mut parts = names.split('/');
        let os = parts.next().unwrap_or_default();
        let architecture = parts.next();
        let variant = parts.next();
        if parts.next().is_some() {
            return Err(PlatformError::Format(text.to_owned()));
        }
        if os.is_empty() {
            return Err(PlatformError::Os);
        }
        if architecture == Some("") {
            return Err(PlatformError::Architecture);
        }
        Ok(Self {
            architecture: architecture.unwrap_or(Self::host_architecture()).to_owned(),
            os: os.to_owned(),
            os_version: version.to_owned(),
            os_features: Vec::new(),
            variant: variant.unwrap_or_default().to_owned(),
        })
    }
}

/// Writes `os/arch[/variant][:os_version]`.
impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if !self.variant.is_empty() {
            write!(f, "/{}", self.variant)?;
        }
        if !self.os_version.is_empty() {
            write!(f, ":{}", self.os_version)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_writes_platforms() {
        let platform: Platform = "linux/arm/v7:10.0".parse().unwrap();
        assert_eq!(platform.to_string(), "linux/arm/v7:10.0");
        assert_eq!(
            String::from_utf8(crate::json::to_vec(&platform)).unwrap(),
            r#"{"architecture":"arm","os":"linux","os.version":"10.0","variant":"v7"}"#
        );
        assert_eq!("linux".parse::<Platform>().unwrap().architecture, Platform::host_architecture());
        assert_eq!("a/b/c/d".parse::<Platform>(), Err(PlatformError::Format("a/b/c/d".into())));
        assert_eq!("/amd64".parse::<Platform>(), Err(PlatformError::Os));
        assert_eq!("linux/".parse::<Platform>(), Err(PlatformError::Architecture));
    }

    #[test]
    fn matches_any_value_of_unset_parts() {
        let offered: Platform = "linux/arm64/v8:1".parse().unwrap();
        for (wanted, satisfied) in [
            ("linux/arm64", true),
            ("linux/arm64/v8", true),
            ("linux/arm64:1", true),
            ("linux/arm64/v9", false),
            ("linux/arm64:2", false),
            ("windows/arm64", false),
            ("linux/amd64", false),
        ] {
            assert_eq!(offered.satisfies(&wanted.parse().unwrap()), satisfied, "{wanted}");
        }
    }
}
