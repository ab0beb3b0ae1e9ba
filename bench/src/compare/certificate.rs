//! A certificate for the local registries, created for each run.

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
    /// Creates a certificate for 127.0.0.1 in `dir`.
    pub(super) fn create(dir: &Path) -> Result<Self> {
        let openssl = peers::find("openssl").ok_or("TLS needs openssl: run cargo xtask peers first")?;
        let certificate = Self { file: dir.join("certificate.pem"), key: dir.join("key.pem") };
        let mut command = Command::new(openssl);
        command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        command.args(["-days", "2", "-subj", "/CN=bench", "-batch"]);
        // Self-signed, but no authority: some tools reject a server certificate that is an authority.
        command.args(["-addext", "subjectAltName=IP:127.0.0.1"]);
        command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        command.arg("-out").arg(&certificate.file).arg("-keyout").arg(&certificate.key);
        capture(command.stdin(Stdio::null()))
            .map_err(|error| format!("cannot make a certificate: {error}"))?;
        Ok(certificate)
    }
}
