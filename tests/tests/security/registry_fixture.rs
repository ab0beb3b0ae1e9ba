//! Fixtures of the network cases: a registry with one artifact, under the addresses that a registry can have.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use oras_spec::Digest;
use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::{Asked, Reply, Scripted};
use oras_testkit::tls::Certificate;

use crate::case_sandbox::{Said, Stage, check};

/// The content of the file.
pub(crate) const HELLO: &[u8] = b"hello, world";
/// The name of a registry that appears to be on another machine.
pub(crate) const PUBLIC: &str = "registry.example:5000";
/// `user:hunter2` as basic credentials.
pub(crate) const BASIC: &str = "dXNlcjpodW50ZXIy";
/// The password in [`BASIC`].
pub(crate) const PASSWORD: &str = "hunter2";

/// A registry with `a:v1`, which has one file, `f.txt`.
pub(crate) struct Registry {
    pub(crate) server: Scripted,
}

/// Starts a registry that is correct, except for the responses of `odd`.
pub(crate) fn registry(odd: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static) -> Registry {
    Registry { server: Scripted::start(answers(odd)) }
}

/// Returns the responses of a correct registry, except for the responses of `odd`.
pub(crate) fn answers(
    odd: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let memory = Arc::new(MemoryRegistry::new());
    memory.files("a", "v1", &[("f.txt", HELLO)]);
    move |asked| odd(asked).unwrap_or_else(|| memory.reply(asked))
}

/// Returns the path of the blob with the file.
pub(crate) fn layer() -> String {
    format!("/v2/a/blobs/{}", Digest::sha256(HELLO))
}

/// Responds to a read of the file with a redirect.
pub(crate) fn redirects(to: &str) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    let to = to.to_owned();
    move |asked| asked.reads(&layer()).then(|| Reply::new(307).header("location", &to))
}

/// Requests basic credentials if `odd` has no response and the request has no credentials.
pub(crate) fn locked(
    odd: impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Option<Reply> + Send + Sync + 'static {
    move |asked| match asked.header("authorization") {
        None => Some(Reply::new(401).header("www-authenticate", "Basic realm=\"x\"")),
        Some(_) => odd(asked),
    }
}

/// Starts a file server, like a CDN or a bucket.
pub(crate) fn bucket() -> Scripted {
    Scripted::start(file)
}

/// Responds to every request with the file.
pub(crate) fn file(asked: &Asked) -> Reply {
    match asked.method.as_str() {
        "PUT" | "PATCH" | "POST" => Reply::new(201),
        _ => Reply::new(200).header("content-type", "application/octet-stream").body(HELLO),
    }
}

impl Registry {
    /// Returns the address, `localhost:PORT`.
    pub(crate) fn host(&self) -> String {
        self.server.host()
    }

    /// Returns the flags that resolve [`PUBLIC`] to this registry.
    pub(crate) fn public(&self) -> Vec<String> {
        vec!["--plain-http".to_owned(), "--resolve".to_owned(), map(PUBLIC, &self.server)]
    }
}

/// Returns the value of `--resolve` that resolves `place`, a host and a port, to the server.
pub(crate) fn map(place: &str, server: &Scripted) -> String {
    format!("{place}:127.0.0.1:{}", server.port())
}

/// Runs the tool with `words` and then `flags`.
pub(crate) fn run(stage: &Stage, environment: &[(&str, &str)], words: &[&str], flags: &[String]) -> Said {
    let flags = flags.iter().map(String::as_str);
    stage.oras_with(environment, &words.iter().copied().chain(flags).collect::<Vec<_>>())
}

/// Pulls the artifact of a registry into `out`.
pub(crate) fn pull(stage: &Stage, host: &str, flags: &[String]) -> Said {
    pull_with(stage, &[], host, flags)
}

/// Pulls the artifact with additional environment variables.
pub(crate) fn pull_with(stage: &Stage, environment: &[(&str, &str)], host: &str, flags: &[String]) -> Said {
    run(stage, environment, &["pull", &format!("{host}/a:v1"), "-o", "out"], flags)
}

/// Pushes one file to a registry.
pub(crate) fn push(stage: &Stage, environment: &[(&str, &str)], host: &str, flags: &[String]) -> Said {
    stage.file("new.txt", "some new content");
    run(stage, environment, &["push", &format!("{host}/a:new"), "new.txt"], flags)
}

