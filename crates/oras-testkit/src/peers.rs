//! The real tools that tests compare with: their paths, and the report of a test without its tool.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The Go `oras`.
pub const ORAS: (&str, &str) = ("oras", "v1.3.6");
/// `crane` of go-containerregistry.
pub const CRANE: (&str, &str) = ("crane", "v0.22.1");
/// `regctl` of regclient.
pub const REGCTL: (&str, &str) = ("regctl", "v0.11.7");
/// `registry` of distribution.
pub const REGISTRY: (&str, &str) = ("registry", "v3.1.2");
/// `helm`.
pub const HELM: (&str, &str) = ("helm", "v4.3.1");
/// The script of axe-core, which checks the accessibility of a page in a browser.
pub const AXE_CORE: (&str, &str) = ("axe-core", "4.14.1");
/// `versitygw`, a gateway that serves the S3 API over a directory.
pub const VERSITYGW: (&str, &str) = ("versitygw", "v1.8.0");

/// The credential helper for `pass`.
pub const CREDENTIAL_PASS: (&str, &str) = ("docker-credential-pass", "v0.9.12");

/// Returns the path of a tool of a pinned version, if it is installed:
/// `<cache>/oras-peers/<name>-<version>/<name>`, where `<cache>` is `$XDG_CACHE_HOME` or `$HOME/.cache`.
pub fn find((name, version): (&str, &str)) -> Option<PathBuf> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let path = cache.join("oras-peers").join(format!("{name}-{version}")).join(name);
    path.is_file().then_some(path)
}

/// Returns the path of a tool of the Linux distribution, in `/usr/bin` or `/usr/sbin`, if it is installed.
pub fn system(name: &str) -> Option<PathBuf> {
    let paths = ["/usr/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(name));
    paths.into_iter().find(|path| path.is_file())
}

/// Like [`find`], but reports `test` as skipped if the tool is absent.
pub fn find_or_skip(tool: (&str, &str), test: &str) -> Option<PathBuf> {
    let found = find(tool);
    if found.is_none() {
        skipped(tool.0, test);
    }
    found
}

/// Like [`system`], but reports `test` as skipped if the tool is absent.
pub fn system_or_skip(name: &str, test: &str) -> Option<PathBuf> {
    let found = system(name);
    if found.is_none() {
        skipped(name, test);
    }
    found
}

/// Returns the path of a program of the workspace, which `cargo xtask test` builds before the tests.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let path = test.parent().and_then(Path::parent).expect("tests are in a directory").join(name);
    let hint = "run `cargo build -p oras-cli` and `cargo build -p oras-serve --example serve`";
    assert!(path.is_file(), "{} is missing: {hint}", path.display());
    path
}

/// Reports that `test` did not run because `what` is absent. `cargo xtask test` counts it by the line
/// `skipped: needs <what> (<test>)` at the end of the file that `ORAS_SKIPPED_LOG` names.
#[expect(clippy::print_stderr, reason = "a developer who runs one test must see why it was skipped")]
pub fn skipped(what: &str, test: &str) {
    let line = format!("skipped: needs {what} ({test})");
    eprintln!("{line}");
    if let Some(path) = env("ORAS_SKIPPED_LOG") {
        let log = std::fs::File::options().append(true).create(true).open(path);
        writeln!(log.expect("the log of skipped tests opens"), "{line}").expect("the log is written");
    }
}

/// Runs a tool with its own home directory and returns its output. Panics unless it succeeds.
pub fn run(program: &Path, directory: &Path, arguments: &[&str]) -> String {
    let output = try_run(program, directory, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {}: {said}", program.display(), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a tool in `directory`, which is also its home, so that it neither reads nor changes the user's configuration.
pub fn try_run(program: &Path, directory: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .env("HOME", directory)
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("DOCKER_CONFIG")
        .output()
        .unwrap_or_else(|error| panic!("{} starts: {error}", program.display()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no command line: xtask speaks to them by variables"
)]
fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
