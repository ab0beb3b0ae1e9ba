//! How to reach registries, as given by flags.

use std::io::Read;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use clap::ArgMatches;
use oras::remote::{
    Client, ClientOptions, Credential, CredentialStore, DockerConfig, ReferrersMode, ResolveOverride, Secret,
    StaticCredentials,
};

use crate::args::flags::{Matches, exclusive};
use crate::args::network;
use crate::env;
use crate::error::Failure;
use crate::log;
use crate::output::Printer;

/// How to reach registries, as given by flags.
pub(crate) struct Remote {
    pub(crate) options: ClientOptions,
    /// The credential given by flags.
    pub(crate) credential: Option<Credential>,
    /// The user name given by flags, for `login`.
    pub(crate) username: Option<String>,
    /// Where credentials are kept.
    pub(crate) store: Arc<DockerConfig>,
    client: OnceLock<Client>,
}

impl Remote {
    /// Reads the flags with `prefix`, and secrets from standard input where a flag says so.
    pub(crate) fn new(matches: &ArgMatches, prefix: &str, printer: &Printer) -> Result<Self, Failure> {
        let name = |name: &str| format!("{prefix}{name}");
        exclusive(matches, prefix, &["username", "identity-token", "identity-token-stdin"])?;
        exclusive(
            matches,
            prefix,
            &["password", "identity-token", "identity-token-stdin", "password-stdin"],
        )?;
        let path = |flag: &str| matches.text(&name(flag)).filter(|path| !path.is_empty());
        let (cert, key) = (path("cert-file"), path("key-file"));
        let client_certificate = match (cert, key) {
            (Some(cert), Some(key)) => Some((PathBuf::from(cert), PathBuf::from(key))),
            (None, None) => None,
            (cert, _) => {
                let (given, missing) = if cert.is_some() { ("cert", "key") } else { ("key", "cert") };
                let message = format!(
                    "--{prefix}{given}-file must be used in conjunction with --{prefix}{missing}-file"
                );
                return Err(Failure::new(message));
            }
        };
        let headers: Vec<_> =
            matches.list(&name("header")).iter().map(|text| header(text)).collect::<Result<_, _>>()?;
        let username = matches.text(&name("username")).filter(|name| !name.is_empty());
        let credential = credential(matches, prefix, username.clone(), printer)?;
        let store = Arc::new(credential_files(&matches.list(&name("registry-config")), printer));
        let credentials: Arc<dyn CredentialStore> = match &credential {
            Some(credential) => Arc::new(StaticCredentials::new(Some(credential.clone()))),
            None => {
                store.check()?;
                Arc::clone(&store) as _
            }
        };
        let resolve = if prefix.is_empty() { Vec::new() } else { matches.list("resolve") };
        let resolve = resolve.into_iter().chain(matches.list(&name("resolve")));
        let err = *printer;
        let mut options = ClientOptions {
            plain_http: matches.switch(&name("plain-http")),
            insecure: matches.on(&name("insecure")),
            ca_file: path("ca-file").map(PathBuf::from),
            client_certificate,
            certificate_directories: env::certificate_directories(),
            user_agent: concat!("oras/", env!("CARGO_PKG_VERSION")).to_owned(),
            headers,
            resolve: resolve.map(|text| resolve_override(&text)).collect::<Result<_, _>>()?,
            no_proxy: env::no_proxy(),
            credentials,
            mirror_credentials: Arc::clone(&store) as _,
            referrers: match matches.text(&name("distribution-spec")).as_deref() {
                Some("v1.1-referrers-api") => ReferrersMode::Api,
                Some("v1.1-referrers-tag") => ReferrersMode::Tag,
                _ => ReferrersMode::Auto,
            },
            warnings: Some(Arc::new(move |registry: &str, text: &str| {
                log::registry_warning(err, registry, text);
            })),
            ..ClientOptions::default()
        };
        network::apply(matches, prefix, &mut options)?;
        Ok(Self { options, credential, username, store, client: OnceLock::new() })
    }

