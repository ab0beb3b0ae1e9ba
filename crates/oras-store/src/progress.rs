//! The report of transferred bytes.

use std::sync::Arc;

/// A callback for the number of bytes that were just transferred. Runs on the task or thread of the transfer and must
/// not block.
pub type Progress = Arc<dyn Fn(u64) + Send + Sync>;
