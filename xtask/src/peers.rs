//! `cargo xtask peers`: the real registries and tools that the tests and the bench compare with.
//!
//! Each Go tool and script of npm is installed at a pinned version into `<cache>/oras-peers/<name>-<version>/<name>`,
//! where `<cache>` is `$XDG_CACHE_HOME` or `$HOME/.cache`, so that a second clone finds it. Debian's tools come from
//! `apt-get` and are in its usual directories. Tests use the same paths and skip if a tool is absent.

use std::path::{Path, PathBuf};

use crate::env;
use crate::process::{Result, command, line_of, run as run_command, succeeds};

/// A tool installed with `go install`.
pub struct GoTool {
    /// The name of its program.
    pub name: &'static str,
    version: &'static str,
    package: &'static str,
}

/// The tools installed with `go install`, at the versions that the tests were written against.
pub const GO_TOOLS: [GoTool; 8] = [
    GoTool { name: "oras", version: "v1.3.6", package: "oras.land/oras/cmd/oras" },
    GoTool { name: "crane", version: "v0.22.1", package: "github.com/google/go-containerregistry/cmd/crane" },
    GoTool { name: "regctl", version: "v0.11.7", package: "github.com/regclient/regclient/cmd/regctl" },
    GoTool {
        name: "registry",
        version: "v3.1.2",
        package: "github.com/distribution/distribution/v3/cmd/registry",
    },
    GoTool {
        name: "conformance",
        version: "v0.0.0-20260831232431-97274622c111",
        package: "github.com/opencontainers/distribution-spec/conformance",
    },
    GoTool {
        name: "docker-credential-pass",
        version: "v0.9.12",
        package: "github.com/docker/docker-credential-helpers/pass/cmd",
    },
    GoTool { name: "helm", version: "v4.3.1", package: "helm.sh/helm/v4/cmd/helm" },
    GoTool { name: "versitygw", version: "v1.8.0", package: "github.com/versity/versitygw/cmd/versitygw" },
];

/// A script for browsers from a package of npm. Node.js is not needed to run it.
pub struct NpmScript {
    /// The name of the package, which is also that of the installed file.
    pub name: &'static str,
    version: &'static str,
    /// The file in the package.
    file: &'static str,
}

/// The scripts from npm, at the versions that the tests were written against.
pub const NPM_SCRIPTS: [NpmScript; 1] =
    [NpmScript { name: "axe-core", version: "4.14.1", file: "axe.min.js" }];

/// A program of a Debian package, in `/usr/bin` or `/usr/sbin`.
pub struct DebianTool {
    /// The name of the program.
    pub name: &'static str,
    package: &'static str,
}

impl DebianTool {
    const fn of(package: &'static str, name: &'static str) -> Self {
        Self { name, package }
    }

    /// A program that has the name of its package.
    const fn named(package: &'static str) -> Self {
        Self::of(package, package)
    }
}

/// The programs of Debian that tests use.
pub const DEBIAN_TOOLS: [DebianTool; 16] = [
    DebianTool::named("docker-registry"),
    DebianTool::named("skopeo"),
    DebianTool::named("umoci"),
    DebianTool::named("zsh"),
    DebianTool::named("fish"),
    DebianTool::named("make"),
    DebianTool::named("openssl"),
    DebianTool::named("python3"),
    DebianTool::named("pass"),
    DebianTool::named("strace"),
    DebianTool::named("chromium"),
    DebianTool::named("zstd"),
    DebianTool::of("exfatprogs", "mkfs.exfat"),
    DebianTool::of("exfat-fuse", "mount.exfat-fuse"),
    DebianTool::of("dosfstools", "mkfs.fat"),
    DebianTool::named("fusefat"),
];

/// Returns the directory of a pinned version in the cache.
fn cache_dir(name: &str, version: &str) -> PathBuf {
    env::peer_cache().join(format!("{name}-{version}"))
}

/// Returns the path of a tool if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let go = GO_TOOLS.iter().map(|tool| (tool.name, tool.version));
    let mut pinned = go.chain(NPM_SCRIPTS.iter().map(|script| (script.name, script.version)));
    let installed = match pinned.find(|(of, _)| *of == name) {
        Some((_, version)) => vec![cache_dir(name, version).join(name)],
        None => ["/usr/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(name)).into(),
    };
    installed.into_iter().find(|path| path.is_file())
}

/// Installs missing tools if possible, and prints all paths.
pub fn run() -> Result {
    let mut problems = Vec::new();
    for tool in GO_TOOLS.iter().filter(|tool| find(tool.name).is_none()) {
        if env::find_program("go").is_some() {
            problems.extend(go_install(tool).err().map(|error| error.to_string()));
        }
    }
    for script in NPM_SCRIPTS.iter().filter(|script| find(script.name).is_none()) {
        if env::find_program("npm").is_some() {
            problems.extend(npm_install(script).err().map(|error| error.to_string()));
        }
    }
    let missing: Vec<&str> =
        DEBIAN_TOOLS.iter().filter(|tool| find(tool.name).is_none()).map(|tool| tool.package).collect();
    if !missing.is_empty() {
        apt_install(&missing);
    }
    print_table();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n").into()) }
}

