//! Point 35: paths in requests to `oras serve`.

use oras_spec::Digest;

use crate::case_sandbox::{Stage, check};
use crate::security_case::{Case, honest, hostile};
use crate::serve_sandbox::Serving;

const SECRET: &str = "kept beside the root";

pub(crate) fn cases() -> Vec<Case> {
    let cases = [ways_out(), names()];
    cases.into_iter().flatten().map(Case::ours_only).collect()
}

fn ways_out() -> Vec<Case> {
    vec![
        hostile(
            35,
            "serve_paths_lead_nowhere",
            "No way of writing `..` or a slash leads out of the root.",
            |stage| {
                let serving = beside(stage);
                let digest = Digest::sha256(SECRET.as_bytes());
                for name in tricks() {
                    for (method, path) in [
                        ("GET", format!("/v2/{name}/blobs/{digest}")),
                        ("GET", format!("/v2/{name}/tags/list")),
                        ("HEAD", format!("/v2/{name}/manifests/v1")),
                        ("POST", format!("/v2/{name}/blobs/uploads/?digest={}", Digest::sha256(b"x"))),
                        ("POST", format!("/v2/new/blobs/uploads/?mount={digest}&from={name}")),
                        ("DELETE", format!("/v2/{name}/blobs/{digest}")),
                    ] {
                        let answer = serving.ask(method, &path, "", b"x");
                        // A mount from an invalid source opens an upload.
                        answer.is(if path.contains("mount=") { &[202, 400] } else { &[400, 404] })?;
                        check(!answer.text.contains(SECRET), || format!("{method} {path} reads it"))?;
                    }
                }
                check(
                    !stage.path("x").exists()
                        && !stage.path("root/new/blobs/sha256").join(digest.encoded()).exists(),
                    || format!("writes {:?}", stage.files(&stage.path(""))),
                )?;
                let blob = stage.path("beside/blobs/sha256").join(digest.encoded());
                check(blob.is_file(), || "deletes it".to_owned())?;
                check(serving.log().contains("status=404"), || "logs nothing".to_owned())
            },
        ),
        hostile(
            35,
            "serve_references_lead_nowhere",
            "A tag, a digest or the id of an upload can't lead anywhere.",
            |stage| {
                let serving = beside(stage);
                serving.push("a", "", b"x").is(&[201])?;
                let long = "t".repeat(129);
                for reference in [
                    "..",
                    "%2e%2e",
                    "..%2f..%2fbeside",
                    "a%00b",
                    "sha256:..",
                    "sha256:%2e%2e%2fx",
                    "-x",
                    "%ff",
                    &long,
                ] {
                    for (method, path) in [
                        ("GET", format!("/v2/a/manifests/{reference}")),
                        ("PUT", format!("/v2/a/manifests/{reference}")),
                        ("DELETE", format!("/v2/a/manifests/{reference}")),
                        ("GET", format!("/v2/a/blobs/{reference}")),
                        ("PATCH", format!("/v2/a/blobs/uploads/{reference}")),
                        ("GET", format!("/v2/a/referrers/{reference}")),
                    ] {
                        let typed = "Content-Type: application/vnd.oci.image.index.v1+json\r\n";
                        serving
                            .ask(method, &path, typed, b"{\"schemaVersion\":2,\"manifests\":[]}")
                            .is(&[400, 404])?;
                    }
                }
                Ok(())
            },
        ),
    ]
}

fn names() -> Vec<Case> {
    vec![
        hostile(
            35,
            "serve_reserved_names_are_refused",
            "What a layout needs for itself is no part of a name.",
            |stage| {
                let serving = beside(stage);
                for name in ["blobs", "a/blobs", "index.json", "a/oci-layout/b", "ingest", "a/blobs/sha256"] {
                    serving.push(name, "", b"x").is(&[400, 404])?;
                }
                check(stage.files(&stage.path("root")).is_empty(), || {
                    format!("{:?}", stage.files(&stage.path("root")))
                })
            },
        ),
        hostile(
            35,
            "serve_long_paths_are_refused",
            "Overlong names, tags and queries are rejected, and the server continues.",
            |stage| {
                let serving = beside(stage);
                for name in ["a".repeat(256), "a/".repeat(200) + "a", "a".repeat(20_000), "%61".repeat(9_000)]
                {
                    serving.ask("GET", &format!("/v2/{name}/tags/list"), "", b"").is(&[400, 404, 414])?;
                    serving.push(&name, "", b"x").is(&[400, 404, 414])?;
                }
                let query = format!("/v2/_catalog?{}", "n=1&".repeat(5000));
                serving.ask("GET", &query, "", b"").is(&[200, 400, 414])?;
                serving.ask("GET", "/v2/_catalog?n=%ff&last=%00", "", b"").is(&[200, 400])?;
                serving.serves()
            },
        ),
        honest(
            35,
            "serve_names_of_all_kinds",
            "Dots, dashes, underscores, many parts and escaped letters are names.",
            |stage| {
                let serving = beside(stage);
                let long = "l".repeat(200);
                for name in ["a.b_c--d/e__f", "x/y/z/1/2/3", "beside", "blobs-of/a", &long] {
                    serving.push(name, "", b"x").is(&[201])?;
                }
                let path = format!("/v2/%61.b%5fc--d%2fe__f/blobs/{}", Digest::sha256(b"x"));
                serving.ask("GET", &path, "", b"").is(&[200]).map(drop)
            },
        ),
    ]
}

/// Starts a server over `root`. A layout beside `root` must stay inaccessible.
fn beside(stage: &Stage) -> Serving {
    stage.file("beside/oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    stage.file("beside/index.json", r#"{"schemaVersion":2,"manifests":[]}"#);
    let name = Digest::sha256(SECRET.as_bytes()).encoded();
    stage.file(&format!("beside/blobs/sha256/{name}"), SECRET);
    Serving::start(stage, &["root"])
}

fn tricks() -> Vec<String> {
    let ways = [
        "..",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "%c0%ae%c0%ae",
        "%ef%bc%8e%ef%bc%8e",
        "..%00",
        "%2e%2e%00",
        ".%2e%2f.",
    ];
    let mut all: Vec<String> = ways.iter().map(|way| format!("{way}/beside")).collect();
    all.extend(ways.iter().map(|way| format!("a/{way}/{way}/beside")));
    all.extend(
        [
            "..%2fbeside",
            "..%5cbeside",
            "a%2f..%2f..%2fbeside",
            "%2fbeside",
            "/beside",
            ".",
            "./beside",
            "beside/.",
            "a//b",
            "~",
            "a%00",
            "%e2%80%ae",
        ]
        .map(ToOwned::to_owned),
    );
    all
}
