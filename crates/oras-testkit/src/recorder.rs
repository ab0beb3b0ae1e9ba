//! A reverse proxy between a client and a real registry that records requests and injects faults.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

/// A recorded request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The header lines as sent.
    pub headers: Vec<String>,
    /// The status of the response.
    pub status: u16,
}

/// The effect of a [`Fault`] on a matching request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    /// The proxy answers with this status, header lines and body, without contacting the registry.
    Answer { status: u16, headers: Vec<String>, body: String },
    /// The connection is cut after this many bytes of the response body.
    Cut(u64),
    /// The first byte of the response body is changed.
    Flip,
    /// This header replaces that of the response.
    Header(String, String),
    /// This header is removed from the response.
    Drop(String),
    /// This body, with its length, replaces that of the response.
    Body(String),
}

/// A fault: the matching requests, its effect, and how many times it acts.
///
/// The text form is `METHOD part-of-path action [xN]`. The action is one of `status=503`, `status=429,Name: value`,
/// `status=403,body={...}`, `cut=100`, `flip`, `header=Name: value`, `drop=Name`, `body=text`. In an action, `_` stands
/// for a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    method: String,
    part: String,
    action: Action,
    times: Option<usize>,
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let mut next = || words.next().ok_or_else(|| format!("{text:?} lacks a word"));
        let (method, part, action) = (next()?.to_owned(), next()?.to_owned(), next()?.replace('_', " "));
        let times = match words.next().map(|word| word.trim_start_matches('x').parse()) {
            None => None,
            Some(Ok(times)) => Some(times),
            Some(Err(_)) => return Err(format!("{text:?} does not end in a number")),
        };
        let pair = |text: &str| {
            let (name, value) = text.split_once(':').unwrap_or((text, ""));
            (name.trim().to_owned(), value.trim().to_owned())
        };
        let (name, value) = action.split_once('=').unwrap_or((&action, ""));
        let action = match name {
            "cut" => Action::Cut(value.parse().map_err(|_| format!("{value:?} is no number"))?),
            "flip" => Action::Flip,
            "header" => {
                let (name, value) = pair(value);
                Action::Header(name, value)
            }
            "drop" => Action::Drop(value.to_owned()),
            "body" => Action::Body(value.to_owned()),
            "status" => {
                let (status, rest) = value.split_once(',').unwrap_or((value, ""));
                let status = status.parse().map_err(|_| format!("{status:?} is no status"))?;
                let (mut headers, mut body) = (Vec::new(), String::new());
                match rest.strip_prefix("body=") {
                    Some(text) => text.clone_into(&mut body),
                    None => headers.extend(rest.split(';').filter(|line| !line.is_empty()).map(String::from)),
                }
                Action::Answer { status, headers, body }
            }
            other => return Err(format!("unknown action {other:?}")),
        };
        Ok(Self { method, part, action, times })
    }
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    faults: Vec<Fault>,
}

/// The running proxy. It accepts no more connections after it is dropped.
#[derive(Debug)]
pub struct Recorder {
    port: u16,
    state: Arc<Mutex<State>>,
    ended: Arc<AtomicBool>,
}

impl Recorder {
    /// Starts a proxy of the registry on a local port.
    pub fn new(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("the port that was bound").port();
        let state = Arc::<Mutex<State>>::default();
        let ended = Arc::<AtomicBool>::default();
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&ended));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&shared);
                // A connection that a fault or a client broke is no failure of the proxy.
                std::thread::spawn(move || drop(serve(client, upstream, &state)));
            }
        });
        Self { port, state, ended }
    }

    /// Returns the port of the proxy.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the address, `localhost:PORT`.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Adds a fault. The first one that matches a request acts.
    pub fn inject(&self, fault: Fault) {
        lock(&self.state).faults.push(fault);
    }

    /// Returns the requests since the last call, in order of arrival.
    pub fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut lock(&self.state).requests)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

/// A request or response without its body.
struct Head {
    first: String,
    headers: Vec<String>,
}

impl Head {
    fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if from.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                if lines.is_empty() {
                    continue;
                }
                let first = lines.remove(0);
                return Ok(Some(Self { first, headers: lines }));
            }
            lines.push(line);
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn remove(&mut self, name: &str) {
        self.headers
            .retain(|line| !line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name)));
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut text = format!("{}\r\n", self.first);
        for line in &self.headers {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())
    }

    fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    }

    fn status(&self) -> u16 {
        self.first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }
}

