//! Builds and asks the oracle: Go's `text/template` with sprig.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gotmpl::Template;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cases::Case;

/// What rendering a template gave.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) output: Vec<u8>,
    /// Empty when all went well.
    pub(crate) error: String,
}

/// The names of sprig's functions; `None`, with a note, when Go is not installed.
pub(crate) fn functions(test: &str) -> Option<Vec<String>> {
    let Some(program) = built(test) else {
        skipped("go", test);
        return None;
    };
    let output = Command::new(program).arg("functions").output().expect("the oracle starts");
    assert!(output.status.success(), "the oracle succeeds");
    Some(serde_json::from_slice(&output.stdout).expect("the oracle answers in JSON"))
}

/// Renders all cases with Go; `None`, with a note, when Go is not installed.
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

/// The oracle, built into the cache of the user unless it is there.
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
    // Two tests may build at the same time: each renames its own, whole program.
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

/// Says that a test did nothing, where the runner of the tests counts it.
#[expect(clippy::print_stdout, reason = "whoever runs one test by hand should see why it did nothing")]
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
