//! Errors of object stores as errors of ORAS stores.

use std::error::Error as StdError;

use object_store::path::Path;
use oras_store::{Error, ErrorKind};

/// The addresses of the services that give a machine its credentials.
const METADATA_SERVICES: [&str; 2] = ["169.254.169.254", "metadata.google.internal"];

/// The most characters of a server's message that an error shows.
const MAX_MESSAGE: usize = 300;

/// Converts the error of a request for `key`. `action` completes "failed to".
pub(crate) fn failed(action: &str, key: &Path, error: object_store::Error) -> Error {
    use object_store::Error as Cause;

    let text = error.to_string();
    if METADATA_SERVICES.iter().any(|address| text.contains(address)) {
        let message =
            "no credentials for the object store: the environment has none, and this machine has no role";
        return Error::new(ErrorKind::Unauthorized, message).with_detail(error);
    }
    let kind = match &error {
        Cause::NotFound { .. } if !text.contains("NoSuchBucket") => {
            return Error::not_found(key).with_detail(error);
        }
        Cause::NotFound { .. } => ErrorKind::NotFound,
        Cause::AlreadyExists { .. } | Cause::Precondition { .. } => ErrorKind::AlreadyExists,
        Cause::PermissionDenied { .. } => ErrorKind::Denied,
        Cause::Unauthenticated { .. } => ErrorKind::Unauthorized,
        Cause::NotSupported { .. } | Cause::NotImplemented { .. } => ErrorKind::Unsupported,
        Cause::InvalidPath { .. } | Cause::UnknownConfigurationKey { .. } => ErrorKind::InvalidInput,
        Cause::Generic { store: "LocalFileSystem", .. } => ErrorKind::Io,
        Cause::Generic { .. } => ErrorKind::Network,
        _ => ErrorKind::Other,
    };
    let message = format!("failed to {action} {key}: {}", reason(&error));
    Error::new(kind, message).with_detail(error)
}

/// Returns the reason for an error in a few words.
///
/// Each error of `object_store` repeats the text of its source, and the last one contains the whole document that the
/// server sent.
fn reason(error: &object_store::Error) -> String {
    let mut last: &dyn StdError = error;
    while let Some(source) = last.source() {
        last = source;
    }
    let text = last.to_string();
    let text = text.strip_prefix("Server returned non-2xx status code: ").unwrap_or(&text);
    let status = text.split('<').next().unwrap_or_default().trim_end_matches([':', ' ', '\n']);
    let parts = [Some(status), element(text, "Code"), element(text, "Message")];
    let parts: Vec<_> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
    parts.join(": ").chars().take(MAX_MESSAGE).collect()
}

/// Returns the text of the first XML element with a name.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split('<').next()
}

/// Returns true if a conditional put failed because another writer was faster.
///
/// S3 answers 409 instead of 412 while another put of the key is in progress, and 404 if the key to replace does not
/// exist.
pub(crate) fn lost_race(error: &object_store::Error) -> bool {
    use object_store::Error as Cause;

    match error {
        Cause::AlreadyExists { .. } | Cause::Precondition { .. } => true,
        Cause::NotFound { .. } => !error.to_string().contains("NoSuchBucket"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> object_store::Error {
        let source = format!("Server returned non-2xx status code: 403 Forbidden: {body}");
        object_store::Error::PermissionDenied { path: "app/_tags/v1".into(), source: source.into() }
    }

    #[test]
    fn shows_status_code_and_message_of_the_server_once() {
        let key = Path::from("app/_tags/v1");
        let body = "<?xml version=\"1.0\"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>Check your \
                    key.</Message><StringToSign>secret</StringToSign></Error>";
        let error = failed("read", &key, denied(body));
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(
            error.chain(),
            "failed to read app/_tags/v1: 403 Forbidden: SignatureDoesNotMatch: Check your key."
        );
        assert_eq!(failed("read", &key, denied("")).chain(), "failed to read app/_tags/v1: 403 Forbidden");
        let long = failed("read", &key, denied(&"x".repeat(10_000))).chain();
        assert!(long.len() < MAX_MESSAGE + 50, "{long}");
    }

    #[test]
    fn says_that_credentials_are_missing() {
        let source = "Error performing PUT http://169.254.169.254/latest/api/token in 1s: timed out";
        let error = object_store::Error::Generic { store: "S3", source: source.into() };
        let error = failed("read", &Path::from("app"), error);
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.chain().starts_with("no credentials for the object store"), "{error:?}");
    }
}
