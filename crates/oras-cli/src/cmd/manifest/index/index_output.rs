//! The output of `oras manifest index`: the index in a file or in a store, and the report.

use std::sync::Arc;

use oras::spec::Descriptor;
use oras::store::{Content, Store};
use oras::{Listener, Names, Step, report};

use crate::args::{
    FormatArgs, LocationArgs,
    flags::{self, exclusive},
    values::non_empty,
};
use crate::artifact_location::ArtifactLocation;
use crate::cmd::file_io::write_output;
use crate::cmd::json_output::print_json;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::tag_lines::StoredLines;

flags::flags! {
    /// The flags of both commands.
    struct IndexArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        artifact_type: Option<String> = flags::text("TYPE", "Type of the artifact"),
        output: Option<String> = flags::text(
            "PATH",
            "Write the index to this file instead of pushing it; - is standard output",
        )
        .short('o'),
        pretty: Option<bool> = flags::switch("Indent the JSON"),
    }
}

/// The destination and the output format of an index.
pub(super) struct IndexOutput<'a> {
    args: &'a IndexArgs,
    output: Option<&'a str>,
    format: Format,
}

impl<'a> IndexOutput<'a> {
    pub(super) async fn new(args: &'a IndexArgs) -> Result<Self, Failure> {
        let output = non_empty(args.output.as_ref());
        let format = Format::read(&args.format, format::TEXT).await?;
        exclusive!("", args.format.format, args.pretty)?;
        if output == Some("-") && !format.is_for_people() {
            return Err(Failure::new("`--output -` cannot be used with `--format json` at the same time"));
        }
        Ok(Self { args, output, format })
    }

    /// Returns true if standard output shows status lines.
    fn has_status_lines(&self) -> bool {
        // A report or the index itself must be the only text on standard output.
        self.format.is_for_people() && self.output != Some("-")
    }

    /// Prints a status line.
    pub(super) fn line(&self, text: String) -> Result<(), Failure> {
        if self.has_status_lines() { print::status(text) } else { Ok(()) }
    }

    /// Writes the index to the output, or stores it under `names`, and reports it. Status lines call it `shown`.
    pub(super) async fn finish(
        &self,
        target: &ArtifactLocation,
        store: Arc<dyn Store>,
        index: &Content,
        names: Names,
        shown: &str,
    ) -> Result<(), Failure> {
        let node = index.descriptor();
        match (self.output, index.in_memory()) {
            (Some("-"), Some(bytes)) => print_json(bytes, self.args.pretty == Some(true))?,
            (Some(path), Some(bytes)) => write_output(path, bytes)?,
            _ => {
                let stored = self.has_status_lines().then(|| format!("Pushed    {shown}"));
                let listener = StoredLines { inner: Arc::new(oras::Quiet), stored };
                target.explain(oras::store_manifest(store, index, &names, Arc::new(listener)).await)?;
            }
        }
        match &self.format {
            Format::Text => self.line(format!("Digest: {}", node.digest)),
            format => {
                // A digest is not a tag, and an index in a file has no tags.
                let first = names.reference.filter(|name| name.parse::<oras::spec::Digest>().is_err());
                let tags = first.into_iter().chain(names.extra_tags).filter(|_| self.output.is_none());
                format.report(&report::Push::new(&target.path, node, &tags.collect::<Vec<_>>())).await
            }
        }
    }
}

/// Prints the status lines, if standard output shows any.
impl Listener for IndexOutput<'_> {
    fn step(&self, step: Step<'_>) {
        let line = match step {
            Step::Fetching(reference) => format!("Fetching  {reference}"),
            Step::Fetched(reference, node) => format!("Fetched   {}", with_digest(reference, node)),
            Step::Added(reference, node) => format!("Added     {}", with_digest(reference, node)),
            Step::Merged(reference, node) => format!("Merged    {}", with_digest(reference, node)),
            Step::Removed(digest) => format!("Removed   {digest}"),
            _ => return,
        };
        // A closed standard output must not stop the work. The last line of the command detects it.
        drop(self.line(line));
    }
}

/// Returns the name of a manifest in a status line: a digest unchanged, or a tag after its digest.
fn with_digest(reference: &str, node: &Descriptor) -> String {
    match reference.parse::<oras::spec::Digest>() {
        Ok(_) => reference.to_owned(),
        Err(_) => format!("{} {reference}", node.digest),
    }
}
