//! Connections, TLS and proxies.

use std::net::{Ipv4Addr, TcpListener};

use oras_testkit::ports::ReservedPort;
use oras_testkit::scripted::{Asked, Reply, Scripted};

use crate::error_case::{Case, Theme};
use crate::scene::Scene;
use crate::tls_servers;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = tls();
    cases.extend(routes());
    cases
}

fn case(
    title: &'static str,
    line: &'static str,
    remedy: &'static str,
    prepare: fn(&Scene) -> Option<()>,
) -> Case {
    Case::new(Theme::Connections, title, line, remedy, prepare)
}

/// HTTP, HTTPS and certificates.
fn tls() -> Vec<Case> {
    vec![
        case(
            "The registry speaks HTTP, not HTTPS",
            "oras repo ls 127.0.0.1:{P}",
            "Only for `localhost` HTTP is the default. Add `--plain-http` for a registry that you reach without TLS.",
            Scene::registry,
        ),
        case(
            "The source of a copy speaks HTTP, not HTTPS",
            "oras cp 127.0.0.1:{P}/hello:v1 --to-oci-layout copy:v1",
            "`oras cp` has each flag of a connection twice: once for the source and once for the destination.",
            Scene::hello,
        ),
        case(
            "The registry speaks HTTPS, not HTTP",
            "oras repo ls --plain-http 127.0.0.1:{P}",
            "The flag selects HTTP, and this registry answers over TLS only.",
            tls_servers::real_registry,
        ),
        case(
            "A registry on localhost speaks HTTPS",
            "oras pull {R}/hello:v1",
            "For `localhost` HTTP is the default, as in other tools. Select TLS explicitly.",
            tls_servers::real_registry,
        ),
        case(
            "Unknown authority of a certificate",
            "oras pull 127.0.0.1:{P}/hello:v1",
            "Name the PEM file of the authority, or install it in the system. `--insecure` skips the verification, and \
             then anyone in the network can read the password.",
            tls_servers::real_registry,
        ),
        case(
            "Expired certificate",
            "oras pull --ca-file own.pem 127.0.0.1:{P}/hello:v1",
            "A wrong clock looks the same. `date -u` shows the time of this computer.",
            tls_servers::expired,
        ),
        case(
            "Certificate that is not valid yet",
            "oras pull --ca-file own.pem 127.0.0.1:{P}/hello:v1",
            "The clock of a computer without battery or network often starts in the past.",
            tls_servers::not_yet_valid,
        ),
        case(
            "Certificate for another name",
            "oras pull --ca-file own.pem 127.0.0.1:{P}/hello:v1",
            "The error lists the names in the certificate. With `--resolve`, such a name leads to an address of your \
             choice.",
            tls_servers::wrong_name,
        ),
        case(
            "Client certificate required",
            "oras pull --ca-file own.pem 127.0.0.1:{P}/hello:v1",
            "Those who run the registry issue the certificate and its key.",
            tls_servers::client_certificates,
        ),
    ]
}

/// Names, addresses and proxies.
fn routes() -> Vec<Case> {
    vec![
        case(
            "The name of the registry does not resolve",
            "oras pull registry.invalid/hello:v1",
            "The name is misspelt, or exists only in another network.",
            |_| Some(()),
        ),
        case(
            "A name without a registry",
            "oras pull library/alpine:3.20",
            "There is no default registry. For Docker Hub, write `docker.io/library/alpine:3.20`.",
            |_| Some(()),
        ),
        case(
            "Connection refused",
            "oras pull {R}/hello:v1",
            "No program listens at that port, or a firewall rejects the connection.",
            unused_port,
        ),
        case(
            "No answer in time",
            "oras repo tags --idle-timeout 200ms {R}/hello",
            "The server, or a firewall that drops packets, does not answer. The client has retried already.",
            |scene| scene.scripted(|_| Reply::silent()),
        ),
        case(
            "The proxy asks for a login",
            "HTTPS_PROXY=http://127.0.0.1:{P} oras pull registry.example/hello:v1",
            "Proxies of companies often ask for a user and a password.",
            |scene| scene.scripted(|_| Reply::new(407).header("Proxy-Authenticate", "Basic realm=\"x\"")),
        ),
        case(
            "The proxy asks for a login for a registry without TLS",
            "HTTP_PROXY=http://127.0.0.1:{P} oras pull --plain-http registry.example/hello:v1",
            "The status 407 comes from the proxy, not from the registry.",
            |scene| scene.scripted(|_| Reply::new(407).header("Proxy-Authenticate", "Basic realm=\"x\"")),
        ),
        case(
            "The proxy refuses the registry",
            "HTTPS_PROXY=http://127.0.0.1:{P} oras pull registry.example/hello:v1",
            "The proxy allows only some hosts, or it cannot reach this one.",
            |scene| scene.scripted(|_| Reply::new(403)),
        ),
        case(
            "The proxy does not answer",
            "HTTPS_PROXY=http://127.0.0.1:{P} oras pull registry.example/hello:v1",
            "The address in the error is that of the proxy. Unset the variables if the network has no proxy any more.",
            unused_port,
        ),
        case(
            "The registry leads to a private address",
            "oras pull --plain-http --resolve registry.example:80:127.0.0.2:{P} registry.example/hello:v1",
            "A registry must not lead the client into your network. Allow the host if you know it.",
            redirect_to_private_address,
        ),
        case(
            "registries.conf blocks the registry",
            "oras pull blocked.example/hello:v1",
            "The administrator of this computer has blocked the registry in `registries.conf`.",
            blocked_registry,
        ),
    ]
}

/// Defines `{R}` at a port without a server.
fn unused_port(scene: &Scene) -> Option<()> {
    let port = ReservedPort::take();
    scene.at_port(port.number());
    scene.keep(port);
    Some(())
}

/// Starts a registry that redirects to a server in a private network.
fn redirect_to_private_address(scene: &Scene) -> Option<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
    let inner = listener.local_addr().ok()?.port();
    let redirect = move |asked: &Asked| {
        Reply::new(307).header("Location", format!("http://10.0.0.1:{inner}{}", asked.path))
    };
    let server = Scripted::start_on(Ipv4Addr::new(127, 0, 0, 2).into(), redirect);
    scene.at_port(server.port());
    scene.replace(&format!("10.0.0.1:{inner}"), "10.0.0.1:8080");
    scene.keep((server, listener));
    Some(())
}

fn blocked_registry(scene: &Scene) -> Option<()> {
    let path = scene.root().join(".config/containers/registries.conf");
    oras_testkit::files::write_file(
        &path,
        "[[registry]]\nprefix = \"blocked.example\"\nlocation = \"blocked.example\"\nblocked = true\n",
    );
    Some(())
}
