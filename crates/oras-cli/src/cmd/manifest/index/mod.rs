//! `oras manifest index`: indexes of manifests of one repository.

mod create;
mod update;

use std::sync::Arc;

use clap::{Arg, ArgMatches, Command};
use oras::spec::Descriptor;
use oras::store::{Content, Store};
use oras::{Listener, Names, Step, report};

use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::cmd::{print_json, write_output};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::Told;
use crate::target::Target;

/// The group with its commands.
pub(crate) fn command() -> Command {
    args::group("index", "Make and change image indexes").subcommands([create::command(), update::command()])
}

/// Runs the command `name`.
pub(crate) async fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    match name {
        "create" => create::run(matches, printer).await,
        _ => update::run(matches, printer).await,
    }
}

/// Flags that both have.
fn shared() -> Vec<Arg> {
    let mut shared = flags::common();
    shared.extend(flags::remote(""));
    shared.extend(flags::layout(""));
    shared.extend(flags::format_too());
    shared.extend([
        flags::text("artifact-type", "TYPE", "Type of the artifact"),
        flags::text(
            "output",
            "PATH",
            "Write the index to this file instead of pushing it; - is standard output",
        )
        .short('o'),
        flags::switch("pretty", "Indent the JSON"),
    ]);
    shared
}

/// Where the index goes, and what is told.
struct Outlet<'a> {
    matches: &'a ArgMatches,
    printer: &'a Printer,
    output: Option<String>,
    format: Format,
}

impl<'a> Outlet<'a> {
    fn new(matches: &'a ArgMatches, printer: &'a Printer) -> Result<Self, Failure> {
        let output = matches.text("output").filter(|output| !output.is_empty());
        let format = Format::read(matches, format::TEXT, *printer)?;
        exclusive(matches, "", &["format", "pretty"])?;
        if output.as_deref() == Some("-") && !format.is_for_people() {
            return Err(Failure::new("`--output -` cannot be used with `--format json` at the same time"));
        }
        Ok(Self { matches, printer, output, format })
    }

    /// Whether standard output has status lines.
    fn speaks(&self) -> bool {
        self.format.is_for_people() && self.output.as_deref() != Some("-")
    }

    fn listener(&self) -> Lines {
        Lines(self.speaks().then_some(*self.printer))
    }

    fn line(&self, text: String) -> Result<(), Failure> {
        if self.speaks() { self.printer.line(text) } else { Ok(()) }
    }

    /// Writes the index out, or stores it under `names` as `shown`, and reports it.
    async fn finish(
        &self,
        target: &Target,
        store: Arc<dyn Store>,
        index: &Content,
        (names, shown): (Names, &str),
    ) -> Result<(), Failure> {
        let node = index.descriptor();
        match (self.output.as_deref(), index.in_memory()) {
            (Some("-"), Some(bytes)) => print_json(self.matches, self.printer, bytes)?,
            (Some(path), Some(bytes)) => write_output(path, bytes)?,
            _ => {
                let stored = self.speaks().then(|| format!("Pushed    {shown}"));
                let told = Told { inner: Arc::new(oras::Quiet), printer: *self.printer, stored };
                oras::store_manifest(store, index, &names, Arc::new(told))
                    .await
                    .map_err(|error| target.failure(&error))?;
            }
        }
        match &self.format {
            Format::Text => self.line(format!("Digest: {}", node.digest)),
            format => {
                let first = names.reference.filter(|name| name.parse::<oras::spec::Digest>().is_err());
                let tags = first.into_iter().chain(names.extra_tags).filter(|_| self.output.is_none());
                self.printer.report(format, &report::Push::new(&target.path, node, &tags.collect::<Vec<_>>()))
            }
        }
    }
}

/// Status lines, if standard output has any.
struct Lines(Option<Printer>);

impl Listener for Lines {
    fn step(&self, step: Step<'_>) {
        let line = match step {
            Step::Fetching(reference) => format!("Fetching  {reference}"),
            Step::Fetched(reference, node) => format!("Fetched   {}", named(reference, node)),
            Step::Added(reference, node) => format!("Added     {}", named(reference, node)),
            Step::Merged(reference, node) => format!("Merged    {}", named(reference, node)),
            Step::Removed(digest) => format!("Removed   {digest}"),
            _ => return,
        };
        if let Some(printer) = self.0 {
            drop(printer.line(line));
        }
    }
}

/// A digest stands for itself, a tag comes behind its digest.
fn named(reference: &str, node: &Descriptor) -> String {
    match reference.parse::<oras::spec::Digest>() {
        Ok(_) => reference.to_owned(),
        Err(_) => format!("{} {reference}", node.digest),
    }
}
