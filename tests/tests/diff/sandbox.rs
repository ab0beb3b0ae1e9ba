//! Directories and an environment in which a program runs, and its output.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use tempfile::TempDir;

use crate::line_parser::unescape;
use crate::scene_file::Case;

/// The time limit of a case.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home and a working directory. The sandboxes of both tools use the same path, because a path in an
/// artifact changes its digest. Only the entered sandbox is at this path.
pub(crate) struct Sandbox {
    root: PathBuf,
    rest: TempDir,
}

/// The result of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// Creates a sandbox, which is at `root` while it is entered.
    pub(crate) fn new(root: &Path) -> Self {
        let rest = tempfile::tempdir().unwrap();
        for name in ["home", "work", "tmp"] {
            std::fs::create_dir_all(rest.path().join("sandbox").join(name)).unwrap();
        }
        Self { root: root.to_owned(), rest }
    }

    /// Runs `work` while the sandbox is at its path.
    pub(crate) fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let away = self.rest.path().join("sandbox");
        std::fs::rename(&away, &self.root).unwrap();
        let done = work();
        std::fs::rename(&self.root, &away).unwrap();
        done
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Returns the path of the whole sandbox.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.work())
            .env_clear()
            .env("HOME", self.home())
            .env("TMPDIR", self.root.join("tmp"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", self.home().join("bin").display()))
            // Our tool logs times in UTC, the Go tool in the local time zone.
            .env("TZ", "UTC")
            .env("TERM", "xterm-256color");
        command
    }

    /// Runs a line in a shell. The line must succeed.
    pub(crate) fn shell(&self, line: &str) {
        let status = self.command(Path::new("/bin/sh")).args(["-euc", line]).status().unwrap();
        assert!(status.success(), "{line} failed");
    }

    /// Runs a program with these arguments.
    pub(crate) fn run(&self, program: &Path, words: &[String], case: &Case, stdin: Option<&str>) -> Said {
        let mut command = self.command(program);
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, value) in &case.env {
            command.env(name, value);
        }
        let mut terminal = None;
        if let Some(columns) = case.terminal {
            let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
            let pty = openpty(Some(&size), None).unwrap();
            command.stderr(Stdio::from(pty.slave));
            terminal = Some(pty.master);
        }
        let mut child = command.spawn().unwrap();
        // `command` holds a copy of the terminal open, so it is dropped.
        drop(command);
        let mut input = child.stdin.take().unwrap();
        let bytes = stdin.map(unescape).unwrap_or_default();
        let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
        let stdout = read(child.stdout.take().unwrap());
        let stderr = match terminal {
            Some(master) => read(std::fs::File::from(master)),
            None => read(child.stderr.take().unwrap()),
        };
        let begun = std::time::Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            if begun.elapsed() > PATIENCE {
                drop(child.kill());
                drop(child.wait());
                break Some(-1);
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        drop(feeder.join());
        Said { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
    }
}

/// Reads to the end in another thread. Reading from a closed terminal returns an error.
fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
        while let Ok(count @ 1..) = from.read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
