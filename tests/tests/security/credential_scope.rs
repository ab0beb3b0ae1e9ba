//! Point 16: credentials are sent to their registry only.

use oras_testkit::scripted::{Asked, Reply, Scripted};
use oras_testkit::tls::Certificate;

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    answers, certificate, file, has_file, knows_password, layer, learns_nothing, pull, redirects, registry,
    trusting,
};
use crate::security_case::{Case, honest, hostile};

pub(crate) fn cases() -> Vec<Case> {
    [attacks(), uses(), directories()].into_iter().flatten().collect()
}

fn attacks() -> Vec<Case> {
    vec![
        hostile(
            16,
            "client_certificate_and_a_redirect",
            "A host that a registry redirects to is not shown the client certificate.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let target = Scripted::start_tls(&made, file);
                let to = format!("https://{}/f", target.host());
                let server = Scripted::start_tls(&made, answers(redirects(&to)));
                pull(stage, &server.host(), &mutual(&made)).works()?;
                has_file(stage)?;
                shown(&server, true)?;
                shown(&target, false)
            },
        ),
        hostile(
            16,
            "client_certificate_and_a_token_server",
            "A token server on another port is not shown the client certificate.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let auth = Scripted::start_tls(&made, |_| Reply::new(200).body(r#"{"token":"t0ken"}"#));
                let challenge = format!("Bearer realm=\"https://{}/t\"", auth.host());
                let server = Scripted::start_tls(
                    &made,
                    answers(move |asked| match asked.header("authorization") {
                        None => Some(Reply::new(401).header("www-authenticate", &challenge)),
                        Some(_) => None,
                    }),
                );
                pull(stage, &server.host(), &mutual(&made)).works()?;
                shown(&auth, false)
            },
        ),
        hostile(
            16,
            "client_certificate_and_an_upload",
            "A host that an upload goes to is not shown the client certificate.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let target = Scripted::start_tls(&made, file);
                let location = format!("https://{}/u", target.host());
                let server = Scripted::start_tls(
                    &made,
                    answers(move |asked| {
                        (asked.method == "POST").then(|| Reply::new(202).header("location", &location))
                    }),
                );
                crate::registry_fixture::push(stage, &[], &server.host(), &mutual(&made));
                shown(&server, true)?;
                shown(&target, false)
            },
        ),
        hostile(
            16,
            "cookies_of_a_registry",
            "A cookie that a registry sets is sent to no other host.",
            |stage| {
                let target = Scripted::start(file);
                let to = format!("http://{}/f", target.host());
                let server = registry(move |asked| {
                    let reply = Reply::new(307).header("location", &to);
                    asked.reads(&layer()).then(|| reply.header("set-cookie", "id=c00kie; Domain=localhost"))
                });
                pull(stage, &server.host(), &[]).works()?;
                learns_nothing(&target, &["c00kie"])
            },
        ),
        hostile(
            16,
            "referer_of_a_redirect",
            "A host that a registry redirects to is not told the address that led there.",
            |stage| {
                let target = Scripted::start(file);
                let to = format!("http://{}/f", target.host());
                let server = registry(move |asked| match asked.path.as_str() {
                    path if path == layer() => Some(Reply::new(307).header("location", "/x?sig=s1gned")),
                    "/x?sig=s1gned" => Some(Reply::new(307).header("location", &to)),
                    _ => None,
                });
                pull(stage, &server.host(), &[]).works()?;
                learns_nothing(&target, &["s1gned"])
            },
        ),
    ]
}

fn uses() -> Vec<Case> {
    vec![
        honest(
            16,
            "client_certificate_for_the_registry",
            "The registry is shown the client certificate, with every request.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let server = Scripted::start_tls(&made, answers(|_| None));
                pull(stage, &server.host(), &mutual(&made)).works()?;
                has_file(stage)?;
                shown(&server, true)
            },
        ),
        honest(
            16,
            "headers_for_the_registry",
            "The registry is sent the user's headers with every request, also those that it answers by a challenge.",
            |stage| {
                let server = registry(|asked| match asked.header("authorization") {
                    None => Some(Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")),
                    Some(_) => None,
                });
                knows_password(stage, &server.host());
                let flags = ["-H", "X-Tenant: a:b=c", "-H", "X-Other: 2"].map(ToOwned::to_owned);
                pull(stage, &server.host(), &flags).works()?;
                let all = |asked: &Asked| {
                    asked.header("x-tenant") == Some("a:b=c") && asked.header("x-other") == Some("2")
                };
                let asked = server.server.asked();
                check(asked.len() > 2 && asked.iter().all(all), || format!("sends {asked:?}"))
            },
        ),
        honest(
            16,
            "the_users_own_authorization",
            "An `Authorization` among the user's headers is sent to the registry unchanged.",
            |stage| {
                let server = registry(|asked| {
                    let fits = asked.header("authorization") == Some("Bearer own");
                    (!fits).then(|| Reply::new(401).header("www-authenticate", "Basic realm=\"x\""))
                });
                let flags = ["-H", "Authorization: Bearer own"].map(ToOwned::to_owned);
                pull(stage, &server.host(), &flags).works()?;
                has_file(stage)
            },
        ),
        hostile(
            16,
            "the_users_own_authorization_and_a_redirect",
            "An `Authorization` among the user's headers goes to no host that a registry redirects to.",
            |stage| {
                let target = Scripted::start(file);
                let server = registry(redirects(&format!("http://{}/f", target.host())));
                let flags = ["-H", "Authorization: Bearer own"].map(ToOwned::to_owned);
                pull(stage, &server.host(), &flags).works()?;
                learns_nothing(&target, &["authorization", "own"])
            },
        ),
    ]
}

