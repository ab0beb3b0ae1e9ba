//! Evaluates the expressions of `--jq` and `--template` in a child process.
//!
//! An expression can recurse or loop without end, or allocate any amount of memory. Text of a registry can cause the
//! same if the expression parses it (`fromjson`). A stack overflow or a failed allocation ends the process. The child
//! has limits, and the command reports its end as an ordinary error.

use std::io;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::failure::Failure;
use crate::print;

/// The first argument of the child. The remaining arguments are the flag of the language, the step and the
/// text of the expression.
pub(crate) const CHILD: &str = "__evaluate";
/// The flag of jq expressions.
pub(crate) const JQ: &str = "--jq";
/// The flag of Go templates.
pub(crate) const TEMPLATE: &str = "--template";
/// The limit of the child's address space, including its stack.
pub(super) const MEMORY_BYTES: u64 = 2 << 30;
/// The limit of the child's processor time.
pub(super) const CPU_SECONDS: u64 = 60;
/// The size limit of an expression's output.
// The output is collected in memory. A larger limit would allow an expression to fill the memory of the command.
const MAX_OUTPUT_BYTES: u64 = 256 << 20;
/// The exit status of a child whose interpreter panicked.
pub(super) const PANICKED: u8 = 101;
/// The size limit of the child's error message.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

/// An expression whose syntax has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    /// The flag of the language.
    flag: &'static str,
    text: String,
}

impl Expression {
    /// Checks an expression, so that a malformed one fails before the command does anything. (The Go tool parses a
    /// template afterwards.)
    pub(crate) async fn checked(flag: &'static str, text: &str) -> Result<Self, Failure> {
        let expression = Self { flag, text: text.to_owned() };
        expression.evaluate("check", b"").await.map(|()| expression)
    }

    /// Evaluates the expression over a JSON document and prints its output.
    pub(crate) async fn run(&self, document: &[u8]) -> Result<(), Failure> {
        self.evaluate("run", document).await
    }

    /// Runs the child. Dropping the future, as on Ctrl-C, kills it.
    async fn evaluate(&self, step: &str, document: &[u8]) -> Result<(), Failure> {
        let Self { flag, text } = self;
        let outcome = Outcome::of(&[CHILD, flag, step, text], document).await.map_err(|error| {
            Failure::new(format!("{flag}: failed to run the evaluating process: {error}"))
        })?;
        // Output before an error is printed, as by the Go tool.
        print::text(&outcome.output)?;
        self.result(&outcome)
    }

    /// Converts the outcome into a result.
    fn result(&self, outcome: &Outcome) -> Result<(), Failure> {
        let flag = self.flag;
        if outcome.is_too_long {
            return Err(Failure::new(format!("{flag}: the output exceeds {} MiB", MAX_OUTPUT_BYTES >> 20)));
        }
        match outcome.status.code() {
            Some(0) => Ok(()),
            // `halt_error` of jq ends the child with a status that the expression chooses.
            Some(status) if status != i32::from(PANICKED) => {
                let halted = || format!("{flag}: the expression halted with status {status}");
                let (first, advice) = match outcome.message.trim_end().split_once('\n') {
                    Some((first, advice)) => (first, Some(advice.to_owned())),
                    None => (outcome.message.trim_end(), None),
                };
                let message = if first.is_empty() { halted() } else { first.to_owned() };
                let hint =
                    (advice.is_none()).then_some("--format json shows the fields that an expression can use");
                Err(Failure { advice, ..Failure::new(message) }.hint(hint))
            }
            _ => Err(Failure::new(format!("{flag}: {}", abnormal_end(outcome.status)))),
        }
    }
}

/// Describes why a child ended without a result or an error.
fn abnormal_end(status: ExitStatus) -> String {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::INT) => "interrupt signal received".to_owned(),
        Some(Signal::XCPU) => format!("the expression took more than {CPU_SECONDS} s of processor time"),
        // A stack overflow or a failed allocation ends a Rust program by one of these signals.
        Some(Signal::ABORT | Signal::SEGV) => format!(
            "the expression recurses too deeply or needs more than {} GiB of memory",
            MEMORY_BYTES >> 30
        ),
        _ => format!("the expression cannot be evaluated ({status})"),
    }
}

/// The output and the exit status of a child.
struct Outcome {
    output: Vec<u8>,
    is_too_long: bool,
    message: String,
    status: ExitStatus,
}

impl Outcome {
    /// Runs a child to its end. Dropping the future kills it.
    async fn of(words: &[&str], document: &[u8]) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        // All three streams are pipes, so that the child never writes to the terminal itself.
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn()?;
        let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async move {
            if let Some(mut input) = input {
                // The write fails if the child ends early. Its exit status then gives the reason.
                drop(input.write_all(document).await);
            }
        };
        let collect = async {
            // One byte more than the limit shows that the output is too long.
            let output = read_up_to(stdout, MAX_OUTPUT_BYTES + 1).await?;
            let is_too_long = output.len() as u64 > MAX_OUTPUT_BYTES;
            if is_too_long {
                child.start_kill()?;
            }
            io::Result::Ok((output, is_too_long))
        };
        // Input and output are handled concurrently: a child blocks if one pipe is full while the other is not
        // read.
        let ((), collected, message) = tokio::join!(feed, collect, read_up_to(stderr, MAX_MESSAGE_BYTES));
        let (output, is_too_long) = collected?;
        let message = String::from_utf8_lossy(&message?).into_owned();
        Ok(Self { output, is_too_long, message, status: child.wait().await? })
    }
}

async fn read_up_to(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
