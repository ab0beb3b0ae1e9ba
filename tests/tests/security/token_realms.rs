//! Point 14: the token servers that a registry names.

use std::net::Ipv6Addr;

use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    BASIC, PASSWORD, PUBLIC, answers, behind, borrowed, certificate, has_file, knows_password,
    learns_nothing, literal, map, own_name, private_address, pull, pull_with, registry, trusting, untouched,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), detours(), uses(), details()].into_iter().flatten().collect()
}

/// Requests a token from `realm` for every request without a token.
fn wants_token(realm: &str) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
    move |asked| {
        let known = asked.header("authorization") == Some("Bearer t0ken");
        (!known && asked.path.starts_with("/v2/"))
            .then(|| Reply::new(401).header("www-authenticate", &challenge))
    }
}

/// Starts a server that returns a token to every client.
fn tokens() -> Scripted {
    Scripted::start(token)
}

fn token(_: &Asked) -> Reply {
    Reply::new(200).header("content-type", "application/json").body(r#"{"token":"t0ken"}"#)
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(14, "realm_at_metadata", "The metadata service of a cloud gets no token request.", |stage| {
            refuses(stage, "169.254.169.254")
        }),
        hostile(
            14,
            "realm_in_a_private_network",
            "A public registry's token server is not in a private network.",
            |stage| refuses(stage, "10.0.0.1"),
        ),
        hostile(
            14,
            "realm_in_a_private_network_as_ipv6",
            "Nor is it there when the address is written as IPv6.",
            |stage| refuses(stage, "[::ffff:192.168.0.1]"),
        ),
        hostile(
            14,
            "realm_at_loopback",
            "A public registry's token server is not on this machine.",
            |stage| refuses_here(stage, &tokens(), "127.0.0.1"),
        ),
        hostile(14, "realm_at_localhost", "A public registry's token server is not `localhost`.", |stage| {
            refuses_here(stage, &tokens(), "localhost")
        }),
        hostile(14, "realm_at_loopback_ipv6", "A public registry's token server is not `::1`.", |stage| {
            refuses_here(stage, &Scripted::start_on(Ipv6Addr::LOCALHOST.into(), token), "[::1]")
        }),
        hostile(
            14,
            "realm_at_a_name_of_this_machine",
            "A token server's name is not asked when it turns out to lead to this machine.",
            |stage| match own_name(stage) {
                Some(name) => refuses_here(stage, &tokens(), &name),
                None => Ok(()),
            },
        ),
        hostile(
            14,
            "realm_by_http_of_a_registry_by_https",
            "A registry with HTTPS can't have the password sent in the clear.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let servers = tokens();
                let realm = format!("http://{}/t", servers.host());
                let server = Scripted::start_tls(&made, answers(wants_token(&realm)));
                knows_password(stage, &server.host());
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                pull(stage, &server.host(), &flags).fails()?;
                learns_nothing(&servers, &[BASIC, PASSWORD])
            },
        ),
        hostile(
            14,
            "realm_by_another_scheme",
            "A realm that is not an HTTP URL is an error, not a crash.",
            |stage| {
                for realm in
                    ["file:///etc/hostname", "ftp://localhost/t", "/t", "", "http://", "javascript:0"]
                {
                    let server = registry(wants_token(realm));
                    pull(stage, &server.host(), &[]).fails()?;
                }
                Ok(())
            },
        ),
    ]
}

/// Checks that the tool does not contact a token server at `host` that a public registry names. A proxy would
/// receive the request.
fn refuses(stage: &Stage, host: &str) -> Result<(), String> {
    let proxy = tokens();
    let server = registry(wants_token(&format!("http://{host}/t")));
    knows_password(stage, PUBLIC);
    let environment = behind(&proxy);
    pull_with(stage, &borrowed(&environment), PUBLIC, &server.public()).fails()?;
    untouched(&proxy)
}

/// Checks that the tool does not contact a token server on this machine that a public registry names.
fn refuses_here(stage: &Stage, target: &Scripted, host: &str) -> Result<(), String> {
    let server = registry(wants_token(&format!("http://{host}:{}/t", target.port())));
    knows_password(stage, PUBLIC);
    pull(stage, PUBLIC, &server.public()).fails()?;
    untouched(target)
}

fn detours() -> Vec<Case> {
    vec![
        hostile(
            14,
            "token_server_redirects_to_loopback",
            "A public token server can't redirect to this machine.",
            |stage| {
                let target = tokens();
                let to = format!("http://127.0.0.1:{}/t", target.port());
                let auth = Scripted::start(move |_| Reply::new(302).header("location", &to));
                let server = registry(wants_token("http://auth.example/t"));
                let mut flags = server.public();
                flags.extend(["--resolve".to_owned(), map("auth.example:80", &auth)]);
                pull(stage, PUBLIC, &flags).fails()?;
                untouched(&target)
            },
        ),
        hostile(
            14,
            "token_server_redirects_the_password",
            "Where a token server redirects to another host, the password is not sent.",
            |stage| {
                let target = tokens();
                let to = format!("http://{}/t", target.host());
                let auth = Scripted::start(move |_| Reply::new(307).header("location", &to));
                let server = registry(wants_token(&format!("http://{}/t", auth.host())));
                knows_password(stage, &server.host());
                pull(stage, &server.host(), &[]);
                check(!auth.lines().is_empty(), || "never asks the token server".to_owned())?;
                learns_nothing(&target, &["authorization", BASIC, PASSWORD])
            },
        ),
        hostile(
            14,
            "token_server_redirects_the_identity_token",
            "Where a token server redirects to another host, the identity token in the form is not sent.",
            |stage| {
                let target = tokens();
                let to = format!("http://{}/t", target.host());
                let auth = Scripted::start(move |_| Reply::new(307).header("location", &to));
                let server = registry(wants_token(&format!("http://{}/t", auth.host())));
                stage.docker_config(&format!(
                    r#"{{"auths":{{"{}":{{"identitytoken":"1dentity"}}}}}}"#,
                    server.host()
                ));
                pull(stage, &server.host(), &[]);
                check(!auth.lines().is_empty(), || "never asks the token server".to_owned())?;
                learns_nothing(&target, &["authorization", "1dentity"])
            },
        ),
        hostile(
            14,
            "token_server_gets_no_headers",
            "A token server on another host is sent the password alone, none of the user's headers.",
            |stage| {
                let auth = tokens();
                let server = registry(wants_token(&format!("http://{}/t", auth.host())));
                knows_password(stage, &server.host());
                let flags = ["-H", "X-Secret: s3cret", "-H", "Cookie: c00kie=1"].map(ToOwned::to_owned);
                pull(stage, &server.host(), &flags).works()?;
                learns_nothing(&auth, &["s3cret", "c00kie"])
            },
        ),
    ]
}

