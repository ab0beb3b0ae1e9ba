//! Repairs a layout: fetches damaged and missing blobs from other stores, and rebuilds a damaged index.

mod index_rebuild;
mod repair_layout;
mod repair_report;
mod replacement;
mod salvaged_entries;

pub use self::repair_layout::{RepairOptions, RepairSource, repair};
pub use self::repair_report::{LayoutRepair, RepairOutcome, RepairedBlob, RestoredEntry, UnavailableBlob};
