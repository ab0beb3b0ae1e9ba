//! A temporary directory with a home directory, in which tests run programs.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use oras_testkit::files::write_file;
use oras_testkit::peers;
use oras_testkit::readable_output::check_readable;
use oras_testkit::registry::{Flavor, Process};
use tempfile::TempDir;

pub(crate) fn ours() -> PathBuf {
    peers::built("oras")
}

/// A new working directory with a separate home directory.
pub(crate) struct Sandbox {
    root: TempDir,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("home")).unwrap();
        std::fs::create_dir_all(root.path().join("work")).unwrap();
        Self { root }
    }

    /// Returns the working directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.path().join("work")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.work().join(name)
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        write_file(&path, content);
        path
    }

    pub(crate) fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.work())
            .env("HOME", self.root.path().join("home"))
            .env_remove("DOCKER_CONFIG")
            .env_remove("ORAS_CACHE")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        checked(program, self.command(program, arguments).output().unwrap())
    }

    /// Runs a program with `input` as its standard input.
    pub(crate) fn feed(&self, program: &Path, arguments: &[&str], input: &str) -> Output {
        self.feed_command(self.command(program, arguments), input)
    }

    /// Runs a command with `input` as its standard input.
    pub(crate) fn feed_command(&self, mut command: Command, input: &str) -> Output {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The program may end without reading its input, so an error is ignored.
        drop(std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        checked(Path::new(command.get_program()), output)
    }

    /// Runs our tool, which must succeed. Returns its standard output.
    pub(crate) fn oras(&self, arguments: &[&str]) -> String {
        self.ok(&ours(), arguments)
    }

    /// Runs a program, which must succeed. Returns its standard output.
    pub(crate) fn ok(&self, program: &Path, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        let (out, err) = texts(&output);
        assert!(output.status.success(), "{} {arguments:?} failed\n{out}\n{err}", program.display());
        out
    }

    /// Runs our tool, which must fail with status 1. Returns its standard error.
    pub(crate) fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(&ours(), arguments);
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(1), "{arguments:?} should fail\n{out}\n{err}");
        err
    }

    /// Creates a file, a directory with links and modes, and 200 small files.
    pub(crate) fn tree(&self) {
        self.file("hi.txt", "hello world\n");
        self.file("d/a.txt", "a\n");
        self.file("d/sub/deep/b.bin", [0, 1, 2, 255].repeat(5000));
        self.file("d/run.sh", "#!/bin/sh\n");
        std::fs::create_dir_all(self.path("d/empty")).unwrap();
        std::os::unix::fs::symlink("a.txt", self.path("d/link")).unwrap();
        std::os::unix::fs::symlink("../a.txt", self.path("d/sub/up")).unwrap();
        std::fs::set_permissions(self.path("d/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(self.path("d/sub"), PermissionsExt::from_mode(0o750)).unwrap();
        for number in 0..200 {
            self.file(&format!("small/{number}.txt"), format!("file {number}\n"));
        }
    }
}

/// Returns standard output and standard error, which must be readable for users.
pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    check_readable(&stderr);
    (stdout, stderr)
}

/// Returns an error without the line `Hint: …` at its end, which only our tool prints.
pub(crate) fn without_hint(stderr: &str) -> &str {
    let last = stderr.trim_end().rfind('\n').map_or(0, |end| end + 1);
    if stderr[last..].starts_with("Hint: ") { &stderr[..last] } else { stderr }
}

/// Checks the messages of our tool. Standard output may be content, and other programs have other conventions.
fn checked(program: &Path, output: Output) -> Output {
    if program == ours() {
        check_readable(&String::from_utf8_lossy(&output.stderr));
    }
    output
}

/// Returns the names, types, modes and contents of everything below a directory.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(directory) = next.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let mode = metadata.mode() & 0o777;
            if metadata.is_symlink() {
                found.insert(name, format!("link {}", std::fs::read_link(&path).unwrap().display()));
            } else if metadata.is_dir() {
                found.insert(name, format!("directory {mode:o}"));
                next.push(path);
            } else {
                found.insert(name, format!("file {mode:o} {:?}", std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// Starts every installed registry, and returns them with their names. Counts missing registries as skipped.
pub(crate) fn registries(test: &str) -> Vec<(&'static str, Process)> {
    let mut all =
        vec![("ours", Process::ours(&[])), ("ours without the API", Process::ours(&["--no-referrers"]))];
    for flavor in Flavor::ALL {
        all.extend(Process::open(flavor, test).map(|process| (flavor.name(), process)));
    }
    all
}
