//! Starts the registry `distribution` for the bench. Its storage is in a directory of the bench. Tools
//! connect directly or over a link, by plain HTTP or TLS.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::certificate::Certificate;
use super::link::Link;
use xtask::files::write;
use xtask::process::{Result, Server, command};

/// The number of clock ticks in a second. Linux counts the CPU time of a process in ticks.
const TICKS: u64 = 100;

/// A storage with a server process for plain HTTP, and optionally one for TLS.
pub(super) struct Registry {
    plain: Door,
    tls: Option<Door>,
    /// Our server, which uses the same storage directory.
    single: Option<Door>,
    storage: PathBuf,
}

/// The protocol between the tools and a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Plain,
    Tls,
    /// Plain HTTP. Tools write to our server, which supports single-`POST` uploads.
    SinglePost,
}

impl Registry {
    /// Starts the registry with its storage below `dir`.
    pub(super) fn start(program: &Path, dir: &Path, certificate: Option<&Certificate>) -> Result<Self> {
        let storage = dir.join("storage");
        std::fs::create_dir_all(&storage)?;
        let plain = Door::open(program, dir, &storage, None)?;
        let tls = certificate.map(|certificate| Door::open(program, dir, &storage, Some(certificate)));
        Ok(Self { plain, tls: tls.transpose()?, single: None, storage })
    }

    /// Also starts our own server; `program` is `oras`.
    pub(super) fn with_single_post(mut self, program: &Path, dir: &Path) -> Result<Self> {
        self.single = Some(Door::open_ours(program, dir, &self.storage)?);
        Ok(self)
    }

    /// Returns the server for a protocol.
    pub(super) fn door(&self, protocol: Protocol) -> Result<&Door> {
        match protocol {
            Protocol::Plain => Ok(&self.plain),
            Protocol::SinglePost => Ok(self.single.as_ref().unwrap_or(&self.plain)),
            Protocol::Tls => self.tls.as_ref().ok_or_else(|| "no TLS was asked for".into()),
        }
    }

    /// Returns the directory of its blobs.
    pub(super) fn storage(&self) -> &Path {
        &self.storage
    }
}

/// A running server, stopped when dropped, and the link to it.
pub(crate) struct Door {
    server: Server,
    port: u16,
    host: &'static str,
    pub(super) link: Link,
}

impl Door {
    /// Starts distribution with its configuration and log in `dir`.
    pub(crate) fn plain(program: &Path, dir: &Path, storage: &Path) -> Result<Self> {
        Self::open(program, dir, storage, None)
    }

    fn open(program: &Path, dir: &Path, storage: &Path, certificate: Option<&Certificate>) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let name = if certificate.is_some() { "tls" } else { "plain" };
        let config = dir.join(format!("{name}.yml"));
        write(&config, configuration(storage, port, certificate))?;
        let log = dir.join(format!("{name}.log"));
        let mut command = command(program, &["serve"]);
        command.arg(&config).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        let mut server = Server::start(command.env("OTEL_TRACES_EXPORTER", "none"))?;
        wait_until_ready(&mut server, port).map_err(|error| format!("{error}: {}", last_line(&log)))?;
        // By default all tools use plain HTTP for the name `localhost` and TLS for the address.
        let host = if certificate.is_some() { "127.0.0.1" } else { "localhost" };
        Ok(Self { server, port, host, link: Link::to(port)? })
    }

    /// Starts our own server.
    pub(crate) fn open_ours(program: &Path, dir: &Path, storage: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let log = dir.join("single.log");
        let mut command = command(program, &["serve", "--addr", &format!("127.0.0.1:{port}")]);
        command.arg(storage).stdout(Stdio::null()).stderr(std::fs::File::create(&log)?);
        let mut server = Server::start(&mut command)?;
        wait_until_ready(&mut server, port).map_err(|error| format!("{error}: {}", last_line(&log)))?;
        Ok(Self { server, port, host: "localhost", link: Link::to(port)? })
    }

    /// Returns the host and port in references.
    pub(super) fn host(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Returns the host and port in references that use the link.
    pub(super) fn host_over_link(&self) -> String {
        format!("{}:{}", self.host, self.link.port())
    }

    /// Returns its address.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Returns the peak resident set of the server, or 0 if the system does not report it.
    pub(crate) fn peak_kib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.server.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// Returns the CPU time of the server, or 0 if the system does not report it.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.server.id())).unwrap_or_default();
        cpu_of(&stat).unwrap_or_default()
    }
}

/// Returns the user and system time in `/proc/<process>/stat`. Its second field may contain spaces.
fn cpu_of(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 1000 / TICKS))
}

fn wait_until_ready(server: &mut Server, port: u16) -> Result {
    let give_up = Instant::now() + Duration::from_secs(10);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
        if Instant::now() > give_up || server.child().try_wait()?.is_some() {
            return Err(format!("the registry did not come up on port {port}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it says nothing").to_owned()
}

/// Returns the configuration, without a descriptor cache, because the benchmark deletes blobs between runs.
fn configuration(storage: &Path, port: u16, certificate: Option<&Certificate>) -> String {
    let tls = certificate.map_or(String::new(), |certificate| {
        format!("  tls:\n    certificate: {:?}\n    key: {:?}\n", certificate.file, certificate.key)
    });
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {storage:?}\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n{tls}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_cpu_time_of_process() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 25 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_of(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_of("7 (a) S 1"), None);
    }
}
