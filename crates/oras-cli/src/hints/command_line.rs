//! Hints for unknown commands, flags and values.

use clap::{Arg, Command};

use super::nearest::{alternatives, nearest};

/// What users of other tools type, and what the command does here. The first field is the group, empty for the root.
const VERBS: &[(&str, &[&str], &str)] = &[
    (
        "",
        &["ls", "list", "images", "search", "catalog"],
        "\"oras repo ls <registry>\" lists repositories, \"oras repo tags <repository>\" lists tags",
    ),
    (
        "",
        &["rm", "delete", "remove", "del", "rmi"],
        "\"oras manifest delete <reference>\" deletes an artifact, \"oras untag <reference>\" only a tag, \"oras blob \
         delete\" a blob",
    ),
    ("", &["tags"], "\"oras repo tags <repository>\" lists tags"),
    ("", &["tree", "referrers"], "\"oras discover <reference>\" shows what refers to an artifact"),
    (
        "",
        &["mirror", "sync", "clone"],
        "\"oras cp -r <from> <to>\" copies an artifact with its referrers; \"oras backup\" and \"oras restore\" copy \
         all tags of a repository",
    ),
    ("", &["upload", "add", "publish"], "\"oras push <reference> <file>\" uploads files"),
    (
        "",
        &["download", "get", "fetch", "install"],
        "\"oras pull <reference>\" downloads the files of an artifact",
    ),
    ("", &["save", "export"], "\"oras backup --output <path> <repository>\" saves artifacts"),
    ("", &["load", "import"], "\"oras restore --input <path> <repository>\" restores artifacts"),
    ("", &["show", "cat", "view"], "\"oras manifest fetch <reference>\" shows a manifest"),
    (
        "",
        &["retag", "rename"],
        "\"oras tag <reference> <tag>\" adds a tag, \"oras untag <reference>\" removes one",
    ),
    (
        "",
        &["sign", "verify"],
        "oras does not sign: cosign and notation do; \"oras discover <reference>\" shows signatures",
    ),
    ("manifest", &["inspect", "cat", "view", "pull"], "\"oras manifest fetch <reference>\" shows a manifest"),
    ("manifest", &["list", "ls"], "\"oras repo tags <repository>\" lists tags"),
    (
        "blob",
        &["pull", "download", "cat"],
        "\"oras blob fetch --output <file> <repository>@<digest>\" downloads a blob",
    ),
    ("blob", &["list", "ls"], "\"oras manifest fetch <reference>\" lists the blobs of an artifact"),
    (
        "repo",
        &["delete", "rm", "remove"],
        "registries delete manifests, not repositories: \"oras manifest delete <reference>\"",
    ),
    ("repo", &["images", "catalog", "search"], "\"oras repo ls <registry>\" lists repositories"),
];

/// Flags of other tools, and the flag here.
const FLAGS: &[(&str, &str)] = &[
    ("tls-verify", "insecure"),
    ("skip-tls-verify", "insecure"),
    ("allow-insecure", "insecure"),
    ("http", "plain-http"),
    ("use-http", "plain-http"),
    ("user", "username"),
    ("pass", "password"),
    ("outdir", "output"),
    ("dest", "output"),
    ("dir", "output"),
    ("parallel", "concurrency"),
    ("jobs", "concurrency"),
    ("label", "annotation"),
    ("type", "artifact-type"),
    ("authfile", "registry-config"),
    ("cacert", "ca-file"),
];

