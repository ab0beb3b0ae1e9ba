//! `doctor`: registries and their lacks, certificates, clocks, secrets, and what it must not send.

use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_testkit::peers;
use oras_testkit::recorder::Recorder;
use oras_testkit::registry::{Flavor, Options, PASSWORD, Process, USER};
use oras_testkit::scripted::{Reply, Scripted};
use oras_testkit::token_server::{TokenServer, TokenServerOptions};
use serde_json::{Value, json};

use crate::sandbox::{Sandbox, ours, registries, texts};
use crate::serve::Served;
use crate::terminal::{Screen, run_on_terminal};
use crate::tls::{NAMES, self_signed, signed_by_request};

/// Runs `doctor` with these variables, which must exit with `status`. Returns its report.
fn examine_with(sandbox: &Sandbox, words: &[&str], variables: &[(&str, &str)], status: i32) -> Value {
    let mut command = sandbox.command(&ours(), &[&["doctor", "--format", "json"], words].concat());
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let (out, err) = texts(&output);
    assert_eq!(output.status.code(), Some(status), "{words:?}: {out}\n{err}");
    serde_json::from_str(&out).unwrap()
}

fn examine(sandbox: &Sandbox, words: &[&str], status: i32) -> Value {
    examine_with(sandbox, words, &[], status)
}

