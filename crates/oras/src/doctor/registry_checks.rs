//! Checks of a registry: the way to it, its certificates and clock, access, and features.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use oras_remote::{
    Client, Credential, GrantedAccess, Keeper, PingAnswer, RegistryProbe, Repository, RetryPolicy,
};
use oras_spec::Manifest;
use oras_store::{Error, ErrorKind, MAX_MANIFEST_SIZE};

use super::{Check, DoctorOptions, ExaminedName, certificate};
use crate::resolve::fetch_manifest;

/// The difference of clocks above which tokens may be rejected.
const CLOCK_WARNING: Duration = Duration::from_secs(2 * 60);
/// The difference of clocks above which certificates and tokens are rejected.
const CLOCK_FAILURE: Duration = Duration::from_secs(24 * 3600);

/// Adds the checks of the registry that `name` names. Stops after a check without which the others cannot succeed.
pub(super) async fn examine(name: &ExaminedName, options: &DoctorOptions, checks: &mut Vec<Check>) {
    // A diagnosis shows the first error, and does not wait for a server to come back.
    let client_options = options.client.clone().retry(RetryPolicy::none());
    let probe = Client::new(client_options).and_then(|client| {
        let probe = RegistryProbe::new(&client, &name.registry, name.repository.as_deref())?;
        Ok((client, probe))
    });
    let (client, probe) = match probe {
        Ok(probe) => probe,
        Err(error) => {
            let advice = "Correct the options, or leave out registries.conf by --no-registries-conf";
            return checks.push(Check::fail("registry", error.chain(), advice));
        }
    };
    checks.push(Check::ok("registry", probe.origin()));
    checks.extend(rules(&probe));
    mirrors(&probe, checks).await;
    if !connection(&probe, checks).await {
        return;
    }
    let answer = match probe.ping().await {
        Ok(answer) => answer,
        Err(error) => return checks.push(unreachable(&error)),
    };
    checks.push(api(&answer));
    checks.push(clock(&answer, SystemTime::now()));
    checks.push(credential(name, options).await);
    match probe.authorize().await {
        Ok(access) => checks.push(permissions(&access, &answer, name)),
        Err(error) => return checks.push(refused(&error, name)),
    }
    if name.repository.is_some() {
        features(name, &client, &probe, checks).await;
    }
}

/// Describes the proxy, overrides and mirrors that apply.
fn rules(probe: &RegistryProbe) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.push(Check::ok("proxy", probe.proxy().unwrap_or_else(|| "none".to_owned())));
    if let Some(address) = probe.address_override() {
        checks.push(Check::ok("address-override", format!("--resolve connects to {address}")));
    }
    if let Some(rule) = probe.rule() {
        let file = rule.file.display();
        checks.push(match rule.mirrors.as_slice() {
            [] => Check::ok("mirrors", format!("none in {file}")),
            mirrors => Check::ok("mirrors", format!("{} ({file})", mirrors.join(", "))),
        });
    } else {
        checks.push(Check::ok("mirrors", "none"));
    }
    if probe.is_encrypted() && probe.is_unverified() {
        let advice = "Trust the authority of the registry by --ca-file instead";
        checks.push(Check::warn("tls-verification", "certificates are not verified", advice));
    } else if !probe.is_encrypted() && !probe.is_local() {
        let advice = "Leave out --plain-http if the registry supports TLS";
        checks.push(Check::warn("tls-verification", "the connection is not encrypted", advice));
    }
    checks
}

/// Checks that the mirrors of the repository answer.
async fn mirrors(probe: &RegistryProbe, checks: &mut Vec<Check>) {
    const NAME: &str = "mirror";
    let advice = "Correct the mirror in registries.conf; until then the next source is read";
    let found = match probe.mirrors() {
        Ok(found) => found,
        Err(error) => return checks.push(Check::fail(NAME, error.chain(), advice)),
    };
    for mirror in found {
        checks.push(match mirror.ping().await {
            Ok(answer) if [200, 401].contains(&answer.status) => {
                Check::ok(NAME, format!("{}: status {}", mirror.name(), answer.status))
            }
            Ok(answer) => Check::warn(NAME, format!("{}: status {}", mirror.name(), answer.status), advice),
            Err(error) => Check::warn(NAME, format!("{}: {}", mirror.name(), error.chain()), advice),
        });
    }
}

