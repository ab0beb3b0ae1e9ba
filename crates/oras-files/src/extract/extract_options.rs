//! The options of an extraction.

use std::path::Path;

use super::unpack_limits::UnpackLimits;
use crate::file_system_names::NameCheck;

/// The properties of one archive, and what the extraction allows.
pub(crate) struct ExtractOptions<'a> {
    /// The title of the layer: all names in the archive begin with it.
    pub(crate) title: &'a str,
    pub(crate) names: NameCheck<'a>,
    /// The final path of the directory: an absolute link may lead back into it.
    pub(crate) destination: &'a Path,
    /// The size of the compressed archive in bytes.
    pub(crate) packed_size: u64,
    /// The digest of the uncompressed tar, if the layer has one.
    pub(crate) content_digest: Option<&'a str>,
    /// The limits on the unpacked size and the number of entries.
    pub(crate) limits: UnpackLimits,
    /// Keeps all bits of modes, regardless of the umask.
    pub(crate) preserve_permissions: bool,
    /// Allows links that lead out of the directory.
    pub(crate) allow_outside_links: bool,
}
