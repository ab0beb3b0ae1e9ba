//! Uploads of blobs: mounted, in one request, or in chunks that resume (distribution-spec, "Pushing blobs").

pub(crate) mod blob_uploader;
pub(crate) mod cancel_upload;
pub(crate) mod chunked_ingest;
pub(crate) mod mount;
pub(crate) mod push_blob;
pub(crate) mod push_unhashed;
pub(crate) mod resume_upload;
pub(crate) mod unfinished_uploads;
pub(crate) mod upload_capabilities;
pub(crate) mod upload_session;
pub(crate) mod upload_state;
