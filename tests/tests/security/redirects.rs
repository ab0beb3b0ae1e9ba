//! Points 12 and 15: redirects by a registry.

use std::net::Ipv6Addr;

use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    BASIC, HELLO, PASSWORD, PUBLIC, behind, borrowed, bucket, certificate, file, has_file, has_nothing,
    knows_password, layer, learns_nothing, literal, locked, map, own_name, private_address, pull, pull_with,
    redirects, registry, trusting, untouched,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [secrets(), places(), here(), uses(), within()].into_iter().flatten().collect()
}

fn secrets() -> Vec<Case> {
    vec![
        hostile(
            12,
            "redirect_to_another_port_gets_no_secrets",
            "A redirect to another port of the same host is sent neither credentials nor the user's headers.",
            |stage| leaves_secrets_behind(stage, "localhost", false),
        ),
        hostile(
            12,
            "redirect_to_another_host_gets_no_secrets",
            "A redirect to another host is sent neither credentials nor the user's headers.",
            |stage| leaves_secrets_behind(stage, "cdn.example", false),
        ),
        hostile(
            12,
            "redirect_through_the_registry_gets_no_secrets",
            "A redirect within the registry, and from there to another host, is sent no secrets either.",
            |stage| leaves_secrets_behind(stage, "cdn.example", true),
        ),
        hostile(
            15,
            "redirect_target_asks_for_credentials",
            "A host that a registry redirects to may ask for credentials, and gets none.",
            |stage| {
                let target = Scripted::start(locked(|_| None).then_file());
                asks_in_vain(stage, &target)
            },
        ),
        hostile(
            15,
            "redirect_target_names_a_token_server",
            "A host that a registry redirects to may name a token server, which is sent nothing.",
            |stage| {
                let tokens = Scripted::start(|_| Reply::new(200).body(r#"{"token":"t"}"#));
                let challenge = format!("Bearer realm=\"http://{}/t\",service=\"s\"", tokens.host());
                let target = Scripted::start(move |_| Reply::new(401).header("www-authenticate", &challenge));
                asks_in_vain(stage, &target)?;
                learns_nothing(&tokens, &[BASIC, PASSWORD])
            },
        ),
        hostile(
            12,
            "redirect_from_https_to_http",
            "A redirect from HTTPS to HTTP is not followed.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let target = bucket();
                let to = format!("http://{}/f", target.host());
                let server = Scripted::start_tls(&made, crate::registry_fixture::answers(redirects(&to)));
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                pull(stage, &server.host(), &flags).fails()?;
                untouched(&target)
            },
        ),
        hostile(12, "redirect_forever", "A registry that redirects without end is given up soon.", |stage| {
            let server =
                registry(|asked| asked.reads(&layer()).then(|| Reply::new(307).header("location", layer())));
            pull(stage, &server.host(), &[]).fails()?;
            let asked = server.server.asked().len();
            check(asked < 100, || format!("asks {asked} times"))
        }),
        hostile(
            12,
            "redirect_to_a_file",
            "A redirect to a file of this machine, or by any scheme but HTTP, is not followed.",
            |stage| {
                for to in ["file:///etc/hostname", "ftp://localhost/f", "data:,hello", "gopher://localhost/"]
                {
                    pull(stage, &registry(redirects(to)).host(), &[]).fails()?;
                }
                has_nothing(stage)
            },
        ),
    ]
}

/// Adds the responses of a file server to those of a registry.
trait ThenFile {
    fn then_file(self) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static;
}

impl<F: Fn(&Asked) -> Option<Reply> + Send + Sync + 'static> ThenFile for F {
    fn then_file(self) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
        move |asked| self(asked).unwrap_or_else(|| file(asked))
    }
}

/// Checks a pull from a registry that requires credentials and redirects to `host`. The pull succeeds, and
/// `host` gets no secrets.
fn leaves_secrets_behind(stage: &Stage, host: &str, detour: bool) -> Result<(), String> {
    let target = bucket();
    let to = format!("http://{host}:{}/f?X-Signature=abc", target.port());
    let server = registry(locked(move |asked| match asked.path.as_str() {
        path if path == layer() && detour => Some(Reply::new(302).header("location", "/moved/f")),
        path if path == layer() || path == "/moved/f" => Some(Reply::new(307).header("location", &to)),
        _ => None,
    }));
    knows_password(stage, &server.host());
    let flags = [
        "-H",
        "X-Secret: s3cret",
        "-H",
        "Cookie: c00kie=1",
        "--resolve",
        &map(&format!("cdn.example:{}", target.port()), &target),
    ];
    pull(stage, &server.host(), &flags.map(ToOwned::to_owned)).works()?;
    has_file(stage)?;
    learns_nothing(&target, &["authorization", BASIC, "s3cret", "c00kie"])
}

