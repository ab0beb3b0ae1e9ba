//! The help pages, made from the declarations of the commands. A command that runs does not need them.

use clap::{Arg, ArgAction, Command};

use super::command_line::is_switch;
use super::flags::EXTENSIONS;

/// The width of a usage line.
const COLUMNS: usize = 80;
/// The width of a page: longer lines are hard to read.
const WIDEST: usize = 120;

/// The default values of flags: command, flag, value. An empty command stands for all other commands.
// The first match applies, so the entries for single commands precede the entry for all others.
const DEFAULTS: [(&str, &str, &str); 8] = [
    ("tag", "concurrency", "5"),
    ("manifest push", "concurrency", "5"),
    ("", "concurrency", "by size"),
    ("discover", "format", "tree"),
    ("", "format", "text"),
    ("pull", "output", "."),
    ("push", "image-spec", "v1.1"),
    ("blob push", "media-type", "application/vnd.oci.image.layer.v1.tar"),
];

/// The headings of flags that do not declare a heading. A flag that is not listed stays under `Options`.
const HEADINGS: [(&str, &[&str]); 3] = [
    (
        "Output",
        &[
            "format",
            "template",
            "output",
            "descriptor",
            "pretty",
            "full-reference",
            "export-manifest",
            "no-tty",
            "debug",
            "verbose",
        ],
    ),
    (
        "Content",
        &[
            "artifact-type",
            "config",
            "artifact-platform",
            "annotation",
            "annotation-file",
            "image-spec",
            "media-type",
            "size",
            "disable-path-validation",
        ],
    ),
    ("Registry", &["distribution-spec", "resolve"]),
];

/// Adds the usage, aliases, headings and defaults that the pages show to all commands.
pub(crate) fn complete_pages(root: Command) -> Command {
    let groups = "Run 'oras help <command>' for the flags and examples of a command.";
    complete_command(root, "").after_help(groups).max_term_width(WIDEST)
}

/// Renders the page of the command with this path, for the width of the terminal.
pub(crate) fn page(mut root: Command, path: &[String]) -> String {
    root.build();
    render(&mut root, path)
}

fn render(command: &mut Command, path: &[String]) -> String {
    if let Some((name, rest)) = path.split_first()
        && let Some(child) = command.find_subcommand_mut(name)
    {
        return render(child, rest);
    }
    command.render_help().to_string()
}

/// Adds the texts of the command with this path and of its subcommands.
fn complete_command(command: Command, path: &str) -> Command {
    let is_group = command.has_subcommands();
    let tail = if is_group { "<command>".to_owned() } else { tail(&command) };
    let usage = wrapped(format!("oras {path} {tail}").replace("  ", " ").trim_end());
    let mut notes = Vec::new();
    let aliases: Vec<_> = command.get_visible_aliases().collect();
    if !aliases.is_empty() {
        notes.push(format!("Aliases: {}", aliases.join(", ")));
    }
    notes.extend(command.get_after_help().map(ToString::to_string));
    let mut command = command
        .override_usage(usage)
        .disable_help_subcommand(true)
        // The examples come before the flags, because the list of flags can be longer than the terminal.
        .help_template("{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}\n");
    if !notes.is_empty() {
        command = command.after_help(notes.join("\n\n"));
    }
    let own = path.to_owned();
    command = command.mut_args(move |flag| complete_flag(flag, &own));
    command.mut_subcommands(|child| {
        let path = format!("{path} {}", child.get_name());
        complete_command(child, path.trim())
    })
}

/// Returns the usage after the name of a command.
fn tail(command: &Command) -> String {
    let words = command.get_positionals().next().and_then(|words| words.get_value_names());
    let words = words.and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    let flags = if command.get_opts().next().is_some() { "[flags] " } else { "" };
    format!("{flags}{words}")
}

