//! Requests that examine a registry for a diagnosis. None of them changes anything at the registry.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use oras_spec::{Digest, MediaType, Reference};
use oras_store::{Error, ErrorKind, Result};
use reqwest::Method;
use reqwest::header::{ACCEPT, RANGE, WWW_AUTHENTICATE};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::{Host, Url};

use crate::auth::challenge::{self, Challenge};
use crate::auth::scope::Scopes;
use crate::auth::token_claims::granted_scopes;
use crate::client::Client;
use crate::config::certs_d::Certificates;
use crate::connection::tls_config;
use crate::http::endpoint::Endpoint;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::mirror::mirrored::Mirrored;
use crate::registry_profile::Profile;
use crate::repository::repository::Repository;

/// Examines one registry, and optionally one of its repositories, with the options of a client.
///
/// Every request only reads. No result contains a secret.
///
/// ```no_run
/// use oras_remote::{Client, ClientOptions, RegistryProbe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// let client = Client::new(ClientOptions::default())?;
/// let probe = RegistryProbe::new(&client, "localhost:5000", Some("hello"))?;
/// println!("{} has the addresses {:?}", probe.origin(), probe.addresses().await?);
/// println!("{:?}", probe.ping().await?.date);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct RegistryProbe {
    client: Client,
    endpoint: Endpoint,
    /// The name of the registry, or of the repository with its registry.
    name: String,
    repository: Option<String>,
}

/// The answer to a request without credentials. It shows whether the clocks agree, and how to log in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PingAnswer {
    /// The HTTP status: 200, or 401 if the registry requires authentication.
    pub status: u16,
    /// The time of the server, from the header `Date`.
    pub date: Option<SystemTime>,
    /// The header `Server`.
    pub server: Option<String>,
    /// The ways to authenticate that the registry offers, such as `Bearer from https://auth.example.com`.
    pub authentication: Vec<String>,
    /// The time from the request to the answer.
    pub elapsed: Duration,
}

/// What the registry allows with the credentials of the client. A missing scope explains a later refusal.
///
/// ```no_run
/// use oras_remote::{Client, ClientOptions, GrantedAccess, RegistryProbe};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> oras_remote::store::Result<()> {
/// let client = Client::new(ClientOptions::default())?;
/// let access: GrantedAccess = RegistryProbe::new(&client, "ghcr.io", Some("me/app"))?.authorize().await?;
/// println!("wanted {:?}, got {:?}", access.requested, access.granted);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantedAccess {
    /// The scopes that were requested.
    pub requested: Vec<String>,
    /// The scopes in the token, such as `repository:hello:pull`. `None` if the registry issued no token, or one whose
    /// claims cannot be read.
    pub granted: Option<Vec<String>>,
    /// Whether the registry issued a token.
    pub has_token: bool,
}

/// The rule of `registries.conf` for a repository. It explains why another server answers than the reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryRule {
    /// The file with the rule.
    pub file: PathBuf,
    /// The locations that are read before the registry, in order.
    pub mirrors: Vec<String>,
    /// Whether the rule disables the verification of certificates.
    pub is_insecure: bool,
}

impl RegistryProbe {
    /// Creates a probe of `registry`, a host with an optional port, and of a repository in it. Does not connect.
    ///
    /// # Errors
    /// `InvalidInput` for an invalid name; `Denied` with [`RegistryBlocked`](crate::RegistryBlocked).
    pub fn new(client: &Client, registry: &str, repository: Option<&str>) -> Result<Self> {
        oras_spec::reference::check_registry(registry)?;
        let name = match repository {
            Some(repository) => format!("{registry}/{repository}").parse::<Reference>()?.name(),
            None => registry.to_owned(),
        };
        let mut endpoint = client.endpoint(registry, &name)?;
        if let Some(repository) = repository {
            endpoint = endpoint.for_repository(repository);
        }
        Ok(Self { client: client.clone(), endpoint, name, repository: repository.map(str::to_owned) })
    }

    /// Returns the scheme, host and port that the client connects to, such as `https://localhost:5000`.
    pub fn origin(&self) -> String {
        self.endpoint.origin()
    }

    /// Returns true if the client uses TLS.
    pub fn is_encrypted(&self) -> bool {
        self.endpoint.base().scheme() == "https"
    }

    /// Returns true if the client does not verify the certificate of the registry.
    pub fn is_unverified(&self) -> bool {
        self.client.options().insecure || self.endpoint.is_insecure()
    }

