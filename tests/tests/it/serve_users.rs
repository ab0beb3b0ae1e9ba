//! `oras serve` with TLS and with users, and the clients that people have.

use std::time::Duration;

use oras_testkit::certificates::{Certificate, self_signed};
use oras_testkit::peers;
use oras_testkit::registry::{PASSWORD, USER};

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// [`USER`] with [`PASSWORD`], by bcrypt of the lowest cost.
const HTPASSWD: &str = "# people\nuser:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n";

fn certificate(sandbox: &Sandbox, test: &str) -> Option<Certificate> {
    let made = self_signed(&sandbox.work(), "server", &[]);
    if made.is_none() {
        peers::skipped("openssl", test);
    }
    made
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn users_push_and_everybody_pulls_over_tls() {
    let test = "users_push_and_everybody_pulls_over_tls";
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.file("users", HTPASSWD);
    let Some(made) = certificate(&sandbox, test) else { return };
    let (cert, key) = (text(&made.certificate), text(&made.key));
    let tls = ["--cert-file", cert, "--key-file", key];
    let words = [&tls[..], &["--htpasswd", "users", "--anonymous-pull", "root"]].concat();
    let served = Served::start(&sandbox, &words);
    // By its address: `localhost` means plain HTTP to every client.
    let host = served.address();
    let reference = format!("{host}/team/app:v1");
    let trust = ["--ca-file", cert];
    let run = |program: &std::path::Path, words: &[&str]| sandbox.run(program, &[words, &trust].concat());
    let fails = |program: &std::path::Path, words: &[&str]| {
        let output = run(program, words);
        assert!(!output.status.success(), "{words:?} {output:?}");
        texts(&output).1
    };
    let ours = ours();
    assert!(fails(&ours, &["push", &reference, "hi.txt"]).contains("basic credential not found"));
    fails(&ours, &["login", "-u", USER, "-p", "wrong", host]);
    fails(&ours, &["login", "-u", "nobody", "-p", PASSWORD, host]);
    fails(&ours, &["push", "-u", USER, "-p", "wrong", &reference, "hi.txt"]);
    // Whoever does not trust the certificate sends nothing.
    assert!(!sandbox.run(&ours, &["resolve", &reference]).status.success());

    let logged_in = [&["login", "-u", USER, "-p", PASSWORD, host][..], &trust].concat();
    sandbox.ok(&ours, &logged_in);
    sandbox.ok(&ours, &[&["push", &reference, "hi.txt", "d"][..], &trust].concat());
    sandbox.ok(&ours, &[&["logout", host][..]].concat());
    sandbox.ok(&ours, &[&["pull", "-o", "out", &reference][..], &trust].concat());
    assert!(sandbox.path("out/d/sub/deep/b.bin").is_file());
    assert!(fails(&ours, &["push", &reference, "hi.txt"]).contains("basic credential not found"));

    if let Some(go) = peers::find_or_skip(peers::ORAS, test) {
        fails(&go, &["login", "-u", USER, "-p", "wrong", host]);
        sandbox.ok(&go, &logged_in);
        let copy = format!("{host}/go/app:v1");
        sandbox.ok(&go, &["cp", "--from-ca-file", cert, "--to-ca-file", cert, &reference, &copy]);
        sandbox.ok(&go, &[&["logout", host][..]].concat());
        sandbox.ok(&go, &[&["pull", "-o", "go", &copy][..], &trust].concat());
        fails(&go, &["push", &copy, "hi.txt"]);
    }
    if let Some(crane) = peers::find_or_skip(peers::CRANE, test) {
        let with = |words: &[&str]| {
            let mut command = sandbox.command(&crane, words);
            let output = command.env("SSL_CERT_FILE", cert).output().unwrap();
            (output.status.success(), texts(&output).1)
        };
        let copy = format!("{host}/crane/app:v1");
        assert!(with(&["digest", &reference]).0);
        assert!(!with(&["copy", &reference, &copy]).0);
        let logged_in = with(&["auth", "login", "-u", USER, "-p", PASSWORD, host]);
        assert!(logged_in.0, "{}", logged_in.1);
        let copied = with(&["copy", &reference, &copy]);
        assert!(copied.0, "{}", copied.1);
        // skopeo would read what it keeps.
        assert!(with(&["auth", "logout", host]).0);
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let (source, target) = (format!("docker://{reference}"), format!("docker://{host}/skopeo/app:v1"));
        let plain = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
        let anonymous = [&plain[..], &[&source, &target]].concat();
        assert!(!sandbox.run(&skopeo, &anonymous).status.success());
        let credentials = format!("--dest-creds={USER}:{PASSWORD}");
        sandbox.ok(&skopeo, &[&plain[..], &[&credentials, &source, &target]].concat());
    }
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(!log.contains(PASSWORD) && !log.to_lowercase().contains("authorization"), "{log}");
}

#[test]
fn a_renewed_certificate_is_shown() {
    let test = "a_renewed_certificate_is_shown";
    let sandbox = Sandbox::new();
    let Some(made) = certificate(&sandbox, test) else { return };
    let (cert, key) = (text(&made.certificate), text(&made.key));
    let served = Served::start(&sandbox, &["--cert-file", cert, "--key-file", key]);
    let asks =
        |ca: &str| sandbox.run(&ours(), &["repo", "ls", served.address(), "--ca-file", ca]).status.success();
    std::fs::copy(cert, sandbox.path("old.pem")).unwrap();
    assert!(asks("old.pem"));
    // Half of a renewal: the old one goes on.
    sandbox.file("server.crt.new", "no certificate");
    std::fs::rename(sandbox.path("server.crt.new"), cert).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert!(asks("old.pem"));
    certificate(&sandbox, test).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert!(asks(cert) && !asks("old.pem"));
}

#[test]
fn what_cannot_protect_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.file("none", "# nobody\n");
    sandbox.file("weak", "user:$apr1$abcdefgh$abcdefghijklmnopqrstuv\n");
    sandbox.file("text", "no certificate");
    for (words, said) in [
        (&["--htpasswd", "none"][..], "no users"),
        (&["--htpasswd", "weak"], "weak: line 1: not a name and a hash of bcrypt"),
        (&["--htpasswd", "absent"], "no such file"),
        (&["--anonymous-pull"], "needs `--htpasswd`"),
        (&["--cert-file", "text"], "go together"),
        (&["--cert-file", "text", "--key-file", "text"], "text: "),
        (&["--cert-file", "absent", "--key-file", "text"], "absent: "),
    ] {
        let output = sandbox.run(&ours(), &[&["serve", "--addr", "127.0.0.1:0"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(texts(&output).1.contains(said), "{words:?} {output:?}");
    }
}
