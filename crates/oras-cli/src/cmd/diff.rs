//! `oras diff`.

use clap::{ArgMatches, Command};
use oras::spec::Descriptor;
use oras::store::Side;
use oras::{ContentChange, DiffOptions, Differences, TextChange, ValueChange, report};

use crate::args::{self, FormatArgs, LocationArgs, Usage, flags, values};
use crate::artifact_location::ArtifactLocation;
use crate::columns;
use crate::env;
use crate::exit_status;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::terminal_text;

const USAGE: Usage =
    Usage { path: "oras diff", tail: "[flags] <from>{:<tag>|@<digest>} <to>{:<tag>|@<digest>}" };

/// The exit status if the artifacts differ, as of `diff` and `cmp`.
const DIFFERENT: u8 = 1;

flags::flags! {
    /// The arguments of `oras diff`.
    struct DiffArgs {
        #[flatten("from-")] from: LocationArgs,
        #[flatten("to-")] to: LocationArgs,
        #[flatten] format: FormatArgs,
        resolve: Vec<String> =
            flags::list("HOST:PORT:ADDRESS[:PORT]", "Like --from-resolve and --to-resolve"),
        platform: Option<String> = flags::platform(),
        content: bool = flags::switch("Show the changed lines of text files too").help_heading("Output"),
        max_content_size: Option<u64> =
            flags::text("SIZE", "Compare the content of files up to this size [default: 1MiB]")
                .value_parser(values::size)
                .help_heading("Output"),
        words: Vec<String> =
            flags::positional("<from>{:<tag>|@<digest>} <to>{:<tag>|@<digest>}", "Artifacts"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "diff",
        "Show what differs between two artifacts",
        concat!(
            "The exit status is 0 if the artifacts are equal, 1 if they differ, and 2\n",
            "after an error.\n\n",
            "Examples:\n",
            "  oras diff localhost:5000/hello:v1 localhost:5000/hello:v2\n",
            "  oras diff --content localhost:5000/hello:v1 localhost:5000/hello:v2\n",
            "  oras diff localhost:5000/hello:v1 --to-oci-layout ./layout:v1\n",
            "  oras diff --platform linux/arm64 --format json ghcr.io/a/b:v1 ghcr.io/a/b:v2"
        ),
    )
    .args(DiffArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let mut args = DiffArgs::read(matches, "");
    // `--resolve` applies to both sides, before the entries of `--from-resolve` and `--to-resolve`.
    for side in [&mut args.from, &mut args.to] {
        side.registry.connection.resolve.splice(0..0, args.resolve.iter().cloned());
    }
    USAGE.check(&args.words, 2, true, "the artifacts to compare")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let from = ArtifactLocation::new(&args.from, "from-", &args.words[0])?;
    let to = ArtifactLocation::new(&args.to, "to-", &args.words[1])?;
    let defaults = DiffOptions::default();
    let options = DiffOptions::default()
        .platform(values::platform(args.platform.as_ref())?)
        .content(args.content)
        .max_content_size(args.max_content_size.unwrap_or(defaults.max_content_size))
        .max_manifest_size(Some(from.max_manifest_size().max(to.max_manifest_size())));
    let (source, target) = (from.source().await?, to.source().await?);
    let from_reference = from.require_reference(&USAGE, true)?;
    let to_reference = to.require_reference(&USAGE, true)?;
    let found =
        oras::diff(source, from_reference, target, to_reference, &options).await.map_err(|error| {
            let side = if error.side() == Some(Side::Destination) { &to } else { &from };
            side.failure(&error).prefixed(format!("Error from {} {:?}:", side.kind(), side.raw))
        })?;
    if format.is_for_people() {
        let page = Page { width: columns::terminal_width(), lines: Vec::new() };
        page.draw(&from.raw, &to.raw, &found)?;
    } else {
        format.report(&report::Diff::new(&from.path, &to.path, &found)).await?;
    }
    if !found.is_empty() {
        exit_status::set(DIFFERENT);
    }
    Ok(())
}

/// A line of the page.
enum Line {
    Plain(String),
    Removed(String),
    Added(String),
}

/// The differences for people. On a terminal, lines fit its width and have colours.
struct Page {
    width: Option<usize>,
    lines: Vec<Line>,
}

impl Page {
    fn draw(mut self, from: &str, to: &str, found: &Differences) -> Result<(), Failure> {
        if found.is_empty() {
            self.plain(&format!("No differences: {}", found.from.digest));
            return self.print();
        }
        self.removed(&format!("--- {from} {}", found.from.digest.short()));
        self.added(&format!("+++ {to} {}", found.to.digest.short()));
        self.values("Manifest", &found.fields);
        self.values("Annotations", &found.annotations);
        self.contents("Config", found.config.as_slice());
        self.contents("Files", &found.files);
        self.contents("Manifests", &found.manifests);
        if found.is_only_in_form() {
            self.plain("The manifests list the same content, in another order or form.");
        }
        self.print()
    }

    fn plain(&mut self, text: &str) {
        self.lines.push(Line::Plain(columns::line(text, self.width)));
    }

    fn removed(&mut self, text: &str) {
        self.lines.push(Line::Removed(columns::line(text, self.width)));
    }

    fn added(&mut self, text: &str) {
        self.lines.push(Line::Added(columns::line(text, self.width)));
    }

    fn title(&mut self, title: &str) {
        self.plain("");
        self.plain(title);
    }

    fn values(&mut self, title: &str, changes: &[ValueChange]) {
        if changes.is_empty() {
            return;
        }
        self.title(title);
        for ValueChange { name, from, to } in changes {
            if let Some(from) = from {
                self.removed(&format!("  - {name}: {from}"));
            }
            if let Some(to) = to {
                self.added(&format!("  + {name}: {to}"));
            }
        }
    }

    fn contents(&mut self, title: &str, changes: &[ContentChange]) {
        if changes.is_empty() {
            return;
        }
        self.title(title);
        for change in changes {
            let name =
                change.name.as_deref().unwrap_or(if title == "Config" { "config" } else { "(no name)" });
            match (&change.from, &change.to) {
                (None, Some(to)) => self.added(&format!("  + {name}  {}", described(to))),
                (Some(from), None) => self.removed(&format!("  - {name}  {}", described(from))),
                (Some(from), Some(to)) => self.plain(&format!("  ~ {name}  {}", changed(from, to))),
                (None, None) => {}
            }
            match &change.text {
                None => {}
                Some(TextChange::Unified(text)) => self.unified(text),
                Some(TextChange::TooLarge) => {
                    self.plain("    content not compared: larger than --max-content-size");
                }
                Some(_) => self.plain("    binary content differs"),
            }
        }
    }

    /// Adds the lines of a unified difference, whole, so that no changed text is hidden.
    fn unified(&mut self, text: &str) {
        for line in text.split_inclusive('\n') {
            let line = match line.strip_suffix('\n') {
                Some(line) => line,
                None => line,
            };
            // Control characters stay in a pipe, where the text is content like that of a fetched blob.
            let line = if self.width.is_some() {
                terminal_text::escaped(line).into_owned()
            } else {
                line.to_owned()
            };
            self.lines.push(match line.as_bytes().first() {
                Some(b'-') => Line::Removed(line + "\n"),
                Some(b'+') => Line::Added(line + "\n"),
                _ => Line::Plain(line + "\n"),
            });
        }
    }

    fn print(self) -> Result<(), Failure> {
        let has_colours = self.width.is_some() && !env::no_color() && !env::is_terminal_dumb();
        // ANSI colours: 31 is red, 32 is green.
        let coloured = |code: &str, line: &str| match has_colours {
            true => format!("\u{1b}[{code}m{}\u{1b}[0m\n", line.trim_end_matches('\n')),
            false => line.to_owned(),
        };
        let text: String = self
            .lines
            .iter()
            .map(|line| match line {
                Line::Plain(line) => line.clone(),
                Line::Removed(line) => coloured("31", line),
                Line::Added(line) => coloured("32", line),
            })
            .collect();
        print::bytes(text.as_bytes())
    }
}

/// Describes content that only one artifact has.
fn described(node: &Descriptor) -> String {
    format!("{}  {}  {}", humanize::binary(node.size), node.digest.short(), node.media_type)
}

/// Describes content that differs.
fn changed(from: &Descriptor, to: &Descriptor) -> String {
    let mut parts = Vec::new();
    if from.digest != to.digest {
        parts.push(format!("{} -> {}", humanize::binary(from.size), humanize::binary(to.size)));
        parts.push(format!("{} -> {}", from.digest.short(), to.digest.short()));
    }
    if from.media_type != to.media_type {
        parts.push(format!("{} -> {}", from.media_type, to.media_type));
    }
    if from.annotations != to.annotations {
        parts.push("annotations differ".to_owned());
    }
    if from.platform != to.platform || from.artifact_type != to.artifact_type {
        parts.push("platform or type differs".to_owned());
    }
    parts.join("  ")
}
