//! Checks that no more than two files of a crate import each other in a circle.
//!
//! File A imports file B if its code, tests aside, names a path such as `crate::b::…` or `super::b::…`, directly or
//! through a re-export. Child modules that a `mod.rs` names without `crate::` or `super::` don't count. A
//! reader cannot read the files of a larger circle in an order in which each file uses only earlier ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Violation;
use super::rust_source::{code, module_files};
use xtask::files::read_text;
use xtask::process::Result;
use xtask::workspace::{Package, Workspace};

/// The most files that may import each other.
const MAX_CIRCLE: usize = 2;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Violation>> {
    let mut found = Vec::new();
    for package in &workspace.packages {
        found.extend(circles_of(package)?.iter().map(|circle| violation(package, circle)));
    }
    Ok(found)
}

fn violation(package: &Package, circle: &[PathBuf]) -> Violation {
    let source = package.dir.join("src");
    let names: Vec<_> =
        circle.iter().map(|file| file.strip_prefix(&source).unwrap_or(file).display().to_string()).collect();
    let what = format!(
        "{} files import each other in a circle ({}): move what they share into a file below them",
        circle.len(),
        names.join(", ")
    );
    Violation::new(&circle[0], 1, what)
}

/// Returns the groups of more than [`MAX_CIRCLE`] files in `src` that import each other.
fn circles_of(package: &Package) -> Result<Vec<Vec<PathBuf>>> {
    let source = package.dir.join("src");
    let mut found = BTreeSet::new();
    for root in package.roots.iter().filter(|root| root.starts_with(&source)) {
        let imports = imports_between_files(root)?;
        found.extend(circles(&imports).into_iter().filter(|circle| circle.len() > MAX_CIRCLE));
    }
    Ok(found.into_iter().collect())
}

/// Returns for each file that `root` compiles, tests aside, the other files that it imports.
fn imports_between_files(root: &Path) -> Result<BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
    let files = module_files(root);
    let mut paths = BTreeMap::new();
    let mut reexports = BTreeMap::new();
    for (module, file) in &files {
        let code = code(&read_text(file)?);
        reexports.extend(reexported_names(&code, module, &files));
        paths.insert(file, imported_paths(&code, module));
    }
    let resolve = |mut path: Vec<String>| {
        // A re-export may name another one; a longer chain than this is a cycle, which rustc rejects.
        for _ in 0..8 {
            let Some(length) = (1..=path.len()).find(|length| reexports.contains_key(&path[..*length]))
            else {
                break;
            };
            path = [&reexports[&path[..length]], &path[length..]].concat();
        }
        (0..=path.len()).rev().find_map(|length| files.get(&path[..length])).cloned()
    };
    let imports_of = |file: &Path, paths: Vec<Vec<String>>| {
        paths.into_iter().filter_map(resolve).filter(|target| target != file).collect()
    };
    Ok(paths.into_iter().map(|(file, paths)| (file.clone(), imports_of(file, paths))).collect())
}

/// Returns the names that a module imports from its child modules, as `mod.rs` does to re-export them, and their paths.
fn reexported_names(
    code: &str,
    module: &[String],
    files: &BTreeMap<Vec<String>, PathBuf>,
) -> Vec<(Vec<String>, Vec<String>)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at] == "use") {
        let mut paths = Vec::new();
        read_path_tree(&tokens, at + 1, Vec::new(), &mut paths);
        for path in paths.iter().filter(|path| path.len() > 1) {
            let target = [module, path].concat();
            let child = &target[..=module.len()];
            if let (true, Some(name)) = (files.contains_key(child), path.last()) {
                found.push(([module, std::slice::from_ref(name)].concat(), target));
            }
        }
    }
    found
}

/// Returns the paths from the crate's root that `code` names, for code in `module`.
fn imported_paths(code: &str, module: &[String]) -> Vec<Vec<String>> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let follows = at.checked_sub(1).map_or("", |before| tokens[before]);
        // `$crate::` is another crate's path in a macro, `pub(in crate::a)` is a visibility.
        if matches!(follows, "::" | "$" | "in") || tokens.get(at + 1) != Some(&"::") {
            continue;
        }
        let mut base = match *token {
            "crate" => Vec::new(),
            "super" => module[..module.len().saturating_sub(1)].to_vec(),
            _ => continue,
        };
        let mut next = at + 2;
        while tokens.get(next) == Some(&"super") && tokens.get(next + 1) == Some(&"::") {
            base.pop();
            next += 2;
        }
        read_path_tree(&tokens, next, base, &mut found);
    }
    found
}

