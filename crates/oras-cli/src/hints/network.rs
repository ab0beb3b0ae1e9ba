//! Hints for requests that got no answer.

use oras::remote::{
    AddressClass, AddressRefused, NetworkFailure, NetworkReason, RegistryBlocked, ServerRole, WrongScheme,
};
use oras::store::Error;

use super::subject::Subject;

/// A server that speaks HTTP instead of HTTPS, or HTTPS instead of HTTP.
pub(super) fn wrong_scheme(error: &Error, subject: &Subject) -> Option<String> {
    let flag = subject.flag("plain-http");
    Some(match error.find::<WrongScheme>()? {
        // The error does not store the address of the proxy as a value, so its text is searched.
        WrongScheme::SpeaksHttp(_) if error.chain().contains("through the proxy https://") => {
            "if the proxy is meant to be reached without TLS, begin its address with http://".to_owned()
        }
        WrongScheme::SpeaksHttp(ServerRole::Registry) => {
            format!("if the registry is meant to be reached without TLS, use {flag}")
        }
        WrongScheme::SpeaksHttps(ServerRole::Registry) => match subject.plain_http {
            Some(true) => format!("the registry speaks HTTPS: leave out {flag}"),
            _ => format!("the registry speaks HTTPS: use {flag}=false (for localhost, HTTP is the default)"),
        },
        WrongScheme::SpeaksHttp(_) | WrongScheme::SpeaksHttps(_) => {
            "the registry gave this address: ask those who run it to correct it".to_owned()
        }
    })
}

/// An address of this machine or a private network, which the registry names and the client refuses.
pub(super) fn refused_address(error: &Error, subject: &Subject) -> Option<String> {
    // The flag allows no address of the class `Forbidden`.
    let refused =
        error.find::<AddressRefused>().filter(|refused| refused.class != AddressClass::Forbidden)?;
    let (host, flag) = (&refused.host, subject.flag("allow-host"));
    Some(format!("if {host} is meant to be reached, allow it by {flag} {host}"))
}

/// A registry that `registries.conf` blocks.
pub(super) fn blocked_registry(error: &Error, subject: &Subject) -> Option<String> {
    error.find::<RegistryBlocked>()?;
    let flag = subject.flag("no-registries-conf");
    Some(format!("if that rule is not meant for this, leave the file out by {flag}"))
}

/// A failed connection.
pub(super) fn network_failure(error: &Error, subject: &Subject) -> Option<String> {
    let NetworkFailure { host, proxy, reason, .. } = error.find::<NetworkFailure>()?;
    match (reason, proxy) {
        (NetworkReason::ProxyAuthentication, Some(proxy)) => Some(proxy_authentication(host, proxy)),
        (NetworkReason::ProxyRefused, Some(proxy)) => Some(format!(
            "the proxy {proxy} does not connect to {host}: ask those who run it to allow the host, or add it to \
             NO_PROXY"
        )),
        (NetworkReason::UnknownHost | NetworkReason::Refused | NetworkReason::Timeout, Some(proxy)) => {
            Some(format!(
                "the request went through the proxy {proxy}: check HTTPS_PROXY and HTTP_PROXY, or add {host} to NO_PROXY"
            ))
        }
        (reason, _) => without_proxy(*reason, host, subject),
    }
}

/// The hint for a proxy that asks for a password.
pub(super) fn proxy_authentication(host: &str, proxy: &str) -> String {
    format!(
        "the proxy {proxy} asks for a login: put it into its address, such as HTTPS_PROXY=http://USER:PASSWORD@{proxy}, \
         or add {host} to NO_PROXY"
    )
}

fn without_proxy(reason: NetworkReason, host: &str, subject: &Subject) -> Option<String> {
    Some(match reason {
        // A name without a dot is usually the first part of a repository, as in `library/alpine`.
        NetworkReason::UnknownHost if is_short_name(host, subject) => format!(
            "{host:?} is read as the registry, and there is no default registry: write <registry>/{}",
            subject.raw
        ),
        NetworkReason::UnknownHost => {
            format!("check the spelling of {host} and the name server of this computer")
        }
        NetworkReason::Refused => {
            format!("nothing listens at {}: check its host and port", subject.server_name(host))
        }
        NetworkReason::Timeout => format!(
            "check the network and the firewall; {} and {} wait longer",
            subject.flag("connect-timeout"),
            subject.flag("idle-timeout")
        ),
        NetworkReason::TooManyFiles => too_many_files(),
        NetworkReason::UnknownAuthority => format!(
            "to trust the authority of {host}, name the file with its certificate: {} <file.pem>",
            subject.flag("ca-file")
        ),
        NetworkReason::CertificateExpired => format!(
            "check the clock of this computer; if it is right, those who run {host} must renew the certificate"
        ),
        NetworkReason::CertificateNotYetValid => format!(
            "check the clock of this computer; if it is right, {host} has a certificate that is not valid yet"
        ),
        NetworkReason::WrongName => format!(
            "use a name of the certificate; {} <name>:<port>:<address> connects that name to an address",
            subject.flag("resolve")
        ),
        NetworkReason::ClientCertificate => format!(
            "the registry asks for a client certificate: {} <cert.pem> {} <key.pem>",
            subject.flag("cert-file"),
            subject.flag("key-file")
        ),
        _ => return None,
    })
}

fn is_short_name(host: &str, subject: &Subject) -> bool {
    let is_registry = subject.registry.as_deref() == Some(host);
    is_registry && !host.contains(['.', ':']) && subject.repository.is_some()
}

/// The hint for the limit of open files.
pub(super) fn too_many_files() -> String {
    "raise the limit of open files (ulimit -n 4096), or use --concurrency 1".to_owned()
}

#[cfg(test)]
mod tests {
    use oras::store::ErrorKind;

    use super::*;

    #[test]
    fn allows_only_hosts_that_can_be_allowed() {
        for (address, class, is_advised) in [
            ([10, 0, 0, 1], AddressClass::Private, true),
            ([127, 0, 0, 1], AddressClass::Loopback, true),
            ([169, 254, 169, 254], AddressClass::Forbidden, false),
        ] {
            let (host, registry) = ("h.test".to_owned(), "r.test".to_owned());
            let refused = AddressRefused { host, registry, address: address.into(), class };
            let error = Error::from_source(ErrorKind::Denied, refused);
            let subject = Subject { prefix: "to-", ..Subject::default() };
            let hint = super::super::for_error(&error, &subject).unwrap_or_default();
            assert_eq!(hint.contains("--to-allow-host h.test"), is_advised, "{class:?}");
        }
    }
}
