//! What a check can find in a layout.

use std::fmt;

use oras_spec::Digest;
use serde::Serialize;

/// A finding of [`check`](crate::check). Its text names the file, what is wrong with it, and what needs it.
///
/// ```
/// use oras_layout::{LayoutCheck, ProblemKind};
///
/// /// Returns the files that a repair must replace.
/// fn damaged_files(check: &LayoutCheck) -> Vec<&str> {
///     let is_damage = |kind: ProblemKind| kind.is_damage();
///     check.problems.iter().filter(|found| is_damage(found.kind)).map(|found| found.path.as_str()).collect()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutProblem {
    /// What is wrong.
    pub kind: ProblemKind,
    /// The file, relative to the layout.
    pub path: String,
    /// The digest of the content, for a blob.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The size that the content must have, if a descriptor states it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The manifest that lists the content. `None` for an entry of the index, and for content that nothing lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed_by: Option<Digest>,
    /// Tags that need the content, sorted; at most ten.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What is wrong, in words.
    pub message: String,
}

/// The kind of a finding. Damage makes a layout unusable in part; everything else is a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The file `oci-layout` is missing or names another version.
    Marker,
    /// The file `index.json` is missing or malformed, so nothing in the layout has a name.
    Index,
    /// A blob that the index reaches does not exist.
    Missing,
    /// A blob does not have the size in its descriptor.
    WrongSize,
    /// The bytes of a blob do not have its digest.
    WrongDigest,
    /// The bytes have the digest, but are not a manifest of the media type that a descriptor states.
    Malformed,
    /// A blob cannot be read, for example because it is not a regular file or because the disk fails.
    Unreadable,
    /// A note: the subject of a referrer does not exist. A registry accepts such a referrer.
    MissingSubject,
    /// A note: the content of a foreign layer is not in the layout, but its descriptor says where it is.
    ForeignLayer,
    /// A note: a killed garbage collection was removing the blob. The next command that writes restores it.
    InterruptedRemoval,
    /// A note: the file does not belong to an OCI image layout.
    ForeignFile,
}

impl ProblemKind {
    /// Returns true if the finding is damage, and false if it is only a note.
    pub const fn is_damage(self) -> bool {
        !matches!(
            self,
            Self::MissingSubject | Self::ForeignLayer | Self::InterruptedRemoval | Self::ForeignFile
        )
    }

    /// Returns the word for people, such as `missing`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Marker | Self::Index | Self::Malformed => "invalid",
            Self::Missing => "missing",
            Self::WrongSize | Self::WrongDigest => "damaged",
            Self::Unreadable => "unreadable",
            Self::MissingSubject | Self::ForeignLayer | Self::InterruptedRemoval | Self::ForeignFile => {
                "note"
            }
        }
    }
}

/// Writes the finding in one line.
impl fmt::Display for LayoutProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)?;
        if let Some(parent) = &self.listed_by {
            write!(f, "; listed by {parent}")?;
        }
        if !self.tags.is_empty() {
            write!(f, "; needed by {}", self.tags.join(", "))?;
        }
        Ok(())
    }
}
