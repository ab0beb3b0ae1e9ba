//! `oras bundle verify`.

use clap::{ArgMatches, Command};
use oras::bundle::{self, Bundle, VerifiedBundle};
use oras::store::ErrorKind;

use super::ls::missing_line;
use crate::args::{self, FormatArgs, Usage, flags};
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::humanize;
use crate::print;
use crate::progress::{Progress, words::BACKUP};

const USAGE: Usage = Usage { path: "oras bundle verify", tail: "[flags] <file>" };

flags::flags! {
    /// The arguments of `oras bundle verify`.
    struct VerifyArgs {
        #[flatten] format: FormatArgs,
        no_tty: bool = flags::no_tty(),
        debug: bool,
        words: Vec<String> = flags::positional("<file>", "Bundle"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "verify",
        "Prove offline that a bundle is undamaged and complete",
        concat!(
            "Hashes all content, and checks that every tag, every listed blob and manifest, and every\n",
            "referrer that the sources listed is in the bundle.\n\n",
            "Examples:\n",
            "  oras bundle verify site.tar\n",
            "  oras bundle verify site.tar --format json --jq '.problems'"
        ),
    )
    .args(VerifyArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = VerifyArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the bundle to verify")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = &args.words[0];
    let bundle = Bundle::open(path).await?;
    let progress = Progress::of_blob(BACKUP, args.no_tty, args.debug);
    let verified = bundle::verify(&bundle, progress.listener()).await;
    let verified = progress.finish(verified)?;
    for repository in &bundle.inventory().repositories {
        for missing in repository.missing.iter().filter(|_| format.is_for_people()) {
            print::line(missing_line(&repository.name, missing))?;
        }
    }
    format.report(&verified).await?;
    if format.is_for_people() {
        print_problems(&verified, path)?;
    }
    match verified.problems.len() {
        0 if format.is_for_people() => print::status(summary(&verified, path)),
        0 => Ok(()),
        count => Err(Failure::new(format!("{path} is damaged or incomplete: {count} problem(s)"))
            .of_kind(ErrorKind::InvalidContent)),
    }
}

fn print_problems(verified: &VerifiedBundle, path: &str) -> Result<(), Failure> {
    for problem in &verified.problems {
        let digest = problem.digest.as_ref().map(|digest| format!("{digest}: ")).unwrap_or_default();
        let needed = match &problem.repositories[..] {
            [] => String::new(),
            names => format!(" (in {})", names.join(", ")),
        };
        print::line(format!("{path}: {}: {digest}{}{needed}", problem.entry, problem.reason))?;
    }
    Ok(())
}

fn summary(verified: &VerifiedBundle, path: &str) -> String {
    let VerifiedBundle { repositories, tags, referrers, contents, size, omitted, missing, .. } = verified;
    let mut text = format!(
        "{path} is undamaged: {repositories} repositories, {tags} tag(s), {referrers} referrer(s), {contents} blobs and \
         manifests, {}",
        humanize::bytes(*size)
    );
    if *omitted > 0 {
        text.push_str(&format!("; {omitted} blobs and manifests must be at the receiver"));
    }
    if !missing.is_empty() {
        text.push_str(&format!("; {} missing at the source", missing.len()));
    }
    text
}
