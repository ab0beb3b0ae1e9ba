//! Directories and an environment in which a program runs, and its output.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::pty::{Winsize, openpty};
use tempfile::TempDir;

use crate::line_parser::unescape;
use crate::scene_file::Case;

/// The longest that a case may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A home and a directory to work in. The sandboxes of both tools have one path, which belongs to the one that is
/// entered: a path in an artifact would make its digest another one.
pub(crate) struct Sandbox {
    root: PathBuf,
    rest: TempDir,
}

/// What a program came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    /// A sandbox that will be at `root` when it is entered.
    pub(crate) fn new(root: &Path) -> Self {
        let rest = tempfile::tempdir().unwrap();
        for name in ["home", "work", "tmp"] {
            std::fs::create_dir_all(rest.path().join("sandbox").join(name)).unwrap();
        }
        Self { root: root.to_owned(), rest }
    }

    /// Does `work` while the sandbox is in its place.
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

    /// Everything in it.
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
            // Of this program alone, and full of times.
            .env("TZ", "UTC")
            .env("TERM", "xterm-256color");
        command
    }

    /// Runs a line in a shell, which must succeed.
    pub(crate) fn shell(&self, line: &str) {
        let status = self.command(Path::new("/bin/sh")).args(["-euc", line]).status().unwrap();
        assert!(status.success(), "{line} failed");
    }

    /// Runs a program with those words.
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
        // The copy of the terminal in `command` would keep it open.
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

/// Reads to the end beside whatever else goes on. A terminal ends in an error.
fn read(mut from: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
        while let Ok(count @ 1..) = from.read(&mut piece) {
            bytes.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
