//! Credential storage: a real keychain, plain files, and the files of other tools.

use std::path::Path;
use std::process::Command;

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};

use crate::sandbox::{Sandbox, ours, texts};

#[test]
fn login_stores_credentials_in_pass() {
    let test = "login_stores_credentials_in_pass";
    let Some(helper) = peers::find_or_skip(peers::CREDENTIAL_PASS, test) else { return };
    for program in ["pass", "gpg"] {
        if peers::system_or_skip(program, test).is_none() {
            return;
        }
    }
    let options = Options { password: true, ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    let sandbox = Sandbox::new();
    sandbox.file("hi.txt", "hello world\n");
    let home = sandbox.work().parent().unwrap().join("home");
    let run = |program: &Path, words: &[&str], input: &str| {
        let mut command = sandbox.command(program, words);
        let path = format!("{}:/usr/bin:/bin", helper.parent().unwrap().display());
        command.env("PATH", path).env("GNUPGHOME", home.join("gnupg"));
        sandbox.feed_command(command, input)
    };
    let must = |program: &str, words: &[&str]| {
        let output = run(Path::new(program), words, "");
        assert!(output.status.success(), "{program} {words:?}: {}", texts(&output).1);
    };
    must("/bin/mkdir", &["-m", "700", &home.join("gnupg").display().to_string()]);
    let words =
        ["--batch", "--passphrase", "", "--quick-generate-key", "oras@example.test", "default", "default"];
    must("/usr/bin/gpg", &words);
    must("/usr/bin/pass", &["init", "oras@example.test"]);
    sandbox.file("config.json", r#"{"credsStore":"pass"}"#);
    let (host, reference) = (registry.host(), format!("{}/a:v1", registry.host()));
    let oras = |words: &[&str], input: &str| {
        run(&ours(), &[words, &["--registry-config", "config.json"]].concat(), input)
    };

    let output = oras(&["login", &host, "-u", USER, "--password-stdin"], PASSWORD);
    assert!(output.status.success(), "{}", texts(&output).1);
    let text = std::fs::read_to_string(sandbox.path("config.json")).unwrap();
    assert!(!text.contains("auths"), "the secret is in the keychain alone: {text}");
    let output = oras(&["push", &reference, "hi.txt"], "");
    assert!(output.status.success(), "{}", texts(&output).1);
    let (out, _) = texts(&oras(&["login", "--check", &host], ""));
    assert_eq!(
        out,
        format!("{host}: password of \"user\" from docker-credential-pass, which config.json names\n")
    );
    let output = oras(&["logout", &host], "");
    assert!(output.status.success(), "{}", texts(&output).1);
    let (_, err) = texts(&oras(&["pull", &reference, "-o", "out"], ""));
    assert!(err.contains("basic credential not found"), "{err}");
    // The agent that holds the key must end with the test.
    drop(
        Command::new("/usr/bin/gpgconf")
            .env("GNUPGHOME", home.join("gnupg"))
            .args(["--kill", "all"])
            .status(),
    );
}

#[test]
fn login_warns_about_unencrypted_secret() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let login = |path: &str| {
        let words = ["login", &registry.host(), "-u", USER, "--password-stdin"];
        let mut command = sandbox.command(&ours(), &words);
        command.env("PATH", path);
        let output = sandbox.feed_command(command, PASSWORD);
        assert!(output.status.success(), "{}", texts(&output).1);
        texts(&output).1
    };
    assert_eq!(login("/nowhere"), "");
    sandbox.file("bin/docker-credential-pass", "");
    let told = login(&sandbox.path("bin").display().to_string());
    assert!(
        told.contains("will not be encrypted in ") && told.contains("\"credsStore\": \"pass\""),
        "{told}"
    );
}

#[test]
fn reads_containers_auth_files_last() {
    let test = "reads_containers_auth_files_last";
    let options = Options { password: true, ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    let (sandbox, host) = (Sandbox::new(), registry.host());
    sandbox.file("hi.txt", "hello world\n");
    let entries = |keys: &[(&str, &str)]| {
        let entry = |(key, auth): &(&str, &str)| format!("\"{host}{key}\":{{\"auth\":\"{auth}\"}}");
        format!("{{\"auths\":{{{}}}}}", keys.iter().map(entry).collect::<Vec<_>>().join(","))
    };
    // The user with the right password, and an unknown user.
    let (good, bad) = ("dXNlcjpwYXNz", "bm9ib2R5Om5vdGhpbmc=");
    sandbox.file("run/containers/auth.json", entries(&[("/team", good), ("", bad)]));
    sandbox.file("own.json", entries(&[("/team/a", good)]));
    let push = |repository: &str, variable: &str, value: &str| {
        let mut command = sandbox.command(&ours(), &["push", &format!("{host}/{repository}:v1"), "hi.txt"]);
        command.env_remove("XDG_RUNTIME_DIR").env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_CONFIG_HOME");
        command.env(variable, sandbox.path(value));
        sandbox.feed_command(command, "").status.success()
    };
    assert!(push("team/a", "XDG_RUNTIME_DIR", "run"));
    assert!(push("team/b/c", "XDG_RUNTIME_DIR", "run"));
    assert!(!push("teams/b", "XDG_RUNTIME_DIR", "run"));
    assert!(push("team/a", "REGISTRY_AUTH_FILE", "own.json"));
    assert!(!push("team/b", "REGISTRY_AUTH_FILE", "own.json"));
    // Docker's configuration has precedence.
    let home = sandbox.work().parent().unwrap().join("home/.docker/config.json");
    let words = ["login", &host, "-u", USER, "--password-stdin"];
    assert!(sandbox.feed(&ours(), &words, PASSWORD).status.success() && home.exists());
    assert!(push("teams/b", "XDG_RUNTIME_DIR", "run"));
}
