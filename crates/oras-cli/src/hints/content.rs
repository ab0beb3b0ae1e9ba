//! Hints for content: platforms, sizes, limits, digests.

use oras::files::LimitExceeded;
use oras::join_platforms;
use oras::store::{Error, ErrorKind, PlatformNotFound};

use super::subject::Subject;

/// An index without the wanted platform.
pub(super) fn platform(error: &Error, _: &Subject) -> Option<String> {
    let missing = error.find::<PlatformNotFound>()?;
    if missing.offered.is_empty() {
        return Some("the index names no platforms: leave out --platform".to_owned());
    }
    Some(format!("the index has these platforms: {}", join_platforms(&missing.offered)))
}

/// An archive that unpacks to more than a limit allows.
pub(super) fn unpack_limit(error: &Error, _: &Subject) -> Option<String> {
    let flag = match error.find::<LimitExceeded>()? {
        LimitExceeded::Size(_) => "--max-unpack-size",
        LimitExceeded::Ratio(_) => "--max-unpack-ratio",
        LimitExceeded::Entries(_) => "--max-unpack-entries",
        _ => return None,
    };
    Some(format!("if you trust the content producer, use {flag} to allow more"))
}

/// A manifest above the limit of the client.
pub(super) fn manifest_size(error: &Error, subject: &Subject) -> Option<String> {
    let is_limit = error.kind() == ErrorKind::TooLarge && subject.registry.is_some();
    let text = error.chain();
    // Several places check this limit, and none has a type for it.
    let is_manifest = text.contains("manifest") || text.contains("size exceeds limit");
    (is_limit && is_manifest)
        .then(|| format!("read larger manifests, for example: {} 64MiB", subject.flag("max-manifest-size")))
}

/// A registry without the referrers API that the user requires.
pub(super) fn referrers_api(error: &Error, subject: &Subject) -> Option<String> {
    let is_missing = error.kind() == ErrorKind::Unsupported
        && error.chain().contains("failed to query referrers API: unsupported");
    is_missing
        .then(|| format!("leave out {} to use what the registry has", subject.flag("distribution-spec")))
}

/// Content with another digest or size than its descriptor.
pub(super) fn damaged(error: &Error, subject: &Subject) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::DigestMismatch | ErrorKind::SizeMismatch) {
        return None;
    }
    match (&subject.layout, &subject.registry) {
        (Some(path), _) => Some(format!("the layout {path} is damaged: copy the artifact into it again")),
        // Other mismatches are wrong headers of the registry.
        (None, Some(registry)) if error.chain().contains("mismatched digest") => Some(format!(
            "{registry} sent other content than its manifest names: run the command again; if it stays, push the \
             artifact again"
        )),
        (None, _) => None,
    }
}
