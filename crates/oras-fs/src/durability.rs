//! Whether a file is flushed before it is published.

/// Whether written files are flushed to the disk before they are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Flushed: after a power failure a file is complete or absent. Stores use this.
    Synced,
    /// Not flushed: the operating system writes the bytes later. Commands that write a user's files use this.
    Relaxed,
}
