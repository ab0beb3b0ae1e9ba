//! `oras repo ls` and `oras repo tags`.

use clap::ArgMatches;
use futures::TryStreamExt;
use oras::remote::Registry;
use oras::report;
use oras::spec::{Digest, Reference, reference::check_registry};

use super::{Format, format};
use crate::args::flags::Matches;
use crate::error::{self, Failure};
use crate::output::Printer;
use crate::target::{Remote, Target, Usage};

const LS: Usage = Usage { path: "oras repo ls", tail: "[flags] <registry>" };
const TAGS: Usage = Usage { path: "oras repo tags", tail: "[flags] <name>" };

pub(crate) async fn ls(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    LS.check(&words, 1, true, "the target registry to list repositories from")?;
    let format = format(matches, "json, go-template, text")?;
    let remote = Remote::new(matches, "", printer)?;
    let (host, namespace) = split_namespace(&words[0])?;
    let registry = Registry::new(&remote.client()?, host)?;
    let last = matches.text("last");
    let mut listed = report::Repositories { registry: host.to_owned(), repositories: Vec::new() };
    let mut names = registry.repositories(last.as_deref());
    while let Some(name) =
        names.try_next().await.map_err(|error| error::of_registry(&error, remote.store.path()))?
    {
        let Some(short) = name.strip_prefix(&namespace) else { continue };
        match format {
            Format::Text => printer.line(short)?,
            Format::Json => listed.repositories.push(name),
        }
    }
    if format == Format::Json { printer.json(&listed) } else { Ok(()) }
}

/// `host/namespace/` into the host and `namespace/`.
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

pub(crate) async fn tags(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    TAGS.check(&words, 1, true, "the target repository to list tags from")?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let format = format(matches, "json, go-template, text")?;
    let store = target.source().await?;
    let prefix = match target.reference.parse::<Reference>() {
        Ok(reference) if target.kind() == "oci-layout" && reference.target().is_none() => {
            format!("{}:", reference.name())
        }
        _ => String::new(),
    };
    let digest = if prefix.is_empty() && !target.reference.is_empty() {
        let digest = match target.reference.parse::<Digest>() {
            Ok(digest) => digest,
            Err(_) => store.resolve(&target.reference).await.map_err(|error| target.failure(&error))?.digest,
        };
        printer
            .error(&format!("[Experimental] querying tags associated to {digest}, it may take a while..."));
        Some(digest)
    } else {
        None
    };
    let last = matches.text("last");
    let mut listed = report::Tags::default();
    let mut tags = store.tags(last.as_deref());
    while let Some(tag) = tags.try_next().await.map_err(|error| target.failure(&error))? {
        let Some(short) = tag.strip_prefix(&prefix) else { continue };
        if matches.on("exclude-digest-tags") && short.replacen('-', ":", 1).parse::<Digest>().is_ok() {
            continue;
        }
        if let Some(digest) = &digest
            && tag != target.reference
            && store.resolve(&tag).await.map_err(|error| target.failure(&error))?.digest != *digest
        {
            continue;
        }
        match format {
            Format::Text => printer.line(short)?,
            Format::Json => listed.tags.push(short.to_owned()),
        }
    }
    if format == Format::Json { printer.json(&listed) } else { Ok(()) }
}