/// Returns the flags for HTTPS with a client certificate.
fn mutual(made: &Certificate) -> Vec<String> {
    let certificate = made.certificate.display().to_string();
    let own = ["--plain-http=false", "--cert-file", &certificate, "--key-file"].map(ToOwned::to_owned);
    [trusting(made), own.to_vec(), vec![made.key.display().to_string()]].concat()
}

/// Checks that every request to the server presented the certificate, or that none did.
fn shown(server: &Scripted, certificate: bool) -> Result<(), String> {
    let asked = server.asked();
    let all = !asked.is_empty() || !certificate;
    let word = if certificate { "isn't" } else { "is" };
    check(all && asked.iter().all(|asked| asked.certificate == certificate), || {
        format!("the certificate {word} shown: {:?}", server.lines())
    })
}

/// Writes the certificate to the `certs.d` directory of `host`, as authority and as client certificate.
fn keep(stage: &Stage, made: &Certificate, host: &str) {
    let directory = stage.home(".config/containers/certs.d").join(host);
    std::fs::create_dir_all(&directory).unwrap();
    for (from, name) in
        [(&made.certificate, "ca.crt"), (&made.certificate, "client.cert"), (&made.key, "client.key")]
    {
        std::fs::copy(from, directory.join(name)).unwrap();
    }
}

fn directories() -> Vec<Case> {
    vec![
        honest(
            16,
            "certificates_by_registry",
            "`certs.d` of the containers tools and of Docker says whom to trust for a registry and what to show it.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let server = Scripted::start_tls(&made, answers(|_| None));
                keep(stage, &made, &server.host());
                pull(stage, &server.host(), &["--plain-http=false".to_owned()]).works()?;
                has_file(stage)?;
                shown(&server, true)
            },
        )
        .ours_only(),
        hostile(
            16,
            "certificates_by_registry_and_a_redirect",
            "A host that a registry redirects to is neither trusted for it nor shown the registry's certificate.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let target = Scripted::start_tls(&made, file);
                let to = format!("https://{}/f", target.host());
                let server = Scripted::start_tls(&made, answers(redirects(&to)));
                keep(stage, &made, &server.host());
                let insecure = |host: &str| pull(stage, host, &["--plain-http=false".to_owned()]);
                insecure(&server.host()).fails_with("unknown authority")?;
                let flags = ["--plain-http=false".to_owned(), "--insecure".to_owned()];
                pull(stage, &server.host(), &flags).works()?;
                shown(&target, false)
            },
        )
        .ours_only(),
        hostile(
            16,
            "certificates_of_another_registry",
            "The certificate of one registry is not shown to another on the same host.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let server = Scripted::start_tls(&made, answers(|_| None));
                keep(stage, &made, "localhost:1");
                keep(stage, &made, "localhost");
                let flags = [trusting(&made), vec!["--plain-http=false".to_owned()]].concat();
                pull(stage, &server.host(), &flags).works()?;
                shown(&server, false)
            },
        )
        .ours_only(),
        honest(
            16,
            "certificates_given_by_flags",
            "`--ca-file` and `--cert-file` win over `certs.d`.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let server = Scripted::start_tls(&made, answers(|_| None));
                let directory = stage.home(".docker/certs.d").join(server.host());
                std::fs::create_dir_all(&directory).unwrap();
                std::fs::copy(&made.key, directory.join("ca.crt")).unwrap();
                pull(stage, &server.host(), &mutual(&made)).works()?;
                shown(&server, true)?;
                let plain = ["--plain-http=false".to_owned()];
                pull(stage, &server.host(), &plain).fails_with("ca.crt").map(drop)
            },
        )
        .ours_only(),
    ]
}
