//! What `manifest delete` and `blob delete` share.

use clap::{ArgMatches, Command};
use oras::report;
use oras::spec::Descriptor;
use oras::store::{Error, Kind};

use super::print_descriptor;
use crate::args::flags::{self, Matches, exclusive};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::target::{Target, Usage, prompt};

/// Adds the flags that both have.
pub(crate) fn with_flags(command: Command) -> Command {
    command
        .visible_aliases(["remove", "rm"])
        .args(flags::common())
        .args(flags::remote(""))
        .args(flags::layout(""))
        .args(flags::format_too())
        .args(flags::descriptor())
        .args([
            flags::verbose(),
            flags::dry_run(),
            flags::switch("force", "Do not ask, and do not fail when it is not there").short('f'),
        ])
}

/// Reads what must be right before the target is looked at.
pub(crate) fn target(
    matches: &ArgMatches,
    usage: &Usage,
    what: &str,
    printer: &Printer,
) -> Result<(Target, Format), Failure> {
    let words = matches.words();
    usage.check(&words, 1, true, what)?;
    if matches.on("descriptor") && !matches.on("force") {
        return Err(Failure::new(
            "must apply --force to confirm the deletion if the descriptor is outputted",
        ));
    }
    let format = Format::read(matches, format::TEXT, *printer)?;
    if !format.is_for_people() && !matches.on("force") {
        return Err(Failure::new(
            "must apply --force to confirm the deletion if the result is not printed as text",
        ));
    }
    exclusive(matches, "", &["format", "pretty"])?;
    exclusive(matches, "", &["format", "descriptor"])?;
    Ok((Target::new(matches, "", &words[0], printer)?, format))
}

/// A deletion that was asked for.
pub(crate) struct Deletion<'a> {
    pub(crate) matches: &'a ArgMatches,
    pub(crate) printer: &'a Printer,
    pub(crate) target: &'a Target,
    pub(crate) format: &'a Format,
    /// `manifest` or `blob`.
    pub(crate) noun: &'static str,
    /// What goes with it, for the question.
    pub(crate) along: &'static str,
}

impl Deletion<'_> {
    /// Asks, deletes what was `found`, and tells.
    pub(crate) async fn run(&self, found: Result<Descriptor, Error>) -> Result<(), Failure> {
        let (target, force) = (self.target, self.matches.on("force"));
        let node = match found {
            Ok(node) => node,
            Err(error) if error.kind() == Kind::NotFound => {
                if force && !self.matches.on("descriptor") {
                    return self.report(None, &format!("Missing {}", target.raw));
                }
                let message = format!("{}: the specified {} does not exist", target.raw, self.noun);
                return Err(Failure::new(message));
            }
            Err(error) => return Err(target.failure(&error)),
        };
        if self.matches.on("dry-run") {
            return self.report(Some(&node), &format!("Dry run: would delete {}", target.display()));
        }
        let question = format!(
            "Are you sure you want to delete the {} \"{}\"{}? [y/N] ",
            self.noun, node.digest, self.along
        );
        if !force && !confirmed(&prompt(self.printer, &question, false)?) {
            return self.printer.line("Operation cancelled.");
        }
        target.deleting_store().await?.delete(&node).await.map_err(|error| target.failure(&error))?;
        if self.matches.on("descriptor") {
            return print_descriptor(self.matches, self.printer, &node);
        }
        self.report(Some(&node), &format!("Deleted {}", target.display()))
    }

    fn report(&self, node: Option<&Descriptor>, text: &str) -> Result<(), Failure> {
        match self.format {
            Format::Text => self.printer.line(text),
            format => {
                let report = report::Deleted::new(&self.target.path, &self.target.raw, node);
                self.printer.report(format, &report)
            }
        }
    }
}

fn confirmed(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "y" | "yes")
}
