//! Generates `docs/differences.md` and `docs/parity.md` from the cases.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::comparison::Verdict;
use crate::differences::Differences;
use crate::line_parser::split;
use crate::scene_file::{Case, Scene, directory};

/// The maximum number of cases that a row names.
const SHOWN: usize = 6;
/// The number of known flaws of the Go tool.
const FLAWS: usize = 29;
/// Flags that the Go tool does not have, or only some of its commands have. A command without a case that uses such a
/// flag has no row for it.
const FLAGS_OURS_ALONE: [&str; 30] = [
    "allow-host",
    "check",
    "compression",
    "compression-level",
    "connect-timeout",
    "connections",
    "digests",
    "dry-run",
    "exclude",
    "files-from",
    "filter",
    "format",
    "http-version",
    "idle-timeout",
    "include",
    "jq",
    "limit-rate",
    "max-manifest-size",
    "max-unpack-entries",
    "max-unpack-ratio",
    "max-unpack-size",
    "media-type",
    "no-registries-conf",
    "preserve-permissions",
    "progress",
    "quiet",
    "require-referrer",
    "sort",
    "stdin-file",
    "template",
];
/// Commands that the Go tool does not have.
const OURS_ALONE: [&str; 10] =
    ["untag", "rm-tag", "annotate", "inspect", "diff", "doctor", "partial", "serve", "bundle", "layout"];

/// Generates the pages, and compares them with the stored pages or writes them. Returns the number of
/// problems.
pub(crate) fn check(scenes: &[Scene], verdicts: &[Verdict], differences: &Differences, write: bool) -> usize {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
    let (parity, empty) = parity(scenes);
    for row in &empty {
        println!("FAILED  no case uses {row}");
    }
    let mut wrong = usize::from(!empty.is_empty());
    for (name, text) in [("parity.md", parity), ("differences.md", differing(differences, verdicts))] {
        let path = docs.join(name);
        if write {
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), text.as_bytes()).unwrap();
        } else if std::fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            println!("FAILED  docs/{name} is not what the cases say: run `cargo xtask gen`");
            wrong += 1;
        }
    }
    wrong
}

fn differing(differences: &Differences, verdicts: &[Verdict]) -> String {
    let mut page = String::from(
        "# Differences from the Go `oras` v1.3.6\n\n\
         Made by `cargo xtask gen` from the differential tests, which run both tools; each difference names the cases that \
         show both behaviours.\n",
    );
    for (kind, heading) in [
        ("better", "Where ours is better"),
        ("words", "Where only the words differ"),
        ("more", "What ours has besides"),
        ("kept", "Flaws that were kept, because scripts depend on them"),
    ] {
        let _ = write!(page, "\n## {heading}\n\n");
        for difference in differences.0.iter().filter(|difference| difference.kind == kind) {
            let cases: Vec<_> = verdicts
                .iter()
                .filter(|verdict| verdict.difference.as_ref() == Some(&difference.id))
                .map(|verdict| format!("{}-{}", verdict.scene, verdict.number))
                .collect();
            let _ = write!(page, "- **{}** {}", difference.what, difference.why);
            match cases.len() {
                0 => page.push('\n'),
                1..=SHOWN => {
                    let _ = writeln!(page, " ({})", cases.join(", "));
                }
                n => {
                    let _ = writeln!(page, " ({} and {} more)", cases[..SHOWN].join(", "), n - SHOWN);
                }
            }
        }
    }
    page.push_str(&flaws(differences, verdicts));
    page
}

/// Returns the table of the known flaws of the Go tool. Lines of the file: `number | flaw | what ours does |
/// differences`.
fn flaws(differences: &Differences, verdicts: &[Verdict]) -> String {
    let mut table = String::from(
        "\n## The known flaws of the Go tool, one by one\n\n| | flaw | ours | cases |\n|---|---|---|---|\n",
    );
    let text = std::fs::read_to_string(directory().join("flaws.txt")).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(rows.len(), FLAWS, "flaws.txt");
    for row in rows {
        let parts: Vec<_> = row.split('|').map(str::trim).collect();
        let ids: Vec<_> = parts[3].split(',').map(str::trim).filter(|id| !id.is_empty()).collect();
        for id in &ids {
            assert!(differences.knows(id), "flaws.txt: {id} is no difference");
        }
        let shows = |verdict: &&Verdict| verdict.difference.as_deref().is_some_and(|id| ids.contains(&id));
        let label = |verdict: &Verdict| format!("{}-{}", verdict.scene, verdict.number);
        let cases: Vec<_> = verdicts.iter().filter(shows).map(label).take(SHOWN).collect();
        assert!(ids.is_empty() || !cases.is_empty(), "flaws.txt: no case shows {ids:?}");
        let _ = writeln!(table, "| {} | {} | {} | {} |", parts[0], parts[1], parts[2], cases.join(", "));
    }
    table
}

