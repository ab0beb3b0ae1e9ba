//! `cargo xtask api`: the public items of each library crate, listed in `docs/api/`.
//!
//! A change of the API changes a listing, so it shows in review. The listings come from rustdoc, whose JSON differs from
//! version to version, so that only one version of Rust writes and checks them. [`api_docs`] checks the docs of the
//! items.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use xtask::files::{files_below, read_text, write};
use xtask::process::{Result, capture, cargo, command, run as run_command};
use xtask::workspace::{Package, Workspace};

use crate::api_docs;
use crate::test_counts::Tally;

/// The directory of the listings.
const LISTINGS: &str = "docs/api";
/// The version of Rust whose rustdoc the crate `public-api` understands.
const RUST: &str = "1.95";
/// The number of changed lines that a failed check prints.
const MAX_CHANGES: usize = 40;

/// Writes the listings. With `--check`, compares them, and fails if docs are missing.
pub(crate) fn run(options: &[String]) -> Result {
    match options.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] if is_usable()? => write_listings(),
        ["--check"] if is_usable()? => compare_listings(),
        [] | ["--check"] => Err(format!("needs Rust {RUST}: run `cargo +{RUST} xtask api`").into()),
        _ => Err("options: --check".into()),
    }
}

/// Compares the listings, and checks the docs. Counts the check as skipped if another version of Rust runs it.
pub(crate) fn check_counted(tally: &mut Tally) -> Result {
    if is_usable()? {
        return compare_listings();
    }
    println!("skipped: needs Rust {RUST} (api)");
    tally.skipped += 1;
    Ok(())
}

/// Returns true if rustdoc has the version that `public-api` understands.
fn is_usable() -> Result<bool> {
    let version = capture(&mut command("rustdoc", &["--version"]))?;
    Ok(version.strip_prefix("rustdoc ").is_some_and(|version| version.starts_with(&format!("{RUST}."))))
}

/// A listing by the name of its file, and the faults of the docs of its items.
struct Listing {
    file: String,
    text: String,
    doc_faults: Vec<String>,
}

fn write_listings() -> Result {
    let directory = xtask::env::root().join(LISTINGS);
    let listings = listings()?;
    for file in unknown_files(&directory, &listings)? {
        std::fs::remove_file(directory.join(file))?;
    }
    for Listing { file, text, doc_faults } in &listings {
        doc_faults.iter().for_each(|fault| println!("{file}: {fault}"));
        write(&directory.join(file), text)?;
    }
    println!("wrote {} listings to {LISTINGS}", listings.len());
    Ok(())
}

fn compare_listings() -> Result {
    let directory = xtask::env::root().join(LISTINGS);
    let listings = listings()?;
    let mut wrong = unknown_files(&directory, &listings)?;
    let mut has_doc_faults = false;
    for Listing { file, text, doc_faults } in &listings {
        doc_faults.iter().for_each(|fault| println!("{file}: {fault}"));
        has_doc_faults |= !doc_faults.is_empty();
        let earlier = read_text(&directory.join(file)).unwrap_or_default();
        if earlier != *text {
            println!("{LISTINGS}/{file}:");
            changes(&earlier, text).iter().take(MAX_CHANGES).for_each(|line| println!("  {line}"));
            wrong.push(file.clone());
        }
    }
    if wrong.is_empty() && has_doc_faults {
        return Err(
            "public types or modules lack docs: add an example, and a sentence that says what for".into()
        );
    }
    if wrong.is_empty() {
        println!("{} listings", listings.len());
        return Ok(());
    }
    Err(format!(
        "the API is not that of {LISTINGS}: if it should change, run `cargo xtask api` and commit ({})",
        wrong.join(", ")
    )
    .into())
}

/// Returns the names of files that are not a listing, as after a crate was renamed.
fn unknown_files(directory: &Path, listings: &[Listing]) -> Result<Vec<String>> {
    let names =
        files_below(directory)?.into_iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    Ok(names.filter(|name| listings.iter().all(|listing| listing.file != *name)).collect())
}

/// Returns the removed lines, then the added ones.
fn changes(earlier: &str, now: &str) -> Vec<String> {
    let (earlier, now): (BTreeSet<_>, BTreeSet<_>) = (earlier.lines().collect(), now.lines().collect());
    let removed = earlier.difference(&now).map(|line| format!("- {line}"));
    removed.chain(now.difference(&earlier).map(|line| format!("+ {line}"))).collect()
}

/// Makes the listings of all libraries for programs.
fn listings() -> Result<Vec<Listing>> {
    let workspace = Workspace::load()?;
    // The command is a library only for its own tests and pages.
    let is_library =
        |package: &&Package| package.published && package.library.is_some() && package.name != "oras-cli";
    let libraries: Vec<_> = workspace.packages.iter().filter(is_library).collect();
    let mut doc = cargo(&["doc", "--quiet", "--locked", "--no-deps", "--lib", "--all-features"]);
    for library in &libraries {
        doc.args(["-p", &library.name]);
    }
    doc.env("RUSTDOC", unstable_rustdoc(&workspace.target_dir)?);
    doc.env("RUSTDOCFLAGS", "-Z unstable-options --output-format json --cap-lints allow");
    run_command(&mut doc)?;
    libraries
        .into_iter()
        .map(|library| {
            let json = format!("{}.json", library.library.as_deref().unwrap_or_default());
            let json = workspace.target_dir.join("doc").join(json);
            Ok(Listing {
                file: format!("{}.txt", library.name),
                text: listing(&json)?,
                doc_faults: api_docs::faults(&read_text(&json)?)?,
            })
        })
        .collect()
}

/// Returns the path of a rustdoc that accepts unstable options on a stable toolchain, and writes it if necessary.
///
/// `RUSTC_BOOTSTRAP` in the environment of cargo would also change what build scripts do, and so compile everything
/// again.
pub(crate) fn unstable_rustdoc(target_dir: &Path) -> Result<PathBuf> {
    const SCRIPT: &str = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";
    let path = target_dir.join("xtask/unstable-rustdoc");
    if read_text(&path).is_ok_and(|text| text == SCRIPT) {
        return Ok(path);
    }
    write(&path, SCRIPT)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Returns one line for each public item, without the traits that the compiler and the standard library implement.
fn listing(json: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()
        .map_err(|error| format!("{}: {error}", json.display()))?;
    Ok(api.items().map(|item| format!("{item}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_removed_and_added_lines() {
        assert_eq!(changes("a\nb\nc\n", "a\nc\nd\n"), ["- b", "+ d"]);
        assert_eq!(changes("a\n", "a\n"), Vec::<String>::new());
    }
}
