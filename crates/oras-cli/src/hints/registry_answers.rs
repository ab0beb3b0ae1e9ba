//! Hints for error responses of registries.

use std::time::{Duration, SystemTime};

use oras::remote::{MissingCredential, ResponseError};
use oras::spec::Digest;
use oras::store::Error;

use super::network;
use super::subject::Subject;
use crate::humanize;

/// The difference between two clocks from which tokens and certificates fail.
const WRONG_CLOCK: Duration = Duration::from_secs(24 * 3600);

/// A rejected request, while the clock of this computer is wrong by more than a day.
pub(super) fn wrong_clock(error: &Error, subject: &Subject) -> Option<String> {
    let answer = error.find::<ResponseError>().filter(|answer| matches!(answer.status, 400 | 401 | 403))?;
    let (there, here) = (answer.date?, SystemTime::now());
    let (difference, word) = match here.duration_since(there) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    (difference > WRONG_CLOCK).then(|| {
        let days = difference.as_secs() / WRONG_CLOCK.as_secs();
        let plural = if days == 1 { "" } else { "s" };
        format!(
            "the clock of this computer is {days} day{plural} {word} that of {}: correct it, because tokens and \
             certificates depend on the time",
            subject.registry_name()
        )
    })
}

/// A proxy that asks for a password with the status 407.
pub(super) fn proxy_authentication(error: &Error, subject: &Subject) -> Option<String> {
    error.find::<ResponseError>().filter(|answer| answer.status == 407)?;
    Some(network::proxy_authentication(subject.registry_name(), "<proxy>"))
}

/// A registry that asks for a password, without a stored credential.
pub(super) fn missing_credential(error: &Error, subject: &Subject) -> Option<String> {
    error.find::<MissingCredential>()?;
    Some(format!("log in first: {}", subject.login()))
}

/// A full registry.
pub(super) fn quota(error: &Error, subject: &Subject) -> Option<String> {
    let answer = error.find::<ResponseError>()?;
    // The distribution-spec has no code for it, so Harbor, Quay and others state it in the message.
    let says = answer.errors.iter().any(|entry| entry.message.to_lowercase().contains("quota"));
    (answer.status == 507 || (says && (400..500).contains(&answer.status))).then(|| {
        format!(
            "{} has no space left for you: delete what is not needed (oras manifest delete), or ask for a larger quota",
            subject.registry_name()
        )
    })
}

/// The hint for a status.
pub(super) fn by_status(error: &Error, subject: &Subject) -> Option<String> {
    let answer = error.find::<ResponseError>()?;
    let name = subject.server_name(address(answer));
    Some(match answer.status {
        401 if subject.has_credential_flags => {
            format!("check the user name and the password; {name} may expect a token as the password")
        }
        401 => format!("log in to {name}, with a user that may access this: {}", subject.login()),
        403 => denied(subject),
        404 => return not_found(answer, subject),
        405 if answer.method == "DELETE" => format!(
            "{name} does not allow deletion; those who run it can enable it (distribution: \
             REGISTRY_STORAGE_DELETE_ENABLED=true)"
        ),
        413 => format!(
            "{name}, or a proxy in front of it, limits the size of requests (nginx: client_max_body_size): ask those \
             who run it to raise the limit"
        ),
        400 | 415 if answer.has_code("MANIFEST_INVALID") || answer.status == 415 => {
            "the registry may not accept this media type; most accept images: oras push --image-spec v1.0"
                .to_owned()
        }
        400 if answer.has_code("DIGEST_INVALID") => {
            "the content changed while it was sent: run the command again".to_owned()
        }
        429 => rate_limit(answer, subject),
        500..=599 if answer.retry_after.is_some() => rate_limit(answer, subject),
        500..=599 => format!("{name} has a fault: run the command again later, or tell those who run it"),
        _ => return None,
    })
}

/// Returns the host and port of the server that answered. A registry may lead to other servers.
fn address(answer: &ResponseError) -> &str {
    let (_, rest) = answer.url.split_once("://").unwrap_or_default();
    rest.split('/').next().unwrap_or_default()
}

/// The hint for a login that does not suffice.
fn denied(subject: &Subject) -> String {
    let place = subject.repository.as_deref().or(subject.registry.as_deref());
    match place {
        Some(place) => format!(
            "the login does not permit this in {place}: \"oras login --check {place}\" shows which login is used"
        ),
        None => "the login does not permit this: \"oras login --check <registry>\" shows which login is used"
            .to_owned(),
    }
}

fn not_found(answer: &ResponseError, subject: &Subject) -> Option<String> {
    let path = answer.url.split(['?', '#']).next().unwrap_or_default();
    if answer.has_code("BLOB_UPLOAD_UNKNOWN") || path.contains("/blobs/uploads/") {
        return Some("the registry has dropped the unfinished upload: run the command again".to_owned());
    }
    if path.ends_with("/v2/_catalog") {
        let registry = subject.registry.as_deref()?;
        return Some(format!(
            "{registry} does not list its repositories; with a name, its tags: oras repo tags {registry}/<repository>"
        ));
    }
    if answer.is_unknown_repository() {
        let registry = subject.registry.as_deref()?;
        return Some(format!("list the repositories: oras repo ls {registry}"));
    }
    let (_, digest) = path.rsplit_once('/')?;
    let repository = subject.repository.as_deref()?;
    digest.parse::<Digest>().ok()?;
    Some(format!(
        "the digest is not in {repository}; \"oras repo tags {repository}\" lists its tags, and \"oras resolve\" the \
         digest of a tag"
    ))
}

/// The hint for a server that asks the client to wait.
fn rate_limit(answer: &ResponseError, subject: &Subject) -> String {
    let (name, login) = (subject.server_name(address(answer)), subject.login());
    let when = match answer.retry_after {
        Some(wait) => format!("in {}", humanize::duration(wait)),
        None => "in a few minutes".to_owned(),
    };
    match answer.status {
        429 => format!(
            "{name} limits the number of requests: run the command again {when}; a login may raise the limit ({login})"
        ),
        _ => format!("{name} is not available: run the command again {when}"),
    }
}
