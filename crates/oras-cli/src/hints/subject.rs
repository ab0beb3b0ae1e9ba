//! What a failed operation was about.

use crate::registry_access::RegistryAccess;

/// What a failed operation was about: the names that a hint repeats, as the user typed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    /// The prefix of the flags: empty, `from-` or `to-`.
    pub(crate) prefix: &'static str,
    /// The registry: host and port.
    pub(crate) registry: Option<String>,
    /// The repository: `registry/name`.
    pub(crate) repository: Option<String>,
    /// The path of the layout.
    pub(crate) layout: Option<String>,
    /// The reference as it was typed.
    pub(crate) raw: String,
    /// The value of `--plain-http`.
    pub(crate) plain_http: Option<bool>,
    /// Whether flags give the credential.
    pub(crate) has_credential_flags: bool,
}

impl Subject {
    /// Returns the subject for the registry `host`.
    pub(crate) fn of_access(access: &RegistryAccess, host: &str) -> Self {
        Self {
            registry: Some(host.to_owned()),
            raw: host.to_owned(),
            plain_http: access.options.plain_http,
            has_credential_flags: access.credential.is_some(),
            ..Self::default()
        }
    }

    /// Returns a flag with the prefix of this side: `--from-ca-file` for `ca-file`.
    pub(crate) fn flag(&self, name: &str) -> String {
        format!("--{}{name}", self.prefix)
    }

    /// Returns the registry, or `the registry` if it is not known.
    pub(crate) fn registry_name(&self) -> &str {
        self.registry.as_deref().unwrap_or("the registry")
    }

    /// Returns the name of the server with the host and port `address`: the registry, or a server that it names.
    pub(crate) fn server_name<'a>(&'a self, address: &'a str) -> &'a str {
        match self.registry.as_deref() {
            Some(registry) if registry.split(':').next() == address.split(':').next() => registry,
            _ => address,
        }
    }

    /// Returns `oras login` for the registry.
    pub(crate) fn login(&self) -> String {
        format!("oras login {}", self.registry.as_deref().unwrap_or("<registry>"))
    }
}
