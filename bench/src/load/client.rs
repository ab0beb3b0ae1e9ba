//! An HTTP/1.1 client with little overhead: one socket, one request at a time.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use xtask::process::Result;

/// The timeout of a connection attempt, and of each read and write.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum number of bytes that one call sends or receives.
const PIECE: usize = 256 * 1024;

/// A client with a persistent connection, which it reopens if necessary.
pub(super) struct Client {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

/// A request.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    /// Lines of the form `name: value`, without line ends.
    pub(super) headers: &'a [&'a str],
    /// The bytes of the body, and how many times they are repeated.
    pub(super) body: (&'a [u8], u64),
    /// The client closes the connection after this many bytes of the request body or the response body.
    pub(super) cut: Option<u64>,
}

impl<'a> Request<'a> {
    /// Creates a request that has no body and is not cut.
    pub(super) fn new(method: &'a str, target: &'a str) -> Self {
        Self { method, target, headers: &[], body: (&[], 1), cut: None }
    }

    fn length(&self) -> u64 {
        self.body.0.len() as u64 * self.body.1
    }
}

/// A response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) length: u64,
}

impl Client {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Sends a request and passes each received piece of the response body to `take`.
    ///
    /// # Errors
    /// Fails if the connection breaks, if the client cuts it as `request.cut` defines, or if the response is
    /// malformed. The next request uses a new connection.
    pub(super) fn send(&mut self, request: &Request<'_>, take: impl FnMut(&[u8])) -> Result<Reply> {
        // The stream is put back only after a complete exchange. After an error it is dropped, because the
        // rest of a response would be read as the next response.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.address)?,
        };
        let reply = exchange(&mut stream, self.address, request, take)?;
        self.stream = Some(stream);
        Ok(reply)
    }
}

fn connect(address: SocketAddr) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(BufReader::with_capacity(PIECE, stream))
}

fn exchange(
    stream: &mut BufReader<TcpStream>,
    host: SocketAddr,
    request: &Request<'_>,
    take: impl FnMut(&[u8]),
) -> Result<Reply> {
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", request.method, request.target);
    for line in request.headers {
        head.push_str(line);
        head.push_str("\r\n");
    }
    if !matches!(request.method, "GET" | "HEAD") {
        head.push_str(&format!("Content-Length: {}\r\n", request.length()));
    }
    head.push_str("\r\n");
    stream.get_mut().write_all(head.as_bytes())?;
    send_body(stream.get_mut(), request)?;
    let reply = read_head(stream)?;
    if request.method != "HEAD" {
        receive(stream, reply.length, request.cut, take)?;
    }
    Ok(reply)
}

fn send_body(stream: &mut TcpStream, request: &Request<'_>) -> Result {
    let mut left = request.cut.filter(|_| request.length() > 0).unwrap_or(u64::MAX);
    for _ in 0..request.body.1 {
        for piece in request.body.0.chunks(PIECE) {
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            stream.write_all(&piece[..count])?;
            left -= count as u64;
            if left == 0 {
                return Err("cut while sending".into());
            }
        }
    }
    Ok(())
}

fn read_head(stream: &mut impl BufRead) -> Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let mut reply = Reply { status: status.ok_or("no answer")?, location: None, length: 0 };
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err("the answer ended in its head".into());
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else { return Ok(reply) };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => reply.length = value.parse()?,
            "location" => reply.location = Some(value.to_owned()),
            "transfer-encoding" => return Err("an answer in chunks".into()),
            _ => {}
        }
    }
}

fn receive(stream: &mut impl BufRead, length: u64, cut: Option<u64>, mut take: impl FnMut(&[u8])) -> Result {
    let mut body = stream.take(length);
    let mut taken = 0;
    while taken < length {
        let piece = body.fill_buf()?;
        if piece.is_empty() {
            return Err("the answer ended early".into());
        }
        let count = piece.len();
        take(piece);
        body.consume(count);
        taken += count as u64;
        if cut.is_some_and(|cut| taken >= cut) {
            return Err("cut while receiving".into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answer(text: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn reads_response_and_cuts_connection() {
        let address = answer("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nLocation: /x\r\n\r\nhello");
        let mut body = Vec::new();
        let request = Request::new("GET", "/");
        let reply = Client::new(address).send(&request, |piece| body.extend_from_slice(piece)).unwrap();
        assert_eq!((reply.status, reply.location.as_deref(), &*body), (200, Some("/x"), &b"hello"[..]));
        let cut = Request { cut: Some(3), ..request };
        assert!(Client::new(address).send(&cut, |_| ()).is_err());
        let cut = Request { body: (b"123456", 2), cut: Some(4), ..Request::new("PUT", "/") };
        let error = Client::new(address).send(&cut, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "cut while sending");
    }

    #[test]
    fn rejects_truncated_response() {
        let address = answer("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhello");
        let mut client = Client::new(address);
        let request = Request::new("GET", "/");
        assert!(client.send(&request, |_| ()).is_err());
    }
}