/// Checks that the complete file exists.
pub(crate) fn has_file(stage: &Stage) -> Result<(), String> {
    let found = std::fs::read(stage.path("out/f.txt")).unwrap_or_default();
    check(found == HELLO, || format!("the file is {:?}", String::from_utf8_lossy(&found)))
}

/// Checks that no file exists.
pub(crate) fn has_nothing(stage: &Stage) -> Result<(), String> {
    let found = stage.files(&stage.path("out"));
    check(found.is_empty(), || format!("leaves {found:?}"))
}

/// Checks that the server received no request.
pub(crate) fn untouched(server: &Scripted) -> Result<(), String> {
    let lines = server.lines();
    check(lines.is_empty(), || format!("sends {}", lines.join(", ")))
}

/// Checks that the server received requests, and that none of them contains a secret.
pub(crate) fn learns_nothing(server: &Scripted, secrets: &[&str]) -> Result<(), String> {
    for asked in server.asked() {
        let text = asked.text();
        let told = secrets.iter().find(|secret| text.to_lowercase().contains(&secret.to_lowercase()));
        check(told.is_none(), || format!("tells {told:?} in {}", asked.line()))?;
    }
    Ok(())
}

/// Writes basic credentials for a host to the configuration that both tools read.
pub(crate) fn knows_password(stage: &Stage, host: &str) {
    stage.docker_config(&format!(r#"{{"auths":{{"{host}":{{"auth":"{BASIC}"}}}}}}"#));
}

/// Returns an environment in which all requests use the proxy, except those to the public registry. The proxy
/// records every attempt.
pub(crate) fn behind(proxy: &Scripted) -> Vec<(&'static str, String)> {
    vec![
        ("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port())),
        ("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port())),
        ("NO_PROXY", "registry.example".to_owned()),
    ]
}

/// Converts an environment for [`Stage::oras_with`].
pub(crate) fn borrowed<'a>(environment: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    environment.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Creates a certificate for the hosts. The case is skipped if `openssl` is not installed.
pub(crate) fn certificate(stage: &Stage, hosts: &[&str]) -> Option<Certificate> {
    let directory = stage.path("certificates");
    std::fs::create_dir_all(&directory).unwrap();
    let made = Certificate::make(&directory, hosts);
    if made.is_none() {
        stage.lacks("openssl");
    }
    made
}

/// Returns the flag that trusts a certificate.
pub(crate) fn trusting(certificate: &Certificate) -> Vec<String> {
    vec!["--ca-file".to_owned(), certificate.certificate.display().to_string()]
}

/// Returns a name of this machine, other than `localhost`, that resolves to loopback. The case is skipped if
/// there is none.
pub(crate) fn own_name(stage: &Stage) -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let leads = (name.as_str(), 0).to_socket_addrs();
    let fits = leads.is_ok_and(|mut found| found.all(|found| found.ip().is_loopback()));
    if !fits || name.is_empty() || name == "localhost" {
        stage.lacks("a name for 127.0.0.1");
        return None;
    }
    Some(name)
}

/// Returns an address of this machine in a private network. The case is skipped if there is none.
pub(crate) fn private_address(stage: &Stage) -> Option<IpAddr> {
    let mut command = std::process::Command::new("hostname");
    let said = command.arg("-I").output().map(|output| output.stdout).unwrap_or_default();
    let found = String::from_utf8_lossy(&said).split_whitespace().find_map(|text| {
        let address: IpAddr = text.parse().ok()?;
        let private = match address {
            IpAddr::V4(address) => address.is_private(),
            IpAddr::V6(address) => address.is_unique_local(),
        };
        private.then_some(address)
    });
    if found.is_none() {
        stage.lacks("an address in a private network");
    }
    found
}

/// Formats an address and a port for a URL.
pub(crate) fn literal(address: IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}

/// Responds to a read with the bytes.
pub(crate) fn content(asked: &Asked, bytes: &[u8]) -> Reply {
    let reply = Reply::new(200).header("content-type", "application/octet-stream");
    if asked.method == "HEAD" { reply.header("content-length", bytes.len()) } else { reply.body(bytes) }
}
