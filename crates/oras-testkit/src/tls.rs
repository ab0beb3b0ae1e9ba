//! TLS servers with certificates for tests, created by `openssl`.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::scripted::Stream;

/// A self-signed certificate and its key, in PEM files. It is used as the authority, as the server
/// certificate and as the client certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

impl Certificate {
    /// Creates a certificate for `hosts` in `directory`. Returns `None` without `openssl`.
    pub fn make(directory: &Path, hosts: &[&str]) -> Option<Self> {
        let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
        let names: Vec<_> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=test", "-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-addext", &format!("subjectAltName={}", names.join(","))])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .stderr(Stdio::null())
            .status();
        made.is_ok_and(|status| status.success()).then_some(Self { certificate, key })
    }

    /// Returns a server with this certificate, which it also trusts as a client certificate.
    ///
    /// It speaks HTTP/2 only if `http2` is set, else HTTP/1.1.
    pub(crate) fn server(&self, http2: bool) -> Server {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .expect("the certificate can be read");
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("the key can be read");
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(chain.clone());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .expect("clients can be verified");
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, key)
            .expect("certificate and key belong together");
        if http2 {
            config.alpn_protocols = vec![b"h2".to_vec()];
        }
        Server(Arc::new(config))
    }
}

/// A TLS server configuration.
#[derive(Clone, Debug)]
pub(crate) struct Server(Arc<ServerConfig>);

impl Server {
    pub(crate) fn accept(
        &self,
        stream: TcpStream,
    ) -> std::io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let connection = ServerConnection::new(Arc::clone(&self.0)).map_err(std::io::Error::other)?;
        Ok(StreamOwned::new(connection, stream))
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn tcp(&self) -> &TcpStream {
        &self.sock
    }

    fn shows_certificate(&self) -> bool {
        self.conn.peer_certificates().is_some()
    }
}
