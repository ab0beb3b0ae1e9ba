//! The two programs of the demo: the registry in the background, and `oras`, each call shown with its output.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use crate::process::{Result, Server, command, line_of};

/// A registry on loopback that is stopped when dropped.
pub(super) struct Registry {
    /// Kept for its `Drop`.
    _server: Server,
    /// Kept open: a server that prints to a closed pipe would die of it.
    _stdout: BufReader<ChildStdout>,
    host: String,
}

impl Registry {
    /// Starts it on a free port and waits until it says where it listens.
    pub(super) fn start(program: &Path) -> Result<Self> {
        let mut server = Server::start(command(program, &["--addr", "127.0.0.1:0"]).stdout(Stdio::piped()))?;
        let stdout = server.child().stdout.take().ok_or("the registry has no stdout")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line)? > 0 {
            if let Some(port) = port_in(&line) {
                return Ok(Self { _server: server, _stdout: stdout, host: format!("localhost:{port}") });
            }
            line.clear();
        }
        Err("the registry ended before it printed `listening on 127.0.0.1:PORT`".into())
    }

    /// Its name in references.
    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

fn port_in(line: &str) -> Option<u16> {
    line.strip_prefix("listening on ")?.trim().rsplit_once(':')?.1.parse().ok()
}

/// Calls of `oras` in one directory.
pub(super) struct Session {
    oras: PathBuf,
    dir: PathBuf,
}

impl Session {
    pub(super) fn new(oras: PathBuf, dir: PathBuf) -> Self {
        Self { oras, dir }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Prints the command line, runs it and prints its output, which is also returned.
    pub(super) fn oras(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.oras);
        command.args(args).current_dir(&self.dir).stdin(Stdio::null());
        println!("$ {}", line_of(&command));
        // Both are captured, so that oras prints its lines as into a file, without bars.
        let result =
            command.output().map_err(|error| format!("cannot start {}: {error}", self.oras.display()))?;
        let output = String::from_utf8_lossy(&result.stdout).into_owned();
        print!("{output}{}", String::from_utf8_lossy(&result.stderr));
        if !result.status.success() {
            return Err(format!("`{}` failed ({})", line_of(&command), result.status).into());
        }
        Ok(output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_port() {
        assert_eq!(port_in("listening on 127.0.0.1:41234\n"), Some(41234));
        assert_eq!(port_in("hello"), None);
    }
}
