//! Point 13: the upload locations that a registry returns.

use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    BASIC, PASSWORD, PUBLIC, answers, behind, borrowed, bucket, certificate, knows_password, learns_nothing,
    locked, map, push, registry, trusting, untouched,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), uses()].into_iter().flatten().collect()
}

/// Responds to the start of an upload with `location`.
fn sends_to(location: &str) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    let location = location.to_owned();
    move |asked| opens(asked).then(|| Reply::new(202).header("location", &location))
}

/// Returns true if a request starts an upload.
fn opens(asked: &Asked) -> bool {
    asked.method == "POST" && asked.path.starts_with("/v2/a/blobs/uploads/")
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(
            13,
            "upload_to_another_port_gets_no_secrets",
            "An upload that continues on another port sends neither credentials nor the user's headers there.",
            |stage| leaves_secrets_behind(stage, "localhost"),
        ),
        hostile(
            13,
            "upload_to_another_host_gets_no_secrets",
            "An upload that continues on another host sends neither credentials nor the user's headers there.",
            |stage| leaves_secrets_behind(stage, "upload.example"),
        ),
        hostile(
            13,
            "upload_target_asks_for_credentials",
            "A host that an upload goes to may ask for credentials, and gets none.",
            |stage| {
                let target =
                    Scripted::start(|_| Reply::new(401).header("www-authenticate", "Basic realm=\"x\""));
                let server = registry(locked(sends_to(&format!("http://{}/u", target.host()))));
                knows_password(stage, &server.host());
                push(stage, &[], &server.host(), &[]).fails()?;
                learns_nothing(&target, &["authorization", BASIC, PASSWORD])
            },
        ),
        hostile(
            13,
            "upload_to_loopback",
            "A public registry can't have content sent to a server of this machine.",
            |stage| {
                let target = bucket();
                let server = registry(sends_to(&format!("http://127.0.0.1:{}/u", target.port())));
                push(stage, &[], PUBLIC, &server.public()).fails()?;
                untouched(&target)
            },
        ),
        hostile(
            13,
            "upload_to_metadata",
            "A registry can't have content sent to the metadata service of a cloud.",
            |stage| refuses(stage, "169.254.169.254"),
        ),
        hostile(
            13,
            "upload_to_a_private_network",
            "A public registry can't have content sent into a private network.",
            |stage| refuses(stage, "192.168.1.1"),
        ),
        hostile(
            13,
            "upload_from_https_to_http",
            "An upload that began by HTTPS does not go on by HTTP.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let target = bucket();
                let to = format!("http://{}/u", target.host());
                let server = Scripted::start_tls(&made, answers(sends_to(&to)));
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                push(stage, &[], &server.host(), &flags).fails()?;
                untouched(&target)
            },
        ),
        hostile(
            13,
            "upload_to_nowhere",
            "A location that is missing, or none at all, is an error and no crash.",
            |stage| {
                for location in ["", "http://", "file:///tmp/x", "http://[/"] {
                    let server = registry(sends_to(location));
                    push(stage, &[], &server.host(), &[]).fails()?;
                }
                Ok(())
            },
        ),
        hostile(
            13,
            "upload_is_redirected_to_loopback",
            "Nor can a registry redirect the sending of content to this machine.",
            |stage| {
                let target = bucket();
                let to = format!("http://127.0.0.1:{}/u", target.port());
                let server = registry(move |asked| {
                    (asked.method == "PUT" && asked.path.contains("/uploads/"))
                        .then(|| Reply::new(307).header("location", &to))
                });
                push(stage, &[], PUBLIC, &server.public()).fails()?;
                untouched(&target)
            },
        ),
    ]
}

/// Checks a push to a registry that requires credentials and directs uploads to `host`, which must get no
/// secrets. The push may succeed or fail.
fn leaves_secrets_behind(stage: &Stage, host: &str) -> Result<(), String> {
    let target = bucket();
    let server = registry(locked(sends_to(&format!("http://{host}:{}/u?_state=x", target.port()))));
    knows_password(stage, &server.host());
    let place = map(&format!("upload.example:{}", target.port()), &target);
    let flags = ["-H", "X-Secret: s3cret", "--resolve", &place].map(ToOwned::to_owned);
    push(stage, &[], &server.host(), &flags);
    check(!server.server.lines().is_empty(), || "asks the registry for nothing".to_owned())?;
    learns_nothing(&target, &["authorization", BASIC, "s3cret"])
}

