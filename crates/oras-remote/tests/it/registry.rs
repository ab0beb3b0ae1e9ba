//! Starts real registries: distribution 3.1.2 and 2.8.2.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oras_fs::replace;
use oras_testkit::ports::ReservedPort;

/// The htpasswd entry of the user `user` with the password `pass`.
const HTPASSWD: &str = "user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n";

/// A registry process that ends with its test.
pub(crate) struct Registry {
    child: Child,
    port: u16,
    /// Kept while the process uses the directory.
    _reserved: ReservedPort,
    _storage: tempfile::TempDir,
}

/// Which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// distribution 3.1.2.
    Current,
    /// distribution 2.8.2, as Debian has it.
    Debian,
}

impl Flavor {
    #[expect(clippy::disallowed_methods, reason = "tests find what was installed for this user")]
    fn program(self) -> PathBuf {
        match self {
            Self::Debian => PathBuf::from("/usr/bin/docker-registry"),
            Self::Current => {
                let cache =
                    std::env::var_os("XDG_CACHE_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
                let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
                cache.unwrap_or_else(home).join("oras-peers/registry-v3.1.2/registry")
            }
        }
    }
}

impl Registry {
    /// Starts an open registry; `None` if it is not installed.
    pub(crate) fn open(flavor: Flavor, test: &str) -> Option<Self> {
        Self::with(flavor, test, "")
    }

    /// Starts a registry for `user` with `pass` only.
    pub(crate) fn closed(flavor: Flavor, test: &str) -> Option<Self> {
        Self::start(flavor, test, "", true)
    }

    /// Starts an open registry with additional HTTP settings.
    pub(crate) fn with(flavor: Flavor, test: &str, http: &str) -> Option<Self> {
        Self::start(flavor, test, http, false)
    }

    /// Returns `localhost` with the port.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    fn start(flavor: Flavor, test: &str, http: &str, closed: bool) -> Option<Self> {
        let program = flavor.program();
        if !program.exists() {
            skipped(&format!("skipped: needs {} ({test})", program.display()));
            return None;
        }
        // Another program may take the free port first, so try again.
        let started = (0..5).find_map(|_| Self::launch(&program, http, closed));
        Some(started.expect("the registry starts"))
    }

    fn launch(program: &Path, http: &str, closed: bool) -> Option<Self> {
        let storage = tempfile::tempdir().unwrap();
        let reserved = ReservedPort::take();
        let port = reserved.number();
        let (config, users) = (storage.path().join("config.yml"), storage.path().join("htpasswd"));
        replace(&users, HTPASSWD.as_bytes(), 0o600).unwrap();
        let mut text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: '127.0.0.1:{port}', {http}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n",
            storage.path().display(),
        );
        if closed {
            text += &format!("auth: {{htpasswd: {{realm: r, path: {}}}}}\n", users.display());
        }
        replace(&config, text.as_bytes(), 0o600).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&config).env_clear().stdout(Stdio::null()).stderr(Stdio::null());
        let mut registry =
            Self { child: command.spawn().unwrap(), port, _storage: storage, _reserved: reserved };
        registry.is_up().then_some(registry)
    }

    fn is_up(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(30) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the registry does not come up");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reports a skipped test in the summary.
#[expect(clippy::disallowed_methods, reason = "the runner of the tests says where it counts them")]
pub(crate) fn skipped(line: &str) {
    eprintln!("{line}");
    if let Some(log) = std::env::var_os("ORAS_SKIPPED_LOG") {
        use std::io::Write as _;
        let mut file = std::fs::File::options().append(true).create(true).open(log).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}