    /// Returns true if the host is `localhost` or a loopback address.
    pub fn is_local(&self) -> bool {
        match self.endpoint.base().host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Returns the scheme, host and port of the proxy, without the user and the password.
    pub fn proxy(&self) -> Option<String> {
        let url = self.endpoint.base();
        if self.is_local() || self.client.no_proxy().covers(url) || self.address_override().is_some() {
            return None;
        }
        Some(self.client.options().proxy.server(url)?.origin())
    }

    /// Returns the address that a [`ResolveOverride`](crate::ResolveOverride) sets for the registry.
    pub fn address_override(&self) -> Option<SocketAddr> {
        let url = self.endpoint.base();
        let rules = self.client.options().resolve.iter().rev();
        let mut rules = rules.filter(|rule| {
            url.host_str().is_some_and(|host| host.eq_ignore_ascii_case(&rule.host))
                && url.port_or_known_default() == Some(rule.port)
        });
        rules.next().map(|rule| SocketAddr::new(rule.address, rule.address_port))
    }

    /// Returns the rule of `registries.conf` that applies, if there is one.
    pub fn rule(&self) -> Option<RegistryRule> {
        let found = self.client.options().registries.find(&self.name)?;
        Some(RegistryRule {
            file: found.rule.file.to_path_buf(),
            mirrors: found.rule.mirrors.iter().map(|mirror| found.at(&mirror.location)).collect(),
            is_insecure: found.rule.insecure,
        })
    }

    /// Returns the name of the registry, or of the repository with its registry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns probes of the mirrors of the repository, in the order in which they are read. Like in a pull, a mirror on
    /// another host receives no headers and no credentials of the registry.
    ///
    /// # Errors
    /// `InvalidInput` if the location of a mirror is invalid.
    pub fn mirrors(&self) -> Result<Vec<Self>> {
        if self.repository.is_none() {
            return Ok(Vec::new());
        }
        let repository = Repository::new(&self.client, &self.name.parse()?)?;
        let mirrored = Mirrored::new(&repository)?;
        let mirrors = mirrored.iter().flat_map(|mirrored| mirrored.mirrors.iter());
        let probe = |mirror: &Repository| Self {
            client: mirror.client().clone(),
            endpoint: mirror.endpoint().clone(),
            name: mirror.name().to_owned(),
            repository: Some(mirror.path().to_owned()),
        };
        Ok(mirrors.map(|mirror| probe(&mirror.repository)).collect())
    }

    /// Returns the name of a public registry whose limits the client knows, such as `Quay`, and what it does for it.
    pub fn known_limits(&self) -> Option<(&'static str, Vec<String>)> {
        Profile::known(self.endpoint.server()).map(|profile| (profile.name, profile.limits()))
    }

    /// Resolves the name of the registry.
    ///
    /// # Errors
    /// `Network` if the name has no address.
    pub async fn addresses(&self) -> Result<Vec<IpAddr>> {
        if let Some(address) = self.address_override() {
            return Ok(vec![address.ip()]);
        }
        let failed = |host: &str, error: std::io::Error| {
            Error::new(ErrorKind::Network, format!("failed to resolve {host}")).with_source(error)
        };
        let port = self.endpoint.base().port_or_known_default().unwrap_or_default();
        let mut addresses = match self.endpoint.base().host() {
            Some(Host::Ipv4(address)) => vec![address.into()],
            Some(Host::Ipv6(address)) => vec![address.into()],
            Some(Host::Domain(host)) => match &self.client.options().resolver {
                Some(resolver) => resolver.resolve(host).await.map_err(|error| failed(host, error))?,
                None => {
                    let lookup = tokio::net::lookup_host((host, port));
                    let found = timeout(self.client.options().connect_timeout, lookup).await;
                    let found = found.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
                    found.map_err(|error| failed(host, error))?.map(|address| address.ip()).collect()
                }
            },
            None => Vec::new(),
        };
        let mut seen = std::collections::HashSet::new();
        addresses.retain(|address| seen.insert(*address));
        match addresses.is_empty() {
            true => Err(Error::new(ErrorKind::Network, format!("{} has no address", self.origin()))),
            false => Ok(addresses),
        }
    }

    /// Connects to the first of `addresses` that accepts a connection, without a proxy.
    ///
    /// # Errors
    /// `Network` with the error of the last address.
    pub async fn connect(&self, addresses: &[IpAddr]) -> Result<SocketAddr> {
        Ok(self.open(addresses).await?.1)
    }

    async fn open(&self, addresses: &[IpAddr]) -> Result<(TcpStream, SocketAddr)> {
        let port = self.endpoint.base().port_or_known_default().unwrap_or_default();
        let port = self.address_override().map_or(port, |address| address.port());
        let mut last = Error::new(ErrorKind::Network, format!("{} has no address", self.origin()));
        for address in addresses {
            let address = SocketAddr::new(*address, port);
            let connected = timeout(self.client.options().connect_timeout, TcpStream::connect(address)).await;
            match connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => {
                    let message = format!("failed to connect to {address}");
                    last = Error::new(ErrorKind::Network, message).with_source(error);
                }
            }
        }
        Err(last)
    }

