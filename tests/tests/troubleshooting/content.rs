//! Content: platforms, sizes, limits and digests.

use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply};
use oras_testkit::tarball::{Tarball, directory_layer, gzip};

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let case = |title, line, remedy, prepare| Case::new(Theme::Content, title, line, remedy, prepare);
    vec![
        case(
            "The index does not have the platform",
            "oras pull --platform linux/s390x {R}/hello:v1",
            "The hint lists the platforms of the index.",
            index,
        ),
        case(
            "A manifest is too large",
            "oras manifest fetch --max-manifest-size 100 {R}/hello:v1",
            "The limit protects the memory of this computer. Manifests rarely need more than the default of 4 MiB.",
            Scene::hello,
        ),
        case(
            "A directory unpacks to too many bytes",
            "oras pull --max-unpack-size 1000 {R}/hello:v1",
            "A small archive can unpack to a very large directory, by mistake or on purpose.",
            directory,
        ),
        case(
            "A directory has too many entries",
            "oras pull --max-unpack-entries 1 {R}/hello:v1",
            "An archive can contain millions of empty files.",
            directory,
        ),
        case(
            "A file outside of the output directory",
            "oras pull {R}/hello:v1",
            "The name of the file in the artifact leads out of the directory, by mistake or on purpose.",
            |scene| {
                let registry = MemoryRegistry::new();
                registry.files("hello", "v1", &[("../hi.txt", b"hello world\n")]);
                scene.scripted(move |asked| registry.reply(asked))
            },
        )
        .advised(),
        case(
            "The registry sends other content",
            "oras pull {R}/hello:v1",
            "The blob does not have its digest. It is damaged at the registry, or something on the way has changed it.",
            |scene| {
                let registry = MemoryRegistry::new();
                registry.files("hello", "v1", &[("hi.txt", b"hello world\n")]);
                scene.scripted(move |asked: &Asked| {
                    let reply = registry.reply(asked);
                    let is_blob = asked.method == "GET" && asked.path.contains("/blobs/");
                    if is_blob { Reply::new(200).body("hello_world\n") } else { reply }
                })
            },
        ),
    ]
}

/// Starts a registry as `{R}` with an index for two platforms.
fn index(scene: &Scene) -> Option<()> {
    let registry = MemoryRegistry::new();
    let entry = |architecture: &str| {
        let digest = registry.files("hello", architecture, &[("hi.txt", architecture.as_bytes())]);
        let size = 2;
        format!(
            "{{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"{digest}\",\"size\":{size},\
             \"platform\":{{\"os\":\"linux\",\"architecture\":{architecture:?}}}}}"
        )
    };
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{media_type}\",\"manifests\":[{},{}]}}",
        entry("amd64"),
        entry("arm64")
    );
    registry.manifest("hello", "v1", media_type, index);
    let registry = Arc::new(registry);
    scene.scripted(move |asked| registry.reply(asked))
}

/// Starts a registry as `{R}` with an artifact that is a directory.
fn directory(scene: &Scene) -> Option<()> {
    let tar = Tarball::new().directory("d/").file("d/zeros", vec![0; 100_000]).file("d/a", "a").done();
    let packed = gzip(&tar);
    let registry = MemoryRegistry::new();
    registry.blob("hello", packed.clone());
    registry.artifact("hello", "v1", &directory_layer("d", &packed, &tar));
    scene.scripted(move |asked| registry.reply(asked))
}