    /// The one client of a command: connections, tokens and the warnings that were told are shared.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = Client::new(self.options.clone())?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

/// The files that `--registry-config` names; without it Docker's, and those of the containers tools when it has nothing.
pub(crate) fn credential_files(given: &[String], printer: &Printer) -> DockerConfig {
    let printer = *printer;
    let store = match given {
        [] => DockerConfig::open(env::docker_config().into_iter().collect())
            .with_fallbacks(env::containers_auth()),
        paths => DockerConfig::open(paths.iter().map(PathBuf::from).collect()),
    };
    store.with_notices(Arc::new(move |text: &str| log::notice(printer, text)))
}

fn credential(
    matches: &ArgMatches,
    prefix: &str,
    username: Option<String>,
    printer: &Printer,
) -> Result<Option<Credential>, Failure> {
    let name = |name: &str| format!("{prefix}{name}");
    let (mut password, mut token) = (matches.text(&name("password")), matches.text(&name("identity-token")));
    if prefix.is_empty() {
        if password.is_some() {
            printer.error("WARNING! Using --password via the CLI is insecure. Use --password-stdin.");
        }
        if token.is_some() {
            printer.error(
                "WARNING! Using --identity-token via the CLI is insecure. Use --identity-token-stdin.",
            );
        }
        if matches.on("password-stdin") {
            password = Some(read_secret()?);
        }
        if matches.on("identity-token-stdin") {
            token = Some(read_secret()?);
        }
    }
    let secret = |text: Option<String>| text.filter(|text| !text.is_empty()).map(Secret::from);
    Ok(match (username, secret(password), secret(token)) {
        (Some(username), Some(password), _) => Some(Credential::Basic { username, password }),
        // A user name without a password is a credential that can't be used; saying so beats asking anonymously.
        (Some(username), None, _) => {
            Some(Credential::Basic { username, password: Secret::from(String::new()) })
        }
        (None, Some(secret), _) | (None, None, Some(secret)) => Some(Credential::Refresh(secret)),
        (None, None, None) => None,
    })
}

/// All of standard input without one final line break.
fn read_secret() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(1 << 20)
        .read_to_string(&mut text)
        .map_err(|error| Failure::of_io("failed to read standard input", &error))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn header(text: &str) -> Result<(String, String), Failure> {
    let (name, value) =
        text.split_once(':').filter(|(name, _)| !name.trim().is_empty()).ok_or_else(|| {
            // Without a name before a colon nobody knows where the secret begins: only a name alone is shown.
            let is_name = |c: char| c.is_ascii_alphabetic() || c == '-';
            match text.split_once(':') {
                None if text.chars().all(is_name) => Failure::new(format!("invalid header: {text:?}")),
                _ => Failure::new("invalid header: it must be \"name: value\""),
            }
        })?;
    Ok((name.to_owned(), value.trim().to_owned()))
}

fn resolve_override(text: &str) -> Result<ResolveOverride, Failure> {
    let failed = |what: &str| Failure::new(format!("failed to parse resolve flag {text:?}: {what}"));
    let mut parts = text.splitn(3, ':');
    let (Some(host), Some(port), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(failed("expecting host:port:address[:address_port]"));
    };
    let port: u16 = port.parse().map_err(|_| failed("expecting uint64 host port"))?;
    // An address with a port is `1.2.3.4:80` or `[::1]:80`; without, also a bare IPv6 address.
    if let Ok(address) = address.trim_matches(['[', ']']).parse() {
        return Ok(ResolveOverride { host: host.to_owned(), port, address, address_port: port });
    }
    let (address, address_port) = address.rsplit_once(':').ok_or_else(|| failed("invalid IP address"))?;
    let address = address.trim_matches(['[', ']']).parse().map_err(|_| failed("invalid IP address"))?;
    let address_port = address_port.parse().map_err(|_| failed("expecting uint64 address port"))?;
    Ok(ResolveOverride { host: host.to_owned(), port, address, address_port })
}
