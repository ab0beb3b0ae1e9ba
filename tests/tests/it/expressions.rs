//! `--jq` and `--template`: hostile expressions and registry text end in an error message.

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use oras_testkit::peers;

use crate::sandbox::{Sandbox, ours, texts};

/// Evaluates `expression` over the manifest of an artifact.
fn evaluate(expression: &[&str]) -> Output {
    let sandbox = artifact("");
    sandbox.run(&ours(), &[&["manifest", "fetch", "--oci-layout", "layout:v1"], expression].concat())
}

/// A sandbox with `layout:v1`, whose manifest has the annotation `text`.
fn artifact(text: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("f", "x");
    let annotations = serde_json::json!({"$manifest": {"text": text}}).to_string();
    sandbox.file("annotations.json", annotations);
    sandbox.oras(&["push", "--oci-layout", "layout:v1", "f", "--annotation-file", "annotations.json"]);
    sandbox
}

/// Asserts that the command failed with status 1 and an error that contains `said`.
fn assert_error(output: &Output, said: &str) {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(1), "{out:.200}\n{err:.500}");
    assert!(err.starts_with("Error: ") && err.contains(said), "{err:.500}");
    assert!(!err.contains("panicked") && !err.contains("overflowed"), "{err:.500}");
}

#[test]
fn rejects_endless_recursion() {
    for expression in
        ["def f: 1+f; f", "def f: [f]; f", "def f: f|f; f", "reduce range(3e6) as $i (null;[.])"]
    {
        assert_error(&evaluate(&["--jq", expression]), "recurses too deeply");
    }
}

#[test]
fn rejects_unlimited_memory() {
    let expression = "[range(1e7)]|tostring|gsub(\"\";\"aa\")|length";
    assert_error(&evaluate(&["--jq", expression]), "2 GiB of memory");
}

#[test]
fn rejects_unlimited_output() {
    let expression = "\"x\"*1000000|repeat(.)";
    assert_error(&evaluate(&["--jq", expression]), "the output exceeds 256 MiB");
}

#[test]
fn evaluates_deeply_nested_expressions() {
    let parentheses = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    let signs = format!("{}1", "-".repeat(20_000));
    for (expression, expected) in
        [(&*parentheses, "1\n"), (&*signs, "1\n"), ("[limit(3; repeat(1))]|add", "3\n")]
    {
        let (out, err) = texts(&evaluate(&["--jq", expression]));
        assert_eq!((&*out, &*err), (expected, ""), "{expression:.40}");
    }
}

#[test]
fn rejects_modules_and_unknown_functions() {
    assert_error(&evaluate(&["--jq", "import \"/etc/passwd\" as $x; $x"]), "--jq");
    assert_error(&evaluate(&["--jq", "nonsense"]), "nonsense");
    assert_error(&evaluate(&["--jq", "halt_error"]), "halted with status 5");
    assert_error(&evaluate(&["--jq", "halt(3)"]), "halted with status 3");
    assert_eq!(texts(&evaluate(&["--jq", "1, halt, 2"])), ("1\n".to_owned(), String::new()));
}

#[test]
fn rejects_unbalanced_brackets_in_annotation() {
    let brackets = "[".repeat(20_000);
    let sandbox = artifact(&brackets);
    let fetch = ["manifest", "fetch", "--oci-layout", "layout:v1"];
    for words in [
        &["--jq", ".content.annotations.text|fromjson"][..],
        &["--format", "go-template={{.content.annotations.text | mustFromJson}}"],
    ] {
        assert_error(&sandbox.run(&ours(), &[&fetch[..], words].concat()), "");
    }
    let closed = artifact(&format!("{brackets}{}", "]".repeat(20_000)));
    let depth = ["--jq", ".content.annotations.text|fromjson|[recurse(.[]?)]|length"];
    assert_eq!(closed.oras(&[&fetch[..], &depth].concat()), "20000\n");
}

#[test]
fn rejects_endless_templates() {
    for (template, said) in [
        ("{{define \"a\"}}{{template \"a\"}}{{end}}{{template \"a\"}}", "exceeded maximum template depth"),
        ("{{range until 1000000}}{{range until 100000}}{{end}}{{end}}", "longer than 1073741824 bytes"),
        ("{{range until 1000}}{{repeat 1000000 \"x\"}}{{end}}", "the output exceeds 256 MiB"),
    ] {
        assert_error(&evaluate(&["--format", &format!("go-template={template}")]), said);
    }
    let nested = format!("{}1{}", "(".repeat(5000), ")".repeat(5000));
    assert_error(&evaluate(&["--format", &format!("go-template={{{{{nested}}}}}")]), "depth");
}

#[test]
fn drops_values_nested_a_million_deep() {
    let template = "{{$x := list 1}}{{range until 1000000}}{{$x = list $x}}{{end}}done";
    let (out, err) = texts(&evaluate(&["--format", &format!("go-template={template}")]));
    assert_eq!((&*out, &*err), ("done", ""));
}

#[test]
fn ctrl_c_interrupts_endless_expression() {
    let sandbox = artifact("");
    for expression in [&["--jq", "def f: f; f"][..], &["--format", ENDLESS_TEMPLATE]] {
        let words = [&["manifest", "fetch", "--oci-layout", "layout:v1"], expression].concat();
        let mut command = sandbox.command(&ours(), &words);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(1));
        let start = Instant::now();
        // Only the command receives the signal, as from a supervisor. A terminal would also signal the child.
        interrupt(child.id());
        let output = child.wait_with_output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(130), "{out:.200}\n{err:.500}");
        assert!(err.starts_with("Error: interrupt signal received"), "{err:.500}");
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let left = sandbox.run("/usr/bin/pgrep".as_ref(), &["-f", "__evaluate.*def f: f; f"]);
        assert!(!left.status.success(), "the child still runs: {}", texts(&left).0);
    }
}

/// A template of 150 levels, each of which calls the next level twice.
const ENDLESS_TEMPLATE: &str = "go-template={{define \"a\"}}{{if lt (len .) 150}}{{template \"a\" (print . \"x\")}}\
    {{template \"a\" (print . \"x\")}}{{end}}{{end}}{{template \"a\" \"\"}}";

fn interrupt(process: u32) {
    let status = std::process::Command::new("kill").args(["-INT", &process.to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn evaluates_expressions_with_small_stack_limit() {
    let sandbox = artifact("");
    let nested = format!("{}1{}", "(".repeat(1000), ")".repeat(1000));
    let script = format!("ulimit -s 512; exec \"$0\" manifest fetch --oci-layout layout:v1 --jq '{nested}'");
    let output = sandbox.run("/bin/sh".as_ref(), &["-c", &script, ours().to_str().unwrap()]);
    assert_eq!(texts(&output), ("1\n".to_owned(), String::new()));
    assert!(peers::built("oras").is_file());
}
