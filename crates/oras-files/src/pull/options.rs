//! The options of a pull.

use crate::extract::UnpackLimits;

/// The options for writing files. [`FileTarget::new`](crate::FileTarget::new) takes them.
///
/// ```
/// use oras_files::{FileTarget, PullOptions};
///
/// let options = PullOptions::default().keep_old_files(true).preserve_permissions(true);
/// let target = FileTarget::new("out".into(), options);
/// # let _ = target;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullOptions {
    /// Allows titles that lead out of the output directory, and links in archives that lead anywhere.
    pub allow_path_traversal: bool,
    /// Fails instead of replacing existing files.
    pub keep_old_files: bool,
    /// Gives unpacked files all bits of their mode, whatever the umask. Without it no file gets the set-user-ID,
    /// set-group-ID or sticky bit.
    pub preserve_permissions: bool,
    /// The limits for unpacking an archive.
    pub unpack: UnpackLimits,
}

impl PullOptions {
    oras_store::setters! {
        allow_path_traversal: bool;
        keep_old_files: bool;
        preserve_permissions: bool;
        unpack: UnpackLimits;
    }
}
