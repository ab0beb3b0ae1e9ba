//! The flags and the procedure of `manifest delete` and `blob delete`.

use oras::report;
use oras::spec::Descriptor;
use oras::store::{DeleteTarget, Error, ErrorKind};

use super::json_output::print_descriptor;
use crate::args::{DescriptorArgs, FormatArgs, LocationArgs, Usage, flags};
use crate::artifact_location::ArtifactLocation;
use crate::failure::Failure;
use crate::format::{self, Format};
use crate::print;
use crate::prompt::prompt;

flags::flags! {
    /// The flags of both commands.
    struct DeletionArgs {
        #[flatten] location: LocationArgs,
        #[flatten] format: FormatArgs,
        #[flatten] descriptor: DescriptorArgs,
        _verbose: bool = flags::verbose(),
        dry_run: bool = flags::dry_run(),
        force: bool = flags::switch("Do not ask, and do not fail when it is not there").short('f'),
    }
}

/// A requested deletion.
pub(crate) struct Deletion<'a> {
    args: &'a DeletionArgs,
    pub(crate) target: ArtifactLocation,
    format: Format,
}

impl<'a> Deletion<'a> {
    /// Checks the arguments before any request.
    pub(crate) async fn new(
        args: &'a DeletionArgs,
        words: &[String],
        usage: &Usage,
        what: &str,
    ) -> Result<Self, Failure> {
        usage.check(words, 1, true, what)?;
        let must_force =
            |why: &str| Failure::new(format!("must apply --force to confirm the deletion if the {why}"));
        // A question on standard output would mix with the descriptor.
        if args.descriptor.is_wanted() && !args.force {
            return Err(must_force("descriptor is outputted"));
        }
        let format = Format::read(&args.format, format::TEXT).await?;
        if !format.is_for_people() && !args.force {
            return Err(must_force("result is not printed as text"));
        }
        args.descriptor.exclude_format(&args.format)?;
        let target = ArtifactLocation::new(&args.location, "", &words[0])?;
        Ok(Self { args, target, format })
    }

    /// Asks for confirmation, deletes the resolved content and reports it. `noun` is `manifest` or `blob`, and
    /// `consequence` is a phrase for the question that names what else is deleted.
    pub(crate) async fn run(
        &self,
        noun: &str,
        consequence: &str,
        resolved: Result<Descriptor, Error>,
    ) -> Result<(), Failure> {
        let (target, force) = (&self.target, self.args.force);
        let node = match resolved {
            Ok(node) => node,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // With `--force`, missing content counts as deleted. `--descriptor` still fails, as there is no
                // descriptor.
                if force && !self.args.descriptor.is_wanted() {
                    return self.report(None, &format!("Missing {}", target.raw)).await;
                }
                let message = format!("{}: the specified {noun} does not exist", target.raw);
                return Err(Failure::new(message).hint_by_search(target.name_search(&error)));
            }
            Err(error) => return Err(target.failure(&error)),
        };
        if self.args.dry_run {
            return self.report(Some(&node), &format!("Dry run: would delete {}", target.display())).await;
        }
        let question =
            format!("Are you sure you want to delete the {noun} \"{}\"{consequence}? [y/N] ", node.digest);
        if !force && !is_confirmed(&prompt(&question, false)?) {
            return print::status("Operation cancelled.");
        }
        // In a layout this store also deletes content that is no longer needed, so it is opened after the confirmation.
        target
            .deleting_store()
            .await?
            .delete(DeleteTarget::Content(&node))
            .await
            .map_err(|error| target.failure(&error))?;
        if self.args.descriptor.is_wanted() {
            return print_descriptor(&node, self.args.descriptor.is_pretty());
        }
        self.report(Some(&node), &format!("Deleted {}", target.display())).await
    }

    async fn report(&self, node: Option<&Descriptor>, text: &str) -> Result<(), Failure> {
        match &self.format {
            Format::Text => print::status(text),
            format => format.report(&report::Deleted::new(&self.target.path, &self.target.raw, node)).await,
        }
    }
}

/// Returns true for `y` and `yes`.
fn is_confirmed(answer: &str) -> bool {
    matches!(answer.to_lowercase().as_str(), "y" | "yes")
}
