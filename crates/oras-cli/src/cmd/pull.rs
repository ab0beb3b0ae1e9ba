//! `oras pull`.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};
use futures::TryStreamExt;
use oras::files::{FileReference, UnpackLimits};
use oras::store::Content;
use oras::{ConfigFile, PullOptions, report};

use crate::args::{
    self, FormatArgs, LocationArgs, ProgressArgs, TransferArgs, Usage,
    file_selection::{self, FileSelectionArgs},
    flags, values,
};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::{Progress, words::PULL};

const USAGE: Usage = Usage { path: "oras pull", tail: "[flags] <name>{:<tag>|@<digest>}" };

flags::flags! {
    /// The arguments of `oras pull`.
    struct PullArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] selection: FileSelectionArgs,
        #[flatten] progress: ProgressArgs,
        _verbose: bool = flags::verbose(),
        platform: Option<String> = flags::platform(),
        output: Option<String> = flags::text(
            "DIR",
            "Write files below this directory; - writes the one wanted file to standard output",
        )
        .short('o'),
        keep_old_files: bool = flags::switch("Fail instead of replacing files").short('k'),
        allow_path_traversal: bool = flags::switch("Allow files outside of the output directory").short('T'),
        include_subject: bool = flags::switch("Pull the files of the subject too"),
        config: Option<String> = flags::text("PATH[:TYPE]", "Write the config to this file"),
        preserve_permissions: bool =
            flags::switch("Keep all bits of the modes in unpacked directories, whatever the umask"),
        max_unpack_size: Option<u64> =
            limit("Refuse a directory that unpacks to more bytes; default 1 TiB").value_name("BYTES"),
        max_unpack_ratio: Option<u64> = limit(
            "Refuse a directory that unpacks to more than 64 MiB and N times its size; default 1000, from 1 GiB on",
        ),
        max_unpack_entries: Option<u64> = limit("Refuse a directory of more entries; default 2000000"),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> = flags::positional("<name>{:<tag>|@<digest>}", "Artifact"),
    }
}

/// Creates the command.
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
    .args(PullArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = PullArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the artifact reference you want to pull")?;
    let target = ArtifactLocation::new(&args.location, "", &args.words[0])?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let platform = values::platform(args.platform.as_ref())?;
    let source = target.cached_source().await?;
    let reference = target.require_reference(&USAGE, true)?;
    let config = match values::non_empty(args.config.as_ref()) {
        None => None,
        Some(config) => {
            let config = FileReference::parse(config)?;
            Some(ConfigFile {
                path: config.path,
                media_type: config.media_type.map(oras::spec::MediaType::new),
            })
        }
    };
    let selector = file_selection::selector(&args.selection)?;
    // Standard output can hold only one file, so this mode fails if several match.
    if args.output.as_deref() == Some("-") {
        let file = oras::open_file(source, reference, platform.as_ref(), &selector).await;
        return to_stdout(&file.map_err(|error| target.failure(&error))?, &target).await;
    }
    let options = PullOptions::default()
        .output(PathBuf::from(args.output.as_deref().unwrap_or(".")))
        .platform(platform)
        .config(config)
        .include_subject(args.include_subject)
        .selector(selector)
        .concurrency(values::count(args.concurrency, 0))
        .max_manifest_size(Some(target.max_manifest_size()))
        .files(
            oras::files::PullOptions::default()
                .keep_old_files(args.keep_old_files)
                .allow_path_traversal(args.allow_path_traversal)
                .preserve_permissions(args.preserve_permissions)
                .unpack(limits(&args)),
        );
    let progress = Progress::start(PULL, &args.progress, &format);
    let pulled = oras::pull(source, reference, options, progress.listener()).await;
    let pulled = target.explain(progress.finish(pulled))?;

    match format {
        Format::Text if pulled.skipped => print::status(format!(
            "Skipped pulling layers without file name in \"org.opencontainers.image.title\"\n\
             Use 'oras copy {} --to-oci-layout <layout-dir>' to pull all layers.",
            target.raw
        )),
        Format::Text => print::status(format!("Pulled {}\nDigest: {}", target.display(), pulled.root.digest)),
        format => format.report(&report::Pull::new(&target.path, &pulled)).await,
    }
}

/// Declares a limit of unpacking.
fn limit(help: &'static str) -> Arg {
    flags::number(help).value_parser(clap::value_parser!(u64))
}

/// Returns the limits that the flags set.
fn limits(args: &PullArgs) -> UnpackLimits {
    let mut limits = UnpackLimits::default();
    if let Some(ratio) = args.max_unpack_ratio {
        // An explicit ratio is enforced from 64 MiB on, because smaller archives of harmless text can exceed it.
        (limits.ratio, limits.ratio_from) = (ratio, 64 << 20);
    }
    limits.size = args.max_unpack_size.unwrap_or(limits.size);
    limits.entries = args.max_unpack_entries.unwrap_or(limits.entries);
    limits
}

/// Streams a file to standard output. The digest is verified at the end, so invalid content is detected after it was
/// written.
async fn to_stdout(file: &Content, target: &ArtifactLocation) -> Result<(), Failure> {
    let failed = |error| target.failure(&error);
    let mut stream = file.reader().await.map_err(failed)?;
    while let Some(chunk) = stream.try_next().await.map_err(failed)? {
        print::bytes(&chunk)?;
    }
    Ok(())
}
