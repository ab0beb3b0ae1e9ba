//! `oras push`.

use clap::{ArgMatches, Command};
use oras::spec::MediaType;
use oras::{Artifact, ImageSpec, PushOptions, report};

use super::pack_args::{self, PackArgs};
use crate::args::{
    self, FormatArgs, LocationArgs, ProgressArgs, TransferArgs, Usage, check_tags, flags, split_tags, values,
};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::progress::{Progress, words::PUSH};

const USAGE: Usage =
    Usage { path: "oras push", tail: "[flags] <name>[:<tag>[,<tag>][...]] <file>[:<type>] [...]" };

flags::flags! {
    /// The arguments of `oras push`.
    struct PushArgs {
        #[flatten] _transfer: TransferArgs,
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] pack: PackArgs,
        #[flatten] progress: ProgressArgs,
        _verbose: bool = flags::verbose(),
        artifact_type: Option<String> = flags::text("TYPE", "Type of the artifact"),
        config: Option<String> = flags::text("PATH[:TYPE]", "Use this file as the config"),
        artifact_platform: Option<String> =
            flags::text("PLATFORM", "Make a config that names this platform"),
        image_spec: Option<String> = flags::one_of(
            flags::text("VERSION", "Pack by image-spec v1.1 or v1.0"),
            "image specification flag",
            &["v1.1", "v1.0"],
        ),
        force: bool = flags::switch("Look below manifests that the destination has"),
        dry_run: bool = flags::dry_run(),
        concurrency: Option<i64> = flags::concurrency(),
        words: Vec<String> =
            flags::positional("<name>[:<tag>[,<tag>][...]] <file>[:<type>]", "Destination, then files"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command("push", "Push files to a registry or an OCI layout", concat!(
        "Examples:\n",
        "  oras push localhost:5000/hello:v1 hi.txt\n",
        "  oras push localhost:5000/hello:v1,latest hi.txt:text/plain assets/ \\\n    --artifact-type application/vnd.me\n",
        "  oras push localhost:5000/hello:v1 hi.txt --format json --jq .digest\n",
        "  oras push --oci-layout ./layout:v1 hi.txt -a key=value"
    ))
    .args(PushArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = PushArgs::read(matches, "");
    USAGE.check(&args.words, 1, false, "the destination for pushing")?;
    let (raw, extra_tags) = split_tags(&args.words[0]);
    let packed = pack_args::read(&args.pack, &args.location.registry.connection, &args.words[1..])?;
    let target = ArtifactLocation::new(&args.location, "", raw)?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let artifact_platform = values::platform(args.artifact_platform.as_ref())?;
    check_tags(&extra_tags)?;
    let options = PushOptions::default()
        .extra_tags(extra_tags.clone())
        .concurrency(values::count(args.concurrency, 0))
        .force(args.force);
    let mut artifact = artifact_with_types(&args, artifact_platform.is_some())?;
    if let Some(platform) = artifact_platform {
        artifact = artifact.config_platform(&platform);
    }
    let artifact = pack_args::add(artifact, packed.contents).directories(pack_args::directories(&args.pack)?);
    // All checks come before the first request, so that a failed command has uploaded nothing.
    let export = pack_args::export_path(&args.pack)?;
    let mut store = target.store().await?;
    let dry_run = args.dry_run;
    if dry_run {
        store = oras::dry_run(store);
    }
    let tag = Some(target.reference.as_str()).filter(|tag| !tag.is_empty());
    let progress = Progress::start(PUSH.to(&target).dry(dry_run), &args.progress, &format);
    let pushed = oras::push(store, tag, artifact, options, progress.listener()).await;
    let pushed = target.explain(progress.finish(pushed))?;

    match format {
        Format::Text => {
            let done = if dry_run { "Dry run: would push" } else { "Pushed" };
            print::status(format!("{done} {}", target.display()))?;
            for tag in extra_tags.iter().filter(|_| !dry_run) {
                print::status(format!("Tagged {tag}"))?;
            }
            let artifact_type = pushed.root.artifact_type.as_ref().map_or("", |text| text.as_str());
            print::status(format!("ArtifactType: {artifact_type}\nDigest: {}", pushed.root.digest))?;
        }
        format => {
            let tags: Vec<_> = tag.map(ToOwned::to_owned).into_iter().chain(extra_tags).collect();
            format.report(&report::Push::new(&target.path, &pushed.root, &tags)).await?;
        }
    }
    // The temporary file with standard input must exist until the upload is complete.
    drop(packed.spooled);
    pack_args::export(export.as_deref(), &pushed.manifest)
}

/// Returns an artifact with the type, the config and the version of the image-spec, which depend on each other.
fn artifact_with_types(args: &PushArgs, has_platform: bool) -> Result<Artifact, Failure> {
    let image_spec = args.image_spec.as_deref();
    let artifact_type = values::non_empty(args.artifact_type.as_ref());
    let config = pack_args::config(args.config.as_ref())?;
    let mut version = if image_spec == Some("v1.0") { ImageSpec::V1_0 } else { ImageSpec::V1_1 };
    // In image-spec 1.0 the media type of the config is the artifact type. A lone `--config` therefore selects 1.0.
    if config.is_some() && artifact_type.is_none() {
        if image_spec.is_none() {
            version = ImageSpec::V1_0;
        } else if version == ImageSpec::V1_1 {
            return Err(Failure::new("missing artifact type for OCI image-spec v1.1 artifacts")
                .advise("set an artifact type via `--artifact-type` or consider image spec v1.0"));
        }
    }
    flags::exclusive!("", args.config, args.artifact_platform)?;
    if version == ImageSpec::V1_0 && config.is_some() && artifact_type.is_some() {
        return Err(Failure::new("--artifact-type and --config cannot both be provided for 1.0 OCI image"));
    }
    if version == ImageSpec::V1_0 && has_platform && artifact_type.is_some() {
        let message = "artifact type cannot be customized for OCI image-spec v1.0 when platform is specified";
        return Err(Failure::new(message).advise("consider using image spec v1.1 or remove --artifact-type"));
    }
    let artifact = match artifact_type {
        Some(artifact_type) => Artifact::new(artifact_type),
        None if version == ImageSpec::V1_1 && config.is_none() => Artifact::new(MediaType::UNKNOWN_ARTIFACT),
        None => Artifact::untyped(),
    };
    Ok(pack_args::with_config(artifact.image_spec(version), config))
}
