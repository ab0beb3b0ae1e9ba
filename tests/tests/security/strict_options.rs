//! Point 29: an unsupported security option is an error and never falls back to a weaker one.

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::fixtures::{holds, honest_server, serve};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = network();
    cases.extend(files());
    cases
}

fn network() -> Vec<Case> {
    vec![
        hostile(29, "ca_file_missing", "Without its `--ca-file` nothing is asked.", |stage| {
            refused(stage, &["--ca-file", "missing.pem"])
        }),
        hostile(
            29,
            "ca_file_is_no_certificate",
            "A `--ca-file` without a certificate is refused.",
            |stage| {
                stage.file("ca.pem", "not a certificate\n");
                refused(stage, &["--ca-file", "ca.pem"])?;
                stage.file("ca.pem", "");
                refused(stage, &["--ca-file", "ca.pem"])?;
                stage.file("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
                refused(stage, &["--ca-file", "ca.pem"])
            },
        ),
        hostile(29, "client_certificate_missing", "Without its `--cert-file` nothing is asked.", |stage| {
            stage.file("key.pem", "not a key\n");
            refused(stage, &["--cert-file", "missing.pem", "--key-file", "key.pem"])?;
            stage.file("cert.pem", "not a certificate\n");
            refused(stage, &["--cert-file", "cert.pem", "--key-file", "key.pem"])?;
            refused(stage, &["--cert-file", "cert.pem"])
        }),
        hostile(
            29,
            "registry_config_malformed",
            "A `--registry-config` that can't be read is a failure, not an anonymous request.",
            |stage| {
                std::fs::create_dir(stage.path("directory")).unwrap();
                refused(stage, &["--registry-config", "directory"])?;
                for text in ["{", "[]", "\u{0}"] {
                    stage.file("config.json", text);
                    refused(stage, &["--registry-config", "config.json"])?;
                }
                Ok(())
            },
        ),
        hostile(
            29,
            "login_keeps_a_malformed_config",
            "A login doesn't overwrite a configuration that it can't read.",
            |stage| {
                let server = Scripted::start(|_| Reply::new(200));
                stage.file("config.json", "{ precious");
                let words =
                    ["login", "-u", "u", "-p", "p", "--registry-config", "config.json", &server.host()];
                stage.oras(&words).fails()?;
                holds(&stage.path("config.json"), "{ precious")
            },
        ),
    ]
}

fn files() -> Vec<Case> {
    vec![
        hostile(29, "annotation_file_missing", "Without its annotations nothing is pushed.", |stage| {
            not_pushed(stage, "missing.json")
        }),
        hostile(29, "annotation_file_malformed", "With malformed annotations nothing is pushed.", |stage| {
            for text in ["{", "[]", r#"{"$manifest":{"a":7}}"#, r#"{"$manifest":"a"}"#] {
                stage.file("annotations.json", text);
                not_pushed(stage, "annotations.json")?;
            }
            Ok(())
        }),
        hostile(29, "config_file_missing", "Without its `--config` nothing is pushed.", |stage| {
            let server = receiving();
            stage.file("file", "content");
            let name = format!("{}/a:v1", server.host());
            stage.oras(&["push", "--config", "missing.json", &name, "file"]).fails_with("missing.json")?;
            nothing_tagged(&server)
        }),
        hostile(
            29,
            "insecure_is_not_assumed",
            "An untrusted certificate is rejected, without a fallback to plain HTTP.",
            |stage| {
                let server = honest_server("file", b"content");
                // The tool uses TLS for every name except localhost, and this server does not support TLS.
                let place = format!("registry.example:{}", server.port());
                let resolve = format!("{place}:127.0.0.1");
                stage
                    .oras(&["pull", &format!("{place}/a:v1"), "--resolve", &resolve, "-o", "out"])
                    .fails()?;
                check(server.lines().iter().all(|line| !line.contains("/v2/")), || {
                    format!("asks {:?}", server.lines())
                })
            },
        ),
        honest(29, "registry_config_missing", "A missing configuration counts as empty.", |stage| {
            let server = honest_server("file", b"content");
            let name = format!("{}/a:v1", server.host());
            stage.oras(&["pull", "--registry-config", "missing.json", &name, "-o", "out"]).works()?;
            holds(&stage.path("out/file"), "content")
        }),
        honest(29, "annotation_file_is_used", "Annotations of a file are in the manifest.", |stage| {
            let server = receiving();
            stage.file("file", "content");
            stage.file("annotations.json", r#"{"$manifest":{"a":"b"},"file":{"c":"d"}}"#);
            let name = format!("{}/a:v1", server.host());
            stage.oras(&["push", "--annotation-file", "annotations.json", &name, "file"]).works()?;
            let text = server.asked().iter().map(oras_testkit::scripted::Asked::text).collect::<String>();
            check(text.contains(r#""a":"b""#) && text.contains(r#""c":"d""#), || "lost".to_owned())
        }),
    ]
}

fn receiving() -> Scripted {
    serve(MemoryRegistry::new(), |_, _| None)
}

/// Checks that a pull with these flags fails and sends no request.
fn refused(stage: &Stage, flags: &[&str]) -> Result<(), String> {
    let server = honest_server("file", b"content");
    let name = format!("{}/a:v1", server.host());
    let words: Vec<&str> = ["pull"].into_iter().chain(flags.iter().copied()).chain([name.as_str()]).collect();
    stage.oras(&words).fails()?;
    check(server.asked().is_empty(), || format!("asks {:?}", server.lines()))?;
    check(!stage.path("file").exists(), || "pulls the file".to_owned())
}

fn not_pushed(stage: &Stage, file: &str) -> Result<(), String> {
    let server = receiving();
    stage.file("file", "content");
    let name = format!("{}/a:v1", server.host());
    stage.oras(&["push", "--annotation-file", file, &name, "file"]).fails()?;
    nothing_tagged(&server)
}

fn nothing_tagged(server: &Scripted) -> Result<(), String> {
    let found: Vec<_> =
        server.lines().into_iter().filter(|line| line.starts_with("PUT /v2/a/manifests")).collect();
    check(found.is_empty(), || format!("asks {found:?}"))
}
