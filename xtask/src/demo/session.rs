//! Runs the registry in the background, and runs `oras` and shows each command with its output.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};

use xtask::process::{Result, Server, command, line_of};

/// A registry on loopback that is stopped when dropped.
pub(crate) struct Registry {
    /// Kept for its `Drop`.
    _server: Server,
    /// Stays open, because SIGPIPE would kill a server that prints to a closed pipe.
    _stdout: BufReader<ChildStdout>,
    address: String,
}

impl Registry {
    /// Starts the registry with `words` on a free port and its log in `log`, and waits for its address.
    pub(crate) fn start(program: &Path, words: &[String], log: Stdio) -> Result<Self> {
        let mut command = command(program, &[]);
        command.args(words).args(["--addr", "127.0.0.1:0"]).stdout(Stdio::piped()).stderr(log);
        let mut server = Server::start(&mut command)?;
        let stdout = server.child().stdout.take().ok_or("the registry has no stdout")?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        while stdout.read_line(&mut line)? > 0 {
            if let Some(address) = address_in(&line) {
                return Ok(Self { _server: server, _stdout: stdout, address: address.to_owned() });
            }
            line.clear();
        }
        Err("the registry ended before it printed `listening on 127.0.0.1:PORT`".into())
    }

    /// The address it listens on.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Returns its name in references. `oras` uses plain HTTP by default only for `localhost`.
    pub(super) fn host(&self) -> String {
        self.address.replace("127.0.0.1", "localhost")
    }
}

fn address_in(line: &str) -> Option<&str> {
    let address = line.strip_prefix("listening on ")?.trim();
    address.rsplit_once(':')?.1.parse::<u16>().ok().map(|_| address)
}

/// Runs `oras` in one directory.
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

    /// Prints the command line, runs it, and prints and returns its output.
    pub(super) fn oras(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.oras);
        command.args(args).current_dir(&self.dir).stdin(Stdio::null());
        println!("$ {}", line_of(&command));
        // `oras` prints no progress bars, because neither stream is a terminal.
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
    fn reads_the_address() {
        assert_eq!(address_in("listening on 127.0.0.1:41234\n"), Some("127.0.0.1:41234"));
        assert_eq!(address_in("hello"), None);
    }
}
