//! Point 21: layers with URLs of other hosts.

use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::Scripted;

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{HELLO, PUBLIC, bucket, has_file, has_nothing, knows_password, map, untouched};
use crate::security_case::{Case, honest, hostile};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        hostile(
            21,
            "foreign_layer_with_an_address_here",
            "A layer's `urls` that lead to this machine are not asked, present or not.",
            |stage| {
                for stored in [true, false] {
                    let target = bucket();
                    let (server, _) = serve(&format!("http://127.0.0.1:{}/f", target.port()), HELLO, stored);
                    let place = map(PUBLIC, &server);
                    let flags = ["--plain-http", "--resolve", &place].map(ToOwned::to_owned);
                    crate::registry_fixture::pull(stage, PUBLIC, &flags);
                    untouched(&target)?;
                }
                Ok(())
            },
        ),
        hostile(
            21,
            "foreign_layer_gets_no_credentials",
            "The credentials of a registry are not sent to the `urls` of a layer that it lacks.",
            |stage| {
                let target = bucket();
                let (server, _) = serve(&format!("http://{}/f", target.host()), HELLO, false);
                knows_password(stage, &server.host());
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]);
                crate::registry_fixture::learns_nothing(&target, &["authorization"])
            },
        ),
        hostile(
            21,
            "foreign_layer_with_other_content",
            "A layer with `urls` is verified like any other.",
            |stage| {
                let (server, _) = serve("http://foreign.example/f", b"hello, w0rld", true);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
                has_nothing(stage)
            },
        ),
        hostile(
            21,
            "foreign_layer_is_a_file",
            "`urls` that name files of this machine are not read.",
            |stage| {
                let secret = stage.file("secret.txt", HELLO);
                let (server, _) = serve(&format!("file://{}", secret.display()), HELLO, false);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).fails()?;
                has_nothing(stage)
            },
        ),
        honest(
            21,
            "foreign_layer_in_the_registry",
            "A layer with `urls` that the registry has is pulled from it.",
            |stage| {
                let (server, _) = serve("https://foreign.example/f", HELLO, true);
                stage.oras(&["pull", &format!("{}/a:v1", server.host()), "-o", "out"]).works()?;
                has_file(stage)
            },
        ),
        honest(
            21,
            "foreign_layer_is_copied",
            "A copy keeps the manifest with its `urls` byte for byte.",
            |stage| {
                let (server, digest) = serve("https://foreign.example/f", HELLO, true);
                copies(stage, &server, &digest)
            },
        ),
    ]
}

/// Starts a registry with one layer, which has `url` in its `urls`. The registry has the content only if
/// `stored` is set. Also returns the digest of the manifest.
fn serve(url: &str, content: &'static [u8], stored: bool) -> (Scripted, String) {
    let memory = Arc::new(MemoryRegistry::new());
    let digest = oras_spec::Digest::sha256(HELLO);
    let layer = format!(
        r#"{{"mediaType":"{LAYER}","digest":"{digest}","size":{},"urls":["{url}"],"annotations":{{"org.opencontainers.image.title":"f.txt"}}}}"#,
        HELLO.len()
    );
    let manifest = memory.artifact("a", "v1", &layer).to_string();
    let path = format!("/v2/a/blobs/{digest}");
    let server = Scripted::start(move |asked| match asked.reads(&path) {
        true if stored => crate::registry_fixture::content(asked, content),
        true => oras_testkit::scripted::Reply::new(404),
        false => memory.reply(asked),
    });
    (server, manifest)
}

fn copies(stage: &Stage, server: &Scripted, digest: &str) -> Result<(), String> {
    let source = format!("{}/a:v1", server.host());
    stage.oras(&["cp", &source, "--to-oci-layout", "layout:v1"]).works()?;
    let said = stage.oras(&["resolve", "--oci-layout", "layout:v1"]);
    check(said.works()?.stdout.trim() == digest, || format!("the copy is {}", said.stdout.trim()))
}
