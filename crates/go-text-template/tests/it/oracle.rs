//! Builds and runs the oracle, a Go program that renders templates with `text/template` and sprig.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use go_text_template::Template;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cases::Case;

/// The result of rendering a template.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) output: Vec<u8>,
    /// The error message, or an empty string.
    pub(crate) error: String,
}

/// Returns the names of sprig's functions. Without Go, logs the skipped test and returns `None`.
pub(crate) fn functions(test: &str) -> Option<Vec<String>> {
    let Some(program) = built(test) else {
        skipped("go", test);
        return None;
    };
    let output = Command::new(program).arg("functions").output().expect("the oracle starts");
    assert!(output.status.success(), "the oracle succeeds");
    Some(serde_json::from_slice(&output.stdout).expect("the oracle answers in JSON"))
}

/// Renders all cases with Go. Without Go, logs the skipped test and returns `None`.
pub(crate) fn ask(cases: &[Case], test: &str) -> Option<Vec<Outcome>> {
    let Some(program) = built(test) else {
        skipped("go", test);
        return None;
    };
    let input: Vec<Value> =
        cases.iter().map(|case| json!({"template": case.template, "data": case.data})).collect();
    let mut child = Command::new(program)
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the oracle starts");
    let mut stdin = child.stdin.take().expect("the oracle listens");
    let writer = std::thread::spawn(move || {
        stdin.write_all(&serde_json::to_vec(&input).expect("cases are JSON")).expect("the oracle reads")
    });
    let output = child.wait_with_output().expect("the oracle ends");
    writer.join().expect("all cases are written");
    assert!(output.status.success(), "the oracle succeeds");
    let results: Vec<Value> = serde_json::from_slice(&output.stdout).expect("the oracle answers in JSON");
    Some(results.iter().map(outcome).collect())
}

fn outcome(result: &Value) -> Outcome {
    let encoded = json!({"text": result["output"].as_str().unwrap_or_default()});
    let decoder = Template::parse("base64", "{{b64dec .text}}").expect("this parses");
    let mut output = Vec::new();
    decoder.render(&encoded.into(), &mut output).expect("this renders");
    Outcome { output, error: result["error"].as_str().unwrap_or_default().to_owned() }
}

/// Returns the path of the oracle in the cache of the user. Builds it if it does not exist.
fn built(test: &str) -> Option<PathBuf> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle");
    let mut hash = Sha256::new();
    for file in ["main.go", "go.mod", "go.sum"] {
        hash.update(std::fs::read(sources.join(file)).expect("the sources of the oracle can be read"));
    }
    let version: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let directory = cache.join("oras-peers").join(format!("gotmpl-oracle-{version}"));
    let program = directory.join("gotmpl-oracle");
    if program.is_file() {
        return Some(program);
    }
    let go = go()?;
    std::fs::create_dir_all(&directory).expect("the cache can be written");
    // Two tests may build at the same time, so each builds to its own path and renames the complete program.
    let staged = directory.join(format!(".{}-{test}", std::process::id()));
    let status = Command::new(go)
        .args(["build", "-trimpath", "-o"])
        .arg(&staged)
        .arg(".")
        .current_dir(&sources)
        .status()
        .expect("go starts");
    assert!(status.success(), "the oracle builds");
    std::fs::rename(&staged, &program).expect("the oracle can be put in place");
    Some(program)
}

fn go() -> Option<PathBuf> {
    let places = env("PATH").unwrap_or_default();
    let beside = PathBuf::from("/usr/local/go/bin");
    std::env::split_paths(&places).chain([beside]).map(|place| place.join("go")).find(|go| go.is_file())
}

/// Prints that a test was skipped, and appends it to the log of the test runner.
#[expect(clippy::print_stdout, reason = "a person who runs one test should see why it did nothing")]
fn skipped(what: &str, test: &str) {
    let line = format!("skipped: needs {what} ({test})");
    println!("{line}");
    if let Some(path) = env("ORAS_SKIPPED_LOG") {
        let log = std::fs::File::options().append(true).create(true).open(path);
        writeln!(log.expect("the log of skipped tests opens"), "{line}").expect("the log is written");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no command line: xtask speaks to them by variables"
)]
fn env(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
