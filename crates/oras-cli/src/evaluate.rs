//! Evaluates the expressions of `--jq` and `--template` in a child process.
//!
//! An expression can recurse without end, loop without end, or ask for any amount of memory, and so can the text
//! of a registry that it reads (`fromjson`). A stack overflow or a failed allocation ends the process that meets it,
//! so that process is a child of the command: the limits of the child turn every such end into an ordinary error.

use std::io::{self, Read, Write};
use std::process::{ExitCode, ExitStatus, Stdio};

use gotmpl::Template;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::error::Failure;
use crate::jq;

/// The first argument of the child. The others are the language, the step and the text of the expression.
pub(crate) const CHILD: &str = "__evaluate";
/// The stack of the child: room for a chain of 100,000 nested values.
const STACK_BYTES: usize = 256 << 20;
/// The address space of the child, its stack included.
const MEMORY_BYTES: u64 = 2 << 30;
/// The processor time of the child.
const CPU_SECONDS: u64 = 60;
/// The longest output of an expression.
const MAX_OUTPUT_BYTES: u64 = 256 << 20;
/// The status of a child whose interpreter panicked.
const PANICKED: u8 = 101;
/// How the command reports a Ctrl-C.
const INTERRUPTED: &str = "interrupt signal received";
/// The longest error message of the child.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;

/// The language of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Jq,
    Template,
}

impl Language {
    const ALL: [Self; 2] = [Self::Jq, Self::Template];

    fn name(self) -> &'static str {
        match self {
            Self::Jq => "jq",
            Self::Template => "template",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::Jq => "--jq",
            Self::Template => "--template",
        }
    }
}

/// An expression whose syntax has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expression {
    language: Language,
    text: String,
}

impl Expression {
    /// Checks a jq expression, so that a malformed one fails before the command does anything.
    pub(crate) fn jq(text: &str) -> Result<Self, Failure> {
        Self::checked(Language::Jq, text)
    }

    /// Checks a Go template. (The Go tool parses it when the command has done its work.)
    pub(crate) fn template(text: &str) -> Result<Self, Failure> {
        Self::checked(Language::Template, text)
    }

    fn checked(language: Language, text: &str) -> Result<Self, Failure> {
        let expression = Self { language, text: text.to_owned() };
        expression.evaluate("check", b"").1.map(|()| expression)
    }

    /// Evaluates the expression over a JSON document. Returns what it printed, before an error too, as the Go tool
    /// prints what precedes an error in a template.
    pub(crate) fn run(&self, document: &[u8]) -> (Vec<u8>, Result<(), Failure>) {
        self.evaluate("run", document)
    }

    fn evaluate(&self, step: &str, document: &[u8]) -> (Vec<u8>, Result<(), Failure>) {
        match self.outcome(step, document) {
            Ok(outcome) => {
                let ended = self.verdict(&outcome);
                (outcome.output, ended)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                (Vec::new(), Err(Failure::new(INTERRUPTED)))
            }
            Err(error) => {
                let failure =
                    format!("{}: failed to run the evaluating process: {error}", self.language.flag());
                (Vec::new(), Err(Failure::new(failure)))
            }
        }
    }

    /// Runs the child on a thread and a runtime of its own: reports are printed by synchronous code on the thread
    /// that drives the network, where a Ctrl-C would otherwise not be seen until the child ends.
    fn outcome(&self, step: &str, document: &[u8]) -> io::Result<Outcome> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([CHILD, self.language.name(), step, &self.text]);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    tokio::select! {
                        outcome = Outcome::of(command, document) => outcome,
                        _ = tokio::signal::ctrl_c() => Err(io::ErrorKind::Interrupted.into()),
                    }
                })
            });
            waiting.join().unwrap_or_else(|_| Err(io::Error::other("the waiting thread panicked")))
        })
    }

    fn verdict(&self, outcome: &Outcome) -> Result<(), Failure> {
        let flag = self.language.flag();
        if outcome.is_too_long {
            return Err(Failure::new(format!("{flag}: the output exceeds {} MiB", MAX_OUTPUT_BYTES >> 20)));
        }
        match outcome.status.code() {
            Some(0) => Ok(()),
            // `halt_error` of jq ends the child with a status of the expression's own choice.
            Some(status) if status != i32::from(PANICKED) => {
                let mut lines = outcome.message.trim_end().splitn(2, '\n');
                let first = lines.next().filter(|line| !line.is_empty());
                let failure = Failure::new(first.map_or_else(
                    || format!("{flag}: the expression halted with status {status}"),
                    str::to_owned,
                ));
                Err(match lines.next() {
                    Some(advice) => failure.advise(advice),
                    None => failure,
                })
            }
            _ => Err(Failure::new(format!("{flag}: {}", death(outcome.status)))),
        }
    }
}

