//! Standard output and errors, line by line, against the Go tool in the same sandbox.

use oras_testkit::peers;

use crate::sandbox::{Registry, Sandbox, ours, texts};

const CREATED: &str = "org.opencontainers.image.created=2026-01-01T00:00:00Z";

/// Runs the same words with both tools in sandboxes of the same look; `{}` is the registry.
fn same(test: &str, setup: &[&[&str]], cases: &[&[&str]]) {
    let Some(go) = peers::find_or_skip(peers::ORAS, test) else { return };
    let mut results = Vec::new();
    for program in [go, ours()] {
        let registry = Registry::ours(&[]);
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello world\n");
        sandbox.file("bye.txt", "bye\n");
        sandbox.file("copy.txt", "hello world\n");
        let fill = |words: &[&str]| -> Vec<String> {
            words.iter().map(|word| word.replace("{}", &registry.host())).collect()
        };
        for words in setup {
            let words = fill(words);
            sandbox.ok(&program, &words.iter().map(String::as_str).collect::<Vec<_>>());
        }
        let mut outputs = Vec::new();
        for words in cases {
            let words = fill(words);
            let output = sandbox.run(&program, &words.iter().map(String::as_str).collect::<Vec<_>>());
            let (out, err) = texts(&output);
            let normal = |text: String| {
                text.replace(&registry.host(), "HOST").replace(&sandbox.work().display().to_string(), "WORK")
            };
            outputs.push((output.status.code(), normal(out), normal(err)));
        }
        results.push(outputs);
    }
    for (words, (go, ours)) in cases.iter().zip(results[0].iter().zip(&results[1])) {
        assert_eq!(ours, go, "{words:?}");
    }
}

#[test]
fn success_is_told_in_the_same_lines() {
    same(
        "success_is_told_in_the_same_lines",
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
fn misuse_is_told_in_the_same_words() {
    same(
        "misuse_is_told_in_the_same_words",
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
            &["push", "{}/a:v1", "hi.txt", "-a", "foo"],
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
