//! Credentials in a real keychain: `docker-credential-pass`, with a key and a store of its own.

use std::path::Path;
use std::process::Command;

use oras_testkit::peers;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};

use crate::sandbox::{Sandbox, ours, texts};

#[test]
fn pass_keeps_what_login_stores() {
    let test = "pass_keeps_what_login_stores";
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
    // The agent that keeps the key must not outlive the test.
    drop(
        Command::new("/usr/bin/gpgconf")
            .env("GNUPGHOME", home.join("gnupg"))
            .args(["--kill", "all"])
            .status(),
    );
}
