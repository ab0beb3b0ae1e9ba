//! Point 34: proxies, which requests use them, and what they receive.

use std::net::IpAddr;

use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::case_sandbox::{Stage, check};
use crate::registry_fixture::{
    BASIC, answers, certificate, has_file, knows_password, learns_nothing, own_name, pull_with, trusting,
    untouched,
};
use crate::security_case::{Case, honest, hostile};

/// `proxyuser:pr0xypass` as basic credentials.
const PROXY_BASIC: &str = "cHJveHl1c2VyOnByMHh5cGFzcw==";

pub(crate) fn cases() -> Vec<Case> {
    [by_http(), past_it(), by_https(), itself()].into_iter().flatten().collect()
}

fn by_http() -> Vec<Case> {
    vec![
        honest(34, "proxy_for_http", "A registry by HTTP is asked through `HTTP_PROXY`.", |stage| {
            for variable in ["HTTP_PROXY", "http_proxy"] {
                let proxy = proxy();
                through(stage, &[(variable, &address(&proxy))]).works()?;
                has_file(stage)?;
                check(!proxy.lines().is_empty(), || "the proxy is not asked".to_owned())?;
            }
            Ok(())
        }),
        honest(34, "proxy_with_a_password", "A proxy is sent the password in its address.", |stage| {
            let proxy = proxy();
            let place = format!("http://proxyuser:pr0xypass@127.0.0.1:{}", proxy.port());
            through(stage, &[("HTTP_PROXY", &place)]).works()?;
            let sent =
                |asked: &Asked| asked.header("proxy-authorization") == Some(&format!("Basic {PROXY_BASIC}"));
            check(proxy.asked().iter().all(sent), || "the password is not sent".to_owned())
        }),
        hostile(
            34,
            "proxy_password_in_logs",
            "The password of a proxy is in no log and no error.",
            |stage| {
                let proxy = Scripted::start(|_| Reply::new(502));
                for port in [proxy.port(), 1] {
                    let place = format!("http://proxyuser:pr0xypass@127.0.0.1:{port}");
                    let environment = [("HTTP_PROXY", place.as_str()), ("HTTPS_PROXY", place.as_str())];
                    for scheme in ["--plain-http=true", "--plain-http=false"] {
                        let words = ["resolve", "registry.example:80/a:v1", "--debug", scheme];
                        let said = stage.oras_with(&environment, &words);
                        let text = said.fails()?.text();
                        let told =
                            ["pr0xypass", PROXY_BASIC].into_iter().find(|secret| text.contains(secret));
                        check(told.is_none(), || format!("tells {told:?}"))?;
                    }
                }
                Ok(())
            },
        ),
        hostile(
            34,
            "proxy_password_and_the_registry",
            "The password of a proxy is not sent to a registry that is reached past it.",
            |stage| {
                let server = Scripted::start(answers(|_| None));
                let place = "http://proxyuser:pr0xypass@127.0.0.1:1";
                pull_with(stage, &[("HTTP_PROXY", place)], &server.host(), &[]).works()?;
                learns_nothing(&server, &["proxy-authorization", PROXY_BASIC])
            },
        ),
    ]
}

fn past_it() -> Vec<Case> {
    vec![
        honest(
            34,
            "localhost_past_the_proxy",
            "A registry on this machine is reached past any proxy.",
            |stage| {
                let (server, proxy) = (Scripted::start(answers(|_| None)), proxy());
                for host in ["localhost", "127.0.0.1"] {
                    let host = format!("{host}:{}", server.port());
                    let environment = [("HTTP_PROXY", address(&proxy))];
                    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
                    pull_with(stage, &environment, &host, &["--plain-http".to_owned()]).works()?;
                }
                untouched(&proxy)
            },
        ),
        honest(34, "no_proxy_for_a_name", "`NO_PROXY` with the name keeps the proxy out.", |stage| {
            past_by_name(stage, |name, _| name.to_owned())
        }),
        honest(34, "no_proxy_for_a_name_and_port", "So does one with name and port.", |stage| {
            past_by_name(stage, |name, port| format!("other.example, {name}:{port}"))
        }),
        honest(34, "no_proxy_for_all", "So does `*`, for names and for addresses.", |stage| {
            past_by_name(stage, |_, _| "*".to_owned())?;
            past_by_address(stage, |_, _| "*".to_owned())
        }),
        honest(34, "no_proxy_for_an_address", "So does an address.", |stage| {
            past_by_address(stage, |address, _| address.to_string())
        }),
        honest(34, "no_proxy_for_an_address_and_port", "So does an address with its port.", |stage| {
            past_by_address(stage, |address, port| format!("{address}:{port}"))
        }),
        honest(34, "no_proxy_for_a_network", "So does a network.", |stage| {
            past_by_address(stage, |address, _| match address {
                IpAddr::V4(_) => format!("{address}/24"),
                IpAddr::V6(_) => format!("{address}/64"),
            })
        }),
        honest(34, "no_proxy_for_a_suffix", "So does the suffix of a name.", |stage| {
            for entry in [".example", "*.example", "example"] {
                // The name cannot be resolved. The case checks only that the proxy gets no request.
                let proxy = proxy();
                let place = address(&proxy);
                through(stage, &[("HTTP_PROXY", &place), ("NO_PROXY", entry)]).fails()?;
                untouched(&proxy)?;
            }
            Ok(())
        }),
    ]
}