fn serve(client: TcpStream, upstream: u16, state: &Mutex<State>) -> io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream))?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (mut from_client, mut to_client) = (BufReader::new(client.try_clone()?), client.try_clone()?);
    let (mut from_server, mut to_server) = (BufReader::new(server.try_clone()?), server.try_clone()?);
    while let Some(request) = Head::read(&mut from_client)? {
        let mut words = request.first.split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default().to_owned();
        let action = meet(state, &method, &target);
        let record = |status| {
            let headers = request.headers.clone();
            let (method, target) = (method.clone(), target.clone());
            lock(state).requests.push(Recorded { method, target, headers, status });
        };
        if let Some(Action::Answer { status, headers, body }) = action {
            copy_body(&request, &mut from_client, &mut io::sink(), u64::MAX)?;
            record(status);
            answer(&mut to_client, &method, status, headers, &body)?;
            continue;
        }
        request.write(&mut to_server)?;
        if request.header("expect").is_some()
            && let Some(interim) = Head::read(&mut from_server)?
        {
            interim.write(&mut to_client)?;
        }
        copy_body(&request, &mut from_client, &mut to_server, u64::MAX)?;
        let Some(response) = Head::read(&mut from_server)? else { break };
        record(response.status());
        let has_body = method != "HEAD" && !matches!(response.status(), 204 | 304);
        if !relay(response, has_body, action, &mut from_server, &mut to_client)? {
            break;
        }
    }
    // The reader sees the end of the stream.
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
    Ok(())
}

/// Forwards a response as changed by `action`. Returns whether the connection stays open.
fn relay(
    mut response: Head,
    has_body: bool,
    action: Option<Action>,
    from: &mut impl BufRead,
    to: &mut impl Write,
) -> io::Result<bool> {
    match action {
        Some(Action::Header(name, value)) => {
            response.remove(&name);
            response.headers.push(format!("{name}: {value}"));
        }
        Some(Action::Drop(name)) => response.remove(&name),
        Some(Action::Body(body)) if has_body => {
            copy_body(&response, from, &mut io::sink(), u64::MAX)?;
            response.remove("content-length");
            response.remove("transfer-encoding");
            response.headers.push(format!("Content-Length: {}", body.len()));
            response.write(to)?;
            to.write_all(body.as_bytes())?;
            return Ok(true);
        }
        Some(Action::Cut(after)) if has_body => {
            response.write(to)?;
            copy_body(&response, from, to, after)?;
            return Ok(false);
        }
        Some(Action::Flip) if has_body => {
            response.write(to)?;
            let mut first = [0];
            from.read_exact(&mut first)?;
            to.write_all(&[first[0] ^ 1])?;
            let rest = response.length().unwrap_or(1).saturating_sub(1);
            io::copy(&mut from.take(rest), to)?;
            return Ok(true);
        }
        _ => {}
    }
    response.write(to)?;
    if has_body {
        copy_body(&response, from, to, u64::MAX)?;
    }
    Ok(true)
}

/// Returns the effect of the first fault that matches the request.
fn meet(state: &Mutex<State>, method: &str, target: &str) -> Option<Action> {
    let mut state = lock(state);
    let fault = state.faults.iter_mut().find(|fault| {
        (fault.method == "*" || fault.method == method)
            && target.contains(&fault.part)
            && fault.times != Some(0)
    })?;
    if let Some(times) = &mut fault.times {
        *times -= 1;
    }
    Some(fault.action.clone())
}

fn answer(
    to: &mut impl Write,
    method: &str,
    status: u16,
    headers: Vec<String>,
    body: &str,
) -> io::Result<()> {
    let reason = match status {
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        503 => "Service Unavailable",
        _ => "Fault",
    };
    let mut head = Head { first: format!("HTTP/1.1 {status} {reason}"), headers };
    head.headers.push(format!("Content-Length: {}", body.len()));
    if !body.is_empty() && head.header("content-type").is_none() {
        head.headers.push("Content-Type: application/json".to_owned());
    }
    head.write(to)?;
    if method == "HEAD" { Ok(()) } else { to.write_all(body.as_bytes()) }
}

/// Copies the body that follows `head`, at most `limit` bytes of it.
fn copy_body(head: &Head, from: &mut impl BufRead, to: &mut impl Write, limit: u64) -> io::Result<()> {
    if let Some(length) = head.length() {
        return io::copy(&mut from.take(length.min(limit)), to).map(drop);
    }
    if !head.is_chunked() {
        return Ok(());
    }
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        to.write_all(line.as_bytes())?;
        let size = u64::from_str_radix(line.trim().split(';').next().unwrap_or_default(), 16).unwrap_or(0);
        // The chunk and the line break after it.
        io::copy(&mut from.take(size + 2), to)?;
        if size == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_fault_list() {
        let fault: Fault = "GET /blobs/ status=429,Retry-After:_1 x2".parse().unwrap();
        assert_eq!(fault.times, Some(2));
        assert_eq!(
            fault.action,
            Action::Answer { status: 429, headers: vec!["Retry-After: 1".into()], body: String::new() }
        );
        let fault: Fault = "* / header=Docker-Content-Digest:_x".parse().unwrap();
        assert_eq!(fault.action, Action::Header("Docker-Content-Digest".into(), "x".into()));
        assert!("GET /".parse::<Fault>().is_err());
        assert!("GET / explode".parse::<Fault>().is_err());
    }
}
