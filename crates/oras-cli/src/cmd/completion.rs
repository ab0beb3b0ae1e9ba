//! `oras completion`: prints the scripts with which a shell completes the commands of this program.

use clap::{ArgMatches, Command};

use crate::args::{self, flags};
use crate::failure::Failure;
use crate::print;

/// A shell, and the script that completes commands in it.
struct Shell {
    name: &'static str,
    about: &'static str,
    examples: &'static str,
    /// The script, which runs `oras __complete`.
    script: &'static str,
}

const SHELLS: [Shell; 4] = [
    Shell {
        name: "bash",
        about: "Completion for bash",
        examples: concat!(
            "Examples:\n",
            "  source <(oras completion bash)                  # this shell\n",
            "  oras completion bash > /etc/bash_completion.d/oras"
        ),
        script: include_str!("../complete/oras.bash"),
    },
    Shell {
        name: "zsh",
        about: "Completion for zsh",
        examples: concat!(
            "Examples:\n",
            "  source <(oras completion zsh)                   # this shell\n",
            "  oras completion zsh > \"${fpath[1]}/_oras\"       # after compinit"
        ),
        script: include_str!("../complete/oras.zsh"),
    },
    Shell {
        name: "fish",
        about: "Completion for fish",
        examples: concat!(
            "Examples:\n",
            "  oras completion fish | source                   # this shell\n",
            "  oras completion fish > ~/.config/fish/completions/oras.fish"
        ),
        script: include_str!("../complete/oras.fish"),
    },
    Shell {
        name: "powershell",
        about: "Completion for PowerShell",
        examples: "Examples:\n  oras completion powershell | Out-String | Invoke-Expression",
        script: include_str!("../complete/oras.ps1"),
    },
];

flags::flags! {
    /// The arguments of `oras completion bash` and of the commands for the other shells.
    struct CompletionArgs {
        no_descriptions: bool = flags::switch("Do not show what candidates mean"),
        words: Vec<String> = flags::positional("", ""),
    }
}

/// Creates the group with a command for each shell.
pub(crate) fn command() -> Command {
    let shells = SHELLS.iter().map(|shell| {
        args::command_without_debug(shell.name, shell.about, shell.examples).args(CompletionArgs::flags(""))
    });
    args::group("completion", "Print a script that completes commands, flags, files and tags")
        .subcommands(shells)
}

/// Prints the script of a shell.
pub(crate) async fn run(matches: &ArgMatches) -> Result<(), Failure> {
    let Some((name, matches)) = matches.subcommand() else { return Ok(()) };
    let args = CompletionArgs::read(matches, "");
    if let Some(word) = args.words.first() {
        return Err(Failure::new(format!("unknown command {word:?} for \"oras completion {name}\"")));
    }
    let script = SHELLS.iter().find(|shell| shell.name == name).map_or("", |shell| shell.script);
    if args.no_descriptions {
        // The two hidden commands differ only in the descriptions, so one script serves both settings.
        return print::bytes(script.replace("__complete ", "__completeNoDesc ").as_bytes());
    }
    print::bytes(script.as_bytes())
}
