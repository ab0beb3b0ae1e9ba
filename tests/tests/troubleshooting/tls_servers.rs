//! TLS servers with usable and unusable certificates, created by `openssl`.

use oras_testkit::registry::{Flavor, Options, Process};
use oras_testkit::scripted::{Asked, Reply, Scripted};
use oras_testkit::tls::Certificate;

use crate::scene::Scene;

/// The extensions of a certificate for this machine.
const LOCAL: &str = "subjectAltName=IP:127.0.0.1,DNS:localhost";

/// Starts a real registry over TLS as `{R}`, whose certificate no authority signed.
pub(crate) fn real_registry(scene: &Scene) -> Option<()> {
    let made = self_signed(scene, LOCAL)?;
    let options = Options { tls: Some((made.certificate, made.key)), ..Options::default() };
    let registry = Process::start(Flavor::Distribution, &options, "troubleshooting")?;
    scene.at_port(registry.port());
    scene.keep(registry);
    Some(())
}

/// Starts a server as `{R}` with a certificate for another name.
pub(crate) fn wrong_name(scene: &Scene) -> Option<()> {
    let made = self_signed(scene, "subjectAltName=DNS:registry.example")?;
    start(scene, &made)
}

/// Starts a server as `{R}` with a certificate that has expired.
pub(crate) fn expired(scene: &Scene) -> Option<()> {
    let made = dated(scene, "20200101000000Z", "20210101000000Z")?;
    start(scene, &made)
}

/// Starts a server as `{R}` with a certificate that is not valid yet.
pub(crate) fn not_yet_valid(scene: &Scene) -> Option<()> {
    let made = dated(scene, "20900101000000Z", "20910101000000Z")?;
    start(scene, &made)
}

/// Starts a real registry as `{R}` that asks for client certificates.
pub(crate) fn client_certificates(scene: &Scene) -> Option<()> {
    let made = self_signed(scene, LOCAL)?;
    let options = Options {
        tls: Some((made.certificate.clone(), made.key)),
        client_authority: Some(made.certificate),
        ..Options::default()
    };
    let registry = Process::start(Flavor::Distribution, &options, "troubleshooting")?;
    scene.at_port(registry.port());
    scene.keep(registry);
    Some(())
}

fn start(scene: &Scene, certificate: &Certificate) -> Option<()> {
    let server = Scripted::start_tls(certificate, |_: &Asked| Reply::new(200));
    scene.at_port(server.port());
    scene.keep(server);
    Some(())
}

/// Creates `own.pem`, a certificate that no authority signed.
fn self_signed(scene: &Scene, names: &str) -> Option<Certificate> {
    let line = format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test -addext {names} \
         -addext basicConstraints=critical,CA:FALSE -keyout own.key -out own.pem"
    );
    (scene.play(&line).status == Some(0)).then(|| files(scene))
}

/// Creates `own.pem` with these dates.
fn dated(scene: &Scene, from: &str, to: &str) -> Option<Certificate> {
    scene.file(
        "ca.cnf",
        format!(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = db\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n\
             policy = p\nx509_extensions = e\n[p]\ncommonName = supplied\n[e]\n{LOCAL}\n"
        ),
    );
    scene.file("db", "");
    scene.file("serial", "01\n");
    let line = format!(
        "openssl req -new -newkey rsa:2048 -nodes -subj /CN=test -keyout own.key -out own.csr && openssl ca -batch \
         -selfsign -config ca.cnf -in own.csr -keyfile own.key -startdate {from} -enddate {to} -out own.pem -notext"
    );
    (scene.play(&line).status == Some(0)).then(|| files(scene))
}

fn files(scene: &Scene) -> Certificate {
    Certificate { certificate: scene.path("own.pem"), key: scene.path("own.key") }
}