/// Checks name resolution, the connection and the certificates. Returns false if the registry cannot be reached.
async fn connection(probe: &RegistryProbe, checks: &mut Vec<Check>) -> bool {
    if let Some(proxy) = probe.proxy() {
        // The proxy resolves the name, so the result of this machine would say nothing.
        let why = format!("the proxy {proxy} makes the connection");
        checks.extend(
            ["name-resolution", "connection", "tls-certificate"].map(|name| Check::skip(name, &*why)),
        );
        return true;
    }
    let addresses = match probe.addresses().await {
        Ok(addresses) => addresses,
        Err(error) => {
            let advice = "Check the name, the DNS settings and the VPN; --resolve sets an address";
            checks.push(Check::fail("name-resolution", error.chain(), advice));
            return false;
        }
    };
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    checks.push(Check::ok("name-resolution", shown.join(", ")));
    match probe.connect(&addresses).await {
        Ok(address) => checks.push(Check::ok("connection", format!("connected to {address}"))),
        Err(error) => {
            let advice =
                "Check that the registry runs at this port, and the firewall; a proxy is set by HTTPS_PROXY";
            checks.push(Check::fail("connection", error.chain(), advice));
            return false;
        }
    }
    if probe.is_encrypted() {
        match probe.certificates(&addresses).await {
            Ok(chain) => checks.push(certificate::describe(&chain, SystemTime::now())),
            Err(error) => {
                let advice = "If the registry does not support TLS, use --plain-http";
                checks.push(Check::fail("tls-certificate", error.chain(), advice));
                return false;
            }
        }
    }
    true
}

/// Describes why the registry did not answer.
fn unreachable(error: &Error) -> Check {
    let chain = error.chain();
    let advice = if chain.contains("x509") || chain.contains("certificate") {
        "Trust the authority that signed the certificate by --ca-file, or by a file in certs.d"
    } else {
        "Check the proxy, the firewall and the address of the registry"
    };
    Check::fail("api", chain, advice)
}

fn api(answer: &PingAnswer) -> Check {
    let server = answer.server.as_ref().map(|server| format!(", server {server}")).unwrap_or_default();
    let time = answer.elapsed.as_millis();
    let ways = match answer.authentication.as_slice() {
        [] => String::new(),
        ways => format!(", authentication {}", ways.join(" or ")),
    };
    let message = format!("status {} in {time} ms{server}{ways}", answer.status);
    match answer.status {
        200 => Check::ok("api", message),
        401 if !answer.authentication.is_empty() => Check::ok("api", message),
        401 => Check::fail(
            "api",
            format!("{message}, without a way to authenticate"),
            "Ask those who run the registry",
        ),
        404 => Check::fail("api", message, "This host is not a registry: check the name and the port"),
        _ => Check::warn("api", message, "The registry should answer 200 or 401 to GET /v2/"),
    }
}

fn clock(answer: &PingAnswer, now: SystemTime) -> Check {
    let Some(date) = answer.date else { return Check::skip("clock", "the registry sent no Date header") };
    let (difference, word) = match now.duration_since(date) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    // The header has a resolution of a second.
    if difference < Duration::from_secs(3) {
        return Check::ok("clock", "the clocks of this machine and the registry agree");
    }
    let message = format!("this machine is {} s {word} the registry", difference.as_secs());
    let advice = "Set the clock of this machine: tokens and certificates are valid only for a time";
    match difference {
        difference if difference > CLOCK_FAILURE => Check::fail("clock", message, advice),
        difference if difference > CLOCK_WARNING => Check::warn("clock", message, advice),
        _ => Check::ok("clock", message),
    }
}

/// Reports where the credential comes from, without the credential.
async fn credential(name: &ExaminedName, options: &DoctorOptions) -> Check {
    const NAME: &str = "credential";
    let Some(files) = &options.credentials else {
        return match options.client.credentials.get(&name.registry, name.repository.as_deref()).await {
            Ok(Some(_)) => Check::ok(NAME, "given directly, not from a file"),
            Ok(None) => Check::ok(NAME, "none: requests are anonymous"),
            Err(error) => Check::fail(NAME, error.chain(), "Correct the source of the credential"),
        };
    };
    match files.locate(&name.registry, name.repository.as_deref()).await {
        Ok(Some(located)) => {
            let kind = match located.credential {
                Credential::Basic { .. } => "password",
                Credential::Refresh(_) => "identity token",
                Credential::Access(_) => "registry token",
            };
            let file = located.file.display();
            Check::ok(
                NAME,
                match located.keeper {
                    Keeper::Helper(helper) => format!("{kind} from the helper {helper}, which {file} names"),
                    Keeper::Entry(key) => format!("{kind} in {file}, under {key:?}"),
                },
            )
        }
        Ok(None) => Check::ok(NAME, "none: requests are anonymous"),
        Err(error) => {
            let advice = format!("Run oras login {} to store the credential again", name.registry);
            Check::fail(NAME, error.chain(), advice)
        }
    }
}