/// The cases that use each command and flag.
type Uses = BTreeMap<(String, String), Vec<String>>;

/// Returns the page, and the commands and flags that no case uses.
fn parity(scenes: &[Scene]) -> (String, Vec<String>) {
    let root = oras_cli::command();
    let mut uses = Uses::new();
    for scene in scenes {
        for case in scene.cases() {
            count(&root, &format!("{}-{}", scene.name, case.number), case, &mut uses);
        }
    }
    let mut page = String::from(
        "# Parity with the Go `oras` v1.3.6\n\n\
         Made by `cargo xtask gen`: the differential cases (`tests/diff/<name>.scene`, by number) that run each command and \
         flag with both tools.\n\n| command | flag | cases | |\n|---|---|---|---|\n",
    );
    let mut empty = Vec::new();
    rows(&root, "", &mut |path, flag| {
        let found = uses.get(&(path.to_owned(), flag.to_owned())).cloned().unwrap_or_default();
        if found.is_empty() && is_ours_alone(flag) {
            return;
        }
        if found.is_empty() {
            empty.push(format!("`{path} {flag}`"));
        }
        let shown = found.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
        let _ = writeln!(page, "| `oras {path}` | {flag} | {} | {shown} |", found.len());
    });
    (page, empty)
}

/// Returns true for a flag such as `--quiet`, in the form of the page.
fn is_ours_alone(flag: &str) -> bool {
    let name = flag.trim_matches('`').trim_start_matches("--");
    let name = name.strip_prefix("from-").or_else(|| name.strip_prefix("to-")).unwrap_or(name);
    FLAGS_OURS_ALONE.contains(&name)
}

/// Passes every command that the Go tool also has, and every flag, to `row`.
fn rows(command: &clap::Command, path: &str, row: &mut dyn FnMut(&str, &str)) {
    for child in command.get_subcommands() {
        let path = format!("{path} {}", child.get_name()).trim().to_owned();
        if OURS_ALONE.contains(&child.get_name()) {
            continue;
        }
        if child.has_subcommands() {
            rows(child, &path, row);
            continue;
        }
        row(&path, "");
        // The flag `--help` of the pages is no flag of a command.
        for flag in child.get_arguments().filter_map(clap::Arg::get_long).filter(|flag| *flag != "help") {
            row(&path, &format!("`--{flag}`"));
        }
    }
}

/// Records which command and flags a case uses.
fn count(root: &clap::Command, label: &str, case: &Case, uses: &mut Uses) {
    let words = split(&case.line);
    let (mut command, mut path) = (root, String::new());
    let mut rest = words.iter();
    while command.has_subcommands() {
        let Some(word) = rest.next() else { return };
        let Some(child) = command.find_subcommand(word) else { return };
        path = format!("{path} {}", child.get_name()).trim().to_owned();
        command = child;
    }
    let mut note = |flag: String| {
        let found = uses.entry((path.clone(), flag)).or_default();
        if found.last().map(String::as_str) != Some(label) {
            found.push(label.to_owned());
        }
    };
    note(String::new());
    for word in rest {
        let named = match word.strip_prefix("--") {
            Some(long) => long.split('=').next().map(ToOwned::to_owned),
            None => word.strip_prefix('-').and_then(|short| short.chars().next()).and_then(|short| {
                let flag = command.get_arguments().find(|flag| flag.get_short() == Some(short))?;
                flag.get_long().map(ToOwned::to_owned)
            }),
        };
        if let Some(flag) = named {
            note(format!("`--{flag}`"));
        }
    }
}
