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
use oras_testkit::registry::{Flavor, Options, Process};
use tempfile::TempDir;

/// The longest that a command may take; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(40);

/// A home, a directory to work in, and the tool.
pub(crate) struct Stage {
    root: TempDir,
    tool: PathBuf,
    /// Whether the tool is the Go one, for the rare case where the way to ask differs.
    pub(crate) is_go: bool,
    name: &'static str,
    lacked: Cell<bool>,
}

/// What a command came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    /// `None` when it was killed, as one that hangs is.
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Said {
    /// Standard output and error.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// It must have succeeded.
    pub(crate) fn works(&self) -> Result<&Self, String> {
        match self.status {
            Some(0) => Ok(self),
            status => Err(format!("ends with {status:?}: {}", self.text().trim())),
        }
    }

    /// It must have failed by itself, neither killed nor crashed, and said why.
    pub(crate) fn fails(&self) -> Result<&Self, String> {
        match self.status {
            Some(0) => Err(format!("succeeds: {}", self.text().trim())),
            Some(1) if self.stderr.contains("Error") => Ok(self),
            None => Err(format!("was still running after {PATIENCE:?}")),
            status => Err(format!("ends with {status:?}: {}", self.text().trim())),
        }
    }

    /// It must have failed and said `text`.
    pub(crate) fn fails_with(&self, text: &str) -> Result<&Self, String> {
        let said = self.fails()?;
        check(said.stderr.contains(text), || format!("doesn't say {text:?}: {}", said.stderr.trim()))?;
        Ok(said)
    }
}

/// `Ok` if `holds`, else what is wrong.
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

    /// The tool.
    pub(crate) fn tool(&self) -> &Path {
        &self.tool
    }

    /// Everything the case has, to be searched for what should not be there.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in the working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// A path in the home.
    pub(crate) fn home(&self, name: &str) -> PathBuf {
        self.root.path().join("home").join(name)
    }

    /// Writes a file of the working directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        write_file(&self.path(name), content.as_ref());
        self.path(name)
    }

    /// Writes a file of the home.
    pub(crate) fn home_file(&self, name: &str, content: &str) {
        write_file(&self.home(name), content.as_bytes());
    }

    /// Writes Docker's configuration.
    pub(crate) fn docker_config(&self, json: &str) {
        write_file(&self.home(".docker/config.json"), json.as_bytes());
    }

    /// Makes a program in `bin` of the home, which is on the search path.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.home("bin").join(name);
        // By another process: a file that this one has open for writing can't be run, and a fork would keep it open.
        let made = Command::new("sh")
            .args(["-c", "printf '%s\n' \"$1\" >\"$0\" && chmod 700 \"$0\""])
            .arg(&path)
            .arg(format!("#!/bin/sh\n{script}"))
            .status();
        assert!(made.unwrap().success());
        assert!(path.metadata().unwrap().permissions().mode() & 0o100 != 0);
    }

    /// A program with this case's environment and nothing else of the caller's.
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

    /// Runs the tool with more in its environment.
    pub(crate) fn oras_with(&self, environment: &[(&str, &str)], words: &[&str]) -> Said {
        let mut command = self.command(&self.tool, words);
        command.envs(environment.iter().copied());
        self.run(command, b"")
    }

    /// Runs the tool, which reads `input`.
    pub(crate) fn feed(&self, words: &[&str], input: &str) -> Said {
        self.run(self.command(&self.tool, words), input.as_bytes())
    }

    /// Runs a command for as long as a case may take.
    pub(crate) fn run(&self, mut command: Command, input: &[u8]) -> Said {
        let begun = Instant::now();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: what it has started ends with it, and doesn't keep the pipes open.
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
        Said { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap(), took }
    }

    /// A program of the system; without it the case is skipped, and says so.
    pub(crate) fn needs(&self, program: &str) -> Option<PathBuf> {
        let found = peers::system(program);
        if found.is_none() {
            self.lacks(program);
        }
        found
    }

    /// A real registry; without it the case is skipped, and says so.
    pub(crate) fn registry(&self, flavor: Flavor, options: &Options) -> Option<Process> {
        let started = Process::start(flavor, options, self.name);
        self.lacked.set(self.lacked.get() || started.is_none());
        started
    }

    /// Says that the case can't be run for want of `what`.
    pub(crate) fn lacks(&self, what: &str) {
        self.lacked.set(true);
        peers::skipped(what, self.name);
    }

    pub(crate) fn lacked(&self) -> bool {
        self.lacked.get()
    }

    /// Every file and link below `directory`, by its path from there.
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
