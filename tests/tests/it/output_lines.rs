//! Compares standard output and standard error line by line with the Go tool in the same sandbox.

use std::path::Path;

use oras_testkit::peers;

use oras_testkit::registry::Process;

use crate::sandbox::{Sandbox, ours, texts, without_hint};

const CREATED: &str = "org.opencontainers.image.created=2026-01-01T00:00:00Z";

/// The input for both tools. Each tool runs in an equal sandbox with a separate registry.
#[derive(Default)]
pub(crate) struct Table<'a> {
    pub(crate) test: &'a str,
    /// Options of the registry.
    pub(crate) serve: Vec<&'a str>,
    pub(crate) files: Vec<(&'a str, String)>,
    /// Words that replace other words, such as a digest. `{}` is the registry.
    pub(crate) fill: Vec<(&'a str, String)>,
    /// Commands that must succeed and are not compared.
    pub(crate) setup: Vec<Vec<&'a str>>,
    /// Commands that are compared. If the last word begins with `<`, the rest of the word is the standard
    /// input.
    pub(crate) cases: Vec<Vec<&'a str>>,
    /// Files and layouts that are compared after each case.
    pub(crate) state: Vec<&'a str>,
}

/// The exit status, standard output, standard error, and the state afterwards.
type Outcome = (Option<i32>, String, String, Vec<String>);

impl Table<'_> {
    /// Runs everything with the Go tool and with our tool, and compares the results.
    pub(crate) fn check(&self) {
        let Some(go) = peers::find_or_skip(peers::ORAS, self.test) else { return };
        let (theirs, ours) = (self.run(&go), self.run(&ours()));
        let outcomes = self.cases.iter().zip(theirs.iter().zip(&ours));
        let different: Vec<_> = outcomes
            .filter(|(_, (go, ours))| go != ours)
            .map(|(words, (go, ours))| {
                let only = |one: &Outcome, other: &Outcome| {
                    let state: Vec<_> =
                        one.3.iter().filter(|line| !other.3.contains(line)).cloned().collect();
                    format!("{:?}", (one.0, &one.1, &one.2, state))
                };
                format!("{}\n  go   {}\n  ours {}", words.join(" "), only(go, ours), only(ours, go))
            })
            .collect();
        assert!(different.is_empty(), "{}", different.join("\n"));
    }

    fn run(&self, program: &Path) -> Vec<Outcome> {
        let registry = Process::ours(&self.serve);
        let sandbox = Sandbox::new();
        for (name, text) in &self.files {
            sandbox.file(name, text);
        }
        let fill = |word: &str| {
            let filled = word.replace("{}", &registry.host());
            self.fill.iter().fold(filled, |word, (name, text)| word.replace(name, text))
        };
        for words in &self.setup {
            let words: Vec<_> = words.iter().map(|word| fill(word)).collect();
            sandbox.ok(program, &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let normal = |text: String| {
            text.replace(&registry.host(), "HOST").replace(&sandbox.work().display().to_string(), "WORK")
        };
        let case = |words: &Vec<&str>| {
            let mut words: Vec<_> = words.iter().map(|word| fill(word)).collect();
            let input = words.last().and_then(|word| word.strip_prefix('<')).map(ToOwned::to_owned);
            words.truncate(words.len() - usize::from(input.is_some()));
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let output = sandbox.feed(program, &words, input.as_deref().unwrap_or_default());
            let (out, err) = texts(&output);
            let state = self.state.iter().flat_map(|name| {
                let lines = state(&sandbox.path(name)).into_iter();
                lines.map(move |line| format!("{name} {line}"))
            });
            let state = state.collect();
            (output.status.code(), normal(out), normal(without_hint(&err).to_owned()), state)
        };
        self.cases.iter().map(case).collect()
    }
}

/// Returns the text of a file, or the blobs of a layout and the digest and tag of each index entry.
fn state(path: &Path) -> Vec<String> {
    if !path.is_dir() {
        return vec![std::fs::read_to_string(path).unwrap_or_default()];
    }
    let mut found: Vec<_> = std::fs::read_dir(path.join("blobs/sha256"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path.join("index.json")).unwrap_or(b"{}".to_vec())).unwrap();
    for entry in index["manifests"].as_array().into_iter().flatten() {
        found.push(format!(
            "{} {}",
            entry["annotations"]["org.opencontainers.image.ref.name"], entry["digest"]
        ));
    }
    found.sort();
    found
}

/// Runs the same commands with both tools. `{}` is the registry.
fn same<'a>(test: &'a str, setup: &[&'a [&'a str]], cases: &[&'a [&'a str]]) {
    let owned = |list: &[&'a [&'a str]]| list.iter().map(|words| words.to_vec()).collect();
    let files = [("hi.txt", "hello world\n"), ("bye.txt", "bye\n"), ("copy.txt", "hello world\n")];
    Table {
        test,
        files: files.into_iter().map(|(name, text)| (name, text.to_owned())).collect(),
        setup: owned(setup),
        cases: owned(cases),
        ..Table::default()
    }
    .check();
}