    /// Returns the certificates that the registry sends, in DER, its own certificate first.
    ///
    /// The handshake verifies nothing, so that an expired certificate can be described. Nothing is sent after it, and the
    /// client shows no certificate of its own.
    ///
    /// # Errors
    /// `Network` if the connection or the handshake fails.
    pub async fn certificates(&self, addresses: &[IpAddr]) -> Result<Vec<Vec<u8>>> {
        let failed = |why: String| Error::new(ErrorKind::Network, format!("{}: {why}", self.origin()));
        let config =
            tls_config::configure(self.client.options(), false, &Certificates::default(), (false, true))?;
        let host = self.endpoint.base().host_str().unwrap_or_default().trim_matches(['[', ']']);
        let name =
            ServerName::try_from(host.to_owned()).map_err(|_| failed("not a name for TLS".to_owned()))?;
        let (stream, _) = self.open(addresses).await?;
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let shaken = timeout(self.client.options().connect_timeout, connector.connect(name, stream)).await;
        let stream = shaken
            .map_err(|_| failed("the TLS handshake timed out".to_owned()))?
            .map_err(|error| failed("the TLS handshake failed".to_owned()).with_source(error))?;
        let (_, connection) = stream.get_ref();
        let certificates = connection.peer_certificates().unwrap_or_default();
        Ok(certificates.iter().map(|certificate| certificate.to_vec()).collect())
    }

    /// Requests the base of the API without credentials, once.
    ///
    /// # Errors
    /// `Network`, also if the certificate is not trusted.
    pub async fn ping(&self) -> Result<PingAnswer> {
        let request = Request::new(Method::GET, self.endpoint.url("/v2/")?, Scopes::default());
        let started = Instant::now();
        let response =
            self.client.follow(&self.endpoint, &request, None).await.map_err(|failed| failed.error)?;
        let elapsed = started.elapsed();
        let texts = response.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let authentication = challenge::parse(texts).into_iter().map(|challenge| match challenge {
            Challenge::Basic { .. } => "Basic".to_owned(),
            // Only the origin: the path or the query may contain what should not be in a bug report.
            Challenge::Bearer { realm, .. } => match Url::parse(&realm) {
                Ok(url) => format!("Bearer from {}", url.origin().ascii_serialization()),
                Err(_) => "Bearer from an invalid address".to_owned(),
            },
        });
        Ok(PingAnswer {
            status: response.status.as_u16(),
            date: response.header("date").and_then(|text| httpdate::parse_http_date(text).ok()),
            server: response.header("server").map(str::to_owned),
            authentication: authentication.collect(),
            elapsed,
        })
    }

    /// Authenticates with the credentials of the client, and returns what they allow. For a repository, requests access
    /// to pull and push; nothing is pushed.
    ///
    /// # Errors
    /// `Unauthorized` or `Denied` if the registry rejects the credentials; `NotFound` if it has no such repository.
    pub async fn authorize(&self) -> Result<GrantedAccess> {
        let Some(repository) = &self.repository else {
            let request = Request::new(Method::GET, self.endpoint.url("/v2/")?, Scopes::default());
            self.read(&request).await?.expect(&[200])?;
            let has_token = self.token(&Scopes::default()).is_some();
            return Ok(GrantedAccess { has_token, ..GrantedAccess::default() });
        };
        let url = self.url("tags/list?n=1")?;
        let pull = Scopes::repository(repository, &["pull"]);
        let both = Scopes::repository(repository, &["pull", "push"]);
        let answer = self.read(&Request::new(Method::GET, url.clone(), both.clone())).await;
        let (answer, scopes) = match answer.and_then(|response| response.expect(&[200, 404, 405])) {
            // Some token servers refuse a request with one scope too many instead of granting the others.
            Err(error) if matches!(error.kind(), ErrorKind::Unauthorized | ErrorKind::Denied) => {
                let response = self.read(&Request::new(Method::GET, url, pull.clone())).await?;
                (response.expect(&[200, 404, 405])?, pull.clone())
            }
            answered => (answered?, both),
        };
        drop(answer);
        let token = self.token(&pull);
        let granted = token.as_deref().and_then(granted_scopes);
        let requested = scopes.iter().collect();
        Ok(GrantedAccess { requested, granted, has_token: token.is_some() })
    }

    /// Returns true if the registry lists the tags of the repository.
    ///
    /// # Errors
    /// Returns the error of the registry if the answer does not show it.
    pub async fn lists_tags(&self) -> Result<bool> {
        let response = self.get(self.url("tags/list?n=1")?).await?;
        match response.status.as_u16() {
            200 => Ok(true),
            400 | 405 | 501 => Ok(false),
            _ => Err(response.error().into_error()),
        }
    }

