//! Makes the packages, unpacks them, and compiles one of them against the others.

use std::path::{Path, PathBuf};
use std::process::Command;

use xtask::files::{files_below, write};
use xtask::process::{Result, cargo, command, run as run_command};
use xtask::workspace::Package;

/// A package, unpacked as crates.io distributes it.
pub(super) struct Unpacked<'a> {
    pub(super) package: &'a Package,
    pub(super) dir: PathBuf,
}

/// Makes all packages and unpacks them below `scratch`, each after its dependencies.
pub(super) fn package<'a>(order: &[&'a Package], target: &Path, scratch: &Path) -> Result<Vec<Unpacked<'a>>> {
    // Cargo resolves the packages against each other although none is published yet. `--allow-dirty`, because a
    // rehearsal may run before the commit.
    let mut command = cargo(&["package", "--no-verify", "--allow-dirty", "--quiet"]);
    for package in order {
        command.args(["-p", &package.name]);
    }
    run_command(command.arg("--target-dir").arg(target))?;
    let mut unpacked = Vec::new();
    for package in order {
        let name = format!("{}-{}", package.name, package.version);
        unpack(&target.join("package").join(format!("{name}.crate")), scratch)?;
        let dir = scratch.join(&name);
        check_files(&dir)?;
        println!("{name}: {} files", files_below(&dir)?.len());
        unpacked.push(Unpacked { package, dir });
    }
    Ok(unpacked)
}

fn unpack(archive: &Path, scratch: &Path) -> Result {
    run_command(command("tar", &["-xzf"]).arg(archive).arg("-C").arg(scratch))
}

/// Fails if a file is missing, or if a test is there, which needs crates that are not published.
fn check_files(dir: &Path) -> Result {
    for name in ["Cargo.toml", "LICENSE", "README.md"] {
        if !dir.join(name).is_file() {
            return Err(format!("{} has no {name}", dir.display()).into());
        }
    }
    if dir.join("tests").exists() {
        return Err(format!("{} has tests, which need unpublished crates", dir.display()).into());
    }
    Ok(())
}

/// The unpacked packages, each as the source of the dependencies of the others.
pub(super) struct Sources<'a> {
    unpacked: &'a [Unpacked<'a>],
    target: PathBuf,
}

/// The features to compile with, as arguments of cargo.
pub(super) type Features = [String];

impl<'a> Sources<'a> {
    pub(super) fn new(unpacked: &'a [Unpacked<'a>], target: &Path) -> Self {
        Self { unpacked, target: target.to_path_buf() }
    }

    /// Compiles a package alone, with the toolchain of this run.
    pub(super) fn compile(&self, package: &Unpacked<'_>, features: &Features) -> Result {
        self.compile_with(cargo(&["check", "--quiet"]), "check", package, features)
    }

    /// Compiles a package alone by a command that begins with `cargo check`. Its results are in the directory `name`.
    pub(super) fn compile_with(
        &self,
        mut command: Command,
        name: &str,
        package: &Unpacked<'_>,
        features: &Features,
    ) -> Result {
        self.lock(package)?;
        command.arg("--manifest-path").arg(package.dir.join("Cargo.toml"));
        command.arg("--target-dir").arg(self.target.join(name)).args(features);
        for needed in self.needed(package.package) {
            let path = needed.dir.display();
            command.args(["--config", &format!("patch.crates-io.{}.path='{path}'", needed.package.name)]);
        }
        run_command(command.env("RUSTFLAGS", "-D warnings"))
    }

    /// Gives the package the versions of the workspace, so that nothing newer is compiled, or downloaded.
    ///
    /// The lock file in the package does not fit, because there the other packages come from crates.io.
    fn lock(&self, package: &Unpacked<'_>) -> Result {
        let versions = xtask::files::read_text(&xtask::env::root().join("Cargo.lock"))?;
        write(&package.dir.join("Cargo.lock"), versions)
    }

    /// Returns the other packages that a package depends on, directly or not.
    fn needed(&self, package: &Package) -> Vec<&'a Unpacked<'a>> {
        let mut needed: Vec<&Unpacked<'_>> = Vec::new();
        let mut pending = vec![package];
        while let Some(package) = pending.pop() {
            for name in package.dependencies.iter().chain(&package.published_dev_dependencies) {
                let found = self.unpacked.iter().find(|other| other.package.name == *name);
                if let Some(found) = found
                    && needed.iter().all(|other| other.package.name != *name)
                {
                    needed.push(found);
                    pending.push(found.package);
                }
            }
        }
        needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use xtask::files::ScratchDir;

    #[test]
    fn patches_direct_and_indirect_dependencies_only() {
        let package = |name: &str, dependencies: &[&str], dev: &[&str]| Package {
            name: name.into(),
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            published_dev_dependencies: dev.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        let packages = [
            package("spec", &[], &[]),
            package("store", &["spec", "serde"], &[]),
            package("memory", &["store", "spec"], &[]),
            package("copy", &["store"], &["memory"]),
            package("tls", &[], &[]),
        ];
        let unpacked: Vec<_> =
            packages.iter().map(|package| Unpacked { package, dir: PathBuf::new() }).collect();
        let sources = Sources::new(&unpacked, Path::new("target"));
        let needed = |index: usize| {
            let mut names: Vec<_> = sources
                .needed(&packages[index])
                .iter()
                .map(|package| package.package.name.as_str())
                .collect();
            names.sort_unstable();
            names
        };
        assert_eq!(needed(1), ["spec"]);
        assert_eq!(needed(3), ["memory", "spec", "store"]);
    }

    #[test]
    fn rejects_packages_with_tests() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-release").unwrap();
        for name in ["Cargo.toml", "LICENSE", "README.md"] {
            assert!(check_files(scratch.path()).unwrap_err().to_string().ends_with(name));
            write(&scratch.path().join(name), "").unwrap();
        }
        check_files(scratch.path()).unwrap();
        write(&scratch.path().join("tests/it.rs"), "").unwrap();
        assert!(check_files(scratch.path()).is_err());
    }
}
