//! `oras completion`: prints the scripts with which a shell completes the commands of this program.

use clap::{ArgMatches, Command};

use crate::args::{self, flags};
use crate::failure::Failure;
use crate::print;

/// The script of each shell, which runs `oras __complete`.
const SCRIPTS: [(&str, &str); 4] = [
    ("bash", include_str!("../complete/oras.bash")),
    ("zsh", include_str!("../complete/oras.zsh")),
    ("fish", include_str!("../complete/oras.fish")),
    ("powershell", include_str!("../complete/oras.ps1")),
];

/// Creates the group with a command for each shell.
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

flags::flags! {
    /// The arguments of `oras completion bash` and of the commands for the other shells.
    struct CompletionArgs {
        no_descriptions: bool = flags::switch("Do not show what candidates mean"),
        words: Vec<String> = flags::positional("", ""),
    }
}

/// Creates the command of a shell.
fn shell(name: &'static str, about: &'static str, examples: &'static str) -> Command {
    args::command_without_debug(name, about, examples).args(CompletionArgs::flags(""))
}

/// Prints the script for the shell `name`.
pub(crate) fn run(name: &str, matches: &ArgMatches) -> Result<(), Failure> {
    let args = CompletionArgs::read(matches, "");
    if let Some(word) = args.words.first() {
        return Err(Failure::new(format!("unknown command {word:?} for \"oras completion {name}\"")));
    }
    let script = SCRIPTS.iter().find(|(shell, _)| *shell == name).map_or("", |(_, script)| script);
    if args.no_descriptions {
        // The two hidden commands differ only in the descriptions, so one script serves both settings.
        return print::bytes(script.replace("__complete ", "__completeNoDesc ").as_bytes());
    }
    print::bytes(script.as_bytes())
}
