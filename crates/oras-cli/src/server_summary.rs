//! What a person wants to know of a server that has started: its address, its storage, who may write, and the web page.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::server_log_terminal::START_TARGET;
use crate::{columns, humanize, print, server_log};

/// Where the server keeps its repositories.
pub(crate) enum ServerStorage {
    Memory {
        max_size: u64,
    },
    Path(PathBuf),
    /// The cache of a proxy of these registries; `None` for a cache in memory.
    Cache {
        of: Vec<String>,
        path: Option<PathBuf>,
    },
}

/// The settings that decide who may write.
#[derive(Default)]
pub(crate) struct ServerAccess {
    pub(crate) is_read_only: bool,
    pub(crate) htpasswd: Option<String>,
    pub(crate) rules: Option<String>,
}

/// A summary of a server.
pub(crate) struct ServerSummary {
    pub(crate) address: SocketAddr,
    pub(crate) has_tls: bool,
    pub(crate) storage: ServerStorage,
    pub(crate) access: ServerAccess,
    pub(crate) public_url: Option<String>,
    pub(crate) has_page: bool,
}

impl ServerSummary {
    /// Prints the summary on standard error: as lines on a terminal, else as an event of the log.
    pub(crate) fn print(&self) {
        let (url, storage, writers, page) = (self.url(), self.storage(), self.writers(), self.page());
        if server_log::is_terminal() {
            let lines = [("Address", url), ("Storage", storage), ("Writers", writers), ("Page", page)];
            let lines = lines.iter().map(|(label, value)| columns::header(label, value, None));
            return print::error(lines.collect::<String>().trim_end());
        }
        tracing::info!(target: START_TARGET, url, storage, writers, page, "serving");
    }

    fn url(&self) -> String {
        format!("{}://{}", if self.has_tls { "https" } else { "http" }, self.address)
    }

    fn storage(&self) -> String {
        match &self.storage {
            ServerStorage::Memory { max_size } => {
                format!("memory, at most {}, lost when the server ends", humanize::binary(*max_size))
            }
            ServerStorage::Cache { of, path: None } => format!("cache of {} in memory", of.join(", ")),
            ServerStorage::Cache { of, path: Some(path) } => {
                format!("cache of {} in {}", of.join(", "), path.display())
            }
            ServerStorage::Path(path) if is_archive(path) => format!("archive {}", path.display()),
            ServerStorage::Path(path) if path.join(LAYOUT_MARKER).is_file() => {
                format!("OCI layout {}", path.display())
            }
            ServerStorage::Path(path) => format!("OCI layouts in {}", path.display()),
        }
    }

    fn writers(&self) -> String {
        let ServerAccess { is_read_only, htpasswd, rules } = &self.access;
        match (&self.storage, htpasswd, rules) {
            (ServerStorage::Cache { .. }, ..) => "nobody, because a proxy accepts no pushes".to_owned(),
            (ServerStorage::Path(path), ..) if is_archive(path) => {
                "nobody, because an archive is only read".to_owned()
            }
            _ if *is_read_only => "nobody (--read-only)".to_owned(),
            (_, Some(_), Some(rules)) => format!("clients that {rules} allows to push"),
            (_, Some(users), None) => format!("the users in {users}"),
            _ if self.address.ip().is_loopback() => "everyone on this machine".to_owned(),
            _ => "everyone who can reach this address".to_owned(),
        }
    }

    fn page(&self) -> String {
        match &self.public_url {
            _ if !self.has_page => "none (--no-page)".to_owned(),
            Some(url) => format!("{}/", url.trim_end_matches('/')),
            // A browser cannot open the address that stands for all addresses of the machine.
            None if self.address.ip().is_unspecified() => {
                let url = self.url();
                let scheme = url.split("://").next().unwrap_or_default();
                format!("{scheme}://localhost:{}/", self.address.port())
            }
            None => format!("{}/", self.url()),
        }
    }
}

/// The file that marks an OCI layout (image-layout).
const LAYOUT_MARKER: &str = oras::spec::layout::MARKER_FILE;

/// Returns true for an archive, which is the only file that can be served.
fn is_archive(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(address: &str, access: ServerAccess) -> ServerSummary {
        ServerSummary {
            address: address.parse().unwrap(),
            has_tls: false,
            storage: ServerStorage::Memory { max_size: 1 << 30 },
            access,
            public_url: None,
            has_page: true,
        }
    }

    #[test]
    fn names_who_may_write() {
        let given = |text: &str| Some(text.to_owned());
        let local = "127.0.0.1:5000";
        for (address, read_only, htpasswd, rules, writers) in [
            (local, false, None, None, "everyone on this machine"),
            ("[::1]:5000", false, None, None, "everyone on this machine"),
            ("0.0.0.0:5000", false, None, None, "everyone who can reach this address"),
            (local, true, given("users"), None, "nobody (--read-only)"),
            (local, false, given("users"), None, "the users in users"),
            (local, false, given("users"), given("rules.toml"), "clients that rules.toml allows to push"),
        ] {
            let access = ServerAccess { is_read_only: read_only, htpasswd, rules };
            assert_eq!(summary(address, access).writers(), writers);
        }
        let mut proxy = summary(local, ServerAccess::default());
        proxy.storage = ServerStorage::Cache { of: vec!["ghcr.io".into(), "docker.io".into()], path: None };
        assert_eq!(proxy.writers(), "nobody, because a proxy accepts no pushes");
        assert_eq!(proxy.storage(), "cache of ghcr.io, docker.io in memory");
    }

    #[test]
    fn page_has_address_for_browsers() {
        let mut summary = summary("0.0.0.0:5000", ServerAccess::default());
        assert_eq!(
            (summary.url().as_str(), summary.page().as_str()),
            ("http://0.0.0.0:5000", "http://localhost:5000/")
        );
        summary.address = "[::1]:8000".parse().unwrap();
        summary.has_tls = true;
        assert_eq!(summary.page(), "https://[::1]:8000/");
        summary.public_url = Some("https://registry.example/".to_owned());
        assert_eq!(summary.page(), "https://registry.example/");
        summary.has_page = false;
        assert_eq!(summary.page(), "none (--no-page)");
    }
}