/// Describes what the credentials allow.
fn permissions(access: &GrantedAccess, answer: &PingAnswer, name: &ExaminedName) -> Check {
    const NAME: &str = "permissions";
    if name.repository.is_none() {
        return Check::ok(NAME, "the registry accepts the credentials");
    }
    let Some(granted) = &access.granted else {
        return Check::ok(
            NAME,
            match (access.has_token, answer.status) {
                (true, _) => "the registry issued a token, whose permissions cannot be read",
                (false, 200) => "the registry needs no authentication to read",
                (false, _) => "the registry accepts the credentials; it has no tokens that name permissions",
            },
        );
    };
    let allows = |action: &str| {
        granted.iter().any(|scope| {
            let actions = scope.rsplit(':').next().unwrap_or_default();
            scope.starts_with("repository:")
                && actions.split(',').any(|found| found == action || found == "*")
        })
    };
    match (allows("pull"), allows("push")) {
        (_, true) => Check::ok(NAME, format!("granted {}", granted.join(" "))),
        (true, false) => Check::ok(NAME, format!("granted {}; no permission to push", granted.join(" "))),
        (false, false) => Check::fail(
            NAME,
            format!("the token grants nothing of {}", access.requested.join(" ")),
            format!("Run oras login {} with an account that may read the repository", name.registry),
        ),
    }
}

fn refused(error: &Error, name: &ExaminedName) -> Check {
    let advice = match error.kind() {
        ErrorKind::Unauthorized | ErrorKind::Denied => format!("Run oras login {}", name.registry),
        ErrorKind::NotFound => "Check the name of the repository".to_owned(),
        _ => "Run the command with --debug to see the requests".to_owned(),
    };
    Check::fail("permissions", error.chain(), advice)
}

/// Checks the features of a repository by requests that only read.
async fn features(name: &ExaminedName, client: &Client, probe: &RegistryProbe, checks: &mut Vec<Check>) {
    checks.push(feature(
        "tag-list",
        probe.lists_tags().await,
        "the registry lists tags",
        ("the registry does not list tags", "Name tags explicitly; backup and repo tags need the list"),
    ));
    if let Some((known, limits)) = probe.known_limits() {
        let limits = if limits.is_empty() { "no limits".to_owned() } else { limits.join("; ") };
        checks.push(Check::ok("known-registry", format!("{known}: {limits}")));
    }
    let written = "a test would have to write; the client tries it and continues without it";
    checks.push(Check::skip("mount", written));
    checks.push(Check::skip("delete", "a test would have to delete something"));
    let Some(target) = &name.target else {
        let why = "needs the name of an artifact: <registry>/<repository>:<tag>";
        return checks.extend(["manifest", "referrers-api", "ranges"].map(|name| Check::skip(name, why)));
    };
    let repository = format!("{}/{}", name.registry, name.repository.as_deref().unwrap_or_default());
    let read = async { fetch_manifest(Arc::new(Repository::open(client, &repository)?), target).await };
    let manifest = match read.await {
        Ok(manifest) => manifest,
        Err(error) => {
            let advice = format!("Run oras repo tags {repository} to see what the repository has");
            return checks.push(Check::fail("manifest", error.chain(), advice));
        }
    };
    let digest = &manifest.descriptor().digest;
    checks.push(feature(
        "manifest",
        probe.answers_head(target).await,
        &format!("{digest}"),
        ("the registry refuses HEAD requests for manifests", "Nothing to do: the client uses GET instead"),
    ));
    checks.push(feature(
        "referrers-api",
        probe.has_referrers_api(digest).await,
        "the registry has the referrers API",
        (
            "the registry has no referrers API",
            "Nothing to do: the client keeps lists of referrers under tags",
        ),
    ));
    let parsed = manifest.manifest(MAX_MANIFEST_SIZE).await.ok();
    checks.push(match parsed.as_ref().and_then(largest_blob) {
        None => Check::skip("ranges", "the manifest lists no blob"),
        Some(blob) => feature(
            "ranges",
            probe.sends_ranges(&blob.digest).await,
            "the registry sends ranges, so broken downloads resume",
            (
                "the registry does not send ranges",
                "Nothing to do: a broken download starts again, over one connection",
            ),
        ),
    });
}

fn largest_blob(manifest: &Manifest) -> Option<&oras_spec::Descriptor> {
    let blobs = manifest.layers().iter().chain(manifest.config());
    blobs.filter(|blob| blob.size > 0).max_by_key(|blob| blob.size)
}

/// Makes the check of a feature whose lack is only a warning.
fn feature(
    name: &'static str,
    found: oras_store::Result<bool>,
    present: &str,
    (absent, advice): (&str, &str),
) -> Check {
    match found {
        Ok(true) => Check::ok(name, present),
        Ok(false) => Check::warn(name, absent, advice),
        Err(error) => Check::fail(name, error.chain(), "Run the command with --debug to see the requests"),
    }
}
