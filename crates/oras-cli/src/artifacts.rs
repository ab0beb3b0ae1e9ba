//! What `oras backup` and `oras restore` share: `repository:tag,tag` on the command line, lines about tags, errors.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use oras::remote::{Repository, ResponseError};
use oras::spec::{Reference, reference::check_tag};
use oras::store::Error;
use oras::{Listener, Step};

use crate::args::flags::Matches;
use crate::error::{self, Failure};
use crate::human;
use crate::log;
use crate::output::Printer;
use crate::remote::Remote;

/// Tags of a repository on the command line.
pub(crate) struct Artifacts {
    pub(crate) repository: Repository,
    /// None means all.
    pub(crate) tags: Vec<String>,
    remote: Remote,
}

/// The path that `--<name>` gives, which can't be left out.
pub(crate) fn required_path(matches: &ArgMatches, name: &str) -> Result<String, Failure> {
    match matches.text(name) {
        None => Err(Failure::new(format!("required flag(s) \"{name}\" not set"))),
        Some(path) if path.is_empty() => Err(Failure::new(format!("the {name} path cannot be empty"))),
        Some(path) => Ok(path),
    }
}

impl Artifacts {
    /// Understands `registry/repository[:tag[,tag]]`.
    pub(crate) fn new(matches: &ArgMatches, raw: &str, printer: &Printer) -> Result<Self, Failure> {
        let remote = Remote::new(matches, "", printer)?;
        let (reference, tags) = parse(raw)?;
        let repository = Repository::new(&remote.client()?, &reference)?;
        Ok(Self { repository, tags, remote })
    }

    /// The failure for an error; one of the copy says which tags `doing` (`back up`) was about, `from` where `to` where.
    pub(crate) fn failure(&self, error: Error, doing: &str, from: &str, to: &str) -> Failure {
        if error.chain().ends_with(error::MISSING_CREDENTIAL) {
            return error::of_registry(&error, self.remote.store.path());
        }
        // An answer of the registry speaks for itself, as in the Go tool.
        if let Some(answer) = error.find::<ResponseError>() {
            return Failure::new(answer.to_string()).prefixed(error::REGISTRY).of_kind(error.kind());
        }
        if error.side().is_none() {
            return Failure::from(error);
        }
        let tags = match &self.tags[..] {
            [tag] => format!("tag {tag:?}"),
            _ => "tags".to_owned(),
        };
        Failure::from(error.context(format!("failed to {doing} {tags} from {from:?} to {to:?}")))
    }
}

fn parse(raw: &str) -> Result<(Reference, Vec<String>), Failure> {
    if raw.is_empty() {
        return Err(Failure::new("artifact reference cannot be empty"));
    }
    if raw.contains('@') {
        return Err(Failure::new(format!("digest references are not supported: {raw:?}")));
    }
    let (first, extra) = match raw.split_once(',') {
        Some((first, extra)) => (first, Some(extra)),
        None => (raw, None),
    };
    let reference: Reference =
        first.parse().map_err(|error| Failure::new(format!("invalid reference {first:?}: {error}")))?;
    let first = reference.target().filter(|tag| !tag.is_empty());
    if first.is_none() && extra.is_none() {
        return Ok((reference, Vec::new()));
    }
    let extra = extra.into_iter().flat_map(|extra| extra.split(',')).map(ToOwned::to_owned);
    let tags: Vec<_> = std::iter::once(first.unwrap_or_default()).chain(extra).collect();
    for tag in &tags {
        if tag.is_empty() {
            return Err(Failure::new(format!("empty tag in reference {raw:?}")));
        }
        check_tag(tag)
            .map_err(|error| Failure::new(format!("invalid tag {tag:?} in reference {raw:?}: {error}")))?;
    }
    Ok((reference, tags))
}

/// Prints lines about tags and archives, and passes on what is about nodes.
pub(crate) struct TagLines {
    pub(crate) printer: Printer,
    /// Where the tags were found.
    pub(crate) place: String,
    /// What was done to a tag: `Pulled`.
    pub(crate) done: &'static str,
    pub(crate) nodes: Arc<dyn Listener>,
}

impl TagLines {
    /// A closed pipe is found out by the last line; lines must not stop a transfer.
    fn line(&self, text: &str) {
        drop(self.printer.line(text));
    }

    fn found(&self, tags: &[String]) {
        let head = format!("Found {} tag(s) in {}:", tags.len(), self.place);
        if tags.len() > 5 {
            self.line(&format!("{head}\n{}", tags.join("\n")));
        } else {
            self.line(&format!("{head} {}", tags.join(", ")));
        }
    }

    fn exported(&self, path: &Path, size: u64) {
        self.line(&format!("Exported to {} ({})", path.display(), human::bytes(size)));
    }
}

impl Listener for TagLines {
    fn step(&self, step: Step<'_>) {
        match step {
            Step::TagsFound(tags) => self.found(tags),
            Step::ArtifactDone { tag, referrers } => {
                self.line(&format!("{} tag {tag} with {referrers} referrer(s)", self.done));
            }
            Step::Exporting(path) => self.line(&format!("Exporting to {}", path.display())),
            Step::Exported(path, size) => self.exported(path, size),
            step => self.nodes.step(step),
        }
    }
}

/// Warns of tags that are skipped or would move, whatever the format, and passes on all other steps.
pub(crate) struct TagWarnings {
    pub(crate) printer: Printer,
    pub(crate) inner: Arc<dyn Listener>,
}

impl Listener for TagWarnings {
    fn step(&self, step: Step<'_>) {
        let text = match step {
            Step::InvalidTag(tag) => format!("skipped invalid tag {tag:?}"),
            Step::TagMoves { tag, from } => format!("tag {tag} names {from} and would be replaced"),
            step => return self.inner.step(step),
        };
        log::warning(self.printer, &text, &[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_and_refused() {
        let tags = |raw: &str| parse(raw).map(|(reference, tags)| (reference.name(), tags.join(" ")));
        for (raw, expected) in [("h/x", ""), ("h/x:", ""), ("h/x:a", "a"), ("h:1/x/y:a,b,c", "a b c")] {
            assert_eq!(tags(raw).unwrap().1, expected, "{raw}");
        }
        for (raw, expected) in [
            ("", "artifact reference cannot be empty"),
            ("h/x@sha256:a", "digest references are not supported: \"h/x@sha256:a\""),
            ("x", "invalid reference \"x\": invalid reference: missing registry or repository"),
            ("h/x:a,,b", "empty tag in reference \"h/x:a,,b\""),
            ("h/x,a", "empty tag in reference \"h/x,a\""),
            ("h/x,", "empty tag in reference \"h/x,\""),
            (
                "h/x:a,-b",
                "invalid tag \"-b\" in reference \"h/x:a,-b\": invalid reference: invalid tag \"-b\"",
            ),
        ] {
            assert_eq!(tags(raw).unwrap_err().message, expected);
        }
    }
}
