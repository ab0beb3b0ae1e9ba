//! Downloads of blobs: resumable, and over several connections where one is slow (distribution-spec, "Pulling blobs").

pub(crate) mod blob_download;
pub(crate) mod blob_source;
pub(crate) mod content_range;
pub(crate) mod parallel_download;
pub(crate) mod range_download;