/// Adds the heading and the default of a flag.
fn complete_flag(flag: Arg, path: &str) -> Arg {
    let Some(name) = flag.get_long().map(ToOwned::to_owned) else {
        // The usage shows the arguments.
        return flag.hide(true);
    };
    // `--debug=false` is accepted, but the page shows the usual form `--debug`.
    let flag = match is_switch(&flag) {
        true => {
            let flag = flag.num_args(0).require_equals(false);
            flag.hide_possible_values(false).hide_default_value(false).action(ArgAction::SetTrue)
        }
        false => flag,
    };
    let default =
        DEFAULTS.iter().find(|(command, flag, _)| *flag == name && (*command == path || command.is_empty()));
    let flag = match (default, flag.get_help().map(ToString::to_string)) {
        // A help text that already contains a default describes it better than the table.
        (Some((_, _, value)), Some(help)) if !help.contains("[default") => {
            flag.help(format!("{help} [default: {value}]"))
        }
        _ => flag,
    };
    let side = [("from-", "Source"), ("to-", "Destination")]
        .into_iter()
        .find(|(prefix, _)| name.starts_with(prefix));
    match (side, flag.get_help_heading()) {
        // A flag with the heading `EXTENSIONS` keeps it, even if its name begins with `from-` or `to-`.
        (_, Some(EXTENSIONS)) => flag,
        (Some((_, side)), _) => flag.help_heading(side),
        (None, Some(_)) => flag,
        (None, None) => {
            let heading = HEADINGS.iter().find(|(_, names)| names.contains(&name.as_str()));
            match heading {
                Some((heading, _)) => flag.help_heading(*heading),
                None => flag,
            }
        }
    }
}

/// Breaks a long usage into indented lines.
fn wrapped(usage: &str) -> String {
    let (indent, mut lines) = ("Usage: ".len(), vec![String::new()]);
    for word in usage.split(' ') {
        let line = lines.last().map_or(0, String::len);
        // The first word of a line is never moved, or a long word would produce empty lines.
        if line > 0 && indent + line + 1 + word.len() > COLUMNS {
            lines.push(" ".repeat(4));
        } else if line > 0 {
            lines.last_mut().into_iter().for_each(|line| line.push(' '));
        }
        lines.last_mut().into_iter().for_each(|line| line.push_str(word));
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each(command: &Command, path: &str, check: &mut dyn FnMut(&Command, &str)) {
        check(command, path);
        for child in command.get_subcommands() {
            each(child, &format!("{path} {}", child.get_name()), check);
        }
    }

    #[test]
    fn describes_every_command_and_flag() {
        each(&crate::command(), "oras", &mut |command, path| {
            assert!(command.get_about().is_some(), "{path} has no description");
            if !command.has_subcommands() {
                let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(after.contains("Examples:\n"), "{path} has no examples");
                assert!(
                    after
                        .lines()
                        .filter(|line| line.starts_with(' '))
                        .all(|line| line.chars().count() <= COLUMNS),
                    "an example of {path} is too long: {after}"
                );
            }
            for flag in command.get_opts() {
                assert!(flag.get_help().is_some(), "{path} {flag} has no help");
            }
        });
    }

    #[test]
    fn tables_name_declared_flags() {
        let mut declared = std::collections::BTreeSet::new();
        each(&crate::command(), "oras", &mut |command, _| {
            declared.extend(command.get_arguments().filter_map(Arg::get_long).map(str::to_owned));
        });
        let headings = HEADINGS.iter().flat_map(|(_, names)| names.iter());
        for name in headings.chain(DEFAULTS.iter().map(|(_, name, _)| name)) {
            assert!(declared.contains(*name), "{name}");
        }
    }

    #[test]
    fn pages_fit_their_width() {
        for width in [80, 120] {
            each(&crate::command(), "oras", &mut |command, path| {
                let mut command = command.clone().term_width(width);
                command.build();
                for line in command.render_help().to_string().lines() {
                    assert!(line.chars().count() <= width, "{path} at {width}: {line}");
                }
            });
        }
    }

    #[test]
    fn wraps_long_usages() {
        let usage = wrapped(&format!("oras {} end", "word ".repeat(20).trim_end()));
        assert!(usage.lines().all(|line| line.len() <= COLUMNS), "{usage}");
        assert!(usage.contains("\n           word"), "{usage}");
    }
}