/// Why a child ended that returned neither a result nor an error.
fn death(status: ExitStatus) -> String {
    use rustix::process::Signal;
    use std::os::unix::process::ExitStatusExt;
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::INT) => INTERRUPTED.to_owned(),
        Some(Signal::XCPU) => format!("the expression took more than {CPU_SECONDS} s of processor time"),
        Some(Signal::ABORT | Signal::SEGV) => format!(
            "the expression recurses too deeply or needs more than {} GiB of memory",
            MEMORY_BYTES >> 30
        ),
        _ => format!("the expression cannot be evaluated ({status})"),
    }
}

/// What a child did.
struct Outcome {
    output: Vec<u8>,
    is_too_long: bool,
    message: String,
    status: ExitStatus,
}

impl Outcome {
    /// Runs a child to its end. Dropping the future kills it.
    async fn of(mut command: Command, document: &[u8]) -> io::Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.kill_on_drop(true).spawn()?;
        let (input, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let feed = async move {
            if let Some(mut input) = input {
                // A child that ends before it has read everything closes the pipe: its status says why.
                drop(input.write_all(document).await);
            }
        };
        let collect = async {
            let output = read_up_to(stdout, MAX_OUTPUT_BYTES + 1).await?;
            let is_too_long = output.len() as u64 > MAX_OUTPUT_BYTES;
            if is_too_long {
                child.start_kill()?;
            }
            io::Result::Ok((output, is_too_long))
        };
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

/// Runs the child: the document comes on standard input, an error goes to standard error with status 1.
pub(crate) fn run_child() -> ExitCode {
    limit_resources();
    // A panic of the interpreter is reported by the parent in its own words.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<_> = std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    let evaluation =
        std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || match evaluate(&words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                drop(writeln!(io::stderr(), "{message}"));
                ExitCode::FAILURE
            }
        });
    let panicked = ExitCode::from(PANICKED);
    evaluation.map_or(panicked, |thread| thread.join().unwrap_or(panicked))
}

fn limit_resources() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, limit) in [(Resource::As, MEMORY_BYTES), (Resource::Cpu, CPU_SECONDS)] {
        let maximum = getrlimit(resource).maximum;
        let current = maximum.map_or(limit, |maximum| maximum.min(limit));
        // Where the system refuses a limit, Ctrl-C still ends the child.
        let _ = setrlimit(resource, Rlimit { current: Some(current), maximum });
    }
}

fn evaluate(words: &[String]) -> Result<(), String> {
    let [language, step, text] = words else { return Err(format!("usage: oras {CHILD} LANGUAGE STEP TEXT")) };
    let language = Language::ALL.into_iter().find(|known| known.name() == language);
    let language = language.ok_or_else(|| "unknown language".to_owned())?;
    if step == "check" {
        return match language {
            Language::Jq => jq::check(text),
            Language::Template => template(text).map(drop),
        };
    }
    let mut document = Vec::new();
    io::stdin()
        .read_to_end(&mut document)
        .map_err(|error| format!("failed to read the document: {error}"))?;
    // Standard output is flushed even where `halt` of jq ends the process.
    let mut out = io::stdout();
    let evaluated = match language {
        Language::Jq => jq::run(text, &document, &mut out),
        Language::Template => render(text, &document, &mut out),
    };
    let flushed = out.flush().map_err(|error| format!("failed to write the output: {error}"));
    evaluated.and(flushed)
}

fn template(text: &str) -> Result<Template, String> {
    Template::parse("format output", text).map_err(|error| error.to_string())
}

fn render(text: &str, document: &[u8], out: &mut impl Write) -> Result<(), String> {
    // A report nests as deep as the referrers it lists; this thread has the stack for that.
    let mut document = serde_json::Deserializer::from_slice(document);
    document.disable_recursion_limit();
    let value = serde_json::Value::deserialize(&mut document)
        .map_err(|error| format!("failed to format the result: {error}"))?;
    template(text)?.render(&value.into(), out).map_err(|error| error.to_string())
}
