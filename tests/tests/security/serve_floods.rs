//! Point 37: clients of `oras serve` that send too much, too slowly, or too often.

use std::io::Write;
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use oras_spec::Digest;

use crate::case_sandbox::check;
use crate::registry_fixture::{certificate, trusting};
use crate::security_case::{Case, honest, hostile};
use crate::serve_sandbox::{Serving, rest};

/// The memory limit of the server in MiB.
const MEMORY: u64 = 160;

pub(crate) fn cases() -> Vec<Case> {
    let cases = [slow(), large(), odd(), honest_uses()];
    cases.into_iter().flatten().map(Case::ours_only).collect()
}

fn slow() -> Vec<Case> {
    vec![
        hostile(
            37,
            "serve_is_not_held_by_one_address",
            "A client that holds many idle connections does not lock out others.",
            |stage| {
                let serving = Serving::start(stage, &["--max-connections", "40", "--memory"]);
                // If this machine has no other address, the attacker uses the same address as the other
                // clients.
                let from = cfg!(target_os = "linux").then_some(IpAddr::from([127, 0, 0, 2]));
                let held = hold(&serving, from, b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX-Slow: ", 200);
                for _ in 0..20 {
                    serving.serves()?;
                    std::thread::sleep(Duration::from_millis(20));
                }
                check(held.len() > 40, || format!("{} connections only", held.len()))?;
                check(serving.log().contains("too many connections"), || "logs nothing".to_owned())
            },
        ),
        hostile(
            37,
            "serve_is_not_held_by_the_same_address",
            "Nor does it keep out others at its own address, while it is silent.",
            |stage| {
                let serving = Serving::start(stage, &["--max-connections", "40", "--memory"]);
                let _held = hold(&serving, None, b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n", 60);
                std::thread::sleep(Duration::from_millis(1200));
                for _ in 0..20 {
                    serving.serves()?;
                }
                Ok(())
            },
        ),
        hostile(
            37,
            "serve_is_not_held_by_slow_bodies",
            "Stalled bodies do not lock out other clients.",
            |stage| {
                let serving = Serving::start(stage, &["--max-connections", "40", "--memory"]);
                let from = cfg!(target_os = "linux").then_some(IpAddr::from([127, 0, 0, 2]));
                let head = b"PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n{";
                let _held = hold(&serving, from, head, 100);
                std::thread::sleep(Duration::from_millis(1200));
                for _ in 0..20 {
                    serving.serves()?;
                }
                Ok(())
            },
        ),
        hostile(
            37,
            "serve_is_not_held_by_handshakes",
            "Stalled handshakes do not lock out other clients.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let (cert, key) = (made.certificate.to_str().unwrap(), made.key.to_str().unwrap());
                let words = ["--max-connections", "40", "--cert-file", cert, "--key-file", key, "--memory"];
                let serving = Serving::start(stage, &words);
                let _held = hold(&serving, None, b"\x16\x03\x01\x02\x00\x01", 60);
                std::thread::sleep(Duration::from_millis(1200));
                let host = format!("localhost:{}", serving.address.port());
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                let words: Vec<&str> =
                    ["repo", "ls", &host].into_iter().chain(flags.iter().map(String::as_str)).collect();
                stage.oras(&words).works().map(drop)
            },
        ),
    ]
}

fn large() -> Vec<Case> {
    vec![
        hostile(
            37,
            "serve_heads_have_an_end",
            "Heads without end are refused, in little memory, and told in the log.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let begin = "GET /v2/ HTTP/1.1\r\nHost: x\r\n";
                for (begin, more, times) in [
                    (begin.to_owned(), "x: y\r\n".to_owned(), 100_000),
                    (begin.to_owned(), format!("x: {}\r\n", "y".repeat(50_000)), 100),
                    ("GET /v2/".to_owned(), "y".repeat(50_000), 100),
                    (String::new(), "y".repeat(50_000), 100),
                    (format!("{begin}x: "), "y".repeat(20_000), 300),
                ] {
                    let mut stream = serving.connect(None).unwrap();
                    drop(stream.write_all(begin.as_bytes()));
                    for _ in 0..times {
                        if stream.write_all(more.as_bytes()).is_err() {
                            break;
                        }
                    }
                    rest(stream).is(&[0, 400, 414, 431])?;
                }
                let held = hold(&serving, None, format!("{begin}x: {}", "y".repeat(31_000)).as_bytes(), 800);
                serving.serves()?;
                drop(held);
                check(serving.memory() < MEMORY, || format!("{} MiB", serving.memory()))?;
                check(serving.log().contains("rejected malformed request"), || "logs nothing".to_owned())
            },
        ),
        hostile(
            37,
            "serve_manifests_have_an_end",
            "Manifests that are too large, or have no end, are refused, in little memory.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let typed = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
                serving.ask("PUT", "/v2/a/manifests/v1", typed, &vec![b' '; 5 << 20]).is(&[413])?;
                let endless = format!(
                    "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n{typed}Transfer-Encoding: chunked\r\n\r\n"
                );
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                serving.say(&[endless.as_bytes(), chunk.repeat(100).as_bytes()].concat()).is(&[0, 413])?;
                // Almost all bytes of a large manifest, on many connections.
                let head = format!(
                    "PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n{typed}Content-Length: {}\r\n\r\n",
                    4 << 20
                );
                let begun = [head.as_bytes(), &vec![b' '; (4 << 20) - 1]].concat();
                let held = std::thread::scope(|scope| {
                    let one = || -> Option<TcpStream> {
                        let mut stream = serving.connect(None).ok()?;
                        stream.set_write_timeout(Some(Duration::from_millis(500))).ok()?;
                        // The server may close a connection that exceeds its memory, so an error is ignored.
                        drop(stream.write_all(&begun));
                        Some(stream)
                    };
                    let all: Vec<_> = (0..60).map(|_| scope.spawn(one)).collect();
                    all.into_iter().filter_map(|one| one.join().unwrap()).collect::<Vec<_>>()
                });
                serving.serves()?;
                check(serving.memory() < MEMORY, || format!("{} MiB for {}", serving.memory(), held.len()))?;
                // Small manifests do not wait for large ones.
                let index = br#"{"schemaVersion":2,"manifests":[]}"#;
                serving.ask("PUT", "/v2/a/manifests/small", typed, index).is(&[201]).map(drop)
            },
        ),
    ]
}

