//! The root command, and the choice of the command to run.

use clap::{ArgMatches, Command};

use super::command_table::{self, CommandEntry};
use super::{
    annotate, attach, backup, blob, bundle, completion, cp, diff, discover, doctor, help, inspect, layout,
    login, logout, manifest, partial, pull, push, repo, resolve, restore, serve, tag, untag, version,
};
use crate::args::flags;
use crate::failure::Failure;
use crate::hints::Invocation;
use crate::log;
use crate::print;

const COMMANDS: &[CommandEntry] = &[
    CommandEntry::new("pull", pull::command, |matches| Box::pin(pull::run(matches))),
    CommandEntry::new("push", push::command, |matches| Box::pin(push::run(matches))),
    CommandEntry::new("login", login::command, |matches| Box::pin(login::run(matches))),
    CommandEntry::new("logout", logout::command, |matches| Box::pin(logout::run(matches))),
    CommandEntry::new("version", version::command, |matches| Box::pin(version::run(matches))),
    CommandEntry::new("discover", discover::command, |matches| Box::pin(discover::run(matches))),
    CommandEntry::new("diff", diff::command, |matches| Box::pin(diff::run(matches))),
    CommandEntry::new("inspect", inspect::command, |matches| Box::pin(inspect::run(matches))),
    CommandEntry::new("doctor", doctor::command, |matches| Box::pin(doctor::run(matches))),
    CommandEntry::new("resolve", resolve::command, |matches| Box::pin(resolve::run(matches))),
    CommandEntry::new("cp", cp::command, |matches| Box::pin(cp::run(matches))),
    CommandEntry::new("tag", tag::command, |matches| Box::pin(tag::run(matches))),
    CommandEntry::new("untag", || untag::command("untag"), |matches| Box::pin(untag::run(matches))),
    CommandEntry::new("annotate", annotate::command, |matches| Box::pin(annotate::run(matches))),
    CommandEntry::new("attach", attach::command, |matches| Box::pin(attach::run(matches))),
    CommandEntry::new("backup", backup::command, |matches| Box::pin(backup::run(matches))),
    CommandEntry::new("restore", restore::command, |matches| Box::pin(restore::run(matches))),
    CommandEntry::new("layout", layout::command, |matches| Box::pin(layout::run(matches))),
    CommandEntry::new("bundle", bundle::command, |matches| Box::pin(bundle::run(matches))),
    CommandEntry::new("blob", blob::command, |matches| Box::pin(blob::run(matches))),
    CommandEntry::new("manifest", manifest::command, |matches| Box::pin(manifest::run(matches))),
    CommandEntry::new("repo", repo::command, |matches| Box::pin(repo::run(matches))),
    CommandEntry::new("partial", partial::command, |matches| Box::pin(partial::run(matches))),
    CommandEntry::new("serve", serve::command, |matches| Box::pin(serve::run(matches))),
    CommandEntry::new("completion", completion::command, |matches| Box::pin(completion::run(matches))),
];

/// Creates the root command.
pub(crate) fn root() -> Command {
    Command::new("oras")
        .about("Move artifacts in and out of OCI registries and OCI image layouts")
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .args_override_self(true)
        .subcommands(command_table::declare(COMMANDS))
        .subcommand(help::command())
}

/// Runs the command that the matches of the root command name.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    // `--debug` belongs to the innermost command, such as `blob fetch`.
    let (mut leaf, mut command) = (matches, "oras".to_owned());
    while let Some((name, inner)) = leaf.subcommand() {
        leaf = inner;
        command = format!("{command} {name}");
    }
    if flags::value(leaf, "", "quiet") {
        print::be_quiet();
    }
    let debug = flags::value(leaf, "", "debug");
    // A server starts its own log, and the process can have only one of them.
    if debug || matches.subcommand_name() != Some("serve") {
        log::start(debug);
    }
    let failure = match command_table::run(COMMANDS, matches).await {
        Ok(()) => return Ok(()),
        Err(failure) => failure,
    };
    let invocation = Invocation { command, words: flags::value(leaf, "", "words"), is_debug: debug };
    Err(failure.complete_hint(&invocation).await)
}
