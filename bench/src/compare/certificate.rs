//! A certificate for this machine's own registries, made anew for each run of the bench.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use xtask::peers;
use xtask::process::{Result, capture};

/// A self-signed certificate, and its key. The tools are configured to trust it.
#[derive(Debug, Clone)]
pub(super) struct Certificate {
    pub(super) file: PathBuf,
    pub(super) key: PathBuf,
}

impl Certificate {
    /// Makes one for 127.0.0.1 in `dir`.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let openssl = peers::find("openssl").ok_or("TLS needs openssl: run cargo xtask peers first")?;
        let certificate = Self { file: dir.join("certificate.pem"), key: dir.join("key.pem") };
        let mut command = Command::new(openssl);
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=bench", "-batch"]);
        // Its own root, and yet none that could sign others: some tools refuse that of a server.
        command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-out").arg(&certificate.file).arg("-keyout").arg(&certificate.key);
        capture(command.stdin(Stdio::null()))
            .map_err(|error| format!("cannot make a certificate: {error}"))?;
        Ok(certificate)
    }
}