/// Checks a pull from a registry that redirects to `target`. `target` requests credentials, but must get
/// none.
fn asks_in_vain(stage: &Stage, target: &Scripted) -> Result<(), String> {
    let server = registry(locked(redirects(&format!("http://{}/f", target.host()))));
    knows_password(stage, &server.host());
    pull(stage, &server.host(), &[]).fails()?;
    learns_nothing(target, &["authorization", BASIC, PASSWORD])
}

fn places() -> Vec<Case> {
    vec![
        hostile(
            12,
            "redirect_to_metadata",
            "A redirect to the metadata service of a cloud is not followed.",
            |stage| refuses(stage, "169.254.169.254"),
        ),
        hostile(
            12,
            "redirect_to_private_ipv4",
            "A public registry's redirect to an address of a private network is not followed.",
            |stage| refuses(stage, "10.0.0.1"),
        ),
        hostile(
            12,
            "redirect_to_private_ipv4_in_ipv6",
            "Nor is one to such an address written as IPv6.",
            |stage| refuses(stage, "[::ffff:10.0.0.1]"),
        ),
        hostile(
            12,
            "redirect_to_link_local_ipv6",
            "A redirect to a link-local address is not followed.",
            |stage| refuses(stage, "[fe80::1]"),
        ),
        hostile(
            12,
            "redirect_to_unique_local_ipv6",
            "A public registry's redirect to a unique local address is not followed.",
            |stage| refuses(stage, "[fd00:ec2::254]"),
        ),
    ]
}

fn here() -> Vec<Case> {
    vec![
        hostile(
            12,
            "redirect_to_loopback",
            "A public registry's redirect to this machine by its address is not followed.",
            |stage| refuses_here(stage, &bucket(), "127.0.0.1"),
        ),
        hostile(
            12,
            "redirect_to_localhost",
            "A public registry's redirect to `localhost` is not followed.",
            |stage| refuses_here(stage, &bucket(), "localhost"),
        ),
        hostile(
            12,
            "redirect_to_loopback_as_a_number",
            "Nor is one to this machine's address written as one number.",
            |stage| refuses_here(stage, &bucket(), "2130706433"),
        ),
        hostile(
            12,
            "redirect_to_loopback_ipv6",
            "A public registry's redirect to `::1` is not followed.",
            |stage| {
                let target = Scripted::start_on(Ipv6Addr::LOCALHOST.into(), file);
                refuses_here(stage, &target, "[::1]")
            },
        ),
        hostile(
            12,
            "redirect_to_a_name_of_this_machine",
            "A redirect to a name is not followed when it turns out to lead to this machine.",
            |stage| match own_name(stage) {
                Some(name) => refuses_here(stage, &bucket(), &name),
                None => Ok(()),
            },
        ),
        hostile(
            12,
            "redirect_to_a_private_network_of_a_local_registry",
            "A registry on this machine may not lead into a private network either.",
            |stage| {
                let proxy = bucket();
                let server = registry(redirects("http://10.0.0.1/f"));
                let environment = behind(&proxy);
                pull_with(stage, &borrowed(&environment), &server.host(), &[]).fails()?;
                untouched(&proxy)
            },
        ),
        hostile(
            12,
            "redirect_of_a_redirect_to_loopback",
            "A public host that a registry redirects to may not lead to this machine either.",
            |stage| {
                let target = bucket();
                let to = format!("http://127.0.0.1:{}/f", target.port());
                let cdn = Scripted::start(move |_| Reply::new(302).header("location", &to));
                let server = registry(redirects("http://cdn.example/f"));
                let mut flags = server.public();
                flags.extend(["--resolve".to_owned(), map("cdn.example:80", &cdn)]);
                pull(stage, PUBLIC, &flags).fails()?;
                check(!cdn.lines().is_empty(), || "never gets there".to_owned())?;
                untouched(&target)
            },
        ),
        hostile(
            12,
            "redirect_of_a_manifest_to_loopback",
            "Manifests are not redirected to this machine by a public registry.",
            |stage| {
                let target = bucket();
                let to = format!("http://127.0.0.1:{}/f", target.port());
                let server = registry(move |asked| {
                    asked.path.contains("/manifests/").then(|| Reply::new(307).header("location", &to))
                });
                pull(stage, PUBLIC, &server.public()).fails()?;
                untouched(&target)
            },
        ),
    ]
}

/// Checks that the tool does not follow a redirect of a public registry to `host`. A proxy would receive the
/// request.
fn refuses(stage: &Stage, host: &str) -> Result<(), String> {
    let proxy = bucket();
    let server = registry(redirects(&format!("http://{host}/f")));
    let environment = behind(&proxy);
    pull_with(stage, &borrowed(&environment), PUBLIC, &server.public()).fails()?;
    has_nothing(stage)?;
    untouched(&proxy)
}

/// Checks that the tool does not follow a redirect of a public registry to a server on this machine.
fn refuses_here(stage: &Stage, target: &Scripted, host: &str) -> Result<(), String> {
    let server = registry(redirects(&format!("http://{host}:{}/f", target.port())));
    pull(stage, PUBLIC, &server.public()).fails()?;
    has_nothing(stage)?;
    untouched(target)
}

