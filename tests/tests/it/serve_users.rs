//! `oras serve` with TLS and users, and common clients.

use std::time::Duration;

use oras_testkit::certificates::{Certificate, self_signed};
use oras_testkit::peers;
use oras_testkit::registry::{PASSWORD, USER};

use crate::sandbox::{Sandbox, ours, texts};
use crate::serve::Served;

/// [`USER`] with [`PASSWORD`], hashed by bcrypt with the lowest cost.
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
fn users_push_and_anonymous_clients_pull_over_tls() {
    let test = "users_push_and_anonymous_clients_pull_over_tls";
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.file("users", HTPASSWD);
    let Some(made) = certificate(&sandbox, test) else { return };
    let (cert, key) = (text(&made.certificate), text(&made.key));
    let tls = ["--cert-file", cert, "--key-file", key];
    let words = [&tls[..], &["--htpasswd", "users", "--anonymous-pull", "root"]].concat();
    let served = Served::start(&sandbox, &words);
    // References use the IP address, because every client uses plain HTTP for `localhost`.
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
    assert!(fails(&ours, &["push", &reference, "hi.txt"]).contains("authentication required"));
    fails(&ours, &["login", "-u", USER, "-p", "wrong", host]);
    fails(&ours, &["login", "-u", "nobody", "-p", PASSWORD, host]);
    fails(&ours, &["push", "-u", USER, "-p", "wrong", &reference, "hi.txt"]);
    // A client that does not trust the certificate fails.
    assert!(!sandbox.run(&ours, &["resolve", &reference]).status.success());

    let logged_in = [&["login", "-u", USER, "-p", PASSWORD, host][..], &trust].concat();
    sandbox.ok(&ours, &logged_in);
    sandbox.ok(&ours, &[&["push", &reference, "hi.txt", "d"][..], &trust].concat());
    sandbox.ok(&ours, &[&["logout", host][..]].concat());
    sandbox.ok(&ours, &[&["pull", "-o", "out", &reference][..], &trust].concat());
    assert!(sandbox.path("out/d/sub/deep/b.bin").is_file());
    assert!(fails(&ours, &["push", &reference, "hi.txt"]).contains("authentication required"));

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
        // skopeo would otherwise read the stored credentials.
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
    assert!(
        log.contains("method=GET path=/token status=200")
            && log.contains("status=201")
            && log.contains("user=user"),
        "{log}"
    );
    assert!(!log.contains(PASSWORD) && !log.to_lowercase().contains("authorization"), "{log}");
}

/// Two users with [`PASSWORD`] each: one works in `team/`, the other only reads there.
const TWO: &str = "user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n\
    reader:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n";

const RULES: &str = r#"
[[rule]]
repositories = ["team/**"]
users = ["user"]
allow = ["pull", "push", "delete"]

[[rule]]
repositories = ["team/**"]
users = ["*"]
allow = ["pull"]

[[rule]]
repositories = ["user/**"]
users = ["user"]
allow = ["pull", "push"]
"#;

