//! A connection that sends exactly the given bytes to a server.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

/// A persistent connection for many requests.
pub(crate) struct Wire(BufReader<TcpStream>);

/// The status, head and body of a response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the value of a header. Panics if there is none. `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        });
        found.unwrap_or_else(|| panic!("{name} in {}", self.head))
    }
}

impl Wire {
    pub(crate) fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Opens a connection from another address of this machine.
    pub(crate) fn open_from(address: &str, from: IpAddr) -> Result<Self> {
        use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        bind(&socket, &SocketAddr::new(from, 0))?;
        connect(&socket, &address.parse::<SocketAddr>().unwrap())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Resets the connection, so that the server detects the end immediately.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.0.get_ref(), Some(Duration::ZERO)).unwrap();
    }

    /// Sends the bytes unchanged.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Sends a whole request and returns the response.
    pub(crate) fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
        self.begin(method, path, headers, body.len())?;
        self.write(body)?;
        self.answer(method)
    }

    /// Sends the head of a request whose body has `length` bytes.
    pub(crate) fn begin(&mut self, method: &str, path: &str, headers: &str, length: usize) -> Result<()> {
        self.write(
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n{headers}\r\n")
                .as_bytes(),
        )
    }

    /// Reads the next response.
    pub(crate) fn answer(&mut self, method: &str) -> Result<Answer> {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let begun = head.len();
            if self.0.read_line(&mut head)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = head[begun..].trim_end();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        self.0.read_exact(&mut body)?;
        Ok(Answer { status, head, body })
    }
}
