//! A real registry for the bench: distribution with its storage in a directory of ours.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::files::write;
use crate::process::{Result, Server, command};

/// A running registry, stopped when dropped.
pub(super) struct Registry {
    server: Server,
    host: String,
    storage: PathBuf,
}

impl Registry {
    /// Starts it on a free port, with all it writes below `dir`.
    pub(super) fn start(program: &Path, dir: &Path) -> Result<Self> {
        let storage = dir.join("storage");
        std::fs::create_dir_all(&storage)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = dir.join("config.yml");
        write(&config, configuration(&storage, port))?;
        let mut command = command(program, &["serve"]);
        let log = std::fs::File::create(dir.join("log"))?;
        command.arg(&config).stdout(Stdio::null()).stderr(log).env("OTEL_TRACES_EXPORTER", "none");
        let server = Server::start(&mut command)?;
        let mut registry = Self { server, host: format!("localhost:{port}"), storage };
        registry
            .wait_until_ready(port)
            .map_err(|error| format!("{error}: {}", last_line(&dir.join("log"))))?;
        Ok(registry)
    }

    fn wait_until_ready(&mut self, port: u16) -> Result {
        let give_up = Instant::now() + Duration::from_secs(10);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if Instant::now() > give_up || self.server.child().try_wait()?.is_some() {
                return Err(format!("the registry did not come up on port {port}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Its name in references.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Where its blobs are.
    pub(super) fn storage(&self) -> &Path {
        &self.storage
    }
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().last().unwrap_or("it says nothing").to_owned()
}

/// Without a cache of descriptors: blobs are removed behind the registry's back between runs.
fn configuration(storage: &Path, port: u16) -> String {
    format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {storage:?}\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n"
    )
}
