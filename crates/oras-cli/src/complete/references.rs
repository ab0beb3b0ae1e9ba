//! References: registries that credentials are kept for, what a registry says it has, what is in a layout. Nobody waits
//! long for this, and no failure is told: then there are no candidates.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgMatches;
use futures::{StreamExt, TryStreamExt};
use oras::Layout;
use oras::remote::{Registry, Repository};
use oras::spec::Reference;
use oras::store::TagList;

use super::{Answer, DIRECTORIES, NO_FILES, NO_SPACE};
use crate::args::line::Line;
use crate::cmd;
use crate::env;
use crate::output::Printer;
use crate::remote::Remote;

/// The longest that a shell waits.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most candidates that anybody looks at.
const MOST: usize = 500;

/// Registries that credentials are kept for.
pub(super) fn registries(line: &Line, current: &str) -> Answer {
    Answer::only(known(line).into_iter().map(|host| (host, String::new()))).beginning(current)
}

/// A reference in a registry or a layout; `form` is what the usage calls it.
pub(super) fn complete(line: &Line, form: &str, current: &str) -> Answer {
    // `cp` has flags for each side.
    let prefix = match (line.path.first().map(String::as_str), line.words.len()) {
        (Some("cp"), 0) => "from-",
        (Some("cp"), _) => "to-",
        _ => "",
    };
    if on(line, &format!("{prefix}oci-layout")) {
        return match current.rsplit_once(':') {
            Some((path, tag)) if Path::new(path).is_dir() => {
                named(&format!("{path}:"), tags_of_layout(path), tag)
            }
            _ => Answer { directive: DIRECTORIES | NO_SPACE, ..Answer::default() },
        };
    }
    if let Some(path) = text(line, &format!("{prefix}oci-layout-path")) {
        return named("", tags_of_layout(&path), current);
    }
    if form.contains("sources") {
        let repository = line.words.first().and_then(|word| word.parse::<Reference>().ok());
        let tags = repository.map(|reference| tags(line, prefix, &reference)).unwrap_or_default();
        return named("", tags, current);
    }
    let Some((host, rest)) = current.split_once('/') else {
        let hosts = known(line).into_iter().map(|host| (format!("{host}/"), String::new()));
        return Answer::only(hosts).beginning(current);
    };
    if form == "<registry>" {
        return Answer::only([]);
    }
    match rest.split_once(':') {
        // An argument that begins many tags, as in `a:v1,latest`, is left alone.
        Some((_, tag)) if tag.contains([',', '@', ':']) => Answer::only([]),
        Some((name, tag)) => match format!("{host}/{name}").parse() {
            Ok(reference) => named(&format!("{host}/{name}:"), tags(line, prefix, &reference), tag),
            Err(_) => Answer::only([]),
        },
        None if rest.contains('@') => Answer::only([]),
        None => {
            let mut answer = named(&format!("{host}/"), repositories(line, prefix, host), rest);
            if form.contains("tag") {
                answer.directive |= NO_SPACE;
            }
            answer
        }
    }
}

/// Candidates that all begin with `prefix`.
fn named(prefix: &str, names: Vec<String>, current: &str) -> Answer {
    let names = names.into_iter().filter(|name| name.starts_with(current));
    let candidates = names.map(|name| (format!("{prefix}{name}"), String::new())).collect();
    Answer { candidates, directive: NO_FILES }
}

fn text(line: &Line, name: &str) -> Option<String> {
    let given = line.flags.iter().rev().find(|(flag, _)| flag == name);
    given.map(|(_, value)| value.clone()).filter(|value| !value.is_empty())
}

fn on(line: &Line, name: &str) -> bool {
    text(line, name).is_some_and(|value| crate::args::flags::go_bool(&value) == Ok(true))
}

/// Names in the files of credentials.
fn known(line: &Line) -> BTreeSet<String> {
    let given = line.flags.iter().filter(|(name, _)| name.ends_with("registry-config"));
    let mut paths: Vec<PathBuf> = given.map(|(_, path)| PathBuf::from(path)).collect();
    if paths.is_empty() {
        paths.extend(env::docker_config());
    }
    let mut hosts = BTreeSet::new();
    for path in paths {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let Ok(config) = serde_json::from_slice::<serde_json::Value>(&bytes) else { continue };
        for table in ["auths", "credHelpers"] {
            let names = config.get(table).and_then(serde_json::Value::as_object).into_iter().flatten();
            // Docker's own registry stands there as an address.
            hosts.extend(names.map(|(name, _)| name.clone()).filter(|name| !name.contains('/')));
        }
    }
    hosts
}

/// The flags so far as clap reads them, without those that would read standard input.
fn matches(line: &Line) -> Option<ArgMatches> {
    let mut line = Line { words: Vec::new(), ..line.clone() };
    line.flags
        .retain(|(name, _)| !name.ends_with("-stdin") && name != "password" && name != "identity-token");
    cmd::root().try_get_matches_from(line.for_clap()).ok()
}

/// Runs `work` with the way to the registry that the flags describe.
fn ask(line: &Line, prefix: &str, work: impl AsyncFnOnce(Remote) -> Option<Vec<String>>) -> Vec<String> {
    let Some(mut matches) = matches(line) else { return Vec::new() };
    for _ in &line.path {
        let Some((_, inner)) = matches.remove_subcommand() else { break };
        matches = inner;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let remote = Remote::new(&matches, prefix, &Printer::new()).ok()?;
        tokio::time::timeout(PATIENCE, work(remote)).await.ok().flatten()
    });
    // A helper that hangs must not hold up the shell.
    runtime.shutdown_background();
    found.unwrap_or_default()
}

fn repositories(line: &Line, prefix: &str, host: &str) -> Vec<String> {
    ask(line, prefix, async |remote| {
        let registry = Registry::new(&remote.client().ok()?, host).ok()?;
        registry.repositories(None).take(MOST).try_collect().await.ok()
    })
}

fn tags(line: &Line, prefix: &str, reference: &Reference) -> Vec<String> {
    ask(line, prefix, async |remote| {
        let repository = Repository::new(&remote.client().ok()?, reference).ok()?;
        repository.tags(None).take(MOST).try_collect().await.ok()
    })
}

fn tags_of_layout(path: &str) -> Vec<String> {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let found = runtime.block_on(async {
        let layout = Layout::open(path).await.ok()?;
        layout.tags(None).take(MOST).try_collect().await.ok()
    });
    found.unwrap_or_default()
}
