//! Point 28: secrets appear in no output, log, error, child process, or file other than the configuration.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::fixtures::{holds, limited, serve};
use crate::security_case::{Case, honest, hostile};

/// The secret that must not appear anywhere.
const SECRET: &str = "tops3cret-0123456789";
/// `user:` and the secret, as Basic authentication encodes them.
const BASIC: &str = "dXNlcjp0b3BzM2NyZXQtMDEyMzQ1Njc4OQ==";
/// The token that the token server returns.
const TOKEN: &str = "t0ken-for-this-registry";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = shown();
    cases.extend(malformed());
    cases.extend(elsewhere());
    cases.extend(twins());
    cases
}

fn shown() -> Vec<Case> {
    vec![
        hostile(
            28,
            "password_in_output",
            "A password is in no output of a login, right or wrong.",
            |stage| {
                for right in [true, false] {
                    let server = basic(right);
                    let words = ["login", "-u", "user", "--password-stdin", "--debug", &server.host()];
                    hidden(&stage.feed(&words, SECRET))?;
                    let name = format!("{}/a", server.host());
                    hidden(
                        &stage.feed(&["repo", "tags", "-u", "user", "--password-stdin", "-d", &name], SECRET),
                    )?;
                }
                Ok(())
            },
        ),
        hostile(28, "identity_token_in_output", "An identity token is in no output.", |stage| {
            let server = bearer();
            let name = format!("{}/a:v1", server.host());
            let said = stage.feed(&["pull", "--identity-token-stdin", "-d", &name], SECRET);
            hidden(&said)?;
            let said = stage.feed(&["login", "--identity-token-stdin", "-d", &server.host()], SECRET);
            hidden(&said)
        }),
        hostile(
            28,
            "registry_token_in_output",
            "A registry token of the configuration is in no output.",
            |stage| {
                let server = bearer();
                stage.docker_config(&format!(
                    r#"{{"auths":{{"{}":{{"registrytoken":"{SECRET}"}}}}}}"#,
                    server.host()
                ));
                hidden(&stage.oras(&["pull", "-d", &format!("{}/a:v1", server.host())]))
            },
        ),
        hostile(28, "bearer_token_in_output", "A token of a token server is in no output.", |stage| {
            let server = bearer();
            let said = stage.oras(&["pull", "-d", &format!("{}/a:v1", server.host())]);
            hidden(said.works()?)
        }),
        hostile(28, "header_in_output", "A header of the user is in no output.", |stage| {
            let server = basic(true);
            let header = format!("X-Key: {SECRET}");
            let name = format!("{}/a", server.host());
            hidden(&stage.oras(&["repo", "tags", "-d", "-H", &header, &name]))
        }),
        hostile(28, "proxy_password_in_output", "The password of a proxy is in no output.", |stage| {
            let server = Scripted::start(|_| Reply::new(400).body("no"));
            let good = format!("http://user:{SECRET}@127.0.0.1:{}", server.port());
            let gone = format!("http://user:{SECRET}@127.0.0.1:1");
            let bad = format!("http://user:{SECRET}@bad host:port");
            for proxy in [&good, &gone, &bad] {
                let environment =
                    [("HTTP_PROXY", proxy.as_str()), ("http_proxy", proxy), ("HTTPS_PROXY", proxy)];
                for words in [
                    &["pull", "-d", "--plain-http", "registry.example:5000/a:v1"][..],
                    &["pull", "-d", "registry.example:5000/a:v1"],
                ] {
                    let mut command = stage.command(Path::new("/usr/bin/timeout"), &["5"]);
                    command.arg(stage.tool()).args(words).envs(environment);
                    hidden(&stage.run(command, b""))?;
                }
            }
            Ok(())
        }),
        hostile(
            28,
            "signed_address_in_output",
            "A signed address is in no output, not even when it fails.",
            |stage| {
                for status in [200, 403] {
                    let server = signed(status);
                    let name = format!("{}/a:v1", server.host());
                    hidden(&stage.oras(&["pull", "-d", &name, "-o", "out"]))?;
                }
                Ok(())
            },
        ),
    ]
}

