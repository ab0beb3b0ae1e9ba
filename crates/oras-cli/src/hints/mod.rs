//! The line `Hint: …` below an error: the next thing to type or to check.
//!
//! Each rule looks up the type, the kind or the status in the chain of an error and returns a hint for it. The first rule
//! that returns a hint wins. A rule searches the text of an error only if the error has no type. A hint is one line. No
//! hint is better than a wrong one, so a rule returns `None` if it is not certain. `docs/troubleshooting.md` shows all
//! hints.

mod command_line;
mod content;
mod credentials;
mod files;
mod layouts;
mod name_search;
mod nearest;
mod network;
mod references;
mod registry_answers;
mod subject;

use oras::store::Error;

pub(crate) use self::command_line::{did_you_mean, for_command, for_flag, for_value};
pub(crate) use self::files::for_io;
pub(crate) use self::name_search::{NameSearch, SearchPlace};
pub(crate) use self::references::{InvalidReference, Invocation};
pub(crate) use self::subject::Subject;

/// Returns a hint for an error about a subject, or `None` if it is about something else.
type Rule = fn(&Error, &Subject) -> Option<String>;

/// The rules, from special to general.
const RULES: &[Rule] = &[
    references::path_as_registry,
    network::wrong_scheme,
    network::refused_address,
    network::blocked_registry,
    network::network_failure,
    registry_answers::wrong_clock,
    registry_answers::proxy_authentication,
    registry_answers::missing_credential,
    registry_answers::quota,
    registry_answers::by_status,
    credentials::docker_config,
    credentials::missing_helper,
    credentials::failed_helper,
    credentials::credential_without_password,
    layouts::fault,
    layouts::not_an_archive,
    content::platform,
    content::unpack_limit,
    content::manifest_size,
    content::referrers_api,
    content::damaged,
    files::existing_file,
    files::system_error,
    files::missing_file,
];

/// Returns the hint for an error about `subject`.
pub(crate) fn for_error(error: &Error, subject: &Subject) -> Option<String> {
    RULES.iter().find_map(|rule| rule(error, subject))
}
