//! Point 24: tokens that expire during use, and broken token servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), honest_uses()].into_iter().flatten().collect()
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(
            24,
            "every_token_is_refused",
            "Tokens that are refused each time end in an error, not in a loop.",
            |stage| {
                let server = registry(|number| token(&format!("token-{number}")), |_| false);
                pull(stage, &server).fails()?;
                let count = server.asked().len();
                check(count <= 8, || format!("{count} requests"))
            },
        ),
        hostile(
            24,
            "denial_is_no_ended_token",
            "A denial that has nothing to do with the token fetches no other.",
            |stage| {
                let server = denying();
                pull(stage, &server).fails()?;
                let tokens = server.lines().iter().filter(|line| line.starts_with("GET /token")).count();
                check(tokens <= 2, || format!("{tokens} requests for a token"))
            },
        ),
        hostile(24, "token_is_empty", "A token server that grants nothing is an error.", |stage| {
            let server = registry(|_| Reply::new(200).body("{}"), |_| true);
            pull(stage, &server).fails().map(drop)
        }),
        hostile(24, "token_breaks_headers", "A token with a line break can't add a header.", |stage| {
            let body = "{\"token\":\"a\\r\\nX-Evil: 1\"}";
            let server = registry(move |_| Reply::new(200).body(body), |_| true);
            pull(stage, &server).fails()?;
            let evil = server.asked().iter().any(|asked| asked.header("x-evil").is_some());
            check(!evil, || "the header was sent".to_owned())
        }),
        hostile(24, "token_answer_is_huge", "The answer of a token server is bounded.", |stage| {
            let server = registry(|_| Reply::new(200).body(vec![b' '; 40 << 20]), |_| true);
            pull(stage, &server).fails().map(drop)
        }),
        hostile(
            24,
            "token_error_shows_no_secret",
            "What a token server says in an error doesn't bring the password along.",
            |stage| {
                let server = registry(|_| Reply::new(500).body("no"), |_| true);
                let host = server.host();
                let said = stage.feed(
                    &["pull", &format!("{host}/a:v1"), "-u", "user", "--password-stdin", "-d"],
                    "hunter2\n",
                );
                said.fails()?;
                let encoded = STANDARD.encode("user:hunter2");
                let shown = said.text().contains("hunter2") || said.text().contains(&encoded);
                check(!shown, || format!("shows it: {}", said.text()))
            },
        ),
    ]
}

