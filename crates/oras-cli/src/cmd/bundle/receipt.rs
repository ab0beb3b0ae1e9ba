//! `oras bundle receipt`.

use clap::{ArgMatches, Command};
use futures::TryStreamExt;
use oras::bundle::{Receipt, ReceiptSource, take_receipt};
use oras::remote::{Registry, Repository};
use oras::spec::{Reference, reference::check_registry};

use super::sources::Registries;
use crate::args::{self, FormatArgs, RegistryArgs, Usage, flags};
use crate::cmd::file_io::write_output;
use crate::cmd::tagged_artifacts::required_path;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;

const USAGE: Usage =
    Usage { path: "oras bundle receipt", tail: "[flags] --output <file> <registry>[/<prefix>]|<directory>" };

flags::flags! {
    /// The arguments of `oras bundle receipt`.
    struct ReceiptArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        _distribution_spec: Option<String> = flags::distribution_spec(),
        output: Option<String> = flags::text("PATH", "Write the receipt to this file (required)").short('o'),
        to_oci_layout: bool =
            flags::switch("The target is a directory with an OCI layout for each repository"),
        words: Vec<String> = flags::positional("<registry>[/<prefix>]|<directory>", "Target of restores"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "receipt",
        "Write a small file that says what a registry or a directory of OCI layouts has",
        concat!(
            "\"oras bundle create --have\" leaves that content out of the next bundle. A restore writes a\n",
            "receipt by itself with --receipt.\n\n",
            "Examples:\n",
            "  oras bundle receipt -o receipt.json localhost:6000\n",
            "  oras bundle receipt -o receipt.json localhost:6000/mirror\n",
            "  oras bundle receipt -o receipt.json --to-oci-layout ./layouts"
        ),
    )
    .args(ReceiptArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = ReceiptArgs::read(matches, "");
    USAGE.check(&args.words, 1, true, "the target of restores")?;
    let format = Format::read(&args.format, format::TEXT).await?;
    let path = required_path(args.output.as_deref(), "output")?;
    let target = &args.words[0];
    let receipt = match args.to_oci_layout {
        true => take_receipt(ReceiptSource::in_directory(target).await?).await?,
        false => of_registry(&args, target).await?,
    };
    write_output(&path, &receipt.to_bytes())?;
    if format.is_for_people() {
        print::status(format!("Wrote the receipt of {} to {path:?}", summary(&receipt)))?;
    }
    format.report(&receipt).await
}

/// Lists the repositories of a registry below a prefix, and makes their receipt. The names are those after the prefix.
async fn of_registry(args: &ReceiptArgs, target: &str) -> Result<Receipt, Failure> {
    let (host, prefix) = target.split_once('/').unwrap_or((target, ""));
    check_registry(host).map_err(|error| {
        Failure::new(format!("invalid target {target:?}: {error}"))
            .advise("If the target is a directory, please use --to-oci-layout")
    })?;
    let registries = Registries::new(&args.registry, vec![host.to_owned()])?;
    let taken = async {
        let mut names = Registry::new(registries.client(), host)?.repositories(None);
        let mut sources = Vec::new();
        while let Some(repository) = names.try_next().await? {
            let below = match prefix.trim_end_matches('/') {
                "" => Some(repository.as_str()),
                prefix => repository.strip_prefix(prefix).and_then(|below| below.strip_prefix('/')),
            };
            let Some(name) = below.map(ToOwned::to_owned) else { continue };
            let reference = Reference { registry: host.to_owned(), repository, tag: None, digest: None };
            let store = std::sync::Arc::new(Repository::new(registries.client(), &reference)?);
            sources.push(ReceiptSource { name, store });
        }
        take_receipt(sources).await
    };
    taken.await.map_err(|error| registries.failure(&error))
}

/// Returns the numbers of repositories and digests.
pub(super) fn summary(receipt: &Receipt) -> String {
    let digests: usize = receipt.repositories.iter().map(|repository| repository.digests.len()).sum();
    format!("{} repositories with {digests} blobs and manifests", receipt.repositories.len())
}
