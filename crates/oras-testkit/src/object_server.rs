//! A server of the S3 API: versitygw on a free port, over a directory of its own.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::peers;
use crate::ports::ReservedPort;

/// The bucket of an [`ObjectServer`].
pub const BUCKET: &str = "mirror";
const ACCESS_KEY: &str = "oras";
const SECRET_KEY: &str = "oras-secret";
/// The timeout for the start of the server on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running server of the S3 API with one bucket. Dropping it stops the process and deletes its data.
#[derive(Debug)]
pub struct ObjectServer {
    child: Child,
    directory: tempfile::TempDir,
    port: ReservedPort,
}

impl ObjectServer {
    /// Starts versitygw and waits until it answers. Reports `test` as skipped if it is not installed.
    pub fn open(test: &str) -> Option<Self> {
        let program = peers::find_or_skip(peers::VERSITYGW, test)?;
        let directory = tempfile::tempdir().expect("a directory for the server");
        let buckets = directory.path().join("buckets");
        oras_fs::create_directories(&buckets.join(BUCKET)).expect("a directory for the bucket");
        let port = ReservedPort::take();
        let mut command = Command::new(&program);
        command
            .args(["--access", ACCESS_KEY, "--secret", SECRET_KEY, "--quiet"])
            .args(["--port", &format!("127.0.0.1:{}", port.number()), "posix"])
            .arg(&buckets)
            .current_dir(&directory)
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{} starts: {error}", program.display()));
        let mut server = Self { child, directory, port };
        server.wait();
        Some(server)
    }

    /// Returns the URL of the server.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Returns the settings for a client, under the names of environment variables.
    pub fn settings(&self) -> Vec<(String, String)> {
        let endpoint = self.endpoint();
        let pairs = [
            ("AWS_ENDPOINT_URL", endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
            ("AWS_REGION", "us-east-1"),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    /// Returns the directory with the objects of [`BUCKET`] as files.
    pub fn objects(&self) -> PathBuf {
        self.directory.path().join("buckets").join(BUCKET)
    }

    fn wait(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < START_TIMEOUT {
            let status = self.child.try_wait().expect("the server can be waited for");
            assert!(status.is_none(), "the object server ended: {status:?}");
            if ping(self.port.number()).is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the object server on port {} does not answer", self.port.number());
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        // The process may have exited already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn ping(port: u16) -> Option<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(START_TIMEOUT)).ok()?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    stream.read_exact(&mut [0; 8]).ok()
}
