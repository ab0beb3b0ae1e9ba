//! Completes references: registries with stored credentials, the repositories and tags of a registry, the tags of a
//! layout. After a timeout or an error there are no candidates; the shell shows no message.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use futures::{StreamExt, TryStreamExt};
use oras::Layout;
use oras::remote::{DockerConfig, Registry, Repository};
use oras::spec::Reference;
use oras::store::ReadStore;

use super::candidates::{Answer, DIRECTORIES, NO_SPACE};
use crate::args::{RegistryArgs, command_line::CommandLine, values::go_bool};
use crate::cmd;
use crate::registry_access::RegistryAccess;

/// The deadline of a request.
// The shell waits for the answer, so a longer deadline would seem to block it.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The limit of candidates.
// A registry may have thousands of tags, and each page of the list needs a request.
const MAX_CANDIDATES: usize = 500;

/// Completes a registry from those with stored credentials.
pub(super) fn registries(line: &CommandLine, current: &str) -> Answer {
    Answer::names(registries_with_credentials(line)).starting_with(current)
}

/// Completes a reference to a registry or a layout. `form` is its name in the usage.
pub(super) fn complete(line: &CommandLine, form: &str, current: &str) -> Answer {
    // `cp` and `diff` have flags for each side.
    let prefix = match (line.path.first().map(String::as_str), line.words.len()) {
        (Some("cp" | "diff"), 0) => "from-",
        (Some("cp" | "diff"), _) => "to-",
        _ => "",
    };
    if is_on(line, &format!("{prefix}oci-layout")) {
        return match current.rsplit_once(':') {
            Some((path, tag)) if Path::new(path).is_dir() => {
                with_prefix(&format!("{path}:"), tags_of_layout(path), tag)
            }
            _ => Answer { directive: DIRECTORIES | NO_SPACE, ..Answer::default() },
        };
    }
    if let Some(path) = text(line, &format!("{prefix}oci-layout-path")) {
        return with_prefix("", tags_of_layout(&path), current);
    }
    // The sources of a new index are tags in the repository of the first argument.
    if form.contains("sources") {
        let repository = line.words.first().and_then(|word| word.parse::<Reference>().ok());
        let tags = repository.map(|reference| tags(line, prefix, &reference)).unwrap_or_default();
        return with_prefix("", tags, current);
    }
    let Some((host, rest)) = current.split_once('/') else {
        let hosts = registries_with_credentials(line).into_iter().map(|host| format!("{host}/"));
        return Answer::names(hosts).starting_with(current);
    };
    if form == "<registry>" {
        return Answer::only([]);
    }
    match rest.split_once(':') {
        // A list of tags such as `a:v1,latest` is not completed.
        Some((_, tag)) if tag.contains([',', '@', ':']) => Answer::only([]),
        Some((name, tag)) => match format!("{host}/{name}").parse() {
            Ok(reference) => with_prefix(&format!("{host}/{name}:"), tags(line, prefix, &reference), tag),
            Err(_) => Answer::only([]),
        },
        None if rest.contains('@') => Answer::only([]),
        None => {
            let mut answer = with_prefix(&format!("{host}/"), repositories(line, prefix, host), rest);
            if form.contains("tag") {
                answer.directive |= NO_SPACE;
            }
            answer
        }
    }
}

/// Returns the `names` that begin with `current`, each after `prefix`.
fn with_prefix(prefix: &str, names: Vec<String>, current: &str) -> Answer {
    let names = names.into_iter().filter(|name| name.starts_with(current));
    Answer::names(names.map(|name| format!("{prefix}{name}")))
}

/// Returns the last value of the flag `name`.
fn text(line: &CommandLine, name: &str) -> Option<String> {
    // The last of several values applies, as in pflag.
    let given = line.flags.iter().rev().find(|(flag, _)| flag == name);
    given.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
}

/// Returns true if the switch `name` is on.
fn is_on(line: &CommandLine, name: &str) -> bool {
    text(line, name).is_some_and(|value| go_bool(&value) == Ok(true))
}

/// Returns the registries in the credential files.
fn registries_with_credentials(line: &CommandLine) -> BTreeSet<String> {
    let given = line.flags.iter().filter(|(name, _)| name.ends_with("registry-config"));
    let mut paths: Vec<PathBuf> = given.map(|(_, path)| PathBuf::from(path)).collect();
    if paths.is_empty() {
        paths.extend(DockerConfig::system().path().map(Path::to_owned));
    }
    let mut hosts = BTreeSet::new();
    for path in paths {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let Ok(config) = serde_json::from_slice::<serde_json::Value>(&bytes) else { continue };
        for table in ["auths", "credHelpers"] {
            let names = config.get(table).and_then(serde_json::Value::as_object).into_iter().flatten();
            // Docker Hub is listed as a URL, which no reference contains.
            hosts.extend(names.map(|(name, _)| name.clone()).filter(|name| !name.contains('/')));
        }
    }
    hosts
}

/// Parses the flags before the cursor. Leaves out flags that read standard input, and flags with secrets, which print
/// warnings.
fn matches(line: &CommandLine) -> Option<ArgMatches> {
    // Arguments are irrelevant for the connection, and a completion must never read standard input.
    let mut line = CommandLine { words: Vec::new(), ..line.clone() };
    line.flags
        .retain(|(name, _)| !name.ends_with("-stdin") && name != "password" && name != "identity-token");
    cmd::root().try_get_matches_from(line.for_clap()).ok()
}

/// Runs `work` with the access to the registry that the flags describe.
fn request(
    line: &CommandLine,
    prefix: &str,
    work: impl AsyncFnOnce(RegistryAccess) -> Option<Vec<String>>,
) -> Vec<String> {
    let Some(mut matches) = matches(line) else { return Vec::new() };
    for _ in &line.path {
        let Some((_, inner)) = matches.remove_subcommand() else { break };
        matches = inner;
    }
    block_on(async {
        let access = RegistryAccess::new(&RegistryArgs::read(&matches, prefix), prefix).ok()?;
        tokio::time::timeout(TIMEOUT, work(access)).await.ok().flatten()
    })
}

fn block_on(names: impl Future<Output = Option<Vec<String>>>) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(names);
    // A credential helper that hangs must not delay the shell.
    runtime.shutdown_background();
    found.unwrap_or_default()
}

fn repositories(line: &CommandLine, prefix: &str, host: &str) -> Vec<String> {
    request(line, prefix, async |access| {
        let registry = Registry::new(&access.client(host).ok()?, host).ok()?;
        registry.repositories(None).take(MAX_CANDIDATES).try_collect().await.ok()
    })
}

fn tags(line: &CommandLine, prefix: &str, reference: &Reference) -> Vec<String> {
    request(line, prefix, async |access| {
        let repository = Repository::new(&access.client(&reference.registry).ok()?, reference).ok()?;
        repository.tags_after(None).take(MAX_CANDIDATES).try_collect().await.ok()
    })
}

fn tags_of_layout(path: &str) -> Vec<String> {
    block_on(async {
        let layout = Layout::open(path).await.ok()?;
        layout.tags_after(None).take(MAX_CANDIDATES).try_collect().await.ok()
    })
}
