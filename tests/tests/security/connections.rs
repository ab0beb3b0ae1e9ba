//! Points 22 and 23: broken connections, unexpected responses, busy registries.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use oras_testkit::http2::Http2;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    HELLO, certificate, has_file, has_nothing, layer, pull, push, registry, run, trusting,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [broken(), resumed(), busy(), versions()].into_iter().flatten().collect()
}

/// Responds to reads of the file. `answer` gets the number of the read, from 0, and the first requested byte.
fn reads(
    answer: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    let count = AtomicUsize::new(0);
    move |asked| {
        if asked.method != "GET" || asked.path != layer() {
            return None;
        }
        let range = asked.header("range").and_then(|range| range.strip_prefix("bytes="));
        let start = range.and_then(|range| range.split('-').next()?.parse().ok());
        answer(count.fetch_add(1, Ordering::Relaxed), start.unwrap_or(0))
    }
}

/// Returns the file from byte `start`, as a correct server sends it.
fn rest(start: usize) -> Reply {
    let end = HELLO.len();
    let reply = Reply::new(206).header("content-range", format!("bytes {start}-{}/{end}", end - 1));
    if start == 0 { Reply::new(200).body(HELLO) } else { reply.body(&HELLO[start..]) }
}

/// Checks that a pull from a registry with these responses fails and leaves no files.
fn leaves_nothing(
    stage: &Stage,
    answer: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Result<(), String> {
    let server = registry(reads(answer));
    pull(stage, &server.host(), &[]).fails()?;
    has_nothing(stage)?;
    let asked = server.server.asked().len();
    check(asked < 60, || format!("asks {asked} times"))
}

/// Checks that a pull from a registry with these responses succeeds.
fn gets_through(
    stage: &Stage,
    answer: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Result<(), String> {
    let server = registry(reads(answer));
    pull(stage, &server.host(), &[]).works()?;
    has_file(stage)
}

fn broken() -> Vec<Case> {
    vec![
        hostile(
            22,
            "transfer_is_always_cut",
            "A transfer that is cut at the same byte each time is given up, and leaves no file.",
            |stage| leaves_nothing(stage, |_, _| Some(rest(0).cut_after(5))),
        ),
        hostile(22, "body_is_short", "A body that is shorter than described leaves no file.", |stage| {
            leaves_nothing(stage, |_, _| Some(Reply::new(200).body(&HELLO[..5])))
        }),
        hostile(22, "body_is_long", "A body that is longer than described leaves no file.", |stage| {
            leaves_nothing(stage, |_, _| Some(Reply::new(200).body([HELLO, b"!"].concat())))
        }),
        hostile(
            22,
            "body_is_long_and_of_no_stated_length",
            "A longer body without `Content-Length` leaves no file either.",
            |stage| {
                leaves_nothing(stage, |_, _| {
                    let body = [HELLO, b"!"].concat();
                    let chunks =
                        [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
                    let reply = Reply::new(200).header("content-length", "");
                    Some(reply.header("transfer-encoding", "chunked").body(chunks))
                })
            },
        ),
        hostile(
            22,
            "body_is_other",
            "A body of the right length and another content leaves no file.",
            |stage| leaves_nothing(stage, |_, _| Some(Reply::new(200).body(&b"hello, w0rld"[..]))),
        ),
        hostile(
            22,
            "rest_is_another_range",
            "A resumed transfer with a different range leaves no wrong file.",
            |stage| {
                right_or_nothing(stage, |number, _| {
                    let range = format!("bytes 0-{}/{}", HELLO.len() - 1, HELLO.len());
                    Some(match number {
                        0 => rest(0).cut_after(5),
                        _ => Reply::new(206).header("content-range", range).body(HELLO),
                    })
                })
            },
        ),
        hostile(
            22,
            "rest_has_no_range",
            "A resumed transfer without `Content-Range` leaves no wrong file.",
            |stage| {
                right_or_nothing(stage, |number, _| {
                    Some(if number == 0 { rest(0).cut_after(5) } else { Reply::new(206).body(HELLO) })
                })
            },
        ),
        hostile(
            22,
            "rest_is_of_another_blob",
            "A resumed transfer with the rest of another blob leaves no file.",
            |stage| {
                leaves_nothing(stage, |number, start| {
                    let other = Reply::new(206).header("content-range", format!("bytes {start}-11/12"));
                    let other = other.header("etag", "\"2\"").body(&b"HELLO, WORLD"[start..]);
                    Some(if number == 0 { rest(0).header("etag", "\"1\"").cut_after(5) } else { other })
                })
            },
        ),
        hostile(
            22,
            "server_falls_silent",
            "`--idle-timeout` ends a transfer in which nothing comes any more.",
            |stage| {
                let server = registry(reads(|_, _| Some(Reply::silent())));
                let said = pull(stage, &server.host(), &["--idle-timeout".to_owned(), "150ms".to_owned()]);
                said.fails()?;
                check(said.took < Duration::from_secs(20), || format!("takes {:?}", said.took))?;
                has_nothing(stage)
            },
        )
        .ours_only(),
        hostile(
            22,
            "manifest_is_too_large",
            "A manifest of more than 4 MiB is not read; `--max-manifest-size` is what raises the limit.",
            |stage| pull(stage, &large().host(), &[]).fails().map(drop),
        ),
    ]
}

/// Checks that a pull leaves either the right file or no file.
fn right_or_nothing(
    stage: &Stage,
    answer: impl Fn(usize, usize) -> Option<Reply> + Send + Sync + 'static,
) -> Result<(), String> {
    let server = registry(reads(answer));
    match pull(stage, &server.host(), &[]).status {
        Some(0) => has_file(stage),
        _ => has_nothing(stage),
    }
}

/// Starts a registry with a manifest of 5 MiB.
fn large() -> Scripted {
    let memory = Arc::new(MemoryRegistry::new());
    let layer = memory.layer("a", "f.txt", HELLO);
    memory.artifact("a", "v1", &(layer + &" ".repeat(5 << 20)));
    Scripted::start(move |asked| memory.reply(asked))
}

fn resumed() -> Vec<Case> {
    vec![
        honest(22, "transfer_is_cut_once", "A cut transfer resumes or starts again.", |stage| {
            gets_through(stage, |number, start| {
                Some(if number == 0 { rest(start).cut_after(5) } else { rest(start) })
            })
        }),
        honest(
            22,
            "transfer_is_cut_and_ranges_are_not_known",
            "Also where the server sends everything again instead of the rest.",
            |stage| {
                gets_through(stage, |number, _| {
                    Some(if number == 0 { rest(0).cut_after(5) } else { rest(0) })
                })
            },
        ),
        honest(22, "transfer_is_slow", "A transfer that is slow and steady is not given up.", |stage| {
            gets_through(stage, |_, start| Some(rest(start).drip(Duration::from_millis(60))))
        }),
        honest(
            22,
            "transfer_is_slower_than_the_timeout",
            "A transfer in which something comes now and then may take longer than `--idle-timeout`.",
            |stage| {
                let server = registry(reads(|_, start| Some(rest(start).drip(Duration::from_millis(60)))));
                let flags = ["--idle-timeout", "400ms", "--connect-timeout", "5s"].map(ToOwned::to_owned);
                pull(stage, &server.host(), &flags).works()?;
                has_file(stage)
            },
        )
        .ours_only(),
        honest(
            22,
            "length_is_not_stated",
            "A body without `Content-Length` is accepted if it matches the descriptor.",
            |stage| {
                gets_through(stage, |_, _| {
                    let chunks = [b"c\r\n".as_slice(), HELLO, b"\r\n0\r\n\r\n"].concat();
                    let reply = Reply::new(200).header("content-length", "");
                    Some(reply.header("transfer-encoding", "chunked").body(chunks))
                })
            },
        ),
        honest(
            22,
            "manifest_is_large",
            "`--max-manifest-size` takes a manifest of more than 4 MiB.",
            |stage| {
                let flags = ["--max-manifest-size", "6MiB"].map(ToOwned::to_owned);
                pull(stage, &large().host(), &flags).works()?;
                has_file(stage)
            },
        )
        .ours_only(),
    ]
}

/// Starts a registry that responds to the first `times` requests for the manifest with `busy`.
fn busy_for(
    times: usize,
    busy: impl Fn() -> Reply + Send + Sync + 'static,
) -> crate::registry_fixture::Registry {
    let count = AtomicUsize::new(0);
    registry(move |asked| {
        let wanted = asked.path.contains("/manifests/");
        (wanted && count.fetch_add(1, Ordering::Relaxed) < times).then(&busy)
    })
}

fn busy() -> Vec<Case> {
    vec![
        honest(
            23,
            "busy_for_a_second",
            "After 429 with `Retry-After` in seconds, the request is sent again, not before that time.",
            |stage| waits(stage, || "1".to_owned()),
        ),
        honest(
            23,
            "busy_until_a_date",
            "After 429 with `Retry-After` as a date, the request is sent again, not before that time.",
            |stage| waits(stage, || date(2)),
        ),
        honest(23, "busy_without_a_time", "After 429 without more, the request is sent again.", |stage| {
            let server = busy_for(2, || Reply::new(429).body(r#"{"errors":[{"code":"TOOMANYREQUESTS"}]}"#));
            pull(stage, &server.host(), &[]).works()?;
            has_file(stage)
        }),
        honest(23, "unavailable_for_a_moment", "A wave of 503 and 502 is ridden out.", |stage| {
            let server = busy_for(2, || Reply::new(503));
            pull(stage, &server.host(), &[]).works()?;
            has_file(stage)
        }),
        honest(23, "unavailable_for_an_upload", "An upload that meets 503 once is sent again.", |stage| {
            let count = AtomicUsize::new(0);
            let server = registry(move |asked| {
                let first = asked.method == "POST" && count.fetch_add(1, Ordering::Relaxed) == 0;
                first.then(|| Reply::new(503))
            });
            push(stage, &[], &server.host(), &[]).works().map(drop)
        }),
        hostile(
            23,
            "busy_for_a_day",
            "A registry that says to come back tomorrow does not make the command hang until then.",
            |stage| {
                for wait in ["86400".to_owned(), "99999999999999999999".to_owned(), date(86_400)] {
                    let server = busy_for(usize::MAX, move || Reply::new(429).header("retry-after", &wait));
                    let said = pull(stage, &server.host(), &[]);
                    said.fails()?;
                    check(said.took < Duration::from_secs(15), || format!("takes {:?}", said.took))?;
                }
                Ok(())
            },
        ),
        hostile(
            23,
            "unavailable_forever",
            "A registry that answers 503 for good is given up after a few tries.",
            |stage| {
                let server = busy_for(usize::MAX, || Reply::new(503).header("retry-after", "0"));
                pull(stage, &server.host(), &[]).fails()?;
                let asked = server.server.asked().len();
                check(asked < 40, || format!("asks {asked} times"))
            },
        ),
    ]
}

/// Checks that a pull succeeds if the registry is busy once and requests a delay of one second.
fn waits(stage: &Stage, wait: fn() -> String) -> Result<(), String> {
    let server = busy_for(1, move || Reply::new(429).header("retry-after", wait()));
    let said = pull(stage, &server.host(), &[]);
    said.works()?;
    has_file(stage)?;
    check(said.took >= Duration::from_millis(900), || format!("takes only {:?}", said.took))
}

/// Returns the HTTP date in `seconds` seconds.
fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds))
}

fn versions() -> Vec<Case> {
    vec![
        honest(
            22,
            "server_speaks_http2_alone",
            "A registry that speaks HTTP/2 and nothing else is spoken to by it.",
            |stage| http2(stage, &[]),
        ),
        honest(22, "http2_is_asked_for", "`--http-version 2` speaks HTTP/2 from the beginning.", |stage| {
            http2(stage, &["--http-version", "2"])
        })
        .ours_only(),
        hostile(22, "http2_is_ruled_out", "`--http-version 1.1` speaks to no registry by HTTP/2.", |stage| {
            let said = http2(stage, &["--http-version", "1.1"]);
            check(said.is_err(), || "is spoken to".to_owned())
        })
        .ours_only(),
    ]
}

/// Lists the tags of a registry that supports only HTTP/2.
fn http2(stage: &Stage, flags: &[&str]) -> Result<(), String> {
    let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
    let server = Http2::start(&made, r#"{"name":"a","tags":["v1"]}"#);
    let place = format!("{}/a", server.host());
    let flags: Vec<_> = flags.iter().map(ToString::to_string).chain(trusting(&made)).collect();
    let said = run(stage, &[], &["repo", "tags", &place, "--plain-http=false"], &flags);
    check(said.works()?.stdout.trim() == "v1", || format!("says {:?}", said.stdout))?;
    check(server.answered() == 1, || format!("asks {} times", server.answered()))
}