fn malformed() -> Vec<Case> {
    vec![
        hostile(28, "header_malformed", "A header that is refused is not shown.", |stage| {
            for header in
                [format!("Authorization {SECRET}"), format!("X Y: {SECRET}"), format!("A: {SECRET}\u{1}")]
            {
                let said = stage.oras(&["repo", "tags", "-H", &header, "localhost:1/a"]);
                said.fails()?;
                hidden(&said)?;
            }
            Ok(())
        }),
        hostile(
            28,
            "config_malformed",
            "What is wrong in a configuration is said without its secrets.",
            |stage| {
                let server = basic(true);
                let host = server.host();
                for text in [
                    format!(r#"{{"auths":"{SECRET}"}}"#),
                    format!(r#"{{"auths":{{"{host}":"{SECRET}"}}}}"#),
                    format!(r#"{{"auths":{{"{host}":{{"auth":["{SECRET}"]}}}}}}"#),
                    format!(r#"{{"auths":{{"{host}":{{"auth":"{SECRET}!"}}}}}}"#),
                    format!(r#"{{"auths":{{"{host}":{{"auth":"{SECRET}"}} "{SECRET}"}}}}"#),
                ] {
                    stage.docker_config(&text);
                    hidden(&stage.oras(&["repo", "tags", "-d", &format!("{host}/a")]))?;
                    hidden(&stage.oras(&["login", "-d", "-u", "user", "-p", "x", &host]))?;
                }
                Ok(())
            },
        ),
        hostile(
            28,
            "token_answer_malformed",
            "What is wrong in a token is said without the token.",
            |stage| {
                for answer in [
                    format!("\"{SECRET}\""),
                    format!(r#"{{"token":["{SECRET}"]}}"#),
                    format!(r#"{{"token":"x","expires_in":"{SECRET}"}}"#),
                    format!(r#"{{"access_token":"{SECRET}""#),
                    format!(r#"{{"token":"{SECRET}\n"}}"#),
                ] {
                    let server = tokens(answer);
                    hidden(&stage.oras(&["repo", "tags", "-d", &format!("{}/a", server.host())]))?;
                }
                Ok(())
            },
        ),
        hostile(
            28,
            "helper_answer_malformed",
            "What is wrong in a helper's answer is said without it.",
            |stage| {
                let server = basic(true);
                stage.docker_config(r#"{"credsStore":"x"}"#);
                for script in [
                    format!("echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"'"),
                    format!("echo '\"{SECRET}\"'"),
                    format!("echo '{{\"Username\":\"user\",\"Secret\":[\"{SECRET}\"]}}'"),
                    format!("echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"}}'; exit 1"),
                ] {
                    stage.program("docker-credential-x", &script);
                    hidden(&stage.oras(&["repo", "tags", "-d", &format!("{}/a", server.host())]))?;
                }
                Ok(())
            },
        ),
    ]
}

fn elsewhere() -> Vec<Case> {
    vec![
        hostile(
            28,
            "secret_given_to_helper",
            "A helper gets a secret by its standard input, neither by arguments nor by its environment.",
            |stage| {
                if !Path::new("/proc/self/environ").exists() {
                    stage.lacks("/proc");
                    return Ok(());
                }
                let server = basic(true);
                stage.docker_config(r#"{"credsStore":"x"}"#);
                stage.program(
                    "docker-credential-x",
                    "tr '\\0' '\\n' </proc/$$/environ >>\"$HOME/seen\"\n\
                     tr '\\0' '\\n' </proc/$$/cmdline >>\"$HOME/seen\"\n\
                     tr '\\0' '\\n' </proc/$PPID/environ >>\"$HOME/seen\"\n\
                     tr '\\0' '\\n' </proc/$PPID/cmdline >>\"$HOME/seen\"\n\
                     cat >\"$HOME/stdin-$1\"",
                );
                let words = ["login", "-u", "user", "--password-stdin", &server.host()];
                stage.feed(&words, SECRET).works()?;
                let seen = std::fs::read_to_string(stage.home("seen")).map_err(|error| error.to_string())?;
                check(seen.contains("HOME=") && !seen.contains(SECRET), || format!("sees {seen}"))?;
                let given = std::fs::read_to_string(stage.home("stdin-store")).unwrap_or_default();
                check(given.contains(SECRET), || "the helper gets nothing".to_owned())?;
                let found = stage.files(stage.root());
                let config = std::fs::read_to_string(stage.home(".docker/config.json")).unwrap();
                check(!config.contains(SECRET) && !config.contains(BASIC), || format!("{config}; {found:?}"))
            },
        ),
        hostile(28, "secret_in_files", "A secret is in no file but the configuration.", |stage| {
            let server = basic(true);
            stage.feed(&["login", "-u", "user", "--password-stdin", &server.host()], SECRET).works()?;
            let name = format!("{}/a", server.host());
            stage.oras_with(&[("ORAS_CACHE", "cache")], &["repo", "tags", "-d", &name]).works()?;
            for file in stage.files(stage.root()) {
                let bytes = std::fs::read(stage.root().join(&file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                let has = text.contains(SECRET) || text.contains(BASIC);
                check(!has || file == "home/.docker/config.json", || format!("in {file}"))?;
            }
            Ok(())
        }),
        hostile(
            28,
            "secret_in_system_calls",
            "The system sees a secret read from standard input go to the registry and to the configuration, \
             nowhere else.",
            secret_in_system_calls,
        ),
        hostile(28, "core_files", "A command that knows secrets writes no core file.", |stage| {
            if !Path::new("/proc/self/limits").exists() {
                stage.lacks("/proc");
                return Ok(());
            }
            let server = Scripted::start(|_| Reply::silent());
            let mut command =
                stage.command(Path::new("/bin/sh"), &["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""]);
            let name = format!("{}/a", server.host());
            command.arg(stage.tool()).args(["repo", "tags", "-u", "user", "-p", SECRET, &name]);
            let mut child =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            while server.asked().is_empty() {
                std::thread::sleep(Duration::from_millis(5));
            }
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
            check(line.split_whitespace().nth(4) == Some("0"), || format!("may write {line:?}"))
        }),
    ]
}

fn twins() -> Vec<Case> {
    vec![
        honest(
            28,
            "secret_goes_to_its_registry",
            "The registry receives the secret, which is never printed.",
            |stage| {
                let server = basic(true);
                let words = ["login", "-u", "user", "--password-stdin", &server.host()];
                stage.feed(&words, SECRET).works()?;
                stage.oras(&["repo", "tags", &format!("{}/a", server.host())]).works()?;
                let text: String = server.asked().iter().map(Asked::text).collect();
                check(text.contains(BASIC), || format!("gets {text}"))
            },
        ),
        honest(28, "debug_shows_requests", "A debug log still shows which requests were made.", |stage| {
            let server = signed(200);
            let said = stage.oras(&["pull", "-d", &format!("{}/a:v1", server.host()), "-o", "out"]);
            let shown = &said.works()?.stderr;
            check(shown.contains("/v2/a/manifests/v1") && shown.contains("200"), || {
                format!("shows {shown}")
            })?;
            holds(&stage.path("out/file"), "content")
        }),
        honest(28, "secret_through_a_proxy", "A proxy with a password is used.", |stage| {
            let memory = MemoryRegistry::new();
            memory.files("a", "v1", &[("file", b"content")]);
            let server = serve(memory, |asked, memory| {
                if asked.header("proxy-authorization") != Some(&format!("Basic {BASIC}")) {
                    return Some(Reply::new(407));
                }
                let path = asked.path.split("registry.example:5000").nth(1).unwrap_or_default().to_owned();
                Some(memory.reply(&Asked { path, ..asked.clone() }))
            });
            let proxy = format!("http://user:{SECRET}@127.0.0.1:{}", server.port());
            let environment = [("HTTP_PROXY", proxy.as_str())];
            let words = ["pull", "--plain-http", "registry.example:5000/a:v1", "-o", "out"];
            stage.oras_with(&environment, &words).works()?;
            holds(&stage.path("out/file"), "content")
        }),
    ]
}

/// Checks that neither standard output nor standard error contains a secret.
fn hidden(said: &Said) -> Result<(), String> {
    for (what, text) in [("the secret", SECRET), ("user and secret", BASIC), ("the token", TOKEN)] {
        let shown = said.text();
        let Some(place) = shown.find(text) else { continue };
        let line = shown[..place].rfind('\n').map_or(0, |at| at + 1);
        return Err(format!("shows {what}: {}", &shown[line..place + text.len()]));
    }
    Ok(())
}

/// Starts a registry that requires a password. It accepts the secret if `right` is set. Otherwise it rejects
/// every password.
fn basic(right: bool) -> Scripted {
    Scripted::start(move |asked| match asked.header("authorization") {
        Some(value) if right && value == format!("Basic {BASIC}") => {
            Reply::new(200).body(r#"{"name":"a","tags":["v1"]}"#)
        }
        _ => Reply::new(401)
            .header("www-authenticate", "Basic realm=\"x\"")
            .body(r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#),
    })
}

/// Starts a registry with a token server that returns [`TOKEN`] to every client.
fn bearer() -> Scripted {
    tokens(format!(r#"{{"token":"{TOKEN}","refresh_token":"{SECRET}"}}"#))
}

fn tokens(answer: String) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"content")]);
    serve(memory, move |asked, _| {
        if asked.path.starts_with("/token") {
            return Some(Reply::new(200).header("content-type", "application/json").body(answer.clone()));
        }
        if asked.header("authorization") == Some(&format!("Bearer {TOKEN}")) {
            return asked.path.ends_with("/tags/list").then(|| Reply::new(200).body(r#"{"tags":["v1"]}"#));
        }
        let host = asked.header("host").unwrap_or_default();
        let challenge =
            format!(r#"Bearer realm="http://{host}/token",service="s",scope="repository:a:pull""#);
        Some(Reply::new(401).header("www-authenticate", challenge))
    })
}

/// Starts a registry that redirects blobs to a signed URL, which returns this status.
fn signed(status: u16) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[("file", b"content")]);
    serve(memory, move |asked, _| {
        if asked.path.starts_with("/storage") {
            let body = if asked.path.contains(SECRET) { "content" } else { "" };
            return Some(Reply::new(status).body(body));
        }
        let digest = oras_spec::Digest::sha256(b"content").to_string();
        asked.path.ends_with(&digest).then(|| {
            let place = format!("/storage/x?X-Amz-Signature={SECRET}&X-Amz-Security-Token={TOKEN}");
            Reply::new(307).header("location", place)
        })
    })
}

fn secret_in_system_calls(stage: &Stage) -> Result<(), String> {
    let Some(strace) = stage.needs("strace") else { return Ok(()) };
    let server = basic(true);
    let log = stage.root().join("trace");
    let calls = "trace=execve,open,openat,write,writev,pwrite64,sendto,sendmsg,rename,renameat,renameat2";
    let words = ["-f", "-y", "-s", "100000", "-e", calls, "-o"];
    let mut command = stage.command(&strace, &words);
    command.arg(&log).arg(stage.tool());
    command.args(["login", "-u", "user", "--password-stdin", "--debug", &server.host()]);
    let said = stage.run(command, SECRET.as_bytes());
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    if !text.contains("execve(") {
        stage.lacks("permission to trace");
        return Ok(());
    }
    said.works()?;
    let mut places = 0;
    for line in text.lines().filter(|line| line.contains(SECRET) || line.contains(BASIC)) {
        let to_socket = line.contains("<socket:") || line.contains("<TCP");
        let to_config = line.contains("/home/.docker/") && line.contains("write");
        check(to_socket || to_config, || format!("calls {line}"))?;
        places += 1;
    }
    check(places >= 2, || format!("only {places} of two places seen: {said:?}"))?;
    let traced = limited(stage, "ulimit -c 0", &["version"]);
    traced.works().map(drop)
}