fn uses() -> Vec<Case> {
    vec![
        honest(
            14,
            "realm_at_another_public_host",
            "A public registry may have its tokens at another public host, which gets the password.",
            |stage| {
                let auth = tokens();
                let server = registry(wants_token("http://auth.example/t"));
                knows_password(stage, PUBLIC);
                let mut flags = server.public();
                flags.extend(["--resolve".to_owned(), map("auth.example:80", &auth)]);
                pull(stage, PUBLIC, &flags).works()?;
                has_file(stage)?;
                gets_password(&auth)
            },
        ),
        honest(
            14,
            "realm_at_another_port_of_localhost",
            "A registry on this machine may have its tokens at another port of it, by any of its names.",
            |stage| {
                let auth = tokens();
                for host in ["localhost", "127.0.0.1"] {
                    let server = registry(wants_token(&format!("http://{host}:{}/t", auth.port())));
                    knows_password(stage, &server.host());
                    pull(stage, &server.host(), &[]).works()?;
                    has_file(stage)?;
                }
                gets_password(&auth)
            },
        ),
        honest(14, "realm_at_the_registry", "A registry may give its tokens itself.", |stage| {
            let server = registry(|asked| {
                let realm = format!("http://{}/token", asked.header("host").unwrap_or_default());
                match asked.path.starts_with("/token") {
                    true => Some(token(asked)),
                    false => wants_token(&realm)(asked),
                }
            });
            knows_password(stage, &server.host());
            pull(stage, &server.host(), &[]).works()?;
            has_file(stage)
        }),
        honest(
            14,
            "realm_within_a_private_registry",
            "A registry in a private network may have its tokens at another port of its host.",
            |stage| {
                let Some(address) = private_address(stage) else { return Ok(()) };
                let auth = Scripted::start_on(address, token);
                let realm = format!("http://{}/t", literal(address, auth.port()));
                let server = Scripted::start_on(address, answers(wants_token(&realm)));
                pull(stage, &literal(address, server.port()), &["--plain-http".to_owned()]).works()?;
                has_file(stage)
            },
        ),
    ]
}

fn details() -> Vec<Case> {
    vec![
        honest(
            14,
            "realm_by_https_of_a_registry_by_https",
            "A registry with HTTPS may have its tokens at another port, by HTTPS.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let auth = Scripted::start_tls(&made, token);
                let realm = format!("https://{}/t", auth.host());
                let server = Scripted::start_tls(&made, answers(wants_token(&realm)));
                knows_password(stage, &server.host());
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                pull(stage, &server.host(), &flags).works()?;
                has_file(stage)?;
                gets_password(&auth)
            },
        ),
        honest(
            14,
            "realm_with_a_query",
            "What a realm has in its query is kept beside service and scope.",
            |stage| {
                let auth = tokens();
                let server = registry(wants_token(&format!("http://{}/t?tenant=x", auth.host())));
                pull(stage, &server.host(), &[]).works()?;
                let kept = |line: &String| {
                    ["tenant=x", "service=s", "scope=repository%3Aa%3Apull"]
                        .iter()
                        .all(|part| line.contains(part))
                };
                check(auth.lines().iter().all(kept), || format!("asks {:?}", auth.lines()))
            },
        ),
        honest(
            14,
            "token_server_redirects_within_itself",
            "A token server may redirect within itself, and still gets the password.",
            |stage| {
                let auth = Scripted::start(|asked| match asked.path.starts_with("/new") {
                    true if asked.header("authorization").is_some() => token(asked),
                    true => Reply::new(401),
                    false => Reply::new(302).header("location", "/new"),
                });
                let server = registry(wants_token(&format!("http://{}/t", auth.host())));
                knows_password(stage, &server.host());
                pull(stage, &server.host(), &[]).works()?;
                has_file(stage)
            },
        ),
        honest(
            14,
            "token_server_redirects_elsewhere",
            "A token server may redirect a request without a password to another host.",
            |stage| {
                let target = tokens();
                let to = format!("http://{}/t", target.host());
                let auth = Scripted::start(move |_| Reply::new(302).header("location", &to));
                let server = registry(wants_token(&format!("http://{}/t", auth.host())));
                pull(stage, &server.host(), &[]).works()?;
                has_file(stage)
            },
        ),
    ]
}

/// Checks that the token server received the password.
fn gets_password(auth: &Scripted) -> Result<(), String> {
    let got =
        auth.asked().iter().any(|asked| asked.text().contains(BASIC) || asked.text().contains(PASSWORD));
    check(got, || format!("sends no password: {:?}", auth.lines()))
}
