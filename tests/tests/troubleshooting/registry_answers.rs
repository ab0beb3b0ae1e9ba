//! Error responses of registries. The real registries of the suite send those that they know; a server with faults
//! sends the others.

use std::time::{Duration, SystemTime};

use oras_testkit::registry::{Flavor, HTPASSWD, Options, Process};
use oras_testkit::scripted::Reply;

use crate::error_case::{Case, Theme};
use crate::scene::Scene;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = access();
    cases.extend(missing_content());
    cases.extend(limits_and_faults());
    cases
}

fn case(
    title: &'static str,
    line: &'static str,
    remedy: &'static str,
    prepare: fn(&Scene) -> Option<()>,
) -> Case {
    Case::new(Theme::Answers, title, line, remedy, prepare)
}

fn access() -> Vec<Case> {
    vec![
        case(
            "No login",
            "oras pull {R}/hello:v1",
            "The registry asks for a login, and no credential is stored for it.",
            with_password,
        ),
        case(
            "Wrong user or password",
            "oras pull -u user -p wrong {R}/hello:v1",
            "Many registries expect an access token instead of the password of the web site.",
            with_password,
        ),
        case(
            "Login with a wrong password",
            "echo wrong | oras login -u user --password-stdin {R}",
            "The registry has rejected the password, so it is not stored.",
            with_password,
        ),
        case(
            "The stored login is rejected",
            "oras pull {R}/hello:v1",
            "The password has changed or the token has expired since the login.",
            |scene| {
                with_password(scene)?;
                // `user:old`
                scene.docker_config(&scene.filled(r#"{"auths":{"{R}":{"auth":"dXNlcjpvbGQ="}}}"#));
                Some(())
            },
        ),
        case(
            "The login does not permit the operation",
            "oras push {R}/private/app:v1 hi.txt",
            "The user exists and may not do this. Those who run the registry grant the permission.",
            with_rules,
        ),
        case(
            "The clock is wrong",
            "oras pull {R}/hello:v1",
            "The hint compares the clock with the `Date` of the response. Tokens and certificates are valid for a time.",
            |scene| {
                scene.scripted(|_| {
                    let there = SystemTime::now() - Duration::from_secs(3 * 24 * 3600 + 600);
                    Reply::new(403)
                        .header("Date", httpdate::fmt_http_date(there))
                        .body(error("DENIED", "token expired"))
                })
            },
        ),
    ]
}

fn missing_content() -> Vec<Case> {
    vec![
        case(
            "Unknown tag",
            "oras pull {R}/hello:v11",
            "The hint lists the tags with similar names. After the failure, `oras` asks the registry for them once.",
            Scene::hello,
        ),
        case(
            "Unknown tag of a copy",
            "oras cp {R}/hello:latest --to-oci-layout copy:v1",
            "If no tag has a similar name and there are only a few, the hint lists them.",
            Scene::hello,
        ),
        case(
            "Unknown tag to delete",
            "oras manifest delete --force=false {R}/hello:v2",
            "The tag has another name, or was deleted already.",
            Scene::hello,
        ),
        case(
            "Unknown repository",
            "oras pull {R}/helo:v1",
            "Registries answer the same for an unknown repository and an unknown tag, so `oras` asks for the tags once.",
            Scene::hello,
        ),
        case(
            "Tags of an unknown repository",
            "oras repo tags {R}/helo",
            "Only some registries list their repositories, and some only to administrators.",
            Scene::hello,
        ),
        case(
            "Unknown digest",
            "oras pull {R}/hello@sha256:0000000000000000000000000000000000000000000000000000000000000000",
            "The manifest was deleted, or it is in another repository.",
            Scene::hello,
        ),
        case(
            "The registry does not list its repositories",
            "oras repo ls {R}",
            "The catalog is an optional part of the API. Docker Hub and GitHub do not have it.",
            |scene| scene.scripted(|_| Reply::new(404)),
        ),
        case(
            "An unfinished upload has expired",
            "oras blob push {R}/hello hi.txt",
            "Registries keep an unfinished upload for a limited time. The next run begins a new one.",
            |scene| {
                scene.file("hi.txt", "hello world\n");
                scene.scripted(|asked| match asked.method.as_str() {
                    "POST" => Reply::new(202).header("Location", "/v2/hello/blobs/uploads/1"),
                    "HEAD" => Reply::new(404),
                    _ => {
                        Reply::new(404).body(error("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry"))
                    }
                })
            },
        ),
    ]
}

fn limits_and_faults() -> Vec<Case> {
    vec![
        case(
            "Rate limit",
            "oras pull {R}/hello:v1",
            "The time is that of the header `Retry-After`. The client waits up to a minute itself.",
            |scene| {
                scene.scripted(|_| {
                    Reply::new(429)
                        .header("Retry-After", 900)
                        .body(error("TOOMANYREQUESTS", "too many requests"))
                })
            },
        ),
        case(
            "The registry is down for maintenance",
            "oras pull {R}/hello:v1",
            "The time is that of the header `Retry-After`.",
            |scene| scene.scripted(|_| Reply::new(503).header("Retry-After", 300)),
        ),
        case(
            "A fault of the registry",
            "oras pull {R}/hello:v1",
            "The client has retried several times. The log of the registry says more.",
            |scene| scene.scripted(|_| Reply::new(500).body(error("UNKNOWN", "unknown error"))),
        ),
        case(
            "Deletion is not enabled",
            "oras manifest delete --force {R}/hello@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
            "The registry of distribution does not delete by default.",
            |scene| {
                scene.scripted(|asked| match asked.method.as_str() {
                    "DELETE" => Reply::new(405).body(error("UNSUPPORTED", "The operation is unsupported.")),
                    _ => manifest_of_braces(),
                })
            },
        ),
        case(
            "A request is too large for the registry",
            "oras blob push {R}/hello hi.txt",
            "The default of nginx is 1 MB, which is too little for layers.",
            |scene| {
                scene.file("hi.txt", "hello world\n");
                scene.scripted(|asked| match asked.method.as_str() {
                    "POST" => Reply::new(202).header("Location", "/v2/hello/blobs/uploads/1"),
                    "PUT" => Reply::new(413),
                    _ => Reply::new(404),
                })
            },
        ),
        case(
            "The quota is used up",
            "oras push {R}/hello:v1 hi.txt",
            "Harbor, for example, limits the size of a project.",
            |scene| {
                scene.file("hi.txt", "hello world\n");
                scene.scripted(|asked| match asked.method.as_str() {
                    "POST" => Reply::new(403).body(error(
                        "DENIED",
                        "adding 12 B of storage will exceed the configured upper limit of the quota",
                    )),
                    _ => Reply::new(404),
                })
            },
        ),
        case(
            "Unsupported media type",
            "oras manifest push --media-type application/vnd.example+json {R}/hello:v1 manifest.json",
            "Some registries accept only the manifests of images and indexes.",
            |scene| {
                scene.file("manifest.json", "{\"schemaVersion\":2}");
                scene.scripted(|asked| match asked.method.as_str() {
                    "PUT" => Reply::new(400).body(error("MANIFEST_INVALID", "manifest invalid")),
                    _ => Reply::new(404),
                })
            },
        ),
        case(
            "The registry has no referrers API",
            "oras discover --distribution-spec v1.1-referrers-api {R}/hello:v1",
            "Without the flag, `oras` uses the API if the registry has it, and the tag schema otherwise.",
            |scene| {
                scene.scripted(|asked| {
                    if asked.path.contains("/referrers/") { Reply::new(404) } else { manifest_of_braces() }
                })
            },
        ),
    ]
}

/// Returns the body of an error response.
fn error(code: &str, message: &str) -> String {
    format!("{{\"errors\":[{{\"code\":{code:?},\"message\":{message:?}}}]}}")
}

/// Returns the answer for the manifest `{}`.
fn manifest_of_braces() -> Reply {
    Reply::new(200)
        .header("Content-Type", "application/vnd.oci.image.manifest.v1+json")
        .header(
            "Docker-Content-Digest",
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        )
        .body("{}")
}

/// Starts a real registry with a user as `{R}`.
fn with_password(scene: &Scene) -> Option<()> {
    let options = Options { password: true, ..Options::default() };
    let registry = Process::start(Flavor::Distribution, &options, "troubleshooting")?;
    scene.at_port(registry.port());
    scene.keep(registry);
    Some(())
}

/// Starts `oras serve` as `{R}`, in which the user may only pull, and logs in.
fn with_rules(scene: &Scene) -> Option<()> {
    scene.file("htpasswd", HTPASSWD);
    scene.file("rules.toml", "[[rule]]\nrepositories = [\"**\"]\nusers = [\"user\"]\nallow = [\"pull\"]\n");
    scene.file("hi.txt", "hello world\n");
    scene.serve(&["--memory", "--htpasswd", "htpasswd", "--rules", "rules.toml"])?;
    scene.setup("echo pass | oras login -u user --password-stdin {R}")
}
