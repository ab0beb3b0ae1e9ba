//! Point 27: text from a registry cannot control the terminal; scripts get the original bytes.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use nix::pty::{Winsize, openpty};
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::fixtures::{INDEX, MANIFEST, holds, manifest, referrer, serve};
use crate::security_case::{Case, honest, hostile};

/// Clears the screen, inserts a link, rings the bell, starts a sequence with a C1 control character, returns
/// to the start of the line, deletes, and reverses the writing direction in two ways.
const NASTY: &str = "x\u{1b}[2Jx\u{1b}]8;;http://evil/\u{7}x\u{9b}31mx\rx\u{8}x\u{202e}x\u{2066}x";
/// The parts of the text that must not reach a terminal.
const RAW: [&str; 8] = ["\u{1b}[2J", "\u{1b}]8", "\u{7}", "\u{9b}", "x\rx", "\u{8}", "\u{202e}", "\u{2066}"];

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        hostile(27, "escapes_in_title_pull", "A title steers no terminal while it is pulled.", |stage| {
            let server = titled(NASTY);
            for words in [&["pull"][..], &["pull", "--no-tty"], &["pull", "--format", "json"]] {
                quiet(stage, &with(words, &name(&server)))?;
            }
            Ok(())
        }),
        hostile(27, "escapes_in_title_cp", "A title steers no terminal while it is copied.", |stage| {
            let server = titled(NASTY);
            quiet(stage, &["cp", "--no-tty", &name(&server), "--to-oci-layout", "layout:v1"])?;
            quiet(stage, &["cp", &name(&server), "--to-oci-layout", "other:v1"])
        }),
        hostile(
            27,
            "escapes_in_referrers",
            "Artifact type and annotations of a referrer steer no terminal, in no format.",
            |stage| {
                let server = nasty_referrer();
                for words in [
                    &["discover"][..],
                    &["discover", "--format", "table"],
                    &["discover", "--format", "json"],
                    &["discover", "--format", "go-template={{range .referrers}}{{.artifactType}}{{end}}"],
                    &["discover", "--no-tty"],
                ] {
                    quiet(stage, &with(words, &name(&server)))?;
                }
                Ok(())
            },
        ),
        hostile(27, "escapes_in_tags", "A tag steers no terminal.", |stage| {
            let server = tags(NASTY);
            let place = format!("{}/a", server.host());
            quiet(stage, &["repo", "tags", &place])?;
            quiet(stage, &["repo", "tags", "--format", "json", &place])
        }),
        hostile(27, "escapes_in_repository_names", "The name of a repository steers no terminal.", |stage| {
            let name = serde_json::to_string(NASTY).unwrap();
            let server =
                Scripted::start(move |_| Reply::new(200).body(format!(r#"{{"repositories":[{name}]}}"#)));
            quiet(stage, &["repo", "ls", &server.host()])
        }),
        hostile(27, "escapes_in_manifest", "A manifest that is shown steers no terminal.", |stage| {
            let raw = NASTY.replace(['\u{1b}', '\u{7}', '\r', '\u{8}'], "");
            let server = annotated(&raw);
            quiet(stage, &["manifest", "fetch", &name(&server)])?;
            quiet(stage, &["manifest", "fetch", "--pretty", &name(&server)])
        }),
    ];
    cases.extend(in_errors());
    cases.extend(twins());
    cases
}

fn in_errors() -> Vec<Case> {
    vec![
        hostile(27, "escapes_in_error_message", "The error of a registry steers no terminal.", |stage| {
            let message = serde_json::to_string(NASTY).unwrap();
            let server = Scripted::start(move |_| {
                let body =
                    format!(r#"{{"errors":[{{"code":{message},"message":{message},"detail":{message}}}]}}"#);
                Reply::new(400).header("content-type", "application/json").body(body)
            });
            errors(stage, &server)
        }),
        hostile(27, "escapes_in_error_page", "An error page steers no terminal.", |stage| {
            let server = Scripted::start(|_| Reply::new(400).header("content-type", "text/html").body(NASTY));
            errors(stage, &server)
        }),
        hostile(27, "escapes_in_token_error", "The error of a token server steers no terminal.", |stage| {
            let message = serde_json::to_string(NASTY).unwrap();
            let server = Scripted::start(move |asked| {
                if asked.path.starts_with("/token") {
                    let body =
                        format!(r#"{{"details":{message},"errors":[{{"code":"X","message":{message}}}]}}"#);
                    return Reply::new(403).body(body);
                }
                let host = asked.header("host").unwrap_or_default();
                Reply::new(401)
                    .header("www-authenticate", format!(r#"Bearer realm="http://{host}/token",service="s""#))
            });
            errors(stage, &server)
        }),
        hostile(27, "escapes_in_warning", "A warning of a registry steers no terminal.", |stage| {
            let memory = MemoryRegistry::new();
            memory.files("a", "v1", &[("file", b"content")]);
            // A header cannot contain C0 control characters.
            let text = NASTY.replace(['\u{1b}', '\u{7}', '\r', '\u{8}'], "");
            let server = serve(memory, move |asked, memory| {
                Some(memory.reply(asked).header("warning", format!("299 - \"{text}\"")))
            });
            quiet(stage, &["pull", &name(&server), "-o", "out"])
        }),
    ]
}

fn twins() -> Vec<Case> {
    vec![
        honest(27, "unicode_title", "A title in any script is printed and written unchanged.", |stage| {
            let title = "Ünï-日本語-🦀-שלום.txt";
            let server = titled(title);
            let shown = on_terminal(stage, &["pull", "--no-tty", &name(&server)]);
            check(shown.contains(title), || format!("shows {shown}"))?;
            holds(&stage.path(title), "content")
        }),
        honest(27, "unicode_annotations", "An annotation in any script is printed unchanged.", |stage| {
            let (memory, entry) = referring("größe/x", "値🦀");
            let server = lists(memory, entry);
            let shown = on_terminal(stage, &["discover", "--no-tty", &name(&server)]);
            check(shown.contains("größe/x") && shown.contains("値🦀"), || format!("shows {shown}"))
        }),
        honest(27, "raw_tags_in_a_pipe", "A script gets tags as they are.", |stage| {
            let server = tags("v1-\u{9b}-\u{202e}");
            let said = stage.oras(&["repo", "tags", &format!("{}/a", server.host())]);
            check(said.works()?.stdout == "v1-\u{9b}-\u{202e}\n", || format!("says {:?}", said.stdout))
        }),
        honest(27, "raw_manifest_in_a_pipe", "A script gets a manifest byte for byte.", |stage| {
            let server = annotated("\u{9b}\u{202e}");
            let said = stage.oras(&["manifest", "fetch", &name(&server)]);
            check(said.works()?.stdout.contains("\u{9b}\u{202e}"), || format!("says {:?}", said.stdout))
        }),
        honest(
            27,
            "json_of_nasty_text",
            "JSON of whatever text is JSON of that text, on a terminal as in a pipe.",
            |stage| {
                let server = tags(NASTY);
                let words = ["repo", "tags", "--format", "json", &format!("{}/a", server.host())];
                for text in [stage.oras(&words).works()?.stdout.clone(), on_terminal(stage, &words)] {
                    let value: serde_json::Value =
                        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
                    check(value["tags"][0] == NASTY, || format!("says {value}"))?;
                }
                Ok(())
            },
        ),
    ]
}

fn name(server: &Scripted) -> String {
    format!("{}/a:v1", server.host())
}

fn with<'a>(words: &[&'a str], last: &'a str) -> Vec<&'a str> {
    words.iter().copied().chain([last]).collect()
}

/// Checks that no part of [`RAW`] reaches the terminal.
fn quiet(stage: &Stage, words: &[&str]) -> Result<(), String> {
    let shown = on_terminal(stage, words);
    check(!shown.trim().is_empty(), || format!("{words:?}: says nothing"))?;
    let found: Vec<_> = RAW.iter().filter(|raw| shown.contains(**raw)).collect();
    check(found.is_empty(), || format!("{words:?}: {found:?} in {shown:?}"))
}

fn errors(stage: &Stage, server: &Scripted) -> Result<(), String> {
    for words in [&["pull"][..], &["repo", "tags"], &["discover"], &["login", "-u", "user", "-p", "word"]] {
        let place = if words[0] == "login" { server.host() } else { name(server) };
        quiet(stage, &with(words, &place))?;
    }
    Ok(())
}

/// Returns the bytes that a terminal receives from the standard output and error of a command.
fn on_terminal(stage: &Stage, words: &[&str]) -> String {
    let size = Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = openpty(Some(&size), None).unwrap();
    let mut command = stage.command(stage.tool(), words);
    command.env("TERM", "xterm-256color").stdin(Stdio::null());
    command.stdout(Stdio::from(pty.slave.try_clone().unwrap())).stderr(Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    // The command holds the terminal open, so it is dropped.
    drop(command);
    let mut master = File::from(pty.master);
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    // Reading from a closed terminal returns an error.
    while let Ok(read @ 1..) = master.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

/// Starts a registry with one file of this title.
fn titled(title: &str) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.files("a", "v1", &[(title, b"content")]);
    serve(memory, |_, _| None)
}

/// Starts a registry with a manifest that has this text unescaped in an annotation.
fn annotated(text: &str) -> Scripted {
    let memory = MemoryRegistry::new();
    memory.blob("a", "{}");
    memory.manifest("a", "v1", MANIFEST, manifest(&format!(r#""annotations":{{"a":"{text}"}},"#), ""));
    serve(memory, |_, _| None)
}

fn tags(tag: &str) -> Scripted {
    let tag = serde_json::to_string(tag).unwrap();
    Scripted::start(move |_| Reply::new(200).body(format!(r#"{{"name":"a","tags":[{tag}]}}"#)))
}

/// Returns a memory registry with a subject `a:v1`, and the entry of its referrer.
fn referring(artifact_type: &str, annotation: &str) -> (MemoryRegistry, String) {
    let memory = MemoryRegistry::new();
    memory.blob("a", "{}");
    let text = manifest("", "");
    let subject = memory.manifest("a", "v1", MANIFEST, text.clone());
    let referring = referrer("plain/x", &subject, text.len());
    let digest = memory.manifest("a", "n1", MANIFEST, referring.clone());
    let entry = serde_json::json!({
        "mediaType": MANIFEST,
        "digest": digest.to_string(),
        "size": referring.len(),
        "artifactType": artifact_type,
        "annotations": {"key": annotation, annotation: "value"},
    });
    (memory, entry.to_string())
}

fn nasty_referrer() -> Scripted {
    let (memory, entry) = referring(NASTY, NASTY);
    lists(memory, entry)
}

/// Starts a registry that lists this entry as the referrer of `a:v1`.
fn lists(memory: MemoryRegistry, entry: String) -> Scripted {
    let seen = std::sync::Mutex::new(None::<String>);
    serve(memory, move |asked: &Asked, _| {
        let subject = asked.path.split("/referrers/").nth(1)?.split('?').next()?.to_owned();
        let mut seen = seen.lock().unwrap();
        let first = seen.get_or_insert_with(|| subject.clone());
        let entries = if *first == subject { entry.as_str() } else { "" };
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{entries}]}}"#);
        Some(Reply::new(200).header("content-type", INDEX).body(text))
    })
}