fn print_table() {
    let go = GO_TOOLS.iter().map(|tool| (tool.name, tool.version, "go"));
    let npm = NPM_SCRIPTS.iter().map(|script| (script.name, script.version, "npm"));
    let debian = DEBIAN_TOOLS.iter().map(|tool| (tool.name, "Debian's", "apt-get, as root or with sudo"));
    for (name, version, needs) in go.chain(npm).chain(debian) {
        match find(name) {
            Some(path) => println!("{name:<16} {version:<36} {}", path.display()),
            None => println!("{name:<16} {version:<36} skipped: needs {needs}"),
        }
    }
}

/// Installs into a sibling directory first, so that an interrupted install never looks complete.
fn go_install(tool: &GoTool) -> Result {
    let spec = format!("{}@{}", tool.package, tool.version);
    println!("installing {spec}");
    install_dir(&cache_dir(tool.name, tool.version), |partial| {
        run_command(command("go", &["install", &spec]).env("CGO_ENABLED", "0").env("GOBIN", partial))
            .map_err(|error| format!("{error}; is the Go module proxy reachable?"))?;
        // Go names a program after its directory.
        let built = tool.package.rsplit('/').next().unwrap_or(tool.name);
        Ok(std::fs::rename(partial.join(built), partial.join(tool.name))?)
    })
}

/// Downloads a package, and keeps only its script.
fn npm_install(script: &NpmScript) -> Result {
    let spec = format!("{}@{}", script.name, script.version);
    println!("installing {spec}");
    install_dir(&cache_dir(script.name, script.version), |partial| {
        // Programs of packages must not run during the installation.
        let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"];
        run_command(command("npm", &install).arg(partial).arg(&spec))
            .map_err(|error| format!("{error}; is the npm registry reachable?"))?;
        let packages = partial.join("node_modules");
        std::fs::rename(packages.join(script.name).join(script.file), partial.join(script.name))?;
        Ok(std::fs::remove_dir_all(packages)?)
    })
}

/// Fills a directory under a temporary name, then publishes it by a rename.
pub fn install_dir(dir: &Path, fill: impl FnOnce(&Path) -> Result) -> Result {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let partial = dir.with_file_name(format!(".{name}.partial-{}", std::process::id()));
    std::fs::create_dir_all(&partial)?;
    let filled = fill(&partial).and_then(|()| publish(&partial, dir));
    if filled.is_err() {
        // The returned error is the more useful one.
        let _ = std::fs::remove_dir_all(&partial);
    }
    filled
}

fn publish(partial: &Path, dir: &Path) -> Result {
    match std::fs::rename(partial, dir) {
        Ok(()) => Ok(()),
        // Another process has installed the same version in the meantime.
        Err(_) if dir.is_dir() => Ok(std::fs::remove_dir_all(partial)?),
        Err(error) => Err(format!("cannot publish {}: {error}", dir.display()).into()),
    }
}

/// Installs Debian packages with apt-get. Ignores a failure, because the table and the tests report missing
/// tools.
fn apt_install(packages: &[&str]) {
    let Some(apt_get) = env::find_program("apt-get") else { return };
    let mut words = match root_prefix() {
        Some(prefix) => prefix,
        None => return,
    };
    words.extend([
        "env".into(),
        "DEBIAN_FRONTEND=noninteractive".into(),
        apt_get.to_string_lossy().into_owned(),
    ]);
    let apt = |args: &[&str]| {
        let mut command = command(&words[0], &[]);
        command.args(&words[1..]).args(args);
        println!("{}", line_of(&command));
        run_command(&mut command)
    };
    let install: Vec<&str> =
        ["install", "--yes", "--quiet", "--no-install-recommends"].iter().chain(packages).copied().collect();
    let installed = apt(&install).or_else(|_| apt(&["update", "--quiet"]).and_then(|()| apt(&install)));
    if let Err(error) = installed {
        println!("{error}");
    }
}

/// Returns the command prefix to run as root, or nothing if that needs a password.
fn root_prefix() -> Option<Vec<String>> {
    if crate::process::capture(&mut command("id", &["-u"])).is_ok_and(|id| id.trim() == "0") {
        return Some(Vec::new());
    }
    let sudo = succeeds(&mut command("sudo", &["-n", "true"]));
    sudo.then(|| vec!["sudo".into(), "-n".into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{ScratchDir, write};

    #[test]
    fn names_directory_of_tool_after_version() {
        let path = cache_dir(GO_TOOLS[0].name, GO_TOOLS[0].version).join(GO_TOOLS[0].name);
        assert!(path.ends_with("oras-peers/oras-v1.3.6/oras"), "{}", path.display());
    }

    #[test]
    fn failed_install_leaves_no_files() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-peers").unwrap();
        let dir = scratch.path().join("tool-v1");
        let failed = install_dir(&dir, |partial| {
            write(&partial.join("tool"), "half")?;
            Err("interrupted".into())
        });
        assert_eq!(failed.unwrap_err().to_string(), "interrupted");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn publishes_install_atomically_and_accepts_existing_one() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-peers").unwrap();
        let dir = scratch.path().join("tool-v1");
        for _ in 0..2 {
            install_dir(&dir, |partial| write(&partial.join("tool"), "whole")).unwrap();
        }
        assert_eq!(std::fs::read_to_string(dir.join("tool")).unwrap(), "whole");
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
