//! Runs the examples as their users do: as programs, against a registry.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use oras::remote::{Client, ClientOptions, Repository};
use oras::server::{PerRepository, Server, ServerOptions, User};
use oras::{Artifact, Memory};

/// Runs `job` with the address of a registry in memory, which ends with the job.
async fn with_registry(options: ServerOptions, job: impl AsyncFnOnce(String)) {
    let stores = PerRepository::new(|_| async { Ok(Arc::new(Memory::new()) as _) });
    let server = Server::bind("localhost:0", options, Arc::new(stores)).await.unwrap();
    // Clients use HTTP without TLS for this name only.
    let address = format!("localhost:{}", server.local_addr().port());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let job = async {
        job(address).await;
        drop(stop);
    };
    let (served, ()) = tokio::join!(server.run(async { drop(stopped.await) }), job);
    served.unwrap();
}

/// Runs a program on another thread, so that the registry answers meanwhile. Returns what it printed.
async fn run(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}: {out}{errors}");
    out.into_owned()
}

/// Pushes an artifact with a referrer, and returns the digest of its layer.
async fn push_app(registry: &str) -> String {
    let client = Client::new(ClientOptions::default()).unwrap();
    let repository = Repository::open(&client, &format!("{registry}/app")).unwrap();
    let app =
        Artifact::new("application/vnd.example.app").titled_layer("app.txt", "text/plain", "hello world\n");
    let app =
        app.config("application/json", "{\"name\":\"app\"}").push(&repository, Some("v1")).await.unwrap();
    let signature = Artifact::new("application/vnd.example.signature").layer("text/plain", "signed\n");
    signature.subject(app.root).push(&repository, None).await.unwrap();
    let app = repository.artifact("v1").await.unwrap();
    app.layers()[0].digest.to_string()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn stream_layer_writes_the_verified_layer() {
    with_registry(ServerOptions::default(), async |registry| {
        let digest = push_app(&registry).await;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("out.txt");
        let reference = format!("{registry}/app:v1");
        let printed = run(env!("CARGO_BIN_EXE_stream_layer"), &[&reference, text(&file)]).await;
        assert_eq!(printed.trim(), digest);
        assert_eq!(std::fs::read(&file).unwrap(), b"hello world\n");
    })
    .await;
}

#[tokio::test]
async fn mirror_repository_copies_both_ways_with_referrers() {
    with_registry(ServerOptions::default(), async |from| {
        push_app(&from).await;
        let mut options = ServerOptions::default();
        options.users = vec![User::new("user", "pass")];
        with_registry(options, async |to| {
            let directory = tempfile::tempdir().unwrap();
            let layout = directory.path().join("layout");
            let (from, to) = (format!("{from}/app"), format!("{to}/copy"));
            let arguments = [&*from, text(&layout), &*to, "user", "pass"];
            let first = run(env!("CARGO_BIN_EXE_mirror_repository"), &arguments).await;
            assert!(first.contains("saved v1 sha256:") && first.contains("pushed v1 sha256:"), "{first}");
            let again = run(env!("CARGO_BIN_EXE_mirror_repository"), &arguments).await;
            assert!(again.contains("unchanged v1 sha256:"), "{again}");
            let shown = run(env!("CARGO_BIN_EXE_layout_tool"), &[text(&layout)]).await;
            assert!(
                shown.contains("app.txt") && shown.contains("referrer application/vnd.example.signature"),
                "{shown}"
            );
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn artifact_from_memory_reads_back_what_it_pushed() {
    with_registry(ServerOptions::default(), async |registry| {
        let repository = format!("{registry}/models");
        let printed = run(env!("CARGO_BIN_EXE_artifact_from_memory"), &[&repository]).await;
        assert_eq!(printed, "tags: v1\nparameters: 7\nreport: accuracy: 0.9\n");
    })
    .await;
}

#[tokio::test]
async fn pull_image_prints_config_and_layers() {
    with_registry(ServerOptions::default(), async |registry| {
        push_app(&registry).await;
        let printed = run(env!("CARGO_BIN_EXE_pull_image"), &[&format!("{registry}/app:v1")]).await;
        assert!(printed.contains("config: {\"name\":\"app\"}"), "{printed}");
        assert!(printed.contains("layer: text/plain (12 bytes)"), "{printed}");
    })
    .await;
}

#[tokio::test]
async fn embedded_registry_sees_what_the_product_pushed() {
    assert!(run(env!("CARGO_BIN_EXE_embedded_registry"), &[]).await.contains("the product pushed sha256:"));
}

#[tokio::test]
async fn own_store_passes_the_suite() {
    let printed = run(env!("CARGO_BIN_EXE_own_store"), &["check"]).await;
    assert!(printed.contains("the store passes 21 checks of the suite"), "{printed}");
}
