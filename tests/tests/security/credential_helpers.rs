//! Point 31: credential helpers that are missing, hang, flood or fail.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Said, Stage, check};
use crate::security_case::{Case, honest, hostile};

/// The secret that no message may show.
const SECRET: &str = "hunter2-secret";

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), honest_uses()].into_iter().flatten().collect()
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(31, "helper_hangs", "A helper that never answers is given up.", |stage| {
            let said = pull(stage, "exec sleep 300", true);
            said.fails().map(drop)
        }),
        hostile(31, "helper_floods", "A helper that answers without end is cut off.", |stage| {
            let done = stage.path("done");
            let script = format!("head -c 200000000 /dev/zero && touch {}", done.display());
            pull(stage, &script, true).fails()?;
            check(!done.exists(), || "all of it was read".to_owned())
        }),
        hostile(
            31,
            "helper_fails_midway",
            "What a failing helper has answered so far is not used.",
            |stage| {
                let said = pull(
                    stage,
                    &format!("printf '{{\"Username\":\"user\",\"Secret\":\"{SECRET}'; exit 1"),
                    true,
                );
                said.fails().map(drop)
            },
        ),
        hostile(
            31,
            "helper_babbles",
            "Helper output that is not a credential is an error, and is not printed.",
            |stage| {
                let said = pull(stage, &format!("echo {SECRET}"), true);
                said.fails()?;
                check(!said.text().contains(SECRET), || format!("repeats it: {}", said.text()))
            },
        ),
        hostile(
            31,
            "helper_name_is_a_path",
            "The name of a helper can't lead to a program elsewhere.",
            |stage| {
                stage.program("evil", &format!("touch {}", stage.path("ran").display()));
                stage.docker_config(r#"{"credsStore":"/../evil"}"#);
                std::fs::create_dir_all(stage.home("bin/docker-credential-")).unwrap();
                let server = registry(false);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]);
                check(!stage.path("ran").exists(), || "the program ran".to_owned())
            },
        ),
        hostile(
            31,
            "helper_wants_input_first",
            "A helper that reads nothing and floods its errors can't block.",
            |stage| {
                let script = format!(
                    "head -c 200000 /dev/zero | tr '\\0' x >&2; echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"}}'"
                );
                pull(stage, &script, true).works().map(drop)
            },
        ),
    ]
}

fn honest_uses() -> Vec<Case> {
    vec![
        honest(31, "helper_is_missing", "Without its helper, what needs no credential works.", |stage| {
            stage.docker_config(r#"{"credsStore":"absent"}"#);
            let server = registry(false);
            stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works().map(drop)
        }),
        honest(
            31,
            "helper_is_missing_and_the_file_has_it",
            "A missing helper causes a warning, and the entry of the file is used.",
            |stage| {
                let server = registry(true);
                let auth = STANDARD.encode(format!("user:{SECRET}"));
                let host = server.host();
                stage.docker_config(&format!(
                    r#"{{"credsStore":"absent","auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#
                ));
                let said = stage.oras(&["pull", &format!("{host}/a:v1"), "-o", "out"]);
                said.works()?;
                check(said.stderr.contains("docker-credential-absent"), || {
                    format!("doesn't say so: {}", said.stderr)
                })
            },
        ),
        honest(
            31,
            "helper_has_the_credential",
            "A helper's credential is used, and shown nowhere.",
            |stage| {
                let said =
                    pull(stage, &format!("echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"}}'"), true);
                said.works()?;
                check(!said.text().contains(SECRET), || format!("shows it: {}", said.text()))
            },
        ),
        honest(31, "helper_is_slow", "A helper may take its time.", |stage| {
            pull(stage, &format!("sleep 1; echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"}}'"), true)
                .works()
                .map(drop)
        }),
        honest(31, "helper_talks_to_the_user", "What a helper says to its user arrives.", |stage| {
            let said = pull(
                stage,
                &format!(
                    "echo please touch the key >&2; echo '{{\"Username\":\"user\",\"Secret\":\"{SECRET}\"}}'"
                ),
                true,
            );
            said.works()?;
            check(stage.is_go || said.stderr.contains("please touch the key"), || "is not shown".to_owned())
        }),
        honest(
            31,
            "helper_has_nothing",
            "A helper without a credential means asking anonymously.",
            |stage| {
                pull(stage, "echo 'credentials not found in native keychain'; exit 1", false)
                    .works()
                    .map(drop)
            },
        ),
    ]
}

/// Pulls from a registry with a helper that runs `script`. A closed registry requires a login.
fn pull(stage: &Stage, script: &str, closed: bool) -> Said {
    stage.program("docker-credential-test", script);
    stage.docker_config(r#"{"credsStore":"test"}"#);
    let server = registry(closed);
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"])
}

/// Starts a registry with an artifact. A closed registry requires `user` and the secret.
fn registry(closed: bool) -> Scripted {
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", &[("hi.txt", b"hello world\n")]);
    let expected = format!("Basic {}", STANDARD.encode(format!("user:{SECRET}")));
    Scripted::start(move |asked: &Asked| {
        if closed && asked.header("authorization") != Some(&expected) {
            return Reply::new(401).header("www-authenticate", "Basic realm=\"test\"");
        }
        memory.reply(asked)
    })
}
