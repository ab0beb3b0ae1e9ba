//! The result of a repair.

use std::path::PathBuf;

use oras_spec::Digest;
use serde::Serialize;

use crate::check::LayoutCheck;

/// The result of [`repair`](crate::repair). It serializes to the JSON document of `oras layout repair --format json`.
///
/// ```
/// use oras_layout::{LayoutRepair, RestoredEntry, UnavailableBlob};
///
/// fn print(report: &LayoutRepair) {
///     for RestoredEntry { tag, digest, from, .. } in &report.restored_entries {
///         println!("{} is {digest}, from {from}", tag.as_deref().unwrap_or("an untagged manifest"));
///     }
///     for UnavailableBlob { digest, reasons, .. } in &report.unavailable {
///         println!("{digest} is still missing: {}", reasons.join("; "));
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LayoutRepair {
    /// The path of the layout.
    pub path: PathBuf,
    /// True if the file `oci-layout` was written again.
    pub marker_rewritten: bool,
    /// The copy of the damaged `index.json`, relative to the layout, if the index was rebuilt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damaged_index: Option<String>,
    /// The entries of a rebuilt index.
    pub restored_entries: Vec<RestoredEntry>,
    /// The blobs that were replaced or added.
    pub repaired: Vec<RepairedBlob>,
    /// The blobs that no source could supply.
    pub unavailable: Vec<UnavailableBlob>,
    /// The check after the repair.
    pub check: LayoutCheck,
}

/// Whether a layout is whole after a repair. A program makes its exit status from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RepairOutcome {
    /// Nothing was damaged.
    Clean,
    /// The damage was repaired.
    Repaired,
    /// Damage remains.
    Damaged,
}

/// A blob that was replaced or added. Programs list them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RepairedBlob {
    /// The digest.
    pub digest: Digest,
    /// The size in bytes.
    pub size: u64,
    /// The name of the source that had it.
    pub from: String,
}

/// An entry of a rebuilt index. Programs list them, since a tag may differ from the lost one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RestoredEntry {
    /// The tag. `None` for a manifest without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The manifest.
    pub digest: Digest,
    /// Where the entry was found: the damaged index, the manifests of the layout, or the name of a source.
    pub from: String,
}

/// A blob that no source could supply. Its reasons tell why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct UnavailableBlob {
    /// The digest.
    pub digest: Digest,
    /// The error of each source, with its name.
    pub reasons: Vec<String>,
}

impl LayoutRepair {
    /// Returns whether the layout is whole now.
    pub fn outcome(&self) -> RepairOutcome {
        let is_changed = self.marker_rewritten || self.damaged_index.is_some() || !self.repaired.is_empty();
        match (self.check.is_clean(), is_changed || !self.restored_entries.is_empty()) {
            (false, _) => RepairOutcome::Damaged,
            (true, true) => RepairOutcome::Repaired,
            (true, false) => RepairOutcome::Clean,
        }
    }
}