/// Returns the hint for an unknown command `word` of the group with this path. `is_answered` if the error already
/// suggests similar commands.
pub(crate) fn for_command(root: &Command, path: &[String], word: &str, is_answered: bool) -> Option<String> {
    let (place, lower) = (path.join(" "), word.to_lowercase());
    let group = path.iter().fold(root, |group, name| group.find_subcommand(name).unwrap_or(group));
    let known = VERBS.iter().find(|(group, words, _)| *group == place && words.contains(&lower.as_str()));
    if let Some((.., text)) = known {
        return Some((*text).to_owned());
    }
    if is_answered {
        return None;
    }
    let names = group.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<_> = names.flat_map(Command::get_name_and_visible_aliases).collect();
    let found = nearest(&lower, names.into_iter());
    let group = if place.is_empty() { "oras".to_owned() } else { format!("oras {place}") };
    let lines: Vec<_> = found.iter().map(|name| format!("\"{group} {name}\"")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    (!lines.is_empty()).then(|| format!("did you mean {}?", alternatives(&lines)))
}

/// Returns the hint for an unknown flag `--name` of `command`.
pub(crate) fn for_flag(command: &Command, name: &str) -> Option<String> {
    let flags = command.get_arguments().filter(|flag| !flag.is_hide_set());
    let known: Vec<_> = flags.filter_map(Arg::get_long).collect();
    let has = |flag: &str| known.contains(&flag);
    let name = name.to_lowercase().replace('_', "-");
    // `cp` has each flag of a location twice.
    let both = [format!("from-{name}"), format!("to-{name}")];
    let one_side = || name.strip_prefix("from-").or_else(|| name.strip_prefix("to-"));
    let meant = FLAGS.iter().find(|(other, _)| *other == name).map(|(_, flag)| *flag);
    let found: Vec<&str> = if has(&name) {
        vec![&name]
    } else if both.iter().any(|flag| has(flag)) {
        both.iter().map(String::as_str).filter(|flag| has(flag)).collect()
    } else if let Some(flag) = one_side().filter(|flag| has(flag)) {
        vec![flag]
    } else if let Some(flag) = meant.filter(|flag| has(flag)) {
        vec![flag]
    } else {
        nearest(&name, known.iter().copied())
    };
    let found: Vec<_> = found.iter().map(|flag| format!("--{flag}")).collect();
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    (!found.is_empty()).then(|| format!("did you mean {}?", alternatives(&found)))
}

/// Returns the hint for an invalid `value` of a flag. `cause` is the error, which may list the allowed values.
pub(crate) fn for_value(flag: Option<&Arg>, value: &str, cause: &str) -> Option<String> {
    if cause.starts_with("strconv.ParseInt: ") {
        return Some("expecting a whole number, such as 3".to_owned());
    }
    if cause.starts_with("strconv.ParseBool: ") {
        return Some("expecting true or false".to_owned());
    }
    if let Some((_, listed)) = cause.split_once("\nAvailable options: ") {
        return did_you_mean(value, listed.split(", "));
    }
    let allowed: Vec<_> =
        flag?.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let allowed: Vec<_> = allowed.iter().map(String::as_str).collect();
    // The error itself does not list these values.
    (!allowed.is_empty()).then(|| format!("expecting {}", alternatives(&allowed)))
}

/// Returns the hint for a misspelt value.
pub(crate) fn did_you_mean<'a>(value: &str, allowed: impl Iterator<Item = &'a str>) -> Option<String> {
    let found = nearest(value, allowed);
    (!found.is_empty()).then(|| format!("did you mean {}?", alternatives(&found)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(command: &str, name: &str) -> String {
        let root = crate::command();
        let command = root.find_subcommand(command).unwrap();
        for_flag(command, name).unwrap_or_default()
    }

    #[test]
    fn suggests_flags() {
        assert_eq!(flag("pull", "plainhttp"), "did you mean --plain-http?");
        assert_eq!(flag("pull", "plain_http"), "did you mean --plain-http?");
        assert_eq!(flag("cp", "plain-http"), "did you mean --from-plain-http or --to-plain-http?");
        assert_eq!(flag("pull", "from-oci-layout"), "did you mean --oci-layout?");
        assert_eq!(flag("pull", "tls-verify"), "did you mean --insecure?");
        assert_eq!(flag("pull", "something-else"), "");
    }

    #[test]
    fn verbs_of_other_tools_are_no_commands_here() {
        let root = crate::command();
        for (group, words, text) in VERBS {
            let path: Vec<_> = group.split_whitespace().map(ToOwned::to_owned).collect();
            let command = crate::args::at(&root, &path);
            for word in *words {
                assert!(command.find_subcommand(word).is_none(), "{group} {word} is a command");
                assert_eq!(for_command(&root, &path, word, true).as_deref(), Some(*text));
            }
        }
    }

    #[test]
    fn suggests_values() {
        let text = "unknown order: nam\nAvailable options: name, version";
        assert_eq!(for_value(None, "nam", text).unwrap(), "did you mean name?");
        assert_eq!(for_value(None, "x", "strconv.ParseBool: parsing").unwrap(), "expecting true or false");
    }
}
