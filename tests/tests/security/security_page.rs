//! Generates `docs/security.md` from the cases, their results and the list of advisories.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use crate::security_case::{Outcome, Verdict};

/// The titles of the points of the threat list.
const POINTS: [&str; 38] = [
    "Names in titles and archives",
    "Symbolic and hard links in archives",
    "A path that is changed during extraction",
    "Devices, pipes, set-uid bits, attributes",
    "Decompression bombs and masses of entries",
    "Archives whose headers disagree",
    "Sizes in descriptors",
    "Malformed digests",
    "Bodies with the wrong digest",
    "Media types that disagree",
    "HEAD and GET that disagree",
    "Redirects",
    "Upload locations",
    "Token servers",
    "Challenges from somebody else",
    "Headers, certificates and cookies",
    "Pages of lists",
    "Graphs of referrers",
    "Two writers of one referrers list",
    "Sizes and shapes of JSON",
    "Content at foreign addresses",
    "Cut, slow and lying connections",
    "Rate limits and outages",
    "Tokens that end",
    "Crashes and full disks",
    "Two processes on one directory",
    "Control characters",
    "Secrets in output and processes",
    "Missing policy files",
    "Hostile layouts",
    "Credential helpers",
    "Names that Windows reserves",
    "Modes of files with secrets",
    "Proxies",
    "Paths that clients ask `oras serve` for",
    "Passwords, tokens and rules of `oras serve`",
    "Floods and slow clients of `oras serve`",
    "Content that clients send to `oras serve`",
];

const ADVISORIES: &str = include_str!("../../security/advisories.txt");

/// Compares the page with the results, or writes it.
pub(crate) fn check(verdicts: &[Verdict<'_>], write: bool) -> Result<(), String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/security.md");
    let page = page(verdicts)?;
    if write {
        return std::fs::File::create(&path)
            .and_then(|mut file| std::io::Write::write_all(&mut file, page.as_bytes()))
            .map_err(|error| error.to_string());
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    if stored == page {
        return Ok(());
    }
    // The results of the Go tool may depend on timing, those of our tool must not. So only our results are
    // compared.
    let (known, found) = (without_go(&stored), without_go(&page));
    if known != found {
        return Err(format!("is out of date; {}", first_difference(&known, &found)));
    }
    println!("the Go tool did not do what docs/security.md says; {}", first_difference(&stored, &page));
    Ok(())
}

/// Returns the page without the last column, which has the results of the Go tool.
fn without_go(page: &str) -> String {
    let rows =
        page.lines().map(|line| match line.strip_suffix(" |").and_then(|line| line.rsplit_once(" | ")) {
            Some((rest, "holds" | "**does not**" | "–")) => rest,
            _ => line,
        });
    rows.collect::<Vec<_>>().join("\n")
}

fn first_difference(stored: &str, page: &str) -> String {
    let mut lines = stored.lines().zip(page.lines());
    match lines.find(|(stored, found)| stored != found) {
        Some((stored, found)) => format!("it says {stored:?}, found {found:?}"),
        None => "a part is missing".to_owned(),
    }
}

fn page(verdicts: &[Verdict<'_>]) -> Result<String, String> {
    let mut names = BTreeSet::new();
    for verdict in verdicts {
        if !names.insert(verdict.case.name) {
            return Err(format!("{} is the name of two cases", verdict.case.name));
        }
    }
    let count = |honest| verdicts.iter().filter(|verdict| verdict.case.honest == honest).count();
    let mut page = format!(
        "# Security\n\nWhat a hostile registry, token server, proxy, archive or layout can try against `oras`, and a hostile client against \
         `oras serve`. Each attack is a test. Next to it are tests of the honest uses that look similar and must keep working: {} attacks, \
         {} honest uses.\n\n`cargo xtask gen` writes this page from `tests/tests/security/` and `tests/security/advisories.txt`; `cargo test \
         --test security` runs the cases and compares the page. The Go `oras` v1.3.6 runs the same cases: \"holds\" means that it passes the \
         case, \"–\" that it lacks the feature of the case, or that its behaviour depends on timing.\n",
        count(false),
        count(true)
    );
    for (index, title) in POINTS.iter().enumerate() {
        let number = index + 1;
        let found: Vec<_> =
            verdicts.iter().filter(|verdict| usize::from(verdict.case.point) == number).collect();
        write!(page, "\n## {number}. {title}\n\n").unwrap();
        if found.is_empty() {
            return Err(format!("point {number} has no case"));
        }
        page.push_str("| test | kind | what holds | `oras` here | Go `oras` |\n|---|---|---|---|---|\n");
        for verdict in found {
            let case = verdict.case;
            let kind = if case.honest { "honest use" } else { "attack" };
            writeln!(
                page,
                "| `{}` | {kind} | {} | {} | {} |",
                case.name,
                case.holds,
                word(&verdict.ours),
                word(&verdict.theirs)
            )
            .unwrap();
        }
    }
    page.push_str("\n## Published advisories\n\nOf clients: what each was about, and the test that covers it.\n\n| advisory | of | about | tests |\n|---|---|---|---|\n");
    for (advisory, fields) in advisories()? {
        let [of, about, tests] = &fields;
        for test in tests.split_whitespace() {
            if !names.contains(test) {
                return Err(format!("{advisory} names the test {test}, which does not exist"));
            }
        }
        let tests: Vec<_> = tests.split_whitespace().map(|test| format!("`{test}`")).collect();
        writeln!(page, "| {advisory} | {of} | {about} | {} |", tests.join(", ")).unwrap();
    }
    Ok(page)
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Broken(_) => "**does not**",
        Outcome::Skipped => "–",
    }
}

/// Parses the lines `advisory | of | about | tests`.
fn advisories() -> Result<BTreeMap<&'static str, [&'static str; 3]>, String> {
    let lines = ADVISORIES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<_> = line.split('|').map(str::trim).collect();
            match fields[..] {
                [advisory, of, about, tests] if !tests.is_empty() => Ok((advisory, [of, about, tests])),
                _ => Err(format!("advisories.txt: {line:?} is not `advisory | of | about | tests`")),
            }
        })
        .collect()
}
