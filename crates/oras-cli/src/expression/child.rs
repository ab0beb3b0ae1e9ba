//! The child process that evaluates an expression, and the limits of its resources.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use go_text_template::Template;
use serde::Deserialize;

use super::evaluation::{CHILD, CPU_SECONDS, JQ, MEMORY_BYTES, PANICKED};
use super::jq;

/// The stack size of the child, enough for 100,000 nested values.
const STACK_BYTES: usize = 256 << 20;

/// Runs the child. Reads the document from standard input; writes an error to standard error and returns status 1.
pub(crate) fn run_child() -> ExitCode {
    // The limits are set before the first byte of input is read.
    limit_resources();
    // The hook hides the message of a panic, because the parent reports the panic itself.
    std::panic::set_hook(Box::new(|_| {}));
    let words: Vec<_> = std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned()).collect();
    let evaluation =
        // The main thread has the stack size of the system, usually 8 MiB, which is too small.
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

/// Limits the memory and the processor time of this process.
fn limit_resources() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    for (resource, limit) in [(Resource::As, MEMORY_BYTES), (Resource::Cpu, CPU_SECONDS)] {
        let maximum = getrlimit(resource).maximum;
        // A process cannot raise its limit above the maximum that the system has set.
        let current = maximum.map_or(limit, |maximum| maximum.min(limit));
        // Where the system refuses a limit, Ctrl-C still ends the child.
        let _ = setrlimit(resource, Rlimit { current: Some(current), maximum });
    }
}

/// Checks or evaluates the expression in the arguments.
fn evaluate(words: &[String]) -> Result<(), String> {
    let [flag, step, text] = words else { return Err(format!("usage: oras {CHILD} FLAG STEP TEXT")) };
    if step == "check" {
        return if flag == JQ { jq::check(text) } else { template(text).map(drop) };
    }
    let mut document = Vec::new();
    io::stdin()
        .read_to_end(&mut document)
        .map_err(|error| format!("failed to read the document: {error}"))?;
    // Rust flushes standard output at exit, so output before a `halt` of jq is not lost.
    let mut out = io::stdout();
    let evaluated =
        if flag == JQ { jq::run(text, &document, &mut out) } else { render(text, &document, &mut out) };
    let flushed = out.flush().map_err(|error| format!("failed to write the output: {error}"));
    evaluated.and(flushed)
}

/// Parses a Go template.
fn template(text: &str) -> Result<Template, String> {
    Template::parse("format output", text).map_err(|error| error.to_string())
}

/// Renders a Go template over a JSON document.
fn render(text: &str, document: &[u8], out: &mut impl Write) -> Result<(), String> {
    // A report nests as deep as its referrers. The stack of this thread is large enough without a recursion limit.
    let mut document = serde_json::Deserializer::from_slice(document);
    document.disable_recursion_limit();
    let value = serde_json::Value::deserialize(&mut document)
        .map_err(|error| format!("failed to format the result: {error}"))?;
    template(text)?.render(&value.into(), out).map_err(|error| error.to_string())
}
