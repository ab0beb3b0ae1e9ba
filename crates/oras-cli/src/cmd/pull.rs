//! `oras pull`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use futures::TryStreamExt;
use oras::files::{FileReference, UnpackLimits};
use oras::store::Content;
use oras::{ConfigFile, PullOptions, report};

use super::{listener, platform};
use crate::args;
use crate::args::flags::{self, EXTENSIONS, Matches};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::selection;
use crate::status::PULL;
use crate::target::{Target, Usage};

const USAGE: Usage = Usage { path: "oras pull", tail: "[flags] <name>{:<tag>|@<digest>}" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command(
        "pull",
        "Pull the files of an artifact",
        concat!(
            "Examples:\n",
            "  oras pull localhost:5000/hello:v1\n",
            "  oras pull -o out localhost:5000/hello@sha256:…\n",
            "  oras pull --oci-layout ./layout:v1\n",
            "  oras pull --include '*.json' -o - localhost:5000/hello:v1 | jq ."
        ),
    )
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format())
    .args(selection::flags())
    .args([
        flags::no_tty(),
        flags::progress(),
        flags::verbose(),
        flags::platform(),
        flags::text(
            "output",
            "DIR",
            "Write files below this directory; - writes the one wanted file to standard output",
        )
        .short('o'),
        flags::switch("keep-old-files", "Fail instead of replacing files").short('k'),
        flags::switch("allow-path-traversal", "Allow files outside of the output directory").short('T'),
        flags::switch("include-subject", "Pull the files of the subject too"),
        flags::text("config", "PATH[:TYPE]", "Write the config to this file"),
        flags::switch("preserve-permissions", "Keep all bits of the modes in unpacked directories, whatever the umask")
            .help_heading(EXTENSIONS),
        limit("max-unpack-size", "Refuse a directory that unpacks to more bytes; default 1 TiB")
            .value_name("BYTES"),
        limit(
            "max-unpack-ratio",
            "Refuse a directory that unpacks to more than 64 MiB and N times its size; default 1000, from 1 GiB on",
        ),
        limit("max-unpack-entries", "Refuse a directory of more entries; default 2000000"),
        flags::concurrency(),
        flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, true, "the artifact reference you want to pull")?;
    let target = Target::new(matches, "", &words[0], printer)?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let platform = platform(matches, "platform")?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let config = match matches.text("config").filter(|config| !config.is_empty()) {
        None => None,
        Some(config) => {
            let config = FileReference::parse(&config)?;
            Some(ConfigFile { path: config.path, media_type: config.media_type.map(Into::into) })
        }
    };
    let selector = selection::read(matches)?;
    if matches.text("output").as_deref() == Some("-") {
        let file = oras::open_file(source, reference, platform.as_ref(), &selector).await;
        return to_stdout(&file.map_err(|error| target.failure(&error))?, &target, *printer).await;
    }
    let options = PullOptions {
        output: PathBuf::from(matches.text("output").unwrap_or_else(|| ".".to_owned())),
        platform,
        config,
        include_subject: matches.on("include-subject"),
        selector,
        keep_old_files: matches.on("keep-old-files"),
        allow_path_traversal: matches.on("allow-path-traversal"),
        preserve_permissions: matches.on("preserve-permissions"),
        unpack: limits(matches),
        concurrency: matches.count("concurrency", 0),
        max_manifest_size: target.max_manifest_size(),
    };
    let listener = listener(PULL, matches, &format, *printer);
    let pulled =
        oras::pull(source, reference, options, listener).await.map_err(|error| target.failure(&error))?;

    match format {
        Format::Text if pulled.skipped => printer.line(format!(
            "Skipped pulling layers without file name in \"org.opencontainers.image.title\"\n\
             Use 'oras copy {} --to-oci-layout <layout-dir>' to pull all layers.",
            target.raw
        )),
        Format::Text => printer.line(format!("Pulled {}\nDigest: {}", target.display(), pulled.root.digest)),
        format => printer.report(&format, &report::Pull::new(&target.path, &pulled)),
    }
}

fn limit(name: &'static str, help: &'static str) -> Arg {
    flags::number(name, help).value_parser(clap::value_parser!(u64)).help_heading(EXTENSIONS)
}

fn limits(matches: &ArgMatches) -> UnpackLimits {
    let given = |name: &str| matches.get_one::<u64>(name).copied();
    let mut limits = UnpackLimits::default();
    if let Some(ratio) = given("max-unpack-ratio") {
        // Whoever asks for a ratio wants it to count early; small archives of text reach any.
        (limits.ratio, limits.ratio_from) = (ratio, 64 << 20);
    }
    limits.size = given("max-unpack-size").unwrap_or(limits.size);
    limits.entries = given("max-unpack-entries").unwrap_or(limits.entries);
    limits
}

/// Writes a file to standard output as it comes; if it was not what it should be, that is an error at its end.
async fn to_stdout(file: &Content, target: &Target, printer: Printer) -> Result<(), Failure> {
    let failed = |error| target.failure(&error);
    let mut stream = file.reader().await.map_err(failed)?;
    while let Some(chunk) = stream.try_next().await.map_err(failed)? {
        printer.bytes(&chunk)?;
    }
    Ok(())
}
