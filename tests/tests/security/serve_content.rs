//! Point 38: false statements of clients of `oras serve` about their content.

use std::io::Write;

use oras_spec::Digest;

use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};
use crate::serve_sandbox::{Serving, rest};

const TYPED: &str = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

pub(crate) fn cases() -> Vec<Case> {
    let cases = [blobs(), others()];
    cases.into_iter().flatten().map(Case::ours_only).collect()
}

fn blobs() -> Vec<Case> {
    vec![
        hostile(
            38,
            "serve_wrong_digests_are_refused",
            "Content that does not match its digest is not stored.",
            |stage| {
                let serving = Serving::start(stage, &["root"]);
                let other = Digest::sha256(b"other");
                serving
                    .ask("POST", &format!("/v2/a/blobs/uploads/?digest={other}"), "", b"evil")
                    .is(&[400])?;
                let upload = open(&serving)?;
                serving.ask("PUT", &format!("{upload}?digest={other}"), "", b"evil").is(&[400])?;
                serving.ask("PUT", &format!("/v2/a/manifests/{other}"), TYPED, INDEX).is(&[400])?;
                for digest in ["sha256:x", "md5:d41d8cd98f00b204e9800998ecf8427e", "sha256:", "", "sha512:00"]
                {
                    let upload = open(&serving)?;
                    serving.ask("PUT", &format!("{upload}?digest={digest}"), "", b"evil").is(&[400])?;
                }
                has_nothing(stage, &serving, &other)
            },
        ),
        hostile(38, "serve_cut_uploads_are_not_stored", "A cut upload is not readable.", |stage| {
            let serving = Serving::start(stage, &["root"]);
            let blob = Digest::sha256(b"whole");
            for head in [
                format!(
                    "POST /v2/a/blobs/uploads/?digest={blob} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
                ),
                format!(
                    "PUT {}?digest={blob} HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
                    open(&serving)?
                ),
                format!("PUT /v2/a/manifests/v1 HTTP/1.1\r\nHost: x\r\n{TYPED}Content-Length: 500\r\n\r\n"),
            ] {
                let mut stream = serving.connect(None).unwrap();
                stream.write_all(format!("{head}who").as_bytes()).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                rest(stream).is(&[0, 400])?;
            }
            has_nothing(stage, &serving, &blob)?;
            serving.ask("GET", "/v2/a/manifests/v1", "", b"").is(&[404]).map(drop)
        }),
        hostile(
            38,
            "serve_chunks_out_of_order_are_refused",
            "A chunk that begins elsewhere, or is as long as it does not say, is refused.",
            |stage| {
                let serving = Serving::start(stage, &["root"]);
                let upload = open(&serving)?;
                serving.ask("PATCH", &upload, "Content-Range: 0-3\r\n", b"good").is(&[202])?;
                for (range, status) in
                    [("0-3", 416), ("5-8", 416), ("4-9", 400), ("4-", 400), ("x", 400), ("9-4", 400)]
                {
                    serving
                        .ask("PATCH", &upload, &format!("Content-Range: {range}\r\n"), b"evil")
                        .is(&[status])?;
                }
                let path = format!("{upload}?digest={}", Digest::sha256(b"good"));
                serving.ask("PUT", &path, "", b"").is(&[201]).map(drop)
            },
        ),
    ]
}