#[test]
fn prints_same_success_lines_as_go_tool() {
    same(
        "prints_same_success_lines_as_go_tool",
        &[],
        &[
            &["push", "{}/a:v1", "hi.txt", "bye.txt", "-a", CREATED, "--concurrency", "1"],
            &["push", "{}/a:v1", "hi.txt", "bye.txt", "-a", CREATED],
            &["push", "{}/a:v2,v3", "-a", CREATED, "--concurrency", "1", "--artifact-type", "a/b"],
            &["push", "{}/dup:v1", "hi.txt", "copy.txt", "-a", CREATED, "--concurrency", "1"],
            &["push", "--format", "json", "{}/a:v4,v5", "hi.txt", "-a", CREATED],
            &[
                "attach",
                "{}/a:v1",
                "bye.txt",
                "--artifact-type",
                "doc/x",
                "-a",
                CREATED,
                "--concurrency",
                "1",
            ],
            &[
                "attach",
                "{}/a:v1",
                "-a",
                "k=v: w",
                "-a",
                CREATED,
                "--artifact-type",
                "doc/y",
                "--format",
                "json",
            ],
            &["discover", "{}/a:v1", "--format", "json"],
            &["discover", "{}/a:v1", "-v=false"],
            &["discover", "{}/a:v1", "--artifact-type", "doc/x"],
            &["pull", "{}/a:v1", "--concurrency", "1", "-o", "out"],
            &["pull", "{}/dup:v1", "--concurrency", "1", "-o", "out2"],
            &["pull", "{}/a:v1", "--format", "json", "-o", "out3"],
            &["pull", "{}/a:v2", "-o", "out4"],
            &["resolve", "{}/a:v1"],
            &["resolve", "-l", "{}/a:v1"],
            &["tag", "{}/a:v1", "t1"],
            &["repo", "tags", "{}/a"],
            &["repo", "tags", "{}/a", "--format", "json"],
            &["repo", "ls", "{}"],
            &["repo", "ls", "{}", "--format", "json"],
            &["manifest", "fetch", "{}/a:v1"],
            &["manifest", "fetch", "{}/a:v1", "--pretty"],
            &["manifest", "fetch", "{}/a:v1", "--descriptor"],
            &["manifest", "fetch", "{}/a:v1", "--format", "json"],
            &["blob", "push", "{}/a", "bye.txt"],
            &["blob", "push", "{}/new", "bye.txt"],
            &["cp", "{}/a:v1", "--to-oci-layout", "layout:v1", "--concurrency", "1"],
            &["cp", "{}/dup:v1", "--to-oci-layout", "layout2:v1", "--concurrency", "1"],
            &["resolve", "--oci-layout", "layout:v1"],
            &["repo", "tags", "--oci-layout", "layout"],
            &["pull", "--oci-layout", "layout:v1", "-o", "out5", "--concurrency", "1"],
            &["push", "--oci-layout", "fresh:v1", "hi.txt", "-a", CREATED, "--concurrency", "1"],
        ],
    );
}

#[test]
fn prints_same_usage_errors_as_go_tool() {
    same(
        "prints_same_usage_errors_as_go_tool",
        &[&["push", "{}/a:v1", "hi.txt"]],
        &[
            &["push", "{}/a:v9", "nonexist.txt"],
            &["push", "hello:v1", "hi.txt"],
            &["push", "{}/Hello:v1", "hi.txt"],
            &["push", "http://{}/hello:v1", "hi.txt"],
            &["push", "{}/hello:bad:tag", "hi.txt"],
            &["push", "{}/hello@sha256:abc", "hi.txt"],
            &["push"],
            &["pull", "a", "b"],
            &["pull", "{}/a"],
            &["blob", "fetch", "{}/a", "--descriptor"],
            &["pull", "{}/a:nope"],
            &["resolve", "{}/a:nope"],
            &["manifest", "fetch", "{}/a:nope"],
            &["push", "{}/a:v1", "/etc/hostname"],
            &["cp", "{}/a:nope", "{}/b:v1"],
            &["cp", "{}/a", "{}/b:v1"],
            &["push", "{}/a:v1", "hi.txt", "-a", "a=1", "-a", "a=2"],
            &["push", "{}/a:v1", "hi.txt", "--artifact-type", "bad"],
            &["push", "{}/a:v1", "hi.txt", "--config", "bye.txt:bad"],
            &["push", "{}/a:v1", ":application/x"],
            &["push", "{}/a:v1", "hi.txt", "hi.txt"],
            &["push", "{}/a:v1,", "hi.txt"],
            &["push", "{}/a:v1,-bad", "hi.txt"],
            &["push", "{}/a:v1", "hi.txt", "--image-spec", "v1.1", "--config", "bye.txt"],
            &["push", "{}/a:v1", "hi.txt", "--image-spec", "v9"],
            &["attach", "{}/a:v1", "hi.txt"],
            &["attach", "{}/a:v1", "--artifact-type", "a/b"],
            &["attach", "{}/a:nope", "hi.txt", "--artifact-type", "a/b"],
            &["discover", "{}/a:v1", "--depth", "0"],
            &["discover", "{}/a:v1", "--format", "xml"],
            &["discover", "{}/a:v1", "--distribution-spec", "v1.0"],
            &["tag", "list"],
            &["tag", "{}/a:v1"],
            &[
                "blob",
                "fetch",
                "{}/a@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            ],
            &["blob", "push", "{}/a", "-"],
            &["blob", "push", "{}/a", "nofile"],
            &["blob", "push", "{}/a", "hi.txt", "--size", "5"],
            &["pull", "--oci-layout", "nolay:v1"],
            &["pull", "--nope", "{}/a:v1"],
            &["pull", "{}/a:v1", "--concurrency", "abc"],
            &["pull", "{}/a:v1", "--platform", "a/b/c/d"],
            &["pull", "{}/a:v1", "--platform", "linux/amd64"],
            &["pull", "{}/a:v1", "-u", "a", "--identity-token", "b"],
            &["pull", "{}/a:v1", "--cert-file", "hi.txt"],
            &["pull", "localhost:1/a:v1"],
            &["login", "localhost:5105/foo", "-u", "a", "-p", "b"],
            &["pus"],
        ],
    );
}