/// Checks that the tool does not follow an upload location of a public registry at `host`. A proxy would
/// receive the request.
fn refuses(stage: &Stage, host: &str) -> Result<(), String> {
    let proxy = bucket();
    let server = registry(sends_to(&format!("http://{host}/u")));
    let environment = behind(&proxy);
    push(stage, &borrowed(&environment), PUBLIC, &server.public()).fails()?;
    untouched(&proxy)
}

fn uses() -> Vec<Case> {
    vec![
        honest(13, "upload_relative", "A relative location is followed, with credentials.", |stage| {
            at_registry(stage, |_| "/v2/a/blobs/uploads/1?_state=a%2Fb+c%3D".to_owned())
        }),
        honest(
            13,
            "upload_absolute",
            "An absolute location at the registry is followed, with credentials.",
            |stage| {
                at_registry(stage, |asked| {
                    let host = asked.header("host").unwrap_or_default();
                    format!("http://{host}/v2/a/blobs/uploads/1?_state=a%2Fb+c%3D")
                })
            },
        ),
        honest(
            13,
            "upload_with_the_default_port",
            "A location that spells out the default port is at the registry, and gets credentials.",
            |stage| {
                let server = registry(locked(|asked| {
                    opens(asked).then(|| {
                        let location = "http://registry.example:80/v2/a/blobs/uploads/1";
                        Reply::new(202).header("location", location)
                    })
                }));
                knows_password(stage, "registry.example");
                let place = map("registry.example:80", &server.server);
                let flags = ["--plain-http", "--resolve", &place].map(ToOwned::to_owned);
                push(stage, &[], "registry.example", &flags).works()?;
                Ok(())
            },
        ),
        honest(
            13,
            "upload_to_another_host",
            "An upload may go on at another host, which gets the bytes and the digest, and no credentials.",
            |stage| {
                let target = bucket();
                let server = registry(locked(sends_to(&format!("http://{}/u?_state=x", target.host()))));
                knows_password(stage, &server.host());
                push(stage, &[], &server.host(), &[]).works()?;
                let got = target.asked().iter().any(|asked| {
                    asked.method == "PUT"
                        && asked.path.starts_with("/u?_state=x&digest=sha256")
                        && asked.body == b"some new content"
                });
                check(got, || format!("sends {:?}", target.lines()))
            },
        ),
        honest(
            13,
            "upload_to_another_public_host",
            "An upload to a public registry may go on at another public host.",
            |stage| {
                let target = bucket();
                let server = registry(sends_to("http://upload.example/u"));
                let mut flags = server.public();
                flags.extend(["--resolve".to_owned(), map("upload.example:80", &target)]);
                push(stage, &[], PUBLIC, &flags).works()?;
                check(!target.lines().is_empty(), || "sends nothing there".to_owned())
            },
        ),
    ]
}

/// Checks a push to a registry that requires credentials for every request and returns this location. The
/// query of the location must be kept.
fn at_registry(stage: &Stage, location: fn(&Asked) -> String) -> Result<(), String> {
    let server = registry(locked(move |asked| {
        opens(asked).then(|| Reply::new(202).header("location", location(asked)))
    }));
    knows_password(stage, &server.host());
    push(stage, &[], &server.host(), &[]).works()?;
    let sent = server.server.lines().into_iter().filter(|line| line.starts_with("PUT /v2/a/blobs"));
    let sent: Vec<_> = sent.collect();
    // The Go tool encodes the query again, in another order but with the same meaning.
    let kept = |line: &String| line.contains("digest=sha256") && line.contains("_state=a%2Fb+c%3D");
    check(!sent.is_empty() && sent.iter().all(kept), || format!("sends {sent:?}"))
}