#[test]
fn enforces_rules_for_common_clients() {
    let test = "enforces_rules_for_common_clients";
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.file("users", TWO);
    sandbox.file("rules.toml", RULES);
    let served = Served::start(&sandbox, &["--htpasswd", "users", "--rules", "rules.toml", "root"]);
    let host = served.host();
    let (team, private) = (format!("{host}/team/app:v1"), format!("{host}/user/app:v1"));
    let fails = |program: &std::path::Path, words: &[&str]| {
        let output = sandbox.run(program, words);
        assert!(!output.status.success(), "{words:?} {output:?}");
        texts(&output).1
    };
    let ours = ours();
    let as_user = ["-u", USER, "-p", PASSWORD];
    let as_reader = ["-u", "reader", "-p", PASSWORD];
    for reference in [&team, &private] {
        sandbox.ok(&ours, &[&["push", reference, "hi.txt", "d"][..], &as_user].concat());
        sandbox.ok(&ours, &[&["push", reference, "hi.txt", "d"][..], &as_user].concat());
    }
    let copy = format!("{host}/team/copy:v1");
    let both = [
        "--from-username",
        USER,
        "--from-password",
        PASSWORD,
        "--to-username",
        USER,
        "--to-password",
        PASSWORD,
    ];
    sandbox.ok(&ours, &[&["cp", &private, &copy][..], &both].concat());
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(
        !log.contains("method=PATCH")
            && !log.contains("method=POST path=/v2/team/copy/blobs/uploads/ status=202"),
        "all is mounted: {log}"
    );

    let mut clients = vec![ours.clone()];
    clients.extend(peers::find_or_skip(peers::ORAS, test));
    for oras in &clients {
        sandbox.ok(oras, &[&["login", "--plain-http", &host][..], &as_reader].concat());
        sandbox.ok(oras, &["pull", "-o", "out", &team]);
        assert!(fails(oras, &["push", &team, "hi.txt"]).contains("denied"));
        fails(oras, &["pull", "-o", "out", &private]);
        fails(oras, &["manifest", "delete", "-f", &team]);
        assert_eq!(sandbox.ok(oras, &["repo", "ls", &host]), "team/app\nteam/copy\n");
        sandbox.ok(oras, &["logout", &host]);
        fails(oras, &["pull", "-o", "out", &team]);
        sandbox.ok(oras, &[&["login", "--plain-http", &host][..], &as_user].concat());
        sandbox.ok(oras, &["push", &copy, "hi.txt"]);
        sandbox.ok(oras, &["manifest", "delete", "-f", &copy]);
        sandbox.ok(oras, &["logout", &host]);
    }
    if let Some(crane) = peers::find_or_skip(peers::CRANE, test) {
        let login = |name| sandbox.ok(&crane, &["auth", "login", "-u", name, "-p", PASSWORD, &host]);
        login("reader");
        sandbox.ok(&crane, &["digest", &team]);
        fails(&crane, &["copy", &team, &copy]);
        fails(&crane, &["digest", &private]);
        assert_eq!(sandbox.ok(&crane, &["catalog", &host]), "team/app\nteam/copy\n");
        login(USER);
        sandbox.ok(&crane, &["copy", &private, &copy]);
        sandbox.ok(&crane, &["auth", "logout", &host]);
        fails(&crane, &["digest", &team]);
    }
    if let Some(regctl) = peers::find_or_skip(peers::REGCTL, test) {
        let login = |name| {
            let words = ["registry", "set", "--tls", "disabled", "--skip-check", &host];
            sandbox.ok(&regctl, &words);
            let output = sandbox.run(&regctl, &["registry", "login", "-u", name, "-p", PASSWORD, &host]);
            assert!(output.status.success(), "{output:?}");
        };
        login("reader");
        sandbox.ok(&regctl, &["tag", "ls", &format!("{host}/team/app")]);
        fails(&regctl, &["image", "copy", &team, &format!("{host}/team/regctl:v1")]);
        fails(&regctl, &["tag", "ls", &format!("{host}/user/app")]);
        login(USER);
        sandbox.ok(&regctl, &["image", "copy", &private, &format!("{host}/team/regctl:v1")]);
        sandbox.ok(&regctl, &["registry", "logout", &host]);
    }
    if let Some(skopeo) = peers::system_or_skip("skopeo", test) {
        let (source, target) = (format!("docker://{team}"), format!("docker://{host}/team/skopeo:v1"));
        let copy = |name: &str| {
            let credentials =
                [format!("--src-creds={name}:{PASSWORD}"), format!("--dest-creds={name}:{PASSWORD}")];
            let plain = ["--insecure-policy", "copy", "--src-tls-verify=false", "--dest-tls-verify=false"];
            sandbox
                .run(&skopeo, &[&plain[..], &[&credentials[0], &credentials[1], &source, &target]].concat())
        };
        assert!(!copy("reader").status.success());
        let copied = copy(USER);
        assert!(copied.status.success(), "{copied:?}");
        let credentials = format!("--creds={USER}:{PASSWORD}");
        sandbox.ok(&skopeo, &["delete", "--tls-verify=false", &credentials, &target]);
    }
}

#[test]
fn reloads_users_while_running() {
    let sandbox = Sandbox::new();
    sandbox.tree();
    sandbox.file("users", HTPASSWD);
    let served = Served::start(&sandbox, &["--htpasswd", "users", "root"]);
    let reference = format!("{}/team/app:v1", served.host());
    let enters = |name: &str| {
        // The server checks the file at most once a second.
        std::thread::sleep(Duration::from_millis(1100));
        sandbox.run(&ours(), &["push", "-u", name, "-p", PASSWORD, &reference, "hi.txt"]).status.success()
    };
    let replace = |users: &str| {
        sandbox.file("users.new", users);
        std::fs::rename(sandbox.path("users.new"), sandbox.path("users")).unwrap();
    };
    assert!(enters(USER) && !enters("late"));
    replace(&HTPASSWD.replace("user:", "late:"));
    assert!(!enters(USER) && enters("late"));
    // A truncated or empty file changes nothing: the server keeps the previous users.
    for unusable in ["late", ""] {
        replace(unusable);
        assert!(!enters(USER) && enters("late"), "{unusable:?}");
    }
    let log = std::fs::read_to_string(sandbox.path("serve.log")).unwrap();
    assert!(
        log.contains("the users read again") && log.contains("the users changed and can't be used"),
        "{log}"
    );
}

