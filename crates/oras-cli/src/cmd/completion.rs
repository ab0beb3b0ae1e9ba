//! `oras completion`: the scripts that make a shell ask this program.

use clap::{ArgMatches, Command};

use crate::args;
use crate::args::flags::{self, Matches};
use crate::error::Failure;
use crate::output::Printer;

/// The script of each shell; `__complete` stands for the command that it asks.
const SCRIPTS: [(&str, &str); 4] = [
    ("bash", include_str!("../complete/oras.bash")),
    ("zsh", include_str!("../complete/oras.zsh")),
    ("fish", include_str!("../complete/oras.fish")),
    ("powershell", include_str!("../complete/oras.ps1")),
];

/// The group with a command for each shell.
pub(crate) fn command() -> Command {
    args::group("completion", "Print a script that completes commands, flags, files and tags").subcommands([
        shell(
            "bash",
            "Completion for bash",
            concat!(
                "Examples:\n",
                "  source <(oras completion bash)                  # this shell\n",
                "  oras completion bash > /etc/bash_completion.d/oras"
            ),
        ),
        shell(
            "zsh",
            "Completion for zsh",
            concat!(
                "Examples:\n",
                "  source <(oras completion zsh)                   # this shell\n",
                "  oras completion zsh > \"${fpath[1]}/_oras\"       # after compinit"
            ),
        ),
        shell(
            "fish",
            "Completion for fish",
            concat!(
                "Examples:\n",
                "  oras completion fish | source                   # this shell\n",
                "  oras completion fish > ~/.config/fish/completions/oras.fish"
            ),
        ),
        shell(
            "powershell",
            "Completion for PowerShell",
            "Examples:\n  oras completion powershell | Out-String | Invoke-Expression",
        ),
    ])
}

fn shell(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    args::command(name, about, examples).args([
        flags::switch("no-descriptions", "Do not show what candidates mean"),
        flags::positional("", ""),
    ])
}

/// Prints the script for the shell `name`.
pub(crate) fn run(name: &str, matches: &ArgMatches, printer: &Printer) -> Result<(), Failure> {
    if let Some(word) = matches.words().first() {
        return Err(Failure::new(format!("unknown command {word:?} for \"oras completion {name}\"")));
    }
    let script = SCRIPTS.iter().find(|(shell, _)| *shell == name).map_or("", |(_, script)| script);
    if matches.on("no-descriptions") {
        return printer.bytes(script.replace("__complete ", "__completeNoDesc ").as_bytes());
    }
    printer.bytes(script.as_bytes())
}