fn by_https() -> Vec<Case> {
    vec![
        hostile(
            34,
            "no_proxy_for_another_name",
            "`NO_PROXY` for a name that only looks alike, or for another port, changes nothing.",
            |stage| {
                for entry in ["gistry.example", "registry.example:81", "registry.example.com"] {
                    let proxy = proxy();
                    let place = address(&proxy);
                    through(stage, &[("HTTP_PROXY", &place), ("NO_PROXY", entry)]).works()?;
                    check(!proxy.lines().is_empty(), || format!("{entry}: the proxy is not asked"))?;
                }
                Ok(())
            },
        ),
        hostile(
            34,
            "connect_tells_the_proxy_nothing",
            "For HTTPS, a proxy receives the host and its own password, but no secret of the registry.",
            |stage| {
                let proxy = Scripted::start(|_| Reply::new(502));
                let place = format!("http://proxyuser:pr0xypass@127.0.0.1:{}", proxy.port());
                knows_password(stage, "registry.example");
                let environment = [("HTTPS_PROXY", place.as_str())];
                let flags = ["-H", "X-Secret: s3cret", "-H", "Authorization: Bearer own"];
                pull_with(stage, &environment, "registry.example", &flags.map(ToOwned::to_owned)).fails()?;
                let asked = proxy.asked();
                let connects = asked.iter().all(|asked| asked.line() == "CONNECT registry.example:443");
                check(!asked.is_empty() && connects, || format!("asks {:?}", proxy.lines()))?;
                learns_nothing(&proxy, &["s3cret", "own", BASIC])
            },
        ),
        honest(
            34,
            "proxy_for_https",
            "A registry by HTTPS is reached through `HTTPS_PROXY`, with its own credentials and headers.",
            |stage| {
                let Some(made) = certificate(stage, &["registry.example"]) else { return Ok(()) };
                let server = Scripted::start_tls(&made, answers(|_| None));
                let port = server.port();
                let proxy = Scripted::start(move |asked| match asked.method.as_str() {
                    "CONNECT" => Reply::tunnel(port),
                    _ => Reply::new(400),
                });
                let flags = [trusting(&made), vec!["-H".to_owned(), "X-Tenant: 1".to_owned()]].concat();
                let place = address(&proxy);
                pull_with(stage, &[("HTTPS_PROXY", &place)], "registry.example", &flags).works()?;
                has_file(stage)?;
                let all = server.asked().iter().all(|asked| asked.header("x-tenant") == Some("1"));
                check(all, || "the header is missing".to_owned())
            },
        ),
    ]
}

