//! Certificate authorities and certificates for one test, created by `openssl`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// PEM files of a certificate and its key.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Creates a self-signed certificate for `localhost`, `127.0.0.1` and `names` in `directory`. Returns `None`
/// without `openssl`.
pub fn self_signed(directory: &Path, name: &str, names: &[&str]) -> Option<Certificate> {
    let more: String = names.iter().map(|name| format!(",DNS:{name}")).collect();
    let alternatives = format!("subjectAltName=DNS:localhost,IP:127.0.0.1{more}");
    let made = files(directory, name);
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
    command.arg(format!("/CN={name}")).args(["-addext", &alternatives]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
    succeeds(&mut command).then_some(made)
}

/// Creates an authority in `directory`. Returns `None` without `openssl`.
pub fn authority(directory: &Path, name: &str) -> Option<Certificate> {
    let made = files(directory, name);
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
    command.arg(format!("/CN={name}")).arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
    succeeds(&mut command).then_some(made)
}

impl Certificate {
    /// Like [`Certificate::sign_client`], but the certificate has version 1, without extensions, as `openssl
    /// x509 -req` creates it.
    pub fn sign_client_of_version_1(&self, directory: &Path, name: &str) -> Option<Certificate> {
        let (made, request) = (files(directory, name), directory.join(format!("{name}.request.pem")));
        let mut ask = Command::new("openssl");
        ask.args(["req", "-newkey", "rsa:2048", "-nodes", "-subj", &format!("/CN={name}")]);
        ask.arg("-keyout").arg(&made.key).arg("-out").arg(&request);
        let mut sign = Command::new("openssl");
        sign.args(["x509", "-req", "-days", "2", "-CAcreateserial", "-in"]).arg(&request);
        sign.arg("-CA").arg(&self.certificate).arg("-CAkey").arg(&self.key);
        sign.arg("-out").arg(&made.certificate);
        (succeeds(&mut ask) && succeeds(&mut sign)).then_some(made)
    }

    /// Creates a client certificate that this authority signs. Returns `None` without `openssl`.
    pub fn sign_client(&self, directory: &Path, name: &str) -> Option<Certificate> {
        let made = files(directory, name);
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]);
        command.arg(format!("/CN={name}")).args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-CA").arg(&self.certificate).arg("-CAkey").arg(&self.key);
        command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
        succeeds(&mut command).then_some(made)
    }
}

fn files(directory: &Path, name: &str) -> Certificate {
    let file = |kind: &str| directory.join(format!("{name}.{kind}.pem"));
    Certificate { certificate: file("certificate"), key: file("key") }
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
