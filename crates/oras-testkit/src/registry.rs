//! Real registries: each is a process on a free port with its own data directory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::peers;
use crate::ports::ReservedPort;

/// The user of a registry with [`Options::password`].
pub const USER: &str = "user";
/// The password of [`USER`].
pub const PASSWORD: &str = "pass";
/// [`USER`] and [`PASSWORD`] as a line of an htpasswd file, by bcrypt of the lowest cost.
pub const HTPASSWD: &str = "user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n";
/// The timeout for the start of a registry on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The kind of registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// distribution 3.1.2: no referrers API, deletion supported.
    Distribution,
    /// distribution 2.8.2 as Debian has it.
    Debian,
    /// `crane registry serve`: referrers API, no passwords.
    Crane,
}

impl Flavor {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Distribution, Self::Debian, Self::Crane];

    /// Returns the tool name for skipped tests.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Distribution => "registry",
            Self::Debian => "docker-registry",
            Self::Crane => "crane",
        }
    }

    /// The program, if it is installed.
    pub fn program(self) -> Option<PathBuf> {
        match self {
            Self::Distribution => peers::find(peers::REGISTRY),
            Self::Debian => peers::system("docker-registry"),
            Self::Crane => peers::find(peers::CRANE),
        }
    }
}

/// The configuration of a registry. The default is plain HTTP without users.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether it requires the password of [`USER`]. Not for [`Flavor::Crane`].
    pub password: bool,
    /// Certificate and key in PEM files, to serve over TLS. Not for [`Flavor::Crane`].
    pub tls: Option<(PathBuf, PathBuf)>,
    /// With TLS: only clients whose certificate one of these authorities (PEM) has signed may connect.
    pub client_authority: Option<PathBuf>,
    /// Accepts the tokens of this server. Not for [`Flavor::Crane`].
    pub tokens: Option<TokenAuthority>,
}

/// The token server that a registry trusts.
#[derive(Clone, Debug)]
pub struct TokenAuthority {
    /// The address of the token server.
    pub realm: String,
    /// The issuer in its tokens.
    pub issuer: String,
    /// The service name of the registry.
    pub service: String,
    /// The certificate (PEM) of the key that signs them.
    pub certificate: PathBuf,
}

/// A running registry. Dropping it stops the process and deletes its data.
#[derive(Debug)]
pub struct Process {
    command: Command,
    child: Child,
    port: u16,
    directory: tempfile::TempDir,
    /// Stays reserved as long as the process may use it.
    _reserved: Option<ReservedPort>,
}

impl Process {
    /// Starts a registry without users and waits until it answers. Reports `test` as skipped if it is not installed.
    pub fn open(flavor: Flavor, test: &str) -> Option<Self> {
        Self::start(flavor, &Options::default(), test)
    }

    /// Starts a registry and waits until it answers. Reports `test` as skipped if it is not installed.
    pub fn start(flavor: Flavor, options: &Options, test: &str) -> Option<Self> {
        let Some(program) = flavor.program() else {
            peers::skipped(flavor.name(), test);
            return None;
        };
        // Another process may take the free port before the registry does.
        let started = (0..5).find_map(|_| Self::launch(flavor, &program, options));
        Some(started.unwrap_or_else(|| panic!("{} does not start", program.display())))
    }

    /// Starts our own server, the example of `oras-serve`, with `arguments` on a free port.
    pub fn ours(arguments: &[&str]) -> Self {
        let program = peers::built("examples/serve");
        let mut command = Command::new(&program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{} starts: {error}", program.display()));
        let mut line = String::new();
        let output = child.stdout.take().expect("the output is a pipe");
        BufReader::new(output).read_line(&mut line).expect("the server tells its address");
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        let port = port.unwrap_or_else(|| panic!("the server tells its address, not {line:?}"));
        let directory = tempfile::tempdir().expect("a directory for the registry");
        Self { command, child, port, directory, _reserved: None }
    }

    /// Returns `localhost:` and the port, the host of references.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The port, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the directory of its data.
    pub fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// Kills the process and starts it again after `gone` with its data. Not for [`Process::ours`].
    pub fn restart(&mut self, gone: Duration) {
        drop(self.child.kill());
        drop(self.child.wait());
        std::thread::sleep(gone);
        self.child = self.command.spawn().expect("the registry starts again");
        assert!(self.answers(), "the registry ended when it was started again");
    }

    fn launch(flavor: Flavor, program: &Path, options: &Options) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory for the registry");
        let reserved = ReservedPort::take();
        let port = reserved.number();
        let storage = directory.path().join("storage");
        oras_fs::create_directories(&storage).expect("a directory for the registry's data");
        let mut command = Command::new(program);
        if flavor == Flavor::Crane {
            command
                .args(["registry", "serve", "--address", &format!("127.0.0.1:{port}"), "--disk"])
                .arg(&storage);
        } else {
            command.arg("serve").arg(configure(directory.path(), port, options));
        }
        command.current_dir(&directory).env("HOME", directory.path()).env("OTEL_TRACES_EXPORTER", "none");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{} starts: {error}", program.display()));
        let mut process = Self { command, child, port, directory, _reserved: Some(reserved) };
        process.answers().then_some(process)
    }

    /// Waits for a response. Returns `false` if the process has exited.
    fn answers(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.child.try_wait().expect("the registry can be waited for").is_some() {
                return false;
            }
            if ping(self.port).is_some_and(|answer| answer.starts_with("HTTP/1.")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the registry on port {} does not answer", self.port);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have exited already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the start of the response to `GET /v2/`. A TLS server answers plain HTTP with an error.
fn ping(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = [0; 16];
    stream.read_exact(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Writes the configuration of distribution; its versions 2 and 3 both read `version: 0.1`.
fn configure(directory: &Path, port: u16, options: &Options) -> PathBuf {
    let storage = directory.join("storage");
    let mut text = format!(
        "version: 0.1\n\
         log:\n  level: error\n  accesslog:\n    disabled: true\n\
         storage:\n  filesystem:\n    rootdirectory: {storage:?}\n  delete:\n    enabled: true\n\
         http:\n  addr: 127.0.0.1:{port}\n"
    );
    if let Some((certificate, key)) = &options.tls {
        text += &format!("  tls:\n    certificate: {certificate:?}\n    key: {key:?}\n");
        if let Some(authority) = &options.client_authority {
            text += &format!("    clientcas:\n      - {authority:?}\n");
        }
    }
    if let Some(tokens) = &options.tokens {
        let TokenAuthority { realm, issuer, service, certificate } = tokens;
        text += &format!(
            "auth:\n  token:\n    realm: {realm}\n    service: {service}\n    issuer: {issuer}\n    \
             rootcertbundle: {certificate:?}\n"
        );
    }
    if options.password {
        let users = directory.join("htpasswd");
        oras_fs::replace(&users, HTPASSWD.as_bytes(), 0o600).expect("the htpasswd file is written");
        text += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {users:?}\n");
    }
    let path = directory.join("config.yml");
    oras_fs::replace(&path, text.as_bytes(), 0o600).expect("the configuration is written");
    path
}
