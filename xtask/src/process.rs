//! Runs other programs without stdin. Errors name the program that failed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// The result of a chore. The error is a message for the user.
pub type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A program to run at the top of the work tree, without stdin.
pub fn command(program: impl AsRef<OsStr>, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(crate::env::root()).stdin(Stdio::null());
    command
}

/// A cargo command at the top of the work tree, as if typed in a fresh shell.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = command(crate::env::cargo(), args);
    for name in crate::env::set_by_cargo_run() {
        command.env_remove(name);
    }
    command
}

/// Returns the command line as typed in a shell.
pub fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// Quotes a word for a shell if necessary.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a command. It inherits stdout and stderr.
pub fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    check(command, status)
}

/// Runs a command and returns its stdout. It inherits stderr.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command without output. Returns true if it succeeded, and false also if it could not start.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs a command and passes each line of stdout to a closure as it arrives.
pub fn stream(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| not_started(command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            on_line(&String::from_utf8_lossy(&line?));
        }
    }
    let status = child.wait()?;
    check(command, status)
}

fn not_started(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", command.get_program().to_string_lossy())
}

fn check(command: &Command, status: ExitStatus) -> Result {
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", line_of(command)).into()) }
}

/// A server process that is killed when dropped.
pub struct Server(Child);

impl Server {
    /// Starts the server, with piped stdout if requested.
    pub fn start(command: &mut Command) -> Result<Self> {
        Ok(Self(command.spawn().map_err(|error| not_started(command, &error))?))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The running process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_command_lines_shell_quoted() {
        let mut command = Command::new("/usr/bin/oras");
        command.args(["push", "localhost:5000/a:v1", "two words", "it's", ""]);
        assert_eq!(line_of(&command), r"oras push localhost:5000/a:v1 'two words' 'it'\''s' ''");
    }

    #[test]
    fn streams_lines_and_reports_failure() {
        let mut lines = Vec::new();
        stream(&mut command("sh", &["-c", "echo one; echo two"]), |line| lines.push(line.to_owned()))
            .unwrap();
        assert_eq!(lines, ["one", "two"]);
        let error = stream(&mut command("sh", &["-c", "exit 3"]), |_| {}).unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` failed (exit status: 3)");
    }
}
