//! A server whose responses a closure computes, and which records all requests. It does what no real registry does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::tls::{self, Certificate};

/// The limit of request bodies.
const MAX_BODY: usize = 64 << 20;

/// A received request.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query, or the whole URL for a proxy.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the client sent a certificate.
    pub certificate: bool,
}

impl Asked {
    /// Returns the first header with `name`, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Method and path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether the request is to read `path` (without its query).
    pub fn reads(&self, path: &str) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD") && self.path.split('?').next() == Some(path)
    }

    /// Returns the whole request as text, to search it for secrets.
    pub fn text(&self) -> String {
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("{}\n{}\n\n{}", self.line(), headers.join("\n"), String::from_utf8_lossy(&self.body))
    }
}

/// A response.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    silent: bool,
    pause: Duration,
    tunnel: Option<u16>,
}

impl Reply {
    /// Creates an empty response with `status`.
    pub fn new(status: u16) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { status, headers, body, cut: None, silent: false, pause: Duration::ZERO, tunnel: None }
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Sets the body, and `Content-Length` unless a header sets it.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Adds a header. An empty value suppresses a header that is sent by default.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Removes the headers with `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self
    }

    /// Cuts the connection after `bytes` bytes of the body.
    #[must_use]
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Sends the body one byte at a time, with `pause` before each.
    #[must_use]
    pub fn drip(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// Answers `CONNECT` as a proxy: the server then forwards bytes between the client and a port of this
    /// machine.
    pub fn tunnel(port: u16) -> Self {
        Self { tunnel: Some(port), ..Self::new(200) }
    }

    /// Never answers.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::new(200) }
    }
}

type Handler = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A server on a free port of 127.0.0.1, which stops when dropped.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
}

impl Scripted {
    /// Starts a server that answers with `handler`, on any number of concurrent connections.
    pub fn start(handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_on(Ipv4Addr::LOCALHOST.into(), handler)
    }

    /// Starts a server like [`start`](Self::start), on another local address.
    pub fn start_on(address: IpAddr, handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::launch(address, None, Arc::new(handler))
    }

    /// Starts a server like [`start`](Self::start) over TLS. It trusts `certificate` also as a client certificate.
    pub fn start_tls(
        certificate: &Certificate,
        handler: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::launch(Ipv4Addr::LOCALHOST.into(), Some(certificate.server(false)), Arc::new(handler))
    }

    fn launch(address: IpAddr, tls: Option<tls::Server>, handler: Handler) -> Self {
        let listener = TcpListener::bind((address, 0)).expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let ended = Arc::new(AtomicBool::new(false));
        let (log, over) = (Arc::clone(&asked), Arc::clone(&ended));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let (log, handler, over) = (Arc::clone(&log), Arc::clone(&handler), Arc::clone(&over));
                let tls = tls.clone();
                // A client that disconnects is no failure of the server.
                std::thread::spawn(move || {
                    drop(match tls {
                        None => serve(stream, &log, &handler, &over),
                        Some(tls) => tls.accept(stream).and_then(|tls| serve(tls, &log, &handler, &over)),
                    });
                });
            }
        });
        Self { address, asked, ended }
    }

    /// `localhost` and the port.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port())
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.asked).clone()
    }

    /// Returns methods and paths of the requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect(self.address));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

/// A plain or TLS connection.
pub(crate) trait Stream: Read + Write {
    /// Returns the TCP connection below.
    fn tcp(&self) -> &TcpStream;
    /// Whether the client sent a certificate.
    fn shows_certificate(&self) -> bool;
}

impl Stream for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn shows_certificate(&self) -> bool {
        false
    }
}

fn serve(
    stream: impl Stream,
    log: &Mutex<Vec<Asked>>,
    handler: &Handler,
    over: &AtomicBool,
) -> std::io::Result<()> {
    stream.tcp().set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    while let Some(mut asked) = read(&mut stream)? {
        asked.certificate = stream.get_ref().shows_certificate();
        lock(log).push(asked.clone());
        let reply = handler(&asked);
        if reply.silent {
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
            }
            return Ok(());
        }
        answer(stream.get_mut(), &asked, &reply)?;
        if let Some(port) = reply.tunnel {
            return tunnel(stream.get_ref().tcp(), port);
        }
        if reply.cut.is_some() {
            break;
        }
    }
    Ok(())
}

/// Forwards bytes in both directions until either side closes.
fn tunnel(client: &TcpStream, port: u16) -> std::io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    let sending = std::thread::spawn(move || {
        drop(std::io::copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Both));
    });
    drop(std::io::copy(&mut &server, &mut &*client));
    client.shutdown(Shutdown::Both)?;
    drop(sending.join());
    Ok(())
}

fn answer(stream: &mut impl Write, asked: &Asked, reply: &Reply) -> std::io::Result<()> {
    let mut text = format!("HTTP/1.1 {} X\r\n", reply.status);
    let tells = reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    if !tells && reply.tunnel.is_none() {
        text += &format!("content-length: {}\r\n", reply.body.len());
    }
    for (name, value) in reply.headers.iter().filter(|(_, value)| !value.is_empty()) {
        text += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{text}\r\n").as_bytes())?;
    let body = if asked.method == "HEAD" { &[][..] } else { &reply.body };
    let body = &body[..reply.cut.unwrap_or(body.len()).min(body.len())];
    if reply.pause.is_zero() {
        stream.write_all(body)?;
    } else {
        for byte in body {
            std::thread::sleep(reply.pause);
            stream.write_all(&[*byte])?;
        }
    }
    stream.flush()
}

fn read(stream: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(ToOwned::to_owned);
    let mut asked = Asked {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Asked::default()
    };
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        asked.headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    if asked.header("transfer-encoding") == Some("chunked") {
        asked.body = chunked(stream)?;
        return Ok(Some(asked));
    }
    let length = asked.header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    assert!(length <= MAX_BODY, "a body of {length} bytes");
    asked.body = vec![0; length];
    stream.read_exact(&mut asked.body)?;
    Ok(Some(asked))
}

fn chunked(stream: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
        let start = body.len();
        body.resize(start + size, 0);
        stream.read_exact(&mut body[start..])?;
        stream.read_line(&mut line)?;
        if size == 0 || body.len() > MAX_BODY {
            return Ok(body);
        }
    }
}