#[test]
fn reloads_renewed_certificate() {
    let test = "reloads_renewed_certificate";
    let sandbox = Sandbox::new();
    let Some(made) = certificate(&sandbox, test) else { return };
    let (cert, key) = (text(&made.certificate), text(&made.key));
    let served = Served::start(&sandbox, &["--cert-file", cert, "--key-file", key]);
    let asks =
        |ca: &str| sandbox.run(&ours(), &["repo", "ls", served.address(), "--ca-file", ca]).status.success();
    std::fs::copy(cert, sandbox.path("old.pem")).unwrap();
    assert!(asks("old.pem"));
    // During an incomplete renewal, the server keeps the old certificate.
    sandbox.file("server.crt.new", "no certificate");
    std::fs::rename(sandbox.path("server.crt.new"), cert).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert!(asks("old.pem"));
    certificate(&sandbox, test).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert!(asks(cert) && !asks("old.pem"));
}

#[test]
fn rejects_insecure_options() {
    let sandbox = Sandbox::new();
    sandbox.file("none", "# nobody\n");
    sandbox.file("weak", "user:$apr1$abcdefgh$abcdefghijklmnopqrstuv\n");
    sandbox.file("text", "no certificate");
    sandbox.file("users", HTPASSWD);
    sandbox.file("rules", "[[rule]]\nrepositories = []\nusers = []\nallow = [\"read\"]\n");
    for (words, said) in [
        (&["--htpasswd", "none"][..], "no users"),
        (&["--htpasswd", "weak"], "weak: line 1: the password of \"user\" is an Apache MD5 hash"),
        (&["--htpasswd", "absent"], "absent: No such file"),
        (&["--anonymous-pull"], "needs `--htpasswd`"),
        (&["--rules", "text"], "needs `--htpasswd`"),
        (&["--rules", "text", "--htpasswd", "users", "--anonymous-pull"], "cannot be both used"),
        (&["--rules", "text", "--htpasswd", "users"], "text: line 1: key with no value, expected `=`"),
        (&["--rules", "absent", "--htpasswd", "users"], "absent: "),
        (
            &["--rules", "rules", "--htpasswd", "users"],
            "rules: line 4: unknown variant `read`, expected one of",
        ),
        (&["--public-url", "registry.example"], "is not a URL such as"),
        (&["--cert-file", "text"], "go together"),
        (&["--cert-file", "text", "--key-file", "text"], "text: "),
        (&["--cert-file", "absent", "--key-file", "text"], "absent: "),
    ] {
        let output = sandbox.run(&ours(), &[&["serve", "--addr", "127.0.0.1:0"], words].concat());
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(texts(&output).1.contains(said), "{words:?} {output:?}");
    }
}

/// Sends bodies of 1 MB without credentials. Reads the response only after it has sent the whole body.
const SEND_THEN_READ: &str = "
import http.client, os, ssl, sys
bad = []
for number in range(20):
    connection = http.client.HTTPSConnection(sys.argv[1], context=ssl._create_unverified_context(), timeout=30)
    try:
        connection.request('PUT', '/v2/e/x/blobs/uploads/1?digest=sha256:' + '0' * 64, body=os.urandom(1_000_000))
        status = connection.getresponse().status
        if status != 401: bad.append(status)
    except OSError as error:
        bad.append(repr(error))
print(bad)
sys.exit(len(bad) > 0)
";

#[test]
fn clients_that_send_body_first_see_rejection_over_tls() {
    let test = "clients_that_send_body_first_see_rejection_over_tls";
    let sandbox = Sandbox::new();
    sandbox.file("users", HTPASSWD);
    let Some(python) = peers::system_or_skip("python3", test) else { return };
    let Some(made) = certificate(&sandbox, test) else { return };
    let (cert, key) = (text(&made.certificate), text(&made.key));
    let served =
        Served::start(&sandbox, &["--cert-file", cert, "--key-file", key, "--htpasswd", "users", "root"]);
    sandbox.ok(&python, &["-c", SEND_THEN_READ, served.address()]);
}
