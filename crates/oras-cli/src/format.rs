//! How a command prints its result: text for people, JSON or a template of it for programs.

use clap::ArgMatches;
use oras::spec::json;
use serde::Serialize;

use crate::args::flags::Matches;
use crate::error::Failure;
use crate::evaluate::Expression;
use crate::output::Printer;

/// The format of a result.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// For people; a tree for `discover`.
    Text,
    /// For people, as `discover` once printed.
    Table,
    /// For programs.
    Json,
    /// For programs: the JSON, evaluated by a Go template or a jq expression.
    Expression(Expression),
}

/// The formats a command has, as its errors list them; the last one is the default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered(pub(crate) &'static [&'static str]);

/// The formats of most commands.
pub(crate) const TEXT: Offered = Offered(&["json", "go-template", "text"]);
/// The formats of `discover`.
pub(crate) const TREE: Offered = Offered(&["table", "json", "go-template", "tree"]);

impl Format {
    /// Reads `--format` and `--template`.
    pub(crate) fn read(matches: &ArgMatches, offered: Offered, printer: Printer) -> Result<Self, Failure> {
        let default = offered.0.last().copied().unwrap_or("text");
        Self::parse(&matches.text("format").unwrap_or_else(|| default.to_owned()), matches, offered, printer)
    }

    /// Reads the format `given`, and `--template`.
    pub(crate) fn parse(
        given: &str,
        matches: &ArgMatches,
        offered: Offered,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let mut template = matches.text("template").filter(|template| !template.is_empty());
        let mut name = given;
        if template.is_some() {
            if name != "go-template" {
                return Err(Failure::new("--template must be used with --format go-template"));
            }
        } else if let Some(text) = name.strip_prefix("go-template=") {
            template = Some(text.to_owned()).filter(|text| !text.is_empty());
            name = "go-template";
        }
        if !offered.0.contains(&name) {
            return Err(Failure::new(format!("invalid format type: {name:?}"))
                .advise(format!("supported types: {}", offered.0.join(", "))));
        }
        let jq = matches.text("jq").map(|text| Expression::jq(&text)).transpose()?;
        match (name, template) {
            ("text" | "tree" | "json", _) if jq.is_some() => Ok(jq.map_or(Self::Json, Self::Expression)),
            (_, _) if jq.is_some() => Err(Failure::new("--jq must be used with --format json")),
            ("json", _) => Ok(Self::Json),
            ("table", _) => {
                printer.error("Format \"table\" is deprecated and will be removed in a future release.");
                Ok(Self::Table)
            }
            ("go-template", Some(text)) => Expression::template(&text).map(Self::Expression),
            ("go-template", None) => {
                Err(Failure::new("\"go-template\" format specified but no template given")
                    .advise("use `--format go-template=TEMPLATE` to specify the template"))
            }
            _ => Ok(Self::Text),
        }
    }

    /// Whether the result is for people, who want to see status lines too.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self, Self::Text | Self::Table)
    }

    /// Fails if the content goes to standard output, where this format goes too.
    pub(crate) fn leaves_output(&self, matches: &ArgMatches) -> Result<(), Failure> {
        if self.is_for_people() || matches.text("output").as_deref() != Some("-") {
            return Ok(());
        }
        let name = matches.text("format").unwrap_or_else(|| "json".to_owned());
        let name = name.split('=').next().unwrap_or_default();
        Err(Failure::new(format!("`--output -` cannot be used with `--format {name}` at the same time")))
    }
}

impl Printer {
    /// Prints `report` in a format for programs; nothing in one for people.
    pub(crate) fn report<T: Serialize>(self, format: &Format, report: &T) -> Result<(), Failure> {
        match format {
            Format::Text | Format::Table => Ok(()),
            Format::Json => self.json(report),
            Format::Expression(expression) => {
                let (output, evaluated) = expression.run(&json::to_vec(report));
                self.text(&output)?;
                evaluated
            }
        }
    }
}