fn odd() -> Vec<Case> {
    vec![
        hostile(
            37,
            "serve_deep_manifests_are_refused",
            "A manifest of a million brackets is refused.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let typed = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
                for deep in ["[".repeat(1_000_000), "{\"a\":".repeat(500_000)] {
                    serving.ask("PUT", "/v2/a/manifests/v1", typed, deep.as_bytes()).is(&[400])?;
                }
                serving.serves()
            },
        ),
        hostile(
            37,
            "serve_uploads_are_bounded",
            "A client that opens too many uploads is limited.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let mut status = 0;
                for _ in 0..1200 {
                    status = serving.ask("POST", "/v2/a/blobs/uploads/", "", b"").is(&[202, 429])?.status;
                    if status == 429 {
                        break;
                    }
                }
                check(status == 429, || "opens more and more".to_owned())?;
                serving.serves()
            },
        ),
        hostile(
            37,
            "serve_lengths_that_disagree_are_refused",
            "A request with two lengths is rejected.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let begin = "POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
                let inner = "GET /v2/smuggled/tags/list HTTP/1.1\r\nHost: x\r\n\r\n";
                for lengths in [
                    "Content-Length: 0\r\nContent-Length: 5\r\n",
                    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                    "Content-Length: -1\r\n",
                    "Content-Length: 99999999999999999999999\r\n",
                    "Transfer-Encoding: x\r\n",
                ] {
                    let answer = serving.say(format!("{begin}{lengths}\r\n0\r\n\r\n{inner}").as_bytes());
                    answer.is(&[0, 202, 400])?;
                    check(answer.text.matches("HTTP/1.1 ").count() <= 1, || answer.text.clone())?;
                }
                check(!serving.log().contains("smuggled"), || serving.log())
            },
        ),
    ]
}

fn honest_uses() -> Vec<Case> {
    vec![
        honest(
            37,
            "serve_takes_many_connections",
            "A client with many connections at once has them all served.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let asked = std::thread::scope(|scope| {
                    let all: Vec<_> = (0..200_u32)
                        .map(|number| {
                            let serving = &serving;
                            scope.spawn(move || serving.push("a", "", &number.to_le_bytes()).status)
                        })
                        .collect();
                    all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
                });
                check(asked.iter().all(|status| *status == 201), || format!("{asked:?}"))
            },
        ),
        honest(37, "serve_takes_long_heads", "A head may be as long as any real one.", |stage| {
            let serving = Serving::start(stage, &["--memory"]);
            let many: String = (0..80).map(|number| format!("X-{number}: {}\r\n", "y".repeat(100))).collect();
            serving.ask("GET", "/v2/", &many, b"").is(&[200])?;
            serving
                .ask("GET", "/v2/", &format!("X-Token: {}\r\n", "y".repeat(16_000)), b"")
                .is(&[200])
                .map(drop)
        }),
        honest(
            37,
            "serve_takes_large_manifests",
            "A manifest of 3 MiB is stored, and given back.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let index = format!(
                    r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{}"}}}}"#,
                    "x".repeat(3 << 20)
                );
                let typed = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
                serving.ask("PUT", "/v2/a/manifests/v1", typed, index.as_bytes()).is(&[201])?;
                let got = serving.ask("GET", "/v2/a/manifests/v1", "", b"");
                check(got.is(&[200])?.text.ends_with(&index), || "is another".to_owned())?;
                let digest = Digest::sha256(index.as_bytes());
                serving.ask("HEAD", &format!("/v2/a/manifests/{digest}"), "", b"").is(&[200]).map(drop)
            },
        ),
        honest(
            37,
            "serve_takes_slow_bodies",
            "A body that comes in pieces, with pauses, is taken.",
            |stage| {
                let serving = Serving::start(stage, &["--memory"]);
                let blob = b"slow but sure";
                let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(blob));
                let mut stream = serving.connect(None).unwrap();
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    blob.len()
                );
                stream.write_all(head.as_bytes()).unwrap();
                for byte in blob {
                    std::thread::sleep(Duration::from_millis(100));
                    stream.write_all(&[*byte]).unwrap();
                }
                rest(stream).is(&[201]).map(drop)
            },
        ),
    ]
}

/// Opens connections, sends `bytes` on each, and then sends nothing more.
fn hold(serving: &Serving, from: Option<IpAddr>, bytes: &[u8], count: usize) -> Vec<TcpStream> {
    let one = |_| {
        let mut stream = serving.connect(from).ok()?;
        drop(stream.write_all(bytes));
        Some(stream)
    };
    (0..count).filter_map(one).collect()
}
