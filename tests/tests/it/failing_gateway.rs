//! A gateway in front of a registry that simulates outages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The behaviour of a gateway while its registry is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outage {
    /// Connections are accepted and reset, as a load balancer does.
    Reset,
    /// Connections are accepted and closed, as the port forward of a container does.
    Close,
    /// Requests are answered with this status.
    Status(u16),
}

impl Outage {
    pub(crate) const ALL: [Self; 5] =
        [Self::Reset, Self::Close, Self::Status(502), Self::Status(503), Self::Status(504)];
}

/// The gateway. It runs until the test ends.
pub(crate) struct Gateway {
    port: u16,
    state: Arc<Mutex<State>>,
}

struct State {
    server: u16,
    outage: Outage,
    /// The duration of the outage.
    gone: Duration,
    /// The number of the request that begins the outage, counted from 1. If the client has received no
    /// response before it, a later request begins the outage.
    first_lost: usize,
    requests: usize,
    has_answered: bool,
    until: Option<Instant>,
    open: Vec<TcpStream>,
}

impl Gateway {
    /// Starts a gateway to `server`. The request with the number `first_lost` begins an outage of the
    /// duration `gone`.
    pub(crate) fn start(server: u16, outage: Outage, first_lost: usize, gone: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State {
            server,
            outage,
            gone,
            first_lost,
            requests: 0,
            has_answered: false,
            until: None,
            open: Vec::new(),
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || accept(client, &state));
            }
        });
        Self { port, state }
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Returns true if a request was lost.
    pub(crate) fn was_gone(&self) -> bool {
        lock(&self.state).until.is_some()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(client: TcpStream, state: &Mutex<State>) {
    let (server, outage) = {
        let mut state = lock(state);
        let is_gone = state.until.is_some_and(|until| Instant::now() < until);
        if !is_gone {
            state.open.push(client.try_clone().unwrap());
        }
        (state.server, is_gone.then_some(state.outage))
    };
    match outage {
        Some(outage) => refuse(client, outage),
        None => {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::scope(|scope| {
                scope.spawn(|| answer(from, to, state));
                forward(client, server, state);
            });
        }
    }
}

fn refuse(mut client: TcpStream, outage: Outage) {
    match outage {
        Outage::Reset => reset(&client),
        Outage::Close => {}
        Outage::Status(status) => {
            let answer = format!("HTTP/1.1 {status} Gone\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let mut buffer = [0; 65536];
            client.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            if let Ok(1..) = client.read(&mut buffer) {
                drop(client.write_all(answer.as_bytes()));
                drop(client.shutdown(Shutdown::Write));
                // A close with bytes left to read would reset the connection.
                while let Ok(1..) = client.read(&mut buffer) {}
            }
        }
    }
}

fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO)).unwrap();
}

/// Forwards responses.
fn answer(mut server: TcpStream, mut client: TcpStream, state: &Mutex<State>) {
    let mut buffer = [0; 65536];
    while let Ok(size @ 1..) = server.read(&mut buffer) {
        let mut shared = lock(state);
        // The lock is held while the first answer is written: the client's next request must find `has_answered` set.
        let is_first = !std::mem::replace(&mut shared.has_answered, true);
        let first = is_first.then_some(shared);
        let result = client.write_all(&buffer[..size]);
        drop(first);
        if result.is_err() {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Write));
}

/// Forwards requests. The request that begins the outage is lost, and all connections with it.
fn forward(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) {
    const METHODS: [&[u8]; 6] = [b"GET /", b"HEAD /", b"POST /", b"PUT /", b"PATCH /", b"DELETE /"];
    let mut buffer = [0; 65536];
    while let Ok(size @ 1..) = client.read(&mut buffer) {
        let chunk = &buffer[..size];
        if METHODS.iter().any(|method| chunk.starts_with(method)) {
            let mut state = lock(state);
            state.requests += 1;
            let is_lost = state.requests >= state.first_lost && (state.has_answered || state.first_lost == 1);
            if is_lost && state.until.is_none() {
                state.until = Some(Instant::now() + state.gone);
                for stream in state.open.drain(..) {
                    drop(stream.shutdown(Shutdown::Both));
                }
                break;
            }
        }
        if server.write_all(chunk).is_err() {
            break;
        }
    }
    drop(server.shutdown(Shutdown::Both));
}