    /// Returns true if the registry answers `HEAD` for the manifest that `reference` names.
    ///
    /// # Errors
    /// As of [`RegistryProbe::lists_tags`].
    pub async fn answers_head(&self, reference: &str) -> Result<bool> {
        let accepted = MediaType::MANIFESTS.map(String::from);
        let request = Request::new(Method::HEAD, self.url(&format!("manifests/{reference}"))?, self.scopes())
            .header(ACCEPT, &accepted.join(", "))?;
        let response = self.read(&request).await?;
        match response.status.as_u16() {
            200 => Ok(true),
            400 | 403 | 405 | 501 => Ok(false),
            _ => Err(response.error().into_error()),
        }
    }

    /// Returns true if the registry has the referrers API.
    ///
    /// # Errors
    /// As of [`RegistryProbe::lists_tags`].
    pub async fn has_referrers_api(&self, digest: &Digest) -> Result<bool> {
        let response = self.get(self.url(&format!("referrers/{digest}"))?).await?;
        match response.status.as_u16() {
            // Another type means that a page of a gateway answered (distribution-spec, "Listing Referrers").
            200 => Ok(response.content_type() == Some(MediaType::IMAGE_INDEX.as_str())),
            400 | 404 | 405 | 406 | 501 => Ok(false),
            _ => Err(response.error().into_error()),
        }
    }

    /// Returns true if the registry, or the storage that it redirects to, sends ranges of the blob `digest`. The blob must
    /// not be empty.
    ///
    /// # Errors
    /// As of [`RegistryProbe::lists_tags`].
    pub async fn sends_ranges(&self, digest: &Digest) -> Result<bool> {
        let request = Request::new(Method::GET, self.url(&format!("blobs/{digest}"))?, self.scopes())
            .header(RANGE, "bytes=0-0")?
            // Without a limit the body is a stream, which is dropped: a server without ranges would send the whole blob.
            .limit(None);
        let response = self.read(&request).await?;
        match response.status.as_u16() {
            206 => Ok(true),
            200 => Ok(false),
            _ => Err(response.error().into_error()),
        }
    }

    async fn get(&self, url: Url) -> Result<Response> {
        self.read(&Request::new(Method::GET, url, self.scopes())).await
    }

    /// Sends a request once, with credentials if the registry asks for them.
    async fn read(&self, request: &Request) -> Result<Response> {
        self.client.attempt(&self.endpoint, request).await.map_err(|failed| failed.error)
    }

    fn scopes(&self) -> Scopes {
        self.repository.as_deref().map_or_else(Scopes::default, |name| Scopes::repository(name, &["pull"]))
    }

    fn url(&self, rest: &str) -> Result<Url> {
        let no_repository = || Error::new(ErrorKind::InvalidInput, "the probe has no repository");
        let repository = self.repository.as_deref().ok_or_else(no_repository)?;
        self.endpoint.url(&format!("/v2/{repository}/{rest}"))
    }

    /// Returns the token for `scopes`, if the registry issued one. It never leaves this file.
    fn token(&self, scopes: &Scopes) -> Option<String> {
        let header = self.client.tokens().cache(&self.endpoint).token(scopes, None)?;
        header.to_str().ok()?.strip_prefix("Bearer ").map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_options::ClientOptions;
    use crate::connection::name_resolution::ResolveOverride;
    use crate::connection::proxy::Proxy;

    fn probe(options: ClientOptions, registry: &str) -> RegistryProbe {
        RegistryProbe::new(&Client::new(options).unwrap(), registry, Some("team/app")).unwrap()
    }

    #[test]
    fn hides_user_and_password_of_proxy() {
        for (given, shown) in [
            ("http://user:secret@proxy.test:3128", "http://proxy.test:3128"),
            ("https://user:secret@proxy.test", "https://proxy.test:443"),
            ("socks5://user:secret@proxy.test", "socks5h://proxy.test:1080"),
        ] {
            let options = ClientOptions::default().proxy(Proxy::all(given).unwrap());
            assert_eq!(probe(options.clone(), "registry.test").proxy().as_deref(), Some(shown));
            assert_eq!(probe(options.clone(), "localhost:5000").proxy(), None);
            assert_eq!(probe(options.no_proxy("registry.test"), "registry.test").proxy(), None);
        }
    }

    #[tokio::test]
    async fn uses_address_override() {
        let address: SocketAddr = ([127, 0, 0, 1], 8443).into();
        let options =
            ClientOptions::default().resolve(vec![ResolveOverride::new("registry.test", 443, address)]);
        let probe = probe(options, "registry.test");
        assert_eq!(probe.address_override(), Some(address));
        assert_eq!(probe.addresses().await.unwrap(), [address.ip()]);
        assert_eq!(probe.origin(), "https://registry.test:443");
    }
}
