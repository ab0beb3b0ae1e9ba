//! `oras repo ls`.

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::remote::Registry;
use oras::report;
use oras::spec::{Reference, reference::check_registry};

use crate::args::{self, FormatArgs, RegistryArgs, Usage, flags};
use crate::failure::{self, Failure};
use crate::format::{self, Format};
use crate::hints::Subject;
use crate::print;
use crate::registry_access::RegistryAccess;

const USAGE: Usage = Usage { path: "oras repo ls", tail: "[flags] <registry>" };

flags::flags! {
    /// The arguments of `oras repo ls`.
    struct ListArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        _verbose: bool = flags::verbose(),
        last: Option<String> = flags::text("NAME", "Start after this repository"),
        words: Vec<String> = flags::positional("<registry>", "Registry, or registry and namespace"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command("ls", "List the repositories of a registry", "Examples:\n  oras repo ls localhost:5000")
        .visible_alias("list")
        .args(ListArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = ListArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target registry to list repositories from")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let access = RegistryAccess::new(&args.registry, "")?;
    let (host, namespace) = split_namespace(&args.words[0])?;
    let subject = Subject::of_access(&access, host);
    let registry = Registry::new(&access.client(host)?, host)?;
    let last = args.last.as_deref();
    let mut listed = report::Repositories { registry: host.to_owned(), repositories: Vec::new() };
    let mut names = registry.repositories(last);
    let failed = |error: oras::store::Error| {
        let failure = failure::of_registry(&error, access.store.path(), &subject);
        // Error responses and missing credentials have complete messages, so they need no context.
        let is_complete_message = error.find_shown::<oras::remote::ResponseError>().is_some()
            || error.find::<oras::remote::MissingCredential>().is_some();
        if is_complete_message {
            return failure;
        }
        let below = match namespace.trim_end_matches('/') {
            "" => String::new(),
            namespace => format!(" with prefix {namespace:?}"),
        };
        let message = format!("could not list repositories for {host:?}{below}\n{}", failure.message);
        Failure { message, ..failure }
    };
    while let Some(name) = names.try_next().await.map_err(failed)? {
        // Registries can't filter by namespace, so all repositories are listed and filtered here.
        let Some(short) = name.strip_prefix(&namespace) else { continue };
        match &format {
            Format::Text => print::line(short)?,
            _ => listed.repositories.push(name),
        }
    }
    format.report(&listed).await
}

/// Splits `host/namespace/` into the host and `namespace/`.
fn split_namespace(text: &str) -> Result<(&str, String), Failure> {
    let failed = |error: String| Failure::new(format!("could not parse repository path: {error}"));
    let (host, namespace) = text.split_once('/').unwrap_or((text, ""));
    check_registry(host).map_err(|error| failed(error.to_string()))?;
    let namespace = namespace.trim_end_matches('/');
    if namespace.is_empty() {
        return Ok((host, String::new()));
    }
    let reference: Reference = format!("{host}/{namespace}")
        .parse()
        .map_err(|error: oras::spec::ReferenceError| failed(error.to_string()))?;
    if reference.target().is_some() {
        return Err(failed("tags or digests should not be provided".to_owned()));
    }
    Ok((host, format!("{namespace}/")))
}
