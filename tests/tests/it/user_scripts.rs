//! Runs scripts as users write them, first with the Go `oras` on the path, then unchanged with our tool.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};

use crate::sandbox::{Sandbox, ours, texts};

/// Returns the output and exit status of a script, without the parts that differ in each run.
fn play(script: &Path, oras: &Path, secure: &str) -> (Option<i32>, Vec<String>, String) {
    let (first, second) = (Process::ours(&[]), Process::ours(&["--no-referrers"]));
    let sandbox = Sandbox::new();
    let bin = sandbox.work().parent().unwrap().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(oras, bin.join("oras")).unwrap();
    let mut command = sandbox.command(Path::new("/bin/bash"), &["-eu", &script.display().to_string()]);
    command
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
        .env("REGISTRY", first.host())
        .env("SECOND", second.host())
        .env("SECURE", secure)
        .env("REGISTRY_USER", USER)
        .env("REGISTRY_PASSWORD", PASSWORD);
    let output = command.output().unwrap();
    let (out, err) = texts(&output);
    let normal = |text: String| {
        text.replace(&first.host(), "FIRST")
            .replace(&second.host(), "SECOND")
            .replace(secure, "SECURE")
            .replace(&sandbox.work().parent().unwrap().display().to_string(), "SANDBOX")
    };
    // Transfers run concurrently, so their lines have no fixed order.
    // Only our tool prints hints. A script may redirect them to its output.
    let without_hints = |text: String| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("Hint: ")).map(ToOwned::to_owned).collect()
    };
    let mut lines: Vec<String> = without_hints(normal(out));
    lines.sort();
    (output.status.code(), lines, without_hints(normal(err)).join("\n"))
}

#[test]
fn user_scripts_run_unchanged_with_both_tools() {
    const TEST: &str = "user_scripts_run_unchanged_with_both_tools";
    let Some(go) = peers::find_or_skip(peers::ORAS, TEST) else { return };
    let options = Options { password: true, ..Options::default() };
    let Some(secure) = Process::start(Flavor::Distribution, &options, TEST) else { return };
    let mut scripts: Vec<PathBuf> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    scripts.sort();
    assert!(scripts.len() >= 10, "{scripts:?}");
    for script in scripts {
        let (go, ours) = (play(&script, &go, &secure.host()), play(&script, &ours(), &secure.host()));
        assert_eq!(ours, go, "{}", script.display());
        assert_eq!(go.0, Some(0), "{}: {go:?}", script.display());
    }
}