fn uses() -> Vec<Case> {
    vec![
        honest(
            12,
            "redirect_to_a_cdn",
            "A public registry's redirect to another public host is followed.",
            |stage| {
                let cdn = bucket();
                let server = registry(redirects("http://cdn.example/f"));
                let mut flags = server.public();
                flags.extend(["--resolve".to_owned(), map("cdn.example:80", &cdn)]);
                pull(stage, PUBLIC, &flags).works()?;
                has_file(stage)
            },
        ),
        honest(
            12,
            "redirect_to_a_signed_address",
            "A pre-signed URL is requested unchanged and without our credentials.",
            |stage| {
                const SIGNED: &str =
                    "/b/f%2Fg?X-Amz-Credential=AK%2F20%2Fs3&X-Amz-Signature=a+b%3D%3D&x-id=GetObject&e=~";
                let target = Scripted::start(|asked| match asked.header("authorization") {
                    Some(_) => Reply::new(400),
                    None if asked.path == SIGNED => file(asked),
                    None => Reply::new(403),
                });
                let server = registry(locked(redirects(&format!("http://{}{SIGNED}", target.host()))));
                knows_password(stage, &server.host());
                pull(stage, &server.host(), &[]).works()?;
                has_file(stage)
            },
        ),
        honest(
            12,
            "redirect_of_a_local_registry_to_another_port",
            "A registry on this machine may redirect to another port of it.",
            |stage| {
                let target = bucket();
                for host in ["localhost", "127.0.0.1"] {
                    let server = registry(redirects(&format!("http://{host}:{}/f", target.port())));
                    pull(stage, &server.host(), &[]).works()?;
                    has_file(stage)?;
                }
                Ok(())
            },
        ),
    ]
}

fn within() -> Vec<Case> {
    vec![
        honest(
            12,
            "redirect_within_a_private_registry",
            "A registry in a private network may redirect to another port of its host.",
            |stage| {
                let Some(address) = private_address(stage) else { return Ok(()) };
                let target = Scripted::start_on(address, file);
                let to = format!("http://{}/f", literal(address, target.port()));
                let server = Scripted::start_on(address, crate::registry_fixture::answers(redirects(&to)));
                let host = literal(address, server.port());
                let flags = ["--plain-http".to_owned()];
                pull(stage, &host, &flags).works()?;
                has_file(stage)
            },
        ),
        honest(
            12,
            "redirect_within_the_registry",
            "A redirect within the registry is followed, relative or absolute, and with credentials.",
            |stage| {
                for absolute in [false, true] {
                    let server = registry(locked(move |asked| match asked.path.as_str() {
                        "/moved/f" => Some(file(asked)),
                        path if path == layer() => {
                            let host = asked.header("host").unwrap_or_default();
                            let base = if absolute { format!("http://{host}") } else { String::new() };
                            Some(Reply::new(308).header("location", format!("{base}/moved/f")))
                        }
                        _ => None,
                    }));
                    knows_password(stage, &server.host());
                    pull(stage, &server.host(), &[]).works()?;
                    has_file(stage)?;
                }
                Ok(())
            },
        ),
        honest(12, "redirect_of_a_manifest", "A manifest may be redirected within the registry.", |stage| {
            let server = registry(|asked| {
                let rest = asked.path.strip_prefix("/v2/a/manifests/v1")?;
                check(rest.is_empty(), String::new).ok()?;
                Some(Reply::new(307).header("location", "/v2/a/manifests/v1?moved"))
            });
            pull(stage, &server.host(), &[]).works()?;
            has_file(stage)
        }),
        honest(
            15,
            "credentials_asked_for_late",
            "A registry may ask for credentials where it keeps the bytes, and gets its own.",
            |stage| {
                let server = registry(|asked| match (asked.path.as_str(), asked.header("authorization")) {
                    ("/moved/f", None) => {
                        Some(Reply::new(401).header("www-authenticate", "Basic realm=\"x\""))
                    }
                    ("/moved/f", Some(_)) => Some(Reply::new(200).body(HELLO)),
                    (path, _) if path == layer() => Some(Reply::new(307).header("location", "/moved/f")),
                    _ => None,
                });
                knows_password(stage, &server.host());
                pull(stage, &server.host(), &[]).works()?;
                has_file(stage)
            },
        ),
        honest(
            12,
            "redirect_that_the_user_allows",
            "`--allow-host` lets a public registry redirect to a host on this machine.",
            |stage| {
                let target = bucket();
                let server = registry(redirects(&format!("http://127.0.0.1:{}/f", target.port())));
                let mut flags = server.public();
                flags.extend(["--allow-host".to_owned(), format!("127.0.0.1:{}", target.port())]);
                pull(stage, PUBLIC, &flags).works()?;
                has_file(stage)
            },
        )
        .ours_only(),
    ]
}
