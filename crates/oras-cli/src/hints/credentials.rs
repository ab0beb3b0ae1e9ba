//! Hints for stored credentials. The errors of helpers and files have no types, so their texts are searched.

use oras::store::{Error, ErrorKind};

use super::subject::Subject;

/// A malformed credential file.
pub(super) fn docker_config(error: &Error, subject: &Subject) -> Option<String> {
    let text = error.chain();
    let (_, rest) = text.split_once("failed to decode config file ")?;
    let (path, _) = rest.split_once(": invalid config format")?;
    let flag = subject.flag("registry-config");
    Some(format!("correct {path}, or read credentials from another file: {flag} <file>"))
}

/// A credential helper that is not installed.
pub(super) fn missing_helper(error: &Error, _: &Subject) -> Option<String> {
    let text = error.chain();
    let (before, _) = text.split_once("\": executable file not found in $PATH")?;
    let name = before.rsplit_once("docker-credential-")?.1;
    Some(format!(
        "install docker-credential-{name}, or remove {name:?} from credsStore and credHelpers of the configuration \
         (~/.docker/config.json)"
    ))
}

/// A credential helper that failed.
pub(super) fn failed_helper(error: &Error, subject: &Subject) -> Option<String> {
    let text = error.chain();
    let helper = text.split(": ").find(|part| part.starts_with("docker-credential-"))?;
    let (name, "get") = helper.split_once(' ')? else { return None };
    let registry = subject.registry.as_deref()?;
    Some(format!("run the helper alone to see its fault: echo {registry} | {name} get"))
}

/// A user name without a password.
pub(super) fn credential_without_password(error: &Error, subject: &Subject) -> Option<String> {
    let is_incomplete = error.kind() == ErrorKind::Unauthorized
        && error.chain().ends_with("missing username or password for basic auth");
    is_incomplete.then(|| {
        if subject.has_credential_flags {
            return format!("give both {} and {}", subject.flag("username"), subject.flag("password"));
        }
        format!("the stored login is incomplete: {}", subject.login())
    })
}
