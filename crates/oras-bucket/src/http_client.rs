//! The HTTP client of the object stores, with the TLS settings of ORAS.

use std::path::PathBuf;
use std::time::Duration;

use object_store::ClientConfigKey;
use object_store::ClientOptions;
use object_store::client::{HttpClient, HttpConnector};
use oras_store::{Error, ErrorKind, Result};
use rustls::{ClientConfig, RootCertStore};

/// The timeout for a connection to the object store.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The timeout for a connection to the metadata service of a machine. Outside of a cloud nothing answers.
const METADATA_TIMEOUT: Duration = Duration::from_secs(1);

/// The time in which a server must send the next bytes. A server may copy an object of 5 GiB before it answers.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Makes HTTP clients that trust the authorities of the system and those in `ca_files`.
#[derive(Debug)]
pub(crate) struct Connector {
    ca_files: Vec<PathBuf>,
}

impl Connector {
    pub(crate) fn new(ca_files: Vec<PathBuf>) -> Self {
        Self { ca_files }
    }

    fn client(&self, options: &ClientOptions) -> Result<reqwest::Client> {
        let is_https_only =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|allowed| allowed == "false");
        // `object_store` shortens this timeout for the metadata service, and only for it.
        let timeout = |options: &ClientOptions| options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let is_usual =
            timeout(options) == timeout(&ClientOptions::new().with_connect_timeout(CONNECT_TIMEOUT));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls()?)
            .user_agent(concat!("oras-bucket/", env!("CARGO_PKG_VERSION")))
            .https_only(is_https_only)
            .connect_timeout(if is_usual { CONNECT_TIMEOUT } else { METADATA_TIMEOUT })
            .read_timeout(READ_TIMEOUT)
            // A redirect would send the signature of the request to another server.
            .redirect(reqwest::redirect::Policy::none());
        client
            .build()
            .map_err(|error| Error::new(ErrorKind::Other, "failed to set up HTTP").with_source(error))
    }

    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        // Errors of the system's store are ignored here. The handshake fails if a certificate is missing.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for file in &self.ca_files {
            let certificates = oras_tls::certificates(file.clone())
                .map_err(|error| Error::from_source(ErrorKind::InvalidInput, error))?;
            let (_, rejected) = roots.add_parsable_certificates(certificates);
            if rejected > 0 {
                let message = format!("{} has an invalid certificate", file.display());
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
        }
        let builder = ClientConfig::builder_with_provider(oras_tls::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(ErrorKind::Other, "failed to set up TLS").with_source(error))?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        // S3 supports no other version, and `object_store` uses it by default for all clouds.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = self.client(options);
        let client =
            client.map_err(|error| object_store::Error::Generic { store: "HTTP", source: error.into() })?;
        Ok(HttpClient::new(client))
    }
}