/// Returns a check of a report.
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut checks = report["checks"].as_array().unwrap().iter();
    checks.find(|check| check["name"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Returns the checks that did not end with `ok` or `skip`, with their results.
fn problems(report: &Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap().iter();
    let problems = checks.filter(|check| !["ok", "skip"].contains(&check["status"].as_str().unwrap()));
    problems
        .map(|check| format!("{} {}", check["name"].as_str().unwrap(), check["status"].as_str().unwrap()))
        .collect()
}

#[test]
fn examines_registries_by_requests_that_read() {
    for (name, registry) in registries("examines_registries_by_requests_that_read") {
        let sandbox = Sandbox::new();
        sandbox.file("hi.txt", "hello world\n");
        let recorder = Recorder::new(registry.port());
        let reference = format!("{}/doctor:v1", recorder.host());
        sandbox.oras(&["push", &format!("{}/doctor:v1", registry.host()), "hi.txt"]);
        let report = examine(&sandbox, &[&reference], 0);
        for (check_name, status) in [
            ("version", "ok"),
            ("name-resolution", "ok"),
            ("connection", "ok"),
            ("api", "ok"),
            ("credential", "ok"),
            ("tag-list", "ok"),
            ("manifest", "ok"),
            ("mount", "skip"),
        ] {
            assert_eq!(check(&report, check_name)["status"], status, "{name}: {report}");
        }
        let referrers = &check(&report, "referrers-api")["status"];
        assert!(referrers == "ok" || referrers == "warn", "{name}: {report}");
        if name.starts_with("ours") {
            let lacks = if name == "ours" { json!("ok") } else { json!("warn") };
            assert_eq!(
                (referrers, &check(&report, "ranges")["status"]),
                (&lacks, &json!("ok")),
                "{name}: {report}"
            );
        }
        for request in recorder.take() {
            assert!(
                ["GET", "HEAD"].contains(&request.method.as_str()),
                "{name}: {} {}",
                request.method,
                request.target
            );
        }
    }
}

#[test]
fn examines_this_machine_without_reference() {
    let sandbox = Sandbox::new();
    let report = examine(&sandbox, &[], 0);
    assert_eq!(check(&report, "credential-files")["message"], "no credential file");
    assert_eq!(check(&report, "cache")["message"], "not used");
    sandbox.file("cache/blob", [0; 1000]);
    let cache = sandbox.path("cache").display().to_string();
    let report = examine_with(&sandbox, &[], &[("ORAS_CACHE", &cache)], 0);
    assert_eq!(check(&report, "cache")["message"], format!("{cache} is writable, 1000 bytes in 1 file"));
    // A file where the directory should be.
    let file = sandbox.file("file", "").display().to_string();
    let report = examine_with(&sandbox, &[], &[("ORAS_CACHE", &file)], 1);
    assert_eq!(problems(&report), ["cache fail"], "{report}");
    assert!(check(&report, "cache")["advice"].as_str().unwrap().contains("ORAS_CACHE"), "{report}");

    let malformed = sandbox.file("config.json", "{").display().to_string();
    let report = examine(&sandbox, &["--registry-config", &malformed], 1);
    assert!(check(&report, "configuration")["message"].as_str().unwrap().contains(&malformed), "{report}");
    let text = sandbox.oras(&["doctor"]);
    assert!(text.contains("ok    version") && text.trim_end().ends_with("0 failures"), "{text}");
}

#[test]
fn names_the_first_thing_that_fails() {
    let sandbox = Sandbox::new();
    let report = examine(&sandbox, &["nothing.invalid/a:v1"], 1);
    assert_eq!(problems(&report), ["name-resolution fail"], "{report}");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let report = examine(&sandbox, &[&format!("{closed}/a:v1")], 1);
    assert_eq!(problems(&report), ["connection fail"], "{report}");
    let report = examine(&sandbox, &["UPPER/Case:v1"], 1);
    assert_eq!(problems(&report), ["reference fail"], "{report}");
    let page = Scripted::start(|_| Reply::new(404).body("<html>"));
    let report = examine(&sandbox, &[&page.host()], 1);
    assert_eq!(problems(&report)[0], "api fail", "{report}");
    let registry = Process::ours(&[]);
    let report = examine(&sandbox, &[&format!("{}/missing:v1", registry.host())], 1);
    assert!(problems(&report).iter().all(|problem| problem.ends_with(" fail")), "{report}");
    // A server without TLS.
    let report = examine(&sandbox, &[&registry.host(), "--plain-http=false"], 1);
    assert_eq!(problems(&report), ["tls-certificate fail"], "{report}");
    assert!(
        check(&report, "tls-certificate")["advice"].as_str().unwrap().contains("--plain-http"),
        "{report}"
    );
}

#[test]
fn compares_clocks() {
    let sandbox = Sandbox::new();
    for (seconds, status) in
        [(0_i64, "ok"), (600, "warn"), (-600, "warn"), (200_000, "fail"), (-200_000, "fail")]
    {
        let server = Scripted::start(move |_| {
            let now = std::time::SystemTime::now();
            let offset = std::time::Duration::from_secs(seconds.unsigned_abs());
            let date = if seconds < 0 { now - offset } else { now + offset };
            Reply::new(200).header("Date", httpdate::fmt_http_date(date))
        });
        let report = examine(&sandbox, &[&server.host()], i32::from(status == "fail"));
        assert_eq!(check(&report, "clock")["status"], status, "{seconds}: {report}");
    }
}

#[test]
fn describes_certificates() {
    let sandbox = Sandbox::new();
    let names = |days: &'static str| [&["-newkey", "rsa:2048", "-days", days], &NAMES[..]].concat();
    if !self_signed(&sandbox, "long", &names("90")) {
        return peers::skipped("openssl", "describes_certificates");
    }
    assert!(self_signed(&sandbox, "short", &names("2")));
    assert!(signed_by_request(&sandbox, "expired", &["-days", "-1", "-extfile", "names"]));
    for (name, status, problem) in [
        ("long", 0, None),
        ("short", 0, Some("tls-certificate warn")),
        ("expired", 1, Some("tls-certificate fail")),
    ] {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        let served = Served::start(&sandbox, &["--cert-file", &certificate, "--key-file", &key]);
        let report = examine(&sandbox, &[served.address(), "--ca-file", &certificate], status);
        assert_eq!(problems(&report).first().map(String::as_str), problem, "{name}: {report}");
        let message = check(&report, "tls-certificate")["message"].as_str().unwrap();
        assert!(message.contains("CN=test, issued by itself, valid until 20"), "{name}: {message}");
        let report = examine(&sandbox, &[served.address()], 1);
        assert!(problems(&report).contains(&"api fail".to_owned()), "{name}: {report}");
        assert!(check(&report, "api")["advice"].as_str().unwrap().contains("--ca-file"), "{name}: {report}");
        if name == "long" {
            let report = examine(&sandbox, &[served.address(), "--insecure"], 0);
            assert_eq!(problems(&report), ["tls-verification warn"], "{report}");
        }
    }
}

#[test]
fn reports_permissions_but_no_secrets() {
    let test = "reports_permissions_but_no_secrets";
    let sandbox = Sandbox::new();
    let Some(server) = TokenServer::start(&sandbox.work(), TokenServerOptions::default()) else {
        return peers::skipped("openssl", test);
    };
    let options = Options { tokens: Some(server.authority()), ..Options::default() };
    let Some(registry) = Process::start(Flavor::Distribution, &options, test) else { return };
    let host = registry.host();
    sandbox.file("hi.txt", "hello\n");
    let login = ["login", &host, "-u", USER, "--password-stdin"];
    assert!(sandbox.feed(&ours(), &login, PASSWORD).status.success());
    sandbox.oras(&["push", &format!("{host}/team/a:v1"), "hi.txt"]);
    let report = examine(&sandbox, &[&format!("{host}/team/a:v1")], 0);
    let granted = check(&report, "permissions")["message"].as_str().unwrap();
    assert!(granted.contains("repository:team/a:") && granted.contains("push"), "{report}");
    let credential = check(&report, "credential")["message"].as_str().unwrap();
    assert!(credential.starts_with("password in ") && credential.contains("config.json"), "{report}");
    // The kind of the credential is the same word as the password of the registry.
    let secrets = |report: &Value| {
        let text = report.to_string().replace("password in ", "");
        // Passwords and tokens in base64: `eyJ` begins each JSON Web Token.
        [PASSWORD, "eyJ", &STANDARD.encode(format!("{USER}:{PASSWORD}"))]
            .iter()
            .any(|secret| text.contains(secret))
    };
    assert!(!secrets(&report), "{report}");
    let report = examine(&sandbox, &[&format!("{host}/other/a")], 1);
    assert!(!secrets(&report), "{report}");
    // Flags and wrong passwords.
    for password in ["wrong-secret", PASSWORD] {
        let words = ["doctor", &format!("{host}/team/a:v1"), "-u", USER, "-p", password];
        let output = sandbox.run(&ours(), &words);
        let (out, err) = texts(&output);
        assert!(!out.contains("wrong-secret") && !err.contains("wrong-secret"), "{out}{err}");
        assert!(out.contains("given directly"), "{out}");
        let status = if password == PASSWORD { 0 } else { 1 };
        assert_eq!(output.status.code(), Some(status), "{out}{err}");
    }
}

#[test]
fn names_credential_helper_and_exposed_file() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let host = registry.host();
    let helper = sandbox.file(
        "bin/docker-credential-mine",
        "#!/bin/sh\necho '{\"ServerURL\":\"x\",\"Username\":\"me\",\"Secret\":\"helper-secret\"}'\n",
    );
    std::fs::set_permissions(&helper, PermissionsExt::from_mode(0o755)).unwrap();
    let config = sandbox.file("config.json", json!({"credHelpers": {&host: "mine"}}).to_string());
    std::fs::set_permissions(&config, PermissionsExt::from_mode(0o644)).unwrap();
    let path = format!("{}:{}", sandbox.path("bin").display(), "/usr/bin:/bin");
    let config = config.display().to_string();
    let report = examine_with(&sandbox, &[&host, "--registry-config", &config], &[("PATH", &path)], 0);
    assert_eq!(problems(&report), ["credential-files warn"], "{report}");
    assert!(
        check(&report, "credential-files")["advice"].as_str().unwrap().starts_with("Run chmod 600 "),
        "{report}"
    );
    let message = check(&report, "credential")["message"].as_str().unwrap();
    assert!(message.contains("docker-credential-mine") && message.contains(&config), "{report}");
    assert!(!report.to_string().contains("helper-secret"), "{report}");
}

#[test]
fn asks_mirrors_without_headers_of_registry() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    sandbox.file("hi.txt", "hello\n");
    let reference = format!("{}/team/a:v1", registry.host());
    sandbox.oras(&["push", &reference, "hi.txt"]);
    let mirror = Scripted::start(|_| Reply::new(200));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = |host: &str| format!("[[registry.mirror]]\nlocation = \"{host}\"\ninsecure = true\n");
    let conf = format!(
        "[[registry]]\nprefix = \"{0}\"\nlocation = \"{0}\"\n{1}{2}",
        registry.host(),
        table(&mirror.host()),
        table(&closed.to_string())
    );
    let conf = sandbox.file("registries.conf", conf).display().to_string();
    let words = [&reference, "-H", "X-Secret: header-secret"];
    let report = examine_with(&sandbox, &words, &[("CONTAINERS_REGISTRIES_CONF", &conf)], 0);
    let rule = check(&report, "mirrors")["message"].as_str().unwrap();
    assert!(rule.contains(&mirror.host()) && rule.contains(&conf), "{report}");
    let checks = report["checks"].as_array().unwrap().iter().filter(|check| check["name"] == "mirror");
    let statuses: Vec<_> = checks.map(|check| &check["status"]).collect();
    assert_eq!(statuses, ["ok", "warn"], "{report}");
    assert_eq!(mirror.lines(), ["GET /v2/"]);
    assert!(mirror.asked().iter().all(|asked| asked.header("x-secret").is_none()));
    assert!(!report.to_string().contains("header-secret"), "{report}");
}