fn itself() -> Vec<Case> {
    vec![
        hostile(
            34,
            "client_certificate_and_the_proxy",
            "A proxy that is itself reached by HTTPS is not shown the client certificate.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost", "registry.example"]) else {
                    return Ok(());
                };
                let proxy = Scripted::start_tls(&made, |_| Reply::new(502));
                let own = [
                    "--cert-file",
                    &made.certificate.display().to_string(),
                    "--key-file",
                    &made.key.display().to_string(),
                ];
                let flags = [trusting(&made), own.map(ToOwned::to_owned).to_vec()].concat();
                let place = format!("https://localhost:{}", proxy.port());
                pull_with(stage, &[("HTTPS_PROXY", &place)], "registry.example", &flags).fails()?;
                let asked = proxy.asked();
                let shown = asked.iter().any(|asked| asked.certificate);
                check(!shown, || "the certificate is shown".to_owned())
            },
        ),
        honest(
            34,
            "proxy_by_https",
            "A proxy may be reached by HTTPS, also for a registry by HTTP.",
            |stage| {
                let Some(made) = certificate(stage, &["localhost"]) else { return Ok(()) };
                let honest = answers(|_| None);
                let proxy = Scripted::start_tls(&made, move |asked| honest(&stripped(asked)));
                let place = format!("https://localhost:{}", proxy.port());
                let flags = [trusting(&made), vec!["--plain-http".to_owned()]].concat();
                pull_with(stage, &[("HTTP_PROXY", &place)], "registry.example", &flags).works()?;
                has_file(stage)
            },
        ),
        honest(
            34,
            "proxy_is_a_private_host",
            "A proxy may be at any address: a registry's redirect to a public host goes through it.",
            |stage| {
                let proxy = Scripted::start({
                    let honest = answers(crate::registry_fixture::redirects("http://cdn.example/f"));
                    move |asked| match asked.path.strip_prefix("http://cdn.example") {
                        Some(_) => crate::registry_fixture::file(asked),
                        None => honest(&stripped(asked)),
                    }
                });
                let place = format!("http://localhost:{}", proxy.port());
                through(stage, &[("HTTP_PROXY", &place)]).works()?;
                has_file(stage)
            },
        ),
    ]
}

fn address(proxy: &Scripted) -> String {
    format!("http://127.0.0.1:{}", proxy.port())
}

/// Starts a proxy that responds like the registry.
fn proxy() -> Scripted {
    let honest = answers(|_| None);
    Scripted::start(move |asked| honest(&stripped(asked)))
}

/// Converts a request to a proxy to the request that the registry gets.
fn stripped(asked: &Asked) -> Asked {
    let path = asked.path.strip_prefix("http://").and_then(|rest| Some(rest.split_once('/')?.1));
    let path = path.map_or_else(|| asked.path.clone(), |path| format!("/{path}"));
    Asked { path, ..asked.clone() }
}

/// Pulls from a registry that is reachable only through the proxy.
fn through(stage: &Stage, environment: &[(&str, &str)]) -> crate::case_sandbox::Said {
    pull_with(stage, environment, "registry.example", &["--plain-http".to_owned()])
}

/// Pulls from a registry at a name of this machine. The request must bypass the proxy.
fn past_by_name(stage: &Stage, entry: fn(&str, u16) -> String) -> Result<(), String> {
    let Some(name) = own_name(stage) else { return Ok(()) };
    let server = Scripted::start(answers(|_| None));
    past(stage, &format!("{name}:{}", server.port()), &entry(&name, server.port()))
}

/// Pulls from a registry at an address of this machine other than loopback. The request must bypass the
/// proxy.
fn past_by_address(stage: &Stage, entry: fn(IpAddr, u16) -> String) -> Result<(), String> {
    let Some(address) = outer_address() else {
        stage.lacks("an IPv4 address beside loopback");
        return Ok(());
    };
    let server = Scripted::start_on(address, answers(|_| None));
    past(stage, &format!("{address}:{}", server.port()), &entry(address, server.port()))
}

fn past(stage: &Stage, host: &str, no_proxy: &str) -> Result<(), String> {
    let proxy = Scripted::start(|_| Reply::new(418));
    let place = address(&proxy);
    let flags = ["--plain-http".to_owned()];
    // Without the entry, the request must use the proxy. Otherwise the case would prove nothing.
    pull_with(stage, &[("HTTP_PROXY", &place)], host, &flags).fails()?;
    check(!proxy.lines().is_empty(), || "the proxy is not asked".to_owned())?;
    let before = proxy.lines().len();
    pull_with(stage, &[("HTTP_PROXY", &place), ("NO_PROXY", no_proxy)], host, &flags).works()?;
    check(proxy.lines().len() == before, || format!("{no_proxy}: the proxy is asked"))?;
    has_file(stage)
}

/// Returns an IPv4 address of this machine that is not loopback.
fn outer_address() -> Option<IpAddr> {
    let said = std::process::Command::new("hostname").arg("-I").output().ok()?.stdout;
    let text = String::from_utf8_lossy(&said).into_owned();
    let addresses = text.split_whitespace().filter_map(|text| text.parse::<IpAddr>().ok());
    addresses.into_iter().find(IpAddr::is_ipv4)
}
