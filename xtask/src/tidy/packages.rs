//! Every package for crates.io is complete, and contains nothing that needs an unpublished crate.
//!
//! `cargo xtask release --dry-run` compiles the packages. This check costs no build, so it is a part of every test run.

use super::Violation;
use super::project_pages::{names, section};
use xtask::files::{files_below, read_text};
use xtask::process::Result;
use xtask::workspace::{Package, Workspace};

/// The files that each package contains besides its code.
const FILES: [&str; 2] = ["README.md", "LICENSE"];
/// Limits of crates.io, which rejects a package that exceeds them.
const MAX_KEYWORDS: usize = 5;
/// The length of the longest keyword that crates.io accepts.
const MAX_KEYWORD_LENGTH: usize = 20;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let is_published = |package: &&Package| package.published;
    let unpublished: Vec<_> = workspace.packages.iter().filter(|package| !package.published).collect();
    let libraries: Vec<_> =
        workspace.packages.iter().filter(is_published).filter(|p| is_sibling(p)).collect();
    let mut found = Vec::new();
    if let Err(error) = workspace.in_publish_order() {
        found.push(Violation::new(&xtask::env::root().join("Cargo.toml"), 1, error.to_string()));
    }
    for package in workspace.packages.iter().filter(is_published) {
        found.extend(incomplete(package)?);
        found.extend(unpublished_dependencies(package, &unpublished));
        found.extend(unpublished_in_sources(package, &unpublished)?);
        if is_sibling(package) {
            found.extend(unnamed_siblings(package, &libraries)?);
        }
    }
    Ok(found)
}

/// Returns true for the crates that programs use. The command is a package, too, but has no library for others.
fn is_sibling(package: &Package) -> bool {
    package.name != "oras-cli"
}

/// Checks files, metadata and keywords.
fn incomplete(package: &Package) -> Result<Vec<Violation>> {
    let manifest = read_text(&package.manifest())?;
    let mut missing = Vec::new();
    for file in FILES {
        if !package.dir.join(file).is_file() {
            missing
                .push(format!("no {file} in the package: add it (LICENSE is a link to that of the project)"));
        }
    }
    let includes = section(&manifest, "[package]").find(|line| line.starts_with("include ="));
    match includes {
        Some(line) if line.contains("tests") => {
            missing.push("`include` names tests, which need unpublished crates: remove them".to_owned());
        }
        Some(line) if FILES.iter().all(|file| line.contains(file)) && line.contains("src/**") => {}
        _ => missing.push(r#"add `include = ["src/**", "README.md", "LICENSE"]`"#.to_owned()),
    }
    if !section(&manifest, "[package.metadata.docs.rs]").any(|line| line == "all-features = true") {
        missing.push("add `[package.metadata.docs.rs]` with `all-features = true`".to_owned());
    }
    if package.categories.is_empty() {
        missing.push("no categories: choose some of crates.io's list".to_owned());
    }
    if !(1..=MAX_KEYWORDS).contains(&package.keywords.len()) {
        missing.push(format!("crates.io takes at most {MAX_KEYWORDS} keywords, and one is needed"));
    }
    for keyword in package.keywords.iter().filter(|keyword| keyword.len() > MAX_KEYWORD_LENGTH) {
        missing.push(format!("keyword {keyword} is longer than {MAX_KEYWORD_LENGTH} characters"));
    }
    Ok(missing.into_iter().map(|what| Violation::new(&package.manifest(), 1, what)).collect())
}

/// Finds dependencies that crates.io does not have.
fn unpublished_dependencies(package: &Package, unpublished: &[&Package]) -> Vec<Violation> {
    let all = package.dependencies.iter().chain(&package.published_dev_dependencies);
    let absent = all.filter(|name| unpublished.iter().any(|package| package.name == **name));
    let violation = |name: &String| {
        let what =
            format!("{name} is not published: use it by path, without a version, in [dev-dependencies]");
        Violation::new(&package.manifest(), 1, what)
    };
    absent.map(violation).collect()
}

/// Finds unit tests in `src/` that use an unpublished crate. Cargo removes that dependency from the package.
fn unpublished_in_sources(package: &Package, unpublished: &[&Package]) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    let libraries: Vec<_> = unpublished.iter().filter_map(|package| package.library.as_deref()).collect();
    for file in files_below(&package.dir.join("src"))? {
        if file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for (index, line) in read_text(&file)?.lines().enumerate() {
            if let Some(library) = libraries.iter().find(|library| names(line, library)) {
                let what = format!("{library} is not published: move this test to tests/it/");
                found.push(Violation::new(&file, index + 1, what));
            }
        }
    }
    Ok(found)
}

/// Finds library crates that the README of another one does not list.
fn unnamed_siblings(package: &Package, libraries: &[&Package]) -> Result<Vec<Violation>> {
    let file = package.dir.join("README.md");
    let text = if file.is_file() { read_text(&file)? } else { return Ok(Vec::new()) };
    let unnamed = libraries.iter().filter(|library| !names(&text, &library.name));
    Ok(unnamed
        .map(|library| {
            Violation::new(&file, 1, format!("{} is not in the list of sibling crates", library.name))
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, write};

    const COMPLETE: &str = "[package]\ninclude = [\"src/**\", \"README.md\", \"LICENSE\"]\n\n[package.metadata.docs.rs]\nall-features = true\n";

    fn package(scratch: &ScratchDir) -> Package {
        Package {
            name: "oras-layout".into(),
            dir: scratch.path().into(),
            published: true,
            keywords: vec!["oci".into()],
            categories: vec!["filesystem".into()],
            ..Package::default()
        }
    }

    #[test]
    fn finds_incomplete_packages() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-packages").unwrap();
        write(&scratch.path().join("Cargo.toml"), COMPLETE).unwrap();
        write(&scratch.path().join("README.md"), "").unwrap();
        let mut package = package(&scratch);
        let found = incomplete(&package).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].what.starts_with("no LICENSE"), "{}", found[0]);

        write(&scratch.path().join("LICENSE"), "").unwrap();
        assert_eq!(incomplete(&package).unwrap(), []);
        write(&scratch.path().join("Cargo.toml"), COMPLETE.replace("src/**", "src/**\", \"tests/**"))
            .unwrap();
        package.keywords = vec!["a".repeat(21)];
        assert_eq!(incomplete(&package).unwrap().len(), 2);
    }

    #[test]
    fn finds_unpublished_dependencies_and_siblings() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-packages").unwrap();
        let testkit = Package {
            name: "oras-testkit".into(),
            library: Some("oras_testkit".into()),
            ..Package::default()
        };
        let mut layout = package(&scratch);
        write(
            &scratch.path().join("src/lib.rs"),
            "//! Docs.\n#[cfg(test)]\nmod tests {\n    use oras_testkit::suite;\n}\n",
        )
        .unwrap();
        assert_eq!(unpublished_in_sources(&layout, &[&testkit]).unwrap()[0].line, 4);
        assert_eq!(unpublished_dependencies(&layout, &[&testkit]), []);
        layout.published_dev_dependencies = vec!["oras-testkit".into()];
        assert_eq!(unpublished_dependencies(&layout, &[&testkit]).len(), 1);

        write(&scratch.path().join("README.md"), "# oras-layout\n| `oras-spec` |").unwrap();
        let spec = Package { name: "oras-spec".into(), ..Package::default() };
        let copy = Package { name: "oras-copy".into(), ..Package::default() };
        let found = unnamed_siblings(&layout, &[&layout, &spec, &copy]).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].what.starts_with("oras-copy"), "{}", found[0]);
    }
}
