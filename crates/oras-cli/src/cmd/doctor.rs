//! `oras doctor`.

use std::sync::Arc;

use clap::{ArgMatches, Command};
use oras::{Check, CheckStatus, Diagnosis, DoctorOptions};

use crate::args::{self, FormatArgs, RegistryArgs, Usage, flags};
use crate::columns;
use crate::env;
use crate::exit_status;
use crate::failure::{Failure, without_error_numbers};
use crate::format::{self, Format};
use crate::print;
use crate::registry_access::RegistryAccess;

const USAGE: Usage =
    Usage { path: "oras doctor", tail: "[flags] [<registry>[/<repository>[:<tag>|@<digest>]]]" };

/// The exit status if a check failed.
const FAILED: u8 = 1;
/// The width of the column of the status and the name of a check.
const LABELS: usize = 24;

flags::flags! {
    /// The arguments of `oras doctor`.
    struct DoctorArgs {
        #[flatten] registry: RegistryArgs,
        #[flatten] format: FormatArgs,
        words: Vec<String> =
            flags::positional("[<registry>[/<repository>[:<tag>|@<digest>]]]", "Registry, repository or artifact"),
    }
}

/// Creates the command.
pub(crate) fn command() -> Command {
    args::command(
        "doctor",
        "Check the configuration and the way to a registry",
        concat!(
            "Sends only requests that read. The exit status is 1 if a check failed.\n\n",
            "Examples:\n",
            "  oras doctor\n",
            "  oras doctor ghcr.io\n",
            "  oras doctor localhost:5000/hello:v1\n",
            "  oras doctor --format json ghcr.io/team/app:v1 > report.json"
        ),
    )
    .args(DoctorArgs::flags(""))
}

/// Runs the command.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let args = DoctorArgs::read(matches, "");
    if args.words.len() > 1 {
        USAGE.check(&args.words, 1, true, "the registry, repository or artifact to examine")?;
    }
    let format = Format::read(&args.format, format::TEXT).await?;
    let reference = args.words.first().cloned();
    let mut found = match RegistryAccess::new(&args.registry, "") {
        Ok(access) => oras::doctor(options(&access, reference)).await,
        // A broken configuration file is a finding, and the report of a bug needs the rest as well.
        Err(failure) => {
            let mut found = oras::doctor(DoctorOptions::default()).await;
            found.reference = reference;
            let advice = failure.advice.unwrap_or_else(|| "Correct the flag or the file".to_owned());
            found.checks.push(Check::fail("configuration", failure.message, advice));
            found
        }
    };
    for check in &mut found.checks {
        check.message = without_error_numbers(&check.message).into_owned();
    }
    if found.has_failed() {
        exit_status::set(FAILED);
    }
    if format.is_for_people() {
        return print::text(page(&found, columns::terminal_width()).as_bytes());
    }
    format.report(&found).await
}

fn options(access: &RegistryAccess, reference: Option<String>) -> DoctorOptions {
    let host = reference.as_deref().map(|text| text.split('/').next().unwrap_or_default().to_owned());
    let options = DoctorOptions::default()
        .client(access.options_for(host.as_deref()))
        .cache(env::cache())
        .locks(Some(env::temporary_directory()))
        .reference(reference);
    // With a credential from flags, the files are not used.
    match access.credential {
        Some(_) => options,
        None => options.credentials(Arc::clone(&access.store)),
    }
}

/// Describes the checks for people, one after the other. With a `width`, the lines fit it.
fn page(found: &Diagnosis, width: Option<usize>) -> String {
    let mut text = String::new();
    for check in &found.checks {
        let status = match check.status {
            CheckStatus::Ok => "ok",
            CheckStatus::Warn => "warn",
            CheckStatus::Fail => "fail",
            _ => "skip",
        };
        text += &columns::wrapped(&format!("{status:<4}  {}", check.name), &check.message, LABELS, width);
        if let Some(advice) = &check.advice {
            text += &columns::wrapped("", advice, LABELS, width);
        }
    }
    let count = |status| found.checks.iter().filter(|check| check.status == status).count();
    let (warned, failed) = (count(CheckStatus::Warn), count(CheckStatus::Fail));
    let counted = |number, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let (checks, warnings) = (counted(found.checks.len(), "check"), counted(warned, "warning"));
    text + &format!("\n{checks}, {warnings}, {}\n", counted(failed, "failure"))
}
