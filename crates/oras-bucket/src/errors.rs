//! Errors of object stores as errors of ORAS stores.

use object_store::path::Path;
use oras_store::{Error, ErrorKind};

/// Converts the error of a request for `key`. `action` completes "failed to".
pub(crate) fn failed(action: &str, key: &Path, error: object_store::Error) -> Error {
    use object_store::Error as Cause;

    let kind = match &error {
        Cause::NotFound { .. } => return Error::not_found(key).with_detail(error),
        Cause::AlreadyExists { .. } | Cause::Precondition { .. } => ErrorKind::AlreadyExists,
        Cause::PermissionDenied { .. } => ErrorKind::Denied,
        Cause::Unauthenticated { .. } => ErrorKind::Unauthorized,
        Cause::NotSupported { .. } | Cause::NotImplemented { .. } => ErrorKind::Unsupported,
        Cause::InvalidPath { .. } | Cause::UnknownConfigurationKey { .. } => ErrorKind::InvalidInput,
        Cause::Generic { store: "LocalFileSystem", .. } => ErrorKind::Io,
        Cause::Generic { .. } => ErrorKind::Network,
        _ => ErrorKind::Other,
    };
    Error::new(kind, format!("failed to {action} {key}")).with_source(error)
}

/// Returns true if a conditional put failed because another writer was faster.
///
/// S3 answers 409 instead of 412 while another put of the key is in progress, and 404 if the key to replace does not
/// exist.
pub(crate) fn lost_race(error: &object_store::Error) -> bool {
    use object_store::Error as Cause;

    matches!(error, Cause::AlreadyExists { .. } | Cause::Precondition { .. } | Cause::NotFound { .. })
}
