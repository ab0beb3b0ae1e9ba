//! The scripts of `docs/serve.md` do what the page says.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// The blocks of shell below a heading.
fn scripts(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/serve.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

/// Runs it with ours on the path; all that it printed.
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
fn a_job_has_a_registry_of_its_own() {
    let sandbox = Sandbox::new();
    let [script] = &scripts("In a CI job")[..] else { panic!("one script") };
    let said = run(&sandbox, script, "");
    assert!(said.contains("Pushed"), "{said}");
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(
        log.contains("method=PUT path=/v2/team/app/manifests/v1 status=201") && log.contains("stopped"),
        "{log}"
    );

    // One that can't start ends the job, instead of letting it wait.
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
fn what_crosses_the_gap_is_served() {
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
