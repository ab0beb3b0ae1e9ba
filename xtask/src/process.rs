//! Starting other programs, always without stdin, and telling which one failed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

/// What a chore returns: its error is a sentence for the person who started it.
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

/// The command line as one would type it.
pub fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

/// A word for a shell: in single quotes where it needs them.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs to the end; output goes where ours goes.
pub fn run(command: &mut Command) -> Result {
    let status = command.status().map_err(|error| not_started(command, &error))?;
    check(command, status)
}

/// Runs to the end and returns stdout; stderr goes where ours goes.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| not_started(command, &error))?;
    check(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs to the end without output; true when it succeeded, false also when it could not be started.
pub fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs to the end, handing over each line of stdout as it comes.
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

/// A server that is stopped when dropped, on failure too.
pub struct Server(Child);

impl Server {
    /// Starts it; stdout is piped when asked for.
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
        // It may have ended by itself; then there is nothing to stop.
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
