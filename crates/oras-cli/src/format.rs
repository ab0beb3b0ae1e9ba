//! The format of a command's result: text for people, JSON or an expression over it for programs.

use oras::spec::json;
use serde::Serialize;

use crate::args::{FormatArgs, values::non_empty};
use crate::expression::{self, Expression};
use crate::failure::Failure;
use crate::hints;
use crate::print;

/// The format of a result.
#[derive(Clone, Debug)]
pub(crate) enum Format {
    /// For people; a tree for `discover`.
    Text,
    /// For people: the deprecated table of `discover`.
    Table,
    /// For programs.
    Json,
    /// For programs: the output of a Go template or a jq expression that is evaluated over the JSON.
    Expression(Expression),
}

// The formats of a command are in the order in which the error message lists them. The last one is the default.

/// The formats of most commands.
pub(crate) const TEXT: &[&str] = &["json", "go-template", "text"];
/// The formats of `discover`.
pub(crate) const TREE: &[&str] = &["table", "json", "go-template", "tree"];

impl Format {
    /// Reads `--format` and `--template`.
    pub(crate) async fn read(args: &FormatArgs, offered: &[&str]) -> Result<Self, Failure> {
        let default = offered.last().copied().unwrap_or("text");
        Self::parse(args.format.as_deref().unwrap_or(default), args, offered).await
    }

    /// Reads the format `given`, and `--template`.
    pub(crate) async fn parse(given: &str, args: &FormatArgs, offered: &[&str]) -> Result<Self, Failure> {
        let mut template = non_empty(args.template.as_ref());
        let mut name = given;
        if template.is_some() {
            if name != "go-template" {
                return Err(Failure::new("--template must be used with --format go-template"));
            }
        } else if let Some(text) = name.strip_prefix("go-template=") {
            template = Some(text).filter(|text| !text.is_empty());
            name = "go-template";
        }
        if !offered.contains(&name) {
            let hint = hints::did_you_mean(name, offered.iter().copied());
            return Err(Failure::new(format!("invalid format type: {name:?}"))
                .advise(format!("supported types: {}", offered.join(", ")))
                .hint(hint));
        }
        // A malformed expression fails here, before the command changes anything.
        if let Some(text) = &args.jq {
            let jq = Expression::checked(expression::JQ, text).await?;
            // `--jq` implies JSON, so it also works with the default format for people.
            return match name {
                "text" | "tree" | "json" => Ok(Self::Expression(jq)),
                _ => Err(Failure::new("--jq must be used with --format json")),
            };
        }
        match (name, template) {
            ("json", _) => Ok(Self::Json),
            ("table", _) => {
                print::error("Format \"table\" is deprecated and will be removed in a future release.");
                Ok(Self::Table)
            }
            ("go-template", Some(text)) => {
                Expression::checked(expression::TEMPLATE, text).await.map(Self::Expression)
            }
            ("go-template", None) => {
                Err(Failure::new("\"go-template\" format specified but no template given")
                    .advise("use `--format go-template=TEMPLATE` to specify the template"))
            }
            _ => Ok(Self::Text),
        }
    }

    /// Returns true if the result is for people. The command then also prints status lines.
    pub(crate) fn is_for_people(&self) -> bool {
        matches!(self, Self::Text | Self::Table)
    }

    /// Fails if the command would print both the content and a report in this format to standard output.
    pub(crate) fn check_output(&self, args: &FormatArgs, output: Option<&str>) -> Result<(), Failure> {
        if self.is_for_people() || output != Some("-") {
            return Ok(());
        }
        let name = args.format.as_deref().unwrap_or("json");
        let name = name.split('=').next().unwrap_or_default();
        Err(Failure::new(format!("`--output -` cannot be used with `--format {name}` at the same time")))
    }

    /// Prints `report` in a format for programs, and nothing in a format for people.
    pub(crate) async fn report<T: Serialize>(&self, report: &T) -> Result<(), Failure> {
        match self {
            Self::Text | Self::Table => Ok(()),
            Self::Json => print::json(report),
            Self::Expression(expression) => expression.run(&json::to_vec(report)).await,
        }
    }
}
