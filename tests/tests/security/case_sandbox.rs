//! The sandbox of a case: its directories, one tool, and a time limit.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::files::write_file;
use oras_testkit::peers;
use oras_testkit::readable_output::check_readable;
use oras_testkit::registry::{Flavor, Options, Process};
use tempfile::TempDir;

/// The time limit of a command. A command that exceeds it counts as hung.
const PATIENCE: Duration = Duration::from_secs(40);

/// A home, a working directory, and the tool.
pub(crate) struct Stage {
    root: TempDir,
    tool: PathBuf,
    /// Whether the tool is the Go tool, for cases that need other arguments.
    pub(crate) is_go: bool,
    name: &'static str,
    lacked: Cell<bool>,
}

/// The result of a command.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// `None` if the command was killed, for example because it hung.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Said {
    /// Returns standard output and standard error.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Checks that the command succeeded.
    pub(crate) fn works(&self) -> Result<&Self, String> {
        match self.status {
            Some(0) => Ok(self),
            status => Err(format!("ends with {status:?}: {}", self.text().trim())),
        }
    }

    /// Checks that the command failed with an error message, and was neither killed nor crashed.
    pub(crate) fn fails(&self) -> Result<&Self, String> {
        match self.status {
            Some(0) => Err(format!("succeeds: {}", self.text().trim())),
            Some(1) if self.stderr.contains("Error") => Ok(self),
            None => Err(format!("was still running after {PATIENCE:?}")),
            status => Err(format!("ends with {status:?}: {}", self.text().trim())),
        }
    }

    /// Checks that the command failed and that its error contains `text`.
    pub(crate) fn fails_with(&self, text: &str) -> Result<&Self, String> {
        let said = self.fails()?;
        check(said.stderr.contains(text), || format!("doesn't say {text:?}: {}", said.stderr.trim()))?;
        Ok(said)
    }
}

/// Returns `Ok` if `holds` is true, or else the error `wrong`.
pub(crate) fn check(holds: bool, wrong: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(wrong()) }
}

impl Stage {
    pub(crate) fn new(tool: &Path, is_go: bool, name: &'static str) -> Self {
        let root = tempfile::Builder::new().prefix("oras-security-").tempdir().unwrap();
        for directory in ["home/bin", "work", "tmp"] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        Self { root, tool: tool.to_owned(), is_go, name, lacked: Cell::new(false) }
    }

    /// Returns the program of the tool.
    pub(crate) fn tool(&self) -> &Path {
        &self.tool
    }

    /// Returns the directory with all files of the case, to search it for forbidden content.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns a path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Returns a path in the home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.root.path().join("home").join(name)
    }

    /// Writes a file in the working directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write_file(&self.path(name), content.as_ref());
        self.path(name)
    }

    /// Writes a file in the home.
    pub(crate) fn home_file(&self, name: &str, content: &str) {
        write_file(&self.home(name), content.as_bytes());
    }

    /// Writes Docker's configuration.
    pub(crate) fn docker_config(&self, json: &str) {
        write_file(&self.home(".docker/config.json"), json.as_bytes());
    }

    /// Creates a program in `bin` of the home, which is on the search path.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.home("bin").join(name);
        // Another process writes the file. The system cannot run a file that is open for writing, and a fork
        // of this process could hold it open.
        let made = Command::new("sh")
            .args(["-c", "printf '%s\n' \"$1\" >\"$0\" && chmod 700 \"$0\""])
            .arg(&path)
            .arg(format!("#!/bin/sh\n{script}"))
            .status();
        assert!(made.unwrap().success());
        assert!(path.metadata().unwrap().permissions().mode() & 0o100 != 0);
    }

    /// Returns a command with the environment of this case only, without that of the caller.
    pub(crate) fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(words)
            .current_dir(self.path(""))
            .env_clear()
            .env("HOME", self.home(""))
            .env("TMPDIR", self.root.path().join("tmp"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.home("bin").display()));
        command
    }

    /// Runs the tool.
    pub(crate) fn oras(&self, words: &[&str]) -> Said {
        self.run(self.command(&self.tool, words), b"")
    }

    /// Runs the tool with additional environment variables.
    pub(crate) fn oras_with(&self, environment: &[(&str, &str)], words: &[&str]) -> Said {
        let mut command = self.command(&self.tool, words);
        command.envs(environment.iter().copied());
        self.run(command, b"")
    }

    /// Runs the tool with `input` as its standard input.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Said {
        self.run(self.command(&self.tool, words), input.as_bytes())
    }

    /// Runs a command with the time limit.
    pub(crate) fn run(&self, mut command: Command, input: &[u8]) -> Said {
        let begun = Instant::now();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A separate process group: a kill also ends the children, so they cannot hold the pipes open.
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        std::thread::spawn(move || drop(stdin.write_all(&input)));
        let read = |mut pipe: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                drop(pipe.read_to_end(&mut bytes));
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let stdout = read(Box::new(child.stdout.take().unwrap()));
        let stderr = read(Box::new(child.stderr.take().unwrap()));
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if begun.elapsed() > PATIENCE {
                let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
                nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL).unwrap();
                child.wait().unwrap();
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let took = begun.elapsed();
        let said = Said { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took };
        if !self.is_go && command.get_program() == self.tool.as_os_str() {
            check_readable(&said.stderr);
        }
        said
    }

    /// Returns the path of a system program. Reports the case as skipped if the program is not installed.
    pub(crate) fn needs(&self, program: &str) -> Option<PathBuf> {
        let found = peers::system(program);
        if found.is_none() {
            self.lacks(program);
        }
        found
    }

    /// Starts a real registry. Reports the case as skipped if the registry is not installed.
    pub(crate) fn registry(&self, flavor: Flavor, options: &Options) -> Option<Process> {
        let started = Process::start(flavor, options, self.name);
        self.lacked.set(self.lacked.get() || started.is_none());
        started
    }

    /// Reports the case as skipped, because `what` is missing.
    pub(crate) fn lacks(&self, what: &str) {
        self.lacked.set(true);
        peers::skipped(what, self.name);
    }

    pub(crate) fn lacked(&self) -> bool {
        self.lacked.get()
    }

    /// Returns the relative path of every file and link below `directory`.
    pub(crate) fn files(&self, directory: &Path) -> Vec<String> {
        let (mut found, mut next) = (Vec::new(), vec![directory.to_owned()]);
        while let Some(place) = next.pop() {
            for entry in std::fs::read_dir(&place).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.is_symlink() {
                    next.push(path);
                } else {
                    found.push(path.strip_prefix(directory).unwrap().display().to_string());
                }
            }
        }
        found.sort();
        found
    }
}