/// Reads `a::b`, `a::{b, c::*}` or `*` from `at`, and returns the position behind it.
fn read_path_tree(tokens: &[&str], at: usize, mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    match tokens.get(at) {
        Some(&"{") => {
            let mut next = at + 1;
            while next < tokens.len() && tokens[next] != "}" {
                next = read_path_tree(tokens, next, path.clone(), found).max(next + 1);
                while next < tokens.len() && !matches!(tokens[next], "," | "}") {
                    next += 1;
                }
                next += usize::from(tokens.get(next) == Some(&","));
            }
            next + 1
        }
        Some(name) if is_identifier(name) => {
            path.push((*name).to_owned());
            if tokens.get(at + 1) == Some(&"::") {
                return read_path_tree(tokens, at + 2, path, found);
            }
            found.push(path);
            at + 1
        }
        _ => {
            found.push(path);
            at + 1
        }
    }
}

fn is_identifier(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Splits code into identifiers, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("::") {
            2
        } else if is_identifier(rest) {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        found.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    found
}

/// Returns the groups of files that reach each other (the strongly connected components), each sorted.
///
/// Reachability of every pair costs more than Tarjan's algorithm, but a crate has at most a few hundred files.
fn circles(imports: &BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> Vec<Vec<PathBuf>> {
    let reached: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> =
        imports.keys().map(|file| (file, reachable(file, imports))).collect();
    let mut found = BTreeSet::new();
    for (file, others) in &reached {
        let circle: Vec<PathBuf> = others
            .iter()
            .filter(|other| reached[**other].contains(file))
            .map(|other| (*other).clone())
            .collect();
        found.insert(circle);
    }
    found.into_iter().filter(|circle| !circle.is_empty()).collect()
}

/// Returns the files that `file` imports, directly or through others.
fn reachable<'a>(file: &PathBuf, imports: &'a BTreeMap<PathBuf, BTreeSet<PathBuf>>) -> BTreeSet<&'a PathBuf> {
    let mut found = BTreeSet::new();
    let mut pending: Vec<&PathBuf> = imports[file].iter().collect();
    while let Some(next) = pending.pop() {
        if found.insert(next) {
            pending.extend(&imports[next]);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::{ScratchDir, write};

    fn circles_in(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-circles").unwrap();
        let top = scratch.path();
        for (file, text) in files {
            write(&top.join("src").join(file), text).unwrap();
        }
        let package = Package {
            name: "p".into(),
            dir: top.into(),
            roots: vec![top.join("src/lib.rs")],
            ..Package::default()
        };
        let name = |file: PathBuf| file.strip_prefix(top.join("src")).unwrap().display().to_string();
        let circles = circles_of(&package).unwrap().into_iter();
        circles.map(|circle| circle.into_iter().map(name).collect()).collect()
    }

    #[test]
    fn finds_circle_of_three_files() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\npub use a::A;\n"),
            ("a.rs", "use crate::b::{B, other};\n"),
            ("b/mod.rs", "mod inner;\npub use inner::B;\n"),
            ("b/inner.rs", "fn f() { super::super::c::g() }\n"),
            ("c.rs", "fn g() -> crate::A { todo() }\n"),
        ];
        assert_eq!(circles_in(&files), [["a.rs", "b/inner.rs", "c.rs"]]);
    }

    #[test]
    fn accepts_pairs_chains_tests_and_comments() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nmod c;\n#[cfg(test)]\nmod checks;\n"),
            ("a.rs", "use crate::b::B;\nuse crate::c::C;\n"),
            ("b.rs", "use crate::a::A;\nuse std::fmt;\n"),
            (
                "c.rs",
                "// crate::a::A\nconst TEXT: &str = \"crate::a\";\npub(in crate::a) struct C;\n\
                 #[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
            ("checks.rs", "use crate::a::A;\n"),
        ];
        assert_eq!(circles_in(&files), Vec::<Vec<String>>::new());
    }

    #[test]
    fn resolves_import_trees_to_the_deepest_file() {
        let module = ["x".to_owned(), "y".to_owned()];
        let code = "use crate::{a::{self, b::C as D}, e};\nfn f() { super::g(); super::super::h::i::<T>() }";
        let paths: Vec<_> = imported_paths(code, &module).iter().map(|path| path.join("::")).collect();
        assert_eq!(paths, ["a::self", "a::b::C", "e", "x::g", "h::i"]);
    }
}
