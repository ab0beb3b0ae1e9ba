//! The help pages, made from the declarations of the commands. A command that runs does not need them.

use clap::{Arg, ArgAction, Command};

use super::command_line::is_switch;
use super::flag_headings::{place, sort};

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

/// The commands on the page of `oras`, in groups. Commands that no group names are in the last one.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Artifacts", &["push", "pull", "cp", "attach", "discover", "inspect", "diff", "annotate"]),
    ("Registry", &["repo", "resolve", "tag", "untag", "doctor"]),
    ("Layouts", &["backup", "restore", "bundle", "layout", "serve"]),
    ("Account", &["login", "logout"]),
    ("Advanced", &["manifest", "blob", "partial"]),
];

/// Adds the usage, aliases, headings and defaults that the pages show to all commands.
pub(crate) fn complete_pages(root: Command) -> Command {
    let groups = groups(&root);
    let root = complete_command(root, "").max_term_width(WIDEST);
    let end = "Run 'oras <command> -h' for examples and common flags, --help for all flags.";
    // The page has less than 40 lines, so it has few empty ones.
    let groups = groups.trim_end();
    root.help_template(format!("{{about-with-newline}}{{usage-heading}} {{usage}}\n\n{groups}\n{end}\n"))
}

/// Returns the commands of the root in their groups, with what they do.
fn groups(root: &Command) -> String {
    let named = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let mut text = String::new();
    for (index, (heading, names)) in GROUPS.iter().enumerate() {
        let others = root.get_subcommands().map(Command::get_name).filter(|name| !named(name));
        let others = others.filter(|_| index + 1 == GROUPS.len());
        text.push_str(&format!("{heading}:\n"));
        for command in names.iter().copied().chain(others).filter_map(|name| root.find_subcommand(name)) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {:10}  {about}\n", command.get_name()));
        }
        text.push('\n');
    }
    text
}

/// Renders the page of the command with this path, for the width of the terminal. The short page leaves out the rare
/// flags.
pub(crate) fn page(root: Command, path: &[String], is_short: bool) -> String {
    let mut root = if is_short { without_rare_flags(root) } else { root };
    root.build();
    let mut command =
        path.iter().fold(&root, |command, name| command.find_subcommand(name).unwrap_or(command)).clone();
    let mut page = command.render_help().to_string();
    if is_short && command.get_opts().any(is_rare) {
        page.push_str(&format!("\nRun 'oras {} --help' for all flags.\n", path.join(" ")));
    }
    page
}

fn is_rare(flag: &Arg) -> bool {
    flag.get_long().is_some_and(|name| place(name).is_rare)
}

/// Hides the flags that few people need.
fn without_rare_flags(command: Command) -> Command {
    let command = command.mut_args(|flag| if is_rare(&flag) { flag.hide(true) } else { flag });
    command.mut_subcommands(without_rare_flags)
}

/// Returns the command with its flags in the order of the page. clap lists the headings in the order of the flags.
fn with_sorted_flags(command: &Command) -> Command {
    let mut flags: Vec<Arg> = command.get_arguments().cloned().collect();
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    flags.push(help.help("Print help; -h shows only the common flags"));
    sort(&mut flags);
    let flags = flags.into_iter().enumerate().map(|(position, flag)| flag.display_order(position));
    let sorted = Command::new(command.get_name().to_owned())
        .args(flags)
        .subcommands(command.get_subcommands().cloned())
        .visible_aliases(command.get_visible_aliases().map(ToOwned::to_owned).collect::<Vec<_>>())
        .hide(command.is_hide_set())
        .disable_help_flag(true)
        .disable_version_flag(true);
    match (command.get_about(), command.get_after_help()) {
        (Some(about), Some(after)) => sorted.about(about.clone()).after_help(after.clone()),
        (Some(about), None) => sorted.about(about.clone()),
        _ => sorted,
    }
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
    let mut command = with_sorted_flags(&command)
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
    flag.help_heading(place(&name).heading)
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
    use crate::args::flag_headings;

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
        for name in flag_headings::names().chain(DEFAULTS.iter().map(|(_, name, _)| *name)) {
            assert!(declared.contains(name), "{name}");
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
    fn root_page_is_short_and_lists_every_command() {
        let page = page(crate::command(), &[], true);
        assert!(page.lines().count() < 40, "{page}");
        for command in crate::command().get_subcommands() {
            let row = format!("\n  {:10}  ", command.get_name());
            assert_eq!(page.matches(&row).count(), 1, "{row}: {page}");
        }
    }

    #[test]
    fn short_page_leaves_out_rare_flags() {
        let pages = [true, false].map(|is_short| page(crate::command(), &["push".to_owned()], is_short));
        assert!(!pages[0].contains("--image-spec") && pages[0].contains("--annotation"), "{}", pages[0]);
        assert!(pages[1].contains("--image-spec") && pages[1].len() > pages[0].len());
        assert!(pages[0].ends_with("Run 'oras push --help' for all flags.\n"));
    }

    #[test]
    fn wraps_long_usages() {
        let usage = wrapped(&format!("oras {} end", "word ".repeat(20).trim_end()));
        assert!(usage.lines().all(|line| line.len() <= COLUMNS), "{usage}");
        assert!(usage.contains("\n           word"), "{usage}");
    }
}