fn honest_uses() -> Vec<Case> {
    vec![
        honest(24, "token_ends_with_401", "A token that ends during a pull is renewed.", |stage| {
            pull_while_token_ends(stage, 401, r#"{"errors":[{"code":"UNAUTHORIZED","message":"expired"}]}"#)
        }),
        honest(
            24,
            "token_ends_with_403",
            "So is one of which a registry says with 403 that it has expired.",
            |stage| {
                let body =
                    r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired."}]}"#;
                pull_while_token_ends(stage, 403, body)
            },
        ),
        honest(
            24,
            "token_ends_with_400",
            "So is one of which a registry says with 400 that it is invalid.",
            |stage| {
                let body = r#"{"errors":[{"code":"UNKNOWN","message":"invalid token"}]}"#;
                pull_while_token_ends(stage, 400, body)
            },
        ),
        honest(
            24,
            "password_of_a_helper_ends",
            "A password that ends is asked of the helper again.",
            password_ends,
        ),
        honest(
            24,
            "token_under_either_name",
            "`token` and `access_token` both count, and other fields don't matter.",
            |stage| {
                let body = r#"{"access_token":"","token":"token-1","x":[{}],"expires_in":"300"}"#;
                let server = registry(move |_| Reply::new(200).body(body), |token| token == "Bearer token-1");
                pull(stage, &server).works().map(drop)
            },
        ),
    ]
}

fn pull(stage: &Stage, server: &Scripted) -> crate::case_sandbox::Said {
    stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out", "--concurrency", "1"])
}

fn token(text: &str) -> Reply {
    Reply::new(200).body(format!(r#"{{"token":"{text}","expires_in":300}}"#))
}

/// Starts a registry and its token server on one port. `grant` returns the response to the nth token request,
/// and `is_good` accepts tokens.
fn registry(
    grant: impl Fn(usize) -> Reply + Send + Sync + 'static,
    is_good: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Scripted {
    let memory = memory();
    let count = AtomicUsize::new(0);
    Scripted::start(move |asked: &Asked| {
        if asked.path.starts_with("/token") {
            return grant(count.fetch_add(1, Ordering::SeqCst));
        }
        match asked.header("authorization") {
            Some(token) if is_good(token) => memory.reply(asked),
            _ => challenge(asked, 401),
        }
    })
}

fn memory() -> Arc<MemoryRegistry> {
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", &[("one.txt", b"one\n"), ("two.txt", b"two\n"), ("three.txt", b"three\n")]);
    memory
}

fn challenge(asked: &Asked, status: u16) -> Reply {
    let host = asked.header("host").unwrap_or_default();
    let challenge = format!("Bearer realm=\"http://{host}/token\",service=\"s\",scope=\"repository:a:pull\"");
    Reply::new(status).header("www-authenticate", challenge)
}

/// Pulls with a first token that is valid for three requests, and a second token that is valid for all
/// others.
fn pull_while_token_ends(stage: &Stage, status: u16, body: &'static str) -> Result<(), String> {
    let (memory, granted, used) = (memory(), AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Scripted::start(move |asked: &Asked| {
        if asked.path.starts_with("/token") {
            return token(&format!("token-{}", granted.fetch_add(1, Ordering::SeqCst)));
        }
        match asked.header("authorization") {
            Some("Bearer token-0") if used.fetch_add(1, Ordering::SeqCst) < 3 => memory.reply(asked),
            Some("Bearer token-0") if status == 401 => challenge(asked, 401).body(body),
            Some("Bearer token-0") => Reply::new(status).body(body),
            Some("Bearer token-1") => memory.reply(asked),
            _ => challenge(asked, 401),
        }
    });
    pull(stage, &server).works()?;
    let found = stage.files(&stage.path("out"));
    check(found.len() == 3, || format!("leaves {found:?}"))
}

/// Pulls with a helper that counts its calls. Its first password expires, and its second password stays
/// valid.
fn password_ends(stage: &Stage) -> Result<(), String> {
    let asked = stage.path("asked");
    let script = format!(
        "cat >/dev/null; echo x >>{0}; echo \"{{\\\"Username\\\":\\\"AWS\\\",\\\"Secret\\\":\\\"password-$(wc -l <{0})\\\"}}\"",
        asked.display()
    );
    stage.program("docker-credential-ecr", &script);
    stage.docker_config(r#"{"credsStore":"ecr"}"#);
    let (memory, used) = (memory(), AtomicUsize::new(0));
    let basic = |number: usize| format!("Basic {}", STANDARD.encode(format!("AWS:password-{number}")));
    let (first, second) = (basic(1), basic(2));
    let server = Scripted::start(move |asked: &Asked| {
        match asked.header("authorization") {
        Some(given) if given == first && used.fetch_add(1, Ordering::SeqCst) < 3 => memory.reply(asked),
        Some(given) if given == first => Reply::new(403).body(
            r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
        ),
        Some(given) if given == second => memory.reply(asked),
        _ => Reply::new(401).header("www-authenticate", "Basic realm=\"ecr\""),
    }
    });
    pull(stage, &server).works().map(drop)
}

/// Starts a registry that rejects every request, even with a valid token.
fn denying() -> Scripted {
    Scripted::start(|asked: &Asked| {
        if asked.path.starts_with("/token") {
            return token("good");
        }
        match asked.header("authorization") {
            Some(_) => Reply::new(403)
                .body(r#"{"errors":[{"code":"DENIED","message":"requested access is denied"}]}"#),
            None => challenge(asked, 401),
        }
    })
}
