//! The next run resumes a download whose process was killed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Reply, Scripted};

use crate::sandbox::{Sandbox, ours};

const SIZE: usize = 6 << 20;
/// The number of bytes that the server sends before it stops sending.
pub(crate) const SENT: usize = 4 << 20;

static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..SIZE).map(|at| u8::try_from(at * 7 % 251).unwrap()).collect());
pub(crate) static DIGEST: LazyLock<Digest> = LazyLock::new(|| Digest::sha256(&BYTES));

/// Starts a server that stops sending within a blob, unless the client requests a range.
pub(crate) fn server() -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("big", &BYTES)]);
    Scripted::start(move |asked| {
        let reply = memory.reply(asked);
        if asked.method != "GET" || asked.path != format!("/v2/a/blobs/{}", *DIGEST) {
            return reply;
        }
        let start = asked.header("range").and_then(|range| range.strip_prefix("bytes="));
        match start.and_then(|range| range.split('-').next()?.parse::<usize>().ok()) {
            Some(start) => {
                let told = format!("bytes {start}-{}/{SIZE}", SIZE - 1);
                Reply::new(206).header("content-range", told).body(&BYTES[start..])
            }
            None => Reply::new(200).header("content-length", SIZE).body(&BYTES[..SENT]),
        }
    })
}

/// Runs the command until the partial file below `place` has all bytes that the server sends. Then kills it
/// and returns the path of the partial file.
pub(crate) fn killed(sandbox: &Sandbox, words: &[&str], place: &str) -> PathBuf {
    let mut command = sandbox.command(&ours(), words);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let partial = sandbox.path(place).join(".oras-partial").join(DIGEST.to_string().replace(':', "-"));
    let begun = Instant::now();
    while length(&partial) < SENT as u64 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "{} has {} bytes",
            partial.display(),
            length(&partial)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    partial
}

/// Runs the command until it is killed, and runs it again. Returns the requests of the second run.
fn killed_and_run_again(sandbox: &Sandbox, server: &Scripted, words: &[&str], place: &str) -> Vec<String> {
    let partial = killed(sandbox, words, place);
    let before = server.asked().len();
    sandbox.oras(words);
    assert!(!partial.exists() && !partial.parent().unwrap().exists());
    let asked = server.asked().into_iter().skip(before);
    let blobs = asked.filter(|asked| asked.method == "GET" && asked.path.contains(&DIGEST.to_string()));
    blobs.map(|asked| asked.header("range").unwrap_or_default().to_owned()).collect()
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn the_rest() -> Vec<String> {
    vec![format!("bytes={SENT}-{}", SIZE - 1)]
}

#[test]
fn resumes_pull_after_kill() {
    let (sandbox, server) = (Sandbox::new(), server());
    let source = format!("{}/a:v1", server.host());
    sandbox.file("out/other", "mine");
    let words = ["pull", "--plain-http", &source, "-o", "out"];
    assert_eq!(killed_and_run_again(&sandbox, &server, &words, "out"), the_rest());
    assert_eq!(std::fs::read(sandbox.path("out/big")).unwrap(), *BYTES);
}

#[test]
fn resumes_copy_to_layout_after_kill() {
    let (sandbox, server) = (Sandbox::new(), server());
    let source = format!("{}/a:v1", server.host());
    let words = ["cp", "--from-plain-http", &source, "--to-oci-layout", "layout:v1"];
    assert_eq!(killed_and_run_again(&sandbox, &server, &words, "layout"), the_rest());
    let blob = sandbox.path("layout/blobs/sha256").join(DIGEST.encoded());
    assert_eq!(std::fs::read(blob).unwrap(), *BYTES);
}

#[test]
fn resumes_blob_fetch_after_kill() {
    let (sandbox, server) = (Sandbox::new(), server());
    let source = format!("{}/a@{}", server.host(), *DIGEST);
    let words = ["blob", "fetch", "--plain-http", &source, "-o", "blob"];
    assert_eq!(killed_and_run_again(&sandbox, &server, &words, "."), the_rest());
    assert_eq!(std::fs::read(sandbox.path("blob")).unwrap(), *BYTES);
}