fn others() -> Vec<Case> {
    vec![
        hostile(
            38,
            "serve_manifests_need_what_they_list",
            "A manifest with missing content or the wrong media type is rejected.",
            |stage| {
                let serving = Serving::start(stage, &["root"]);
                let absent = Digest::sha256(b"absent");
                let lists = format!(
                    r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{absent}","size":6}}]}}"#
                );
                serving.ask("PUT", "/v2/a/manifests/v1", TYPED, lists.as_bytes()).is(&[404])?;
                let other = br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","manifests":[]}"#;
                serving.ask("PUT", "/v2/a/manifests/v1", TYPED, other).is(&[400])?;
                for body in
                    [&b"no json"[..], b"", b"[]", b"{\"schemaVersion\":2,\"manifests\":[{}]}", &[0xff; 100]]
                {
                    serving.ask("PUT", "/v2/a/manifests/v1", TYPED, body).is(&[400])?;
                }
                serving.ask("GET", "/v2/a/manifests/v1", "", b"").is(&[404]).map(drop)
            },
        ),
        hostile(
            38,
            "serve_types_are_not_believed_by_browsers",
            "What was stored is never shown as a page.",
            |stage| {
                let serving = Serving::start(stage, &["root"]);
                let page = b"<script>alert(1)</script>";
                serving
                    .ask(
                        "POST",
                        &format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(page)),
                        "Content-Type: text/html\r\n",
                        page,
                    )
                    .is(&[201])?;
                let got = serving.ask(
                    "GET",
                    &format!("/v2/a/blobs/{}", Digest::sha256(page)),
                    "Accept: text/html\r\n",
                    b"",
                );
                let told = got.is(&[200])?.header("content-type")?;
                check(told == "application/octet-stream", || told.to_owned())?;
                serving.ask("PUT", "/v2/a/manifests/v1", "Content-Type: text/html\r\n", page).is(&[400])?;
                let missing = serving.ask("GET", "/v2/a/manifests/%3Cscript%3E", "", b"");
                check(missing.is(&[400, 404])?.header("content-type")? == "application/json", || {
                    missing.text.clone()
                })
            },
        ),
        honest(
            38,
            "serve_stores_what_is_right",
            "Blobs in one request, in chunks and streamed, and manifests by tag and digest, are stored.",
            |stage| {
                let serving = Serving::start(stage, &["root"]);
                serving.push("a", "", b"one").is(&[201])?;
                let upload = open(&serving)?;
                serving.ask("PATCH", &upload, "Content-Range: 0-3\r\n", b"good").is(&[202])?;
                serving.ask("PATCH", &upload, "Content-Range: 4-7\r\n", b"more").is(&[202])?;
                serving
                    .ask("PUT", &format!("{upload}?digest={}", Digest::sha256(b"goodmore")), "", b"")
                    .is(&[201])?;
                let streamed = format!(
                    "POST /v2/a/blobs/uploads/?digest={} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nflow\r\n0\r\n\r\n",
                    Digest::sha256(b"flow")
                );
                serving.say(streamed.as_bytes()).is(&[201])?;
                for blob in [&b"one"[..], b"goodmore", b"flow"] {
                    let got = serving.ask("GET", &format!("/v2/a/blobs/{}", Digest::sha256(blob)), "", b"");
                    check(got.is(&[200])?.text.as_bytes().ends_with(blob), || got.text.clone())?;
                }
                serving.ask("PUT", "/v2/a/manifests/v1", TYPED, INDEX).is(&[201])?;
                serving
                    .ask("PUT", &format!("/v2/a/manifests/{}", Digest::sha256(INDEX)), TYPED, INDEX)
                    .is(&[201])
                    .map(drop)
            },
        ),
    ]
}

fn open(serving: &Serving) -> Result<String, String> {
    let answer = serving.ask("POST", "/v2/a/blobs/uploads/", "", b"");
    Ok(answer.is(&[202])?.header("location")?.to_owned())
}

/// Checks that neither the server nor the layout has the content or any other rejected content.
fn has_nothing(stage: &Stage, serving: &Serving, digest: &Digest) -> Result<(), String> {
    serving.ask("GET", &format!("/v2/a/blobs/{digest}"), "", b"").is(&[404])?;
    serving.ask("GET", &format!("/v2/a/manifests/{digest}"), "", b"").is(&[404])?;
    let stored = stage.files(&stage.path("root/a/blobs"));
    let named = stored.iter().filter(|name| !name.contains(".oras-")).collect::<Vec<_>>();
    check(named.is_empty(), || format!("stores {named:?}"))
}