#[test]
fn hides_secrets_of_proxies() {
    let sandbox = Sandbox::new();
    let proxy = Scripted::start(|_| Reply::new(502));
    for scheme in ["http", "socks5"] {
        let address = format!("{scheme}://user:secret-word@127.0.0.1:{}", proxy.port());
        let variables = [("HTTPS_PROXY", &*address), ("HTTP_PROXY", &*address)];
        for words in [&["registry.test/a:v1"][..], &["registry.test/a:v1", "--plain-http"]] {
            // The server is no SOCKS proxy and does not answer.
            let words = [words, &["--connect-timeout", "1s", "--idle-timeout", "1s"]].concat();
            let report = examine_with(&sandbox, &words, &variables, 1);
            assert!(!report.to_string().contains("secret-word"), "{scheme}: {report}");
            let shown = check(&report, "proxy")["message"].as_str().unwrap();
            assert!(shown.ends_with(&format!("://127.0.0.1:{}", proxy.port())), "{scheme}: {report}");
            assert_eq!(check(&report, "name-resolution")["status"], "skip", "{scheme}: {report}");
        }
    }
}

#[test]
fn hides_control_characters_and_fits_the_terminal() {
    let sandbox = Sandbox::new();
    let server = Scripted::start(|_| {
        Reply::new(401)
            .header("Server", "a\u{9b}2J very long name of a server that goes on ".repeat(4))
            .header("WWW-Authenticate", "Bearer realm=\"http://127.0.0.1:1/\u{9b}x?secret=1\"")
    });
    let words = ["doctor", &format!("{}/a:v1", server.host())];
    for columns in [60, 80, 120] {
        let shown = run_on_terminal(&sandbox, &words, Screen::All, columns, false);
        assert_eq!(shown.status.code(), Some(1));
        assert!(!shown.stdout.chars().any(|c| c.is_control() && !"\r\n".contains(c)), "{:?}", shown.stdout);
        assert!(!shown.stdout.contains("secret=1"), "{}", shown.stdout);
        let widest = shown.stdout.lines().map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns}: {}", shown.stdout);
    }
}
