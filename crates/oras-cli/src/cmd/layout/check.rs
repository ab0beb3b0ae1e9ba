//! `oras layout check`.

use clap::{ArgMatches, Command};
use oras::{CheckOptions, LayoutCheck};
use serde::Serialize;

use super::check_progress::forward;
use crate::args::{self, FormatArgs, ProgressArgs, Usage, flags};
use crate::exit_status;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::hints::Subject;
use crate::humanize;
use crate::print;
use crate::progress::{Progress, words::CHECK};

const USAGE: Usage = Usage { path: "oras layout check", tail: "[flags] <path> [...]" };

/// The exit status if a layout is damaged.
pub(super) const DAMAGED: u8 = 1;

flags::flags! {
    /// The arguments of `oras layout check`.
    struct CheckArgs {
        #[flatten] format: FormatArgs,
        #[flatten] progress: ProgressArgs,
        fast: bool = flags::switch("Compare sizes and structure, and hash only manifests"),
        sample: Option<f64> =
            flags::text("PERCENT", "Hash a random part of the blobs, such as 10%").value_parser(percent),
        words: Vec<String> = flags::positional("<path> [...]", "OCI layouts, or directories of them"),
    }
}

/// Creates the command.
pub(super) fn command() -> Command {
    args::command(
        "check",
        "Verify the structure and the content of OCI layouts",
        concat!(
            "Checks oci-layout, index.json, every manifest that the index reaches, the digest and size of every\n",
            "blob, and whether every blob that a manifest lists is there. Nothing is changed. A path is a layout,\n",
            "in a directory or a tar archive, or a directory with layouts below it, as oras serve has.\n\n",
            "Exit status: 0 if all layouts are clean, 1 if one is damaged, 2 if one could not be checked.\n\n",
            "Examples:\n",
            "  oras layout check ./layout\n",
            "  oras layout check backup.tar\n",
            "  oras layout check --fast ./registry\n",
            "  oras layout check --sample 10% --format json ./layout"
        ),
    )
    .args(CheckArgs::flags(""))
}

/// The report for programs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    clean: bool,
    layouts: &'a [LayoutCheck],
}

/// Runs the command.
pub(super) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = CheckArgs::read(matches, "");
    USAGE.check(&args.words, 1, false, "the layouts to check")?;
    flags::exclusive!("", args.fast, args.sample)?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let mut checks = Vec::new();
    for word in &args.words {
        let layouts = oras::find_layouts(word).await.map_err(|error| failure(&error, word))?;
        for layout in layouts {
            let progress = Progress::of_check(CHECK, &args.progress);
            let options = CheckOptions::default()
                .fast(args.fast)
                .sample(args.sample.unwrap_or(100.0))
                .progress(forward(progress.listener()));
            let checked = oras::check_layout(layout, options).await.map_err(|error| failure(&error, word))?;
            progress.end();
            if format.is_for_people() {
                print_check(&checked)?;
            }
            checks.push(checked);
        }
    }
    let clean = checks.iter().all(LayoutCheck::is_clean);
    if !clean {
        exit_status::set(DAMAGED);
    }
    format.report(&Report { clean, layouts: &checks }).await
}

/// Converts an error about the layout at `path`.
pub(super) fn failure(error: &oras::store::Error, path: &str) -> Failure {
    Failure::about(error, &Subject { layout: Some(path.to_owned()), ..Subject::default() })
}

/// Prints the findings and a summary.
fn print_check(check: &LayoutCheck) -> Result<(), Failure> {
    for problem in &check.problems {
        print::line(format!("{:<10}  {problem}", problem.kind.label()))?;
    }
    let damage = check.damage().count();
    let result = match damage {
        0 => "clean".to_owned(),
        _ => humanize::count(damage as u64, "problem"),
    };
    print::line(format!("{}: {result}", check.path.display()))?;
    let unreachable = match check.unreachable_blobs {
        0 => String::new(),
        count => {
            let size = humanize::binary(check.unreachable_bytes);
            format!(", {count} of them unreachable ({size})")
        }
    };
    print::status(format!(
        "{}, {}, {} with {}{unreachable}; {} hashed",
        humanize::count(check.tags, "tag"),
        humanize::count(check.manifests, "manifest"),
        humanize::count(check.blobs, "blob"),
        humanize::binary(check.bytes),
        humanize::binary(check.hashed_bytes),
    ))
}

/// Parses a percentage such as `10%` or `2.5`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    number
        .filter(|number| *number > 0.0 && *number <= 100.0)
        .ok_or_else(|| format!("invalid percentage {text:?}: expecting for example 10%"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_percentages() {
        assert_eq!(percent("10%"), Ok(10.0));
        assert_eq!(percent("2.5"), Ok(2.5));
        for invalid in ["0", "101%", "-1", "x", "", "NaN"] {
            assert!(percent(invalid).is_err(), "{invalid}");
        }
    }
}
