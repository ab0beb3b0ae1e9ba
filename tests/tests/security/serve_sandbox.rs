//! A running `oras serve`, and clients that send raw requests to it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oras_spec::Digest;

use crate::case_sandbox::{Stage, check};

/// The time limit of a response.
const PATIENCE: Duration = Duration::from_secs(20);

/// Two users; [`secret`](crate::serve_sandbox::secret) is the password of both.
const HTPASSWD: &str = "user:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n\
    guest:$2b$04$abcdefghijklmnopqrstuufznL8bkzdtHwLhca4To/v9Lo9bA7fR6\n";

/// `user` may do everything, `guest` has access to `guest/`, and every client may read `public/`.
const RULES: &str = "[[rule]]\nrepositories = [\"**\"]\nusers = [\"user\"]\nallow = [\"pull\", \"push\", \"delete\"]\n\
    [[rule]]\nrepositories = [\"guest/**\"]\nusers = [\"guest\"]\nallow = [\"pull\", \"push\"]\n\
    [[rule]]\nrepositories = [\"public/**\"]\nusers = [\"anonymous\"]\nallow = [\"pull\"]\n";

/// Returns the `Authorization` header of a user.
pub(crate) fn password(user: &str) -> String {
    let encoded = STANDARD.encode(format!("{user}:{}", oras_testkit::registry::PASSWORD));
    format!("Authorization: Basic {encoded}\r\n")
}

/// A running server.
pub(crate) struct Serving {
    child: Child,
    pub(crate) address: SocketAddr,
    log: std::path::PathBuf,
}

/// The status and text of a response. The status is 0 if there is no response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Answer {
    fn read(text: String) -> Self {
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        Self { status: status.unwrap_or(0), text }
    }

    /// Checks that the status is one of `allowed`.
    pub(crate) fn is(&self, allowed: &[u16]) -> Result<&Self, String> {
        check(allowed.contains(&self.status), || {
            format!("answers {:?}", &self.text[..self.text.len().min(600)])
        })?;
        Ok(self)
    }

    /// Returns the value of a header. Fails if there is none.
    pub(crate) fn header(&self, name: &str) -> Result<&str, String> {
        let found = self.text.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.ok_or_else(|| format!("{name} is not in {}", self.text))
    }
}

impl Serving {
    /// Starts the server in the working directory of the stage.
    pub(crate) fn start(stage: &Stage, words: &[&str]) -> Self {
        let log = stage.path("serve.log");
        let mut command = stage.command(stage.tool(), &[&["serve", "--addr", "127.0.0.1:0"], words].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(&log).unwrap()));
        Self { child, address, log }
    }

    /// Starts a server over the directory `root` with users and rules.
    pub(crate) fn guarded(stage: &Stage, words: &[&str]) -> Self {
        stage.file("users", HTPASSWD);
        stage.file("rules.toml", RULES);
        Self::start(stage, &[&["--htpasswd", "users", "--rules", "rules.toml"], words, &["root"]].concat())
    }

    /// Returns the log.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Returns the peak memory of the server in MiB, or 0 if the system does not report it.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
    }

    /// Opens a connection, from the address `from` if there is one.
    pub(crate) fn connect(&self, from: Option<IpAddr>) -> std::io::Result<TcpStream> {
        let stream = match from {
            None => TcpStream::connect(self.address)?,
            Some(from) => {
                use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
                let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
                bind(&socket, &SocketAddr::new(from, 0))?;
                connect(&socket, &self.address)?;
                TcpStream::from(socket)
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends bytes, and returns everything that the server sends until it closes the connection.
    pub(crate) fn say(&self, bytes: &[u8]) -> Answer {
        let Ok(mut stream) = self.connect(None) else { return Answer::read(String::new()) };
        // The server may close the connection early, so an error is ignored.
        drop(stream.write_all(bytes));
        rest(stream)
    }

    /// Sends a request. `headers` are whole lines.
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        self.say(&[head.as_bytes(), body].concat())
    }

    /// Stores a blob in one request.
    pub(crate) fn push(&self, name: &str, headers: &str, blob: &[u8]) -> Answer {
        let path = format!("/v2/{name}/blobs/uploads/?digest={}", Digest::sha256(blob));
        self.ask("POST", &path, headers, blob)
    }

    /// Checks that the server still responds, and without a long delay.
    pub(crate) fn serves(&self) -> Result<(), String> {
        let begun = Instant::now();
        self.ask("GET", "/healthz", "", b"").is(&[200])?;
        check(begun.elapsed() < Duration::from_secs(3), || format!("takes {:?}", begun.elapsed()))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // The server may have ended already, so an error is ignored.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Reads everything until the server closes the connection.
pub(crate) fn rest(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the response is not an error.
    drop(stream.read_to_end(&mut bytes));
    Answer::read(String::from_utf8_lossy(&bytes).into_owned())
}
