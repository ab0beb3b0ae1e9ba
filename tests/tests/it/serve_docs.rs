//! Runs the scripts of `docs/serve.md` and checks what the page says about them.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::doc_commands::code_blocks;
use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

fn scripts(heading: &str) -> Vec<String> {
    code_blocks("docs/serve.md", heading, "sh")
}

/// Runs a script with our `oras` on the path, and returns its output.
fn run(sandbox: &Sandbox, script: &str, source: &str) -> String {
    let bin = sandbox.path("bin");
    if !bin.exists() {
        std::fs::create_dir(&bin).unwrap();
        symlink(ours(), bin.join("oras")).unwrap();
    }
    let mut command = sandbox.command(Path::new("/bin/sh"), &["-euc", script]);
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display())).env("SOURCE", source);
    let output = command.output().unwrap();
    let (out, err) = texts(&output);
    assert!(output.status.success(), "{script}\n{out}\n{err}");
    out + &err
}

#[test]
fn ci_job_script_of_docs_works() {
    let sandbox = Sandbox::new();
    let [script] = &scripts("In a CI job")[..] else { panic!("one script") };
    let said = run(&sandbox, script, "");
    assert!(said.contains("Pushed"), "{said}");
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(
        log.contains("method=PUT path=/v2/team/app/manifests/v1 status=201") && log.contains("stopped"),
        "{log}"
    );

    // A server that can't start ends the job instead of blocking it.
    let sandbox = Sandbox::new();
    let broken = script.replace("127.0.0.1:0", "127.0.0.1:99999");
    assert_ne!(&broken, script);
    let output = sandbox.feed(
        Path::new("/bin/sh"),
        &["-eu"],
        &format!("oras() {{ {} \"$@\"; }}\n{broken}", ours().display()),
    );
    assert!(!output.status.success() && texts(&output).0.contains("99999"), "{output:?}");
}

#[test]
fn air_gap_scripts_of_docs_work() {
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello");
    let (app, tool);
    {
        let source = Served::start(&sandbox, &["source"]);
        for name in ["team/app", "team/tool"] {
            let reference = format!("{}/{name}:v1", source.host());
            sandbox.oras(&["push", &reference, "hi.txt"]);
            sandbox.oras(&["attach", &reference, "hi.txt", "--artifact-type", "a/b"]);
        }
        let [first, second] = &scripts("Across an air gap")[..] else { panic!("two scripts") };
        run(&sandbox, first, &source.host());
        run(&sandbox, second, &source.host());
        app = sandbox.oras(&["resolve", &format!("{}/team/app:v1", source.host())]);
        tool = sandbox.oras(&["resolve", &format!("{}/team/tool:v1", source.host())]);
    }
    std::fs::remove_dir_all(sandbox.path("source")).unwrap();
    std::fs::remove_dir_all(sandbox.path("registry")).unwrap();
    sandbox.ok(Path::new("tar"), &["-xf", "registry.tar"]);
    let of_file = Served::start(&sandbox, &["--repository", "team/app", "app.tar"]);
    let of_directory = Served::start(&sandbox, &["--read-only", "registry"]);
    let internal = Served::start(&sandbox, &["internal"]);
    sandbox.oras(&["restore", "--input", "app.tar", &format!("{}/team/app", internal.host())]);
    for (served, name, digest) in [
        (&of_file, "team/app", &app),
        (&of_directory, "team/app", &app),
        (&of_directory, "team/tool", &tool),
        (&internal, "team/app", &app),
    ] {
        let reference = format!("{}/{name}:v1", served.host());
        assert_eq!(&sandbox.oras(&["resolve", &reference]), digest, "{reference}");
        assert!(sandbox.oras(&["discover", &reference]).contains("a/b"), "{reference}");
    }
}
