//! Access to registries as the flags describe it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use oras::remote::{
    Anonymous, Client, ClientCertificate, ClientOptions, Credential, CredentialStore, DockerConfig,
    ReferrersMode, ResolveOverride, RootCertificates, StaticCredentials,
};
use oras::store::Error;

use crate::args::{
    RegistryArgs,
    flags::{UPSTREAM, exclusive},
    values::non_empty,
};
use crate::credentials::{self, credential_files};
use crate::failure::Failure;
use crate::log;

/// Access to registries as the flags describe it.
pub(crate) struct RegistryAccess {
    /// The options without the credential given by flags, which [`RegistryAccess::options_for`] adds.
    pub(crate) options: ClientOptions,
    /// The credential given by flags.
    pub(crate) credential: Option<Credential>,
    /// The user name given by flags, for `login`.
    pub(crate) username: Option<String>,
    /// The files and helpers that store credentials.
    pub(crate) store: Arc<DockerConfig>,
    client: OnceLock<Client>,
}

impl RegistryAccess {
    /// Checks the flags, whose names begin with `prefix`. Reads a secret from standard input if a flag requests it.
    pub(crate) fn new(args: &RegistryArgs, prefix: &str) -> Result<Self, Failure> {
        let connection = &args.connection;
        exclusive!(prefix, connection.username, connection.identity_token, connection.identity_token_stdin)?;
        exclusive!(
            prefix,
            connection.password,
            connection.identity_token,
            connection.identity_token_stdin,
            connection.password_stdin
        )?;
        let path = |flag| non_empty(flag).map(PathBuf::from);
        let client_certificate =
            match (path(connection.cert_file.as_ref()), path(connection.key_file.as_ref())) {
                (Some(cert), Some(key)) => Some(ClientCertificate::new(cert, key)),
                (None, None) => None,
                (cert, _) => {
                    let (given, missing) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
                    let message = format!(
                        "--{prefix}{given}-file must be used in conjunction with --{prefix}{missing}-file"
                    );
                    return Err(Failure::new(message));
                }
            };
        let headers = connection.header.iter().map(|text| header(text)).collect::<Result<_, _>>()?;
        let username = non_empty(connection.username.as_ref()).map(ToOwned::to_owned);
        let credential = credentials::given(connection, username.clone(), prefix.is_empty())?;
        let store = Arc::new(credential_files(&connection.registry_config));
        let credentials: Arc<dyn CredentialStore> = match &credential {
            Some(_) => Arc::new(Anonymous),
            None => {
                // A malformed credential file is an error only if the command needs a credential from it.
                store.check()?;
                Arc::clone(&store) as _
            }
        };
        let resolve =
            connection.resolve.iter().map(|text| resolve_override(text)).collect::<Result<_, _>>()?;
        let mut options = ClientOptions::default()
            .network_from_env()
            .insecure(connection.insecure)
            .user_agent(concat!("oras/", env!("CARGO_PKG_VERSION")))
            .headers(headers)
            .resolve(resolve)
            .credentials(credentials)
            // A credential from flags is meant for the registry, so its mirrors use only stored credentials.
            .mirror_credentials(Arc::clone(&store))
            .referrers(match args.distribution_spec.as_deref() {
                Some("v1.1-referrers-api") => ReferrersMode::Api,
                Some("v1.1-referrers-tag") => ReferrersMode::Tag,
                _ => ReferrersMode::Auto,
            })
            .warnings(log::registry_warning);
        options.plain_http = connection.plain_http;
        options.client_certificate = client_certificate;
        if let Some(authorities) = path(connection.ca_file.as_ref()) {
            // The file replaces the system's authorities.
            options = options.roots(RootCertificates::none().pem(authorities));
        }
        args.network.apply(&mut options, prefix == UPSTREAM)?;
        Ok(Self { options, credential, username, store, client: OnceLock::new() })
    }

    /// Returns the options of a client for `servers`. Only these receive a credential given by flags.
    pub(crate) fn options_for<'a>(&self, servers: impl IntoIterator<Item = &'a str>) -> ClientOptions {
        let mut options = self.options.clone();
        if let Some(credential) = &self.credential {
            let none = StaticCredentials::default();
            let add = |all: StaticCredentials, server| all.and(server, credential.clone());
            options = options.credentials(servers.into_iter().fold(none, add));
        }
        options
    }

    /// Returns the only client of a command, for the registry `server`, so that its requests share connections, tokens
    /// and logged warnings.
    pub(crate) fn client(&self, server: &str) -> Result<Client, Error> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = Client::new(self.options_for([server]))?;
        // If two threads create a client at the same time, both use the first one.
        Ok(self.client.get_or_init(|| client).clone())
    }
}

/// Parses `--header`.
fn header(text: &str) -> Result<(String, String), Failure> {
    let is_name = |c: char| c.is_ascii_alphabetic() || c == '-';
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.to_owned(), value.trim().to_owned())),
        // Without a colon any part may be the secret, so the error quotes the text only if it looks like a name.
        None if text.chars().all(is_name) => Err(Failure::new(format!("invalid header: {text:?}"))),
        _ => Err(Failure::new("invalid header: it must be \"name: value\"")),
    }
}

/// Parses `--resolve`.
fn resolve_override(text: &str) -> Result<ResolveOverride, Failure> {
    let failed = |what: &str| Failure::new(format!("failed to parse resolve flag {text:?}: {what}"));
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(failed("expecting host:port:address[:address_port]"));
    };
    let port: u16 = port.parse().map_err(|_| failed("expecting uint64 host port"))?;
    // `1.2.3.4:80` and `[::1]:80` have a port. Without a port, an IPv6 address may also have no brackets.
    if let Ok(address) = address.trim_matches(['[', ']']).parse() {
        return Ok(ResolveOverride::new(host, port, SocketAddr::new(address, port)));
    }
    let (address, address_port) = address.rsplit_once(':').ok_or_else(|| failed("invalid IP address"))?;
    let address = address.trim_matches(['[', ']']).parse().map_err(|_| failed("invalid IP address"))?;
    let address_port = address_port.parse().map_err(|_| failed("expecting uint64 address port"))?;
    Ok(ResolveOverride::new(host, port, SocketAddr::new(address, address_port)))
}
