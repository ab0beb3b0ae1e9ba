//! `oras push`.

use clap::{ArgMatches, Command};
use oras::{ConfigArgument, ImageSpec, PushOptions, report};

use super::{listener, pack, platform};
use crate::args;
use crate::args::flags::{self, Matches, exclusive};
use crate::error::Failure;
use crate::format::{self, Format};
use crate::output::Printer;
use crate::status::PUSH;
use crate::target::{Target, Usage, check_tags, split_tags};

const USAGE: Usage =
    Usage { path: "oras push", tail: "[flags] <name>[:<tag>[,<tag>][...]] <file>[:<type>] [...]" };

/// The command with its flags.
pub(crate) fn command() -> Command {
    args::command("push", "Push files to a registry or an OCI layout", concat!(
        "Examples:\n",
        "  oras push localhost:5000/hello:v1 hi.txt\n",
        "  oras push localhost:5000/hello:v1,latest hi.txt:text/plain assets/ \\\n    --artifact-type application/vnd.me\n",
        "  oras push --oci-layout ./layout:v1 hi.txt -a key=value"
    ))
    .args(flags::common())
    .args(flags::remote(""))
    .args(flags::layout(""))
    .args(flags::format())
    .args(flags::pack())
    .args([
        flags::no_tty(),
        flags::progress(),
        flags::verbose(),
        flags::text("artifact-type", "TYPE", "Type of the artifact"),
        flags::text("config", "PATH[:TYPE]", "Use this file as the config"),
        flags::text("artifact-platform", "PLATFORM", "Make a config that names this platform"),
        flags::text("image-spec", "VERSION", "Pack by image-spec v1.1 or v1.0").value_parser(|value: &str| match value {
            "v1.1" | "v1.0" => Ok(value.to_owned()),
            _ => Err(format!("unknown image specification flag: {value}\nAvailable options: v1.1, v1.0")),
        }),
        flags::switch("force", "Look below manifests that the destination has"),
        flags::dry_run(),
        flags::concurrency(),
        flags::positional("<name>[:<tag>[,<tag>][...]] <file>[:<type>]", "Destination, then files"),
    ])
}

/// Runs it.
pub(crate) async fn run(matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    let words = matches.words();
    USAGE.check(&words, 1, false, "the destination for pushing")?;
    let (raw, extra_tags) = split_tags(&words[0])?;
    let packed = pack::read(matches, &words[1..])?;
    let target = Target::new(matches, "", raw, printer)?;
    let format = Format::read(matches, format::TEXT, *printer)?;
    let artifact_platform = platform(matches, "artifact-platform")?;
    check_tags(&extra_tags)?;
    let mut options = PushOptions {
        files: packed.files,
        annotations: packed.annotations,
        config_annotations: packed.config_annotations,
        extra_tags: extra_tags.clone(),
        concurrency: matches.count("concurrency", 0),
        directories: pack::directories(matches)?,
        force: matches.on("force"),
        ..PushOptions::default()
    };
    types(matches, &mut options)?;
    if let Some(platform) = artifact_platform {
        if options.version == ImageSpec::V1_0 && options.artifact_type.is_some() {
            let message =
                "artifact type cannot be customized for OCI image-spec v1.0 when platform is specified";
            return Err(
                Failure::new(message).advise("consider using image spec v1.1 or remove --artifact-type")
            );
        }
        options.config = ConfigArgument::Platform(platform);
    }
    let export = pack::export_path(matches)?;
    let mut store = target.store().await?;
    let dry_run = matches.on("dry-run");
    if dry_run {
        store = oras::dry_run(store);
    }
    let tag = Some(target.reference.as_str()).filter(|tag| !tag.is_empty());
    let listener = listener(PUSH.to(&target).dry(dry_run), matches, &format, *printer);
    let pushed = oras::push(store, tag, options, listener).await.map_err(|error| target.failure(&error))?;

    match format {
        Format::Text => {
            let done = if dry_run { "Dry run: would push" } else { "Pushed" };
            printer.line(format!("{done} {}", target.display()))?;
            for tag in extra_tags.iter().filter(|_| !dry_run) {
                printer.line(format!("Tagged {tag}"))?;
            }
            let artifact_type = pushed.root.artifact_type.as_ref().map_or("", |text| text.as_str());
            printer.line(format!("ArtifactType: {artifact_type}\nDigest: {}", pushed.root.digest))?;
        }
        format => {
            let tags: Vec<_> = tag.map(ToOwned::to_owned).into_iter().chain(extra_tags).collect();
            printer.report(&format, &report::Push::new(&target.path, &pushed.root, &tags))?;
        }
    }
    drop(packed.spooled);
    pack::export(export.as_deref(), &pushed.manifest)
}

/// The artifact type, the config and the image-spec, which depend on each other.
fn types(matches: &ArgMatches, options: &mut PushOptions) -> Result<(), Failure> {
    let image_spec = matches.text("image-spec");
    let artifact_type = matches.text("artifact-type").filter(|text| !text.is_empty());
    let config = pack::config(matches)?;
    let has_config = config != ConfigArgument::Empty;
    if image_spec.as_deref() == Some("v1.0") {
        options.version = ImageSpec::V1_0;
    }
    if has_config && artifact_type.is_none() {
        if image_spec.is_none() {
            options.version = ImageSpec::V1_0;
        } else if options.version == ImageSpec::V1_1 {
            return Err(Failure::new("missing artifact type for OCI image-spec v1.1 artifacts")
                .advise("set an artifact type via `--artifact-type` or consider image spec v1.0"));
        }
    }
    exclusive(matches, "", &["config", "artifact-platform"])?;
    if options.version == ImageSpec::V1_0 && has_config && artifact_type.is_some() {
        return Err(Failure::new("--artifact-type and --config cannot both be provided for 1.0 OCI image"));
    }
    options.artifact_type = match artifact_type {
        None if options.version == ImageSpec::V1_1 && !has_config => {
            Some(oras::spec::MediaType::UNKNOWN_ARTIFACT)
        }
        artifact_type => artifact_type.map(Into::into),
    };
    options.config = config;
    Ok(())
}
