//! A TCP proxy between a tool and a registry. It counts the traffic, and can be slow, cut connections, or
//! halt.
//!
//! The link parses requests only to count them. It forwards TLS too, but cannot count its requests.

mod byte_pump;
mod ledger;
mod requests;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use byte_pump::Pump;
use ledger::{Ledger, Way};
use xtask::process::Result;

/// The behaviour of a link in one run.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// The speed of the link; `None` does not limit it.
    pub(super) pace: Option<Pace>,
    /// Numbers of bytes in both directions together, in ascending order. At each of them all connections are
    /// cut.
    pub(super) cuts: Vec<u64>,
    /// The link stops forwarding after this many bytes in both directions together.
    pub(super) hold: Option<u64>,
}

/// The speed of a link.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) round_trip: Duration,
    /// The rate of each connection in each direction.
    pub(super) bytes_per_second: u64,
}

/// The traffic of a link in one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Bytes from the client.
    pub(super) up: u64,
    /// Bytes to the client.
    pub(super) down: u64,
    pub(super) connections: u64,
    /// The number of requests by method. Empty over TLS.
    pub(super) requests: BTreeMap<String, u64>,
}

impl Counts {
    /// Returns the number of bytes in both directions together.
    pub(super) fn bytes(&self) -> u64 {
        self.up + self.down
    }

    /// Returns the number of all requests.
    pub(super) fn requests(&self) -> u64 {
        self.requests.values().sum()
    }
}

/// A running link, stopped when dropped.
pub(super) struct Link {
    port: u16,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    to: SocketAddr,
    ledger: Ledger,
    stopped: AtomicBool,
}

impl Link {
    /// Starts a link to `port` of this machine. It listens on a free port.
    pub(super) fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let shared = Arc::new(Shared { to, ledger: Ledger::default(), stopped: AtomicBool::new(false) });
        let port = listener.local_addr()?.port();
        let accepting = std::thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Ok(Self { port, shared, accepting: Some(accepting) })
    }

    /// Returns the port on which the link listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Begins a run: cuts the open connections and resets the counts.
    pub(super) fn begin(&self, plan: Plan) {
        self.shared.ledger.begin(plan);
    }

    /// Returns the traffic since the begin of the run.
    pub(super) fn counts(&self) -> Counts {
        self.shared.ledger.counts()
    }

    /// Returns true if the link has reached the point where its plan stops it.
    pub(super) fn held(&self) -> bool {
        self.shared.ledger.held()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.begin(Plan::default());
        // A connection wakes the thread that accepts connections, which then checks `stopped`.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// Serves each connection on separate threads until the link is stopped.
fn accept(listener: &TcpListener, shared: &Shared) {
    std::thread::scope(|scope| {
        for client in listener.incoming() {
            if shared.stopped.load(Ordering::SeqCst) {
                return;
            }
            if let Ok(client) = client {
                // A connection that cannot be served is closed, which its client sees.
                scope.spawn(|| serve(client, shared).is_ok());
            }
        }
    });
}

fn serve(client: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let server = TcpStream::connect(shared.to)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (number, run, plan) = shared.ledger.open([client.try_clone()?, server.try_clone()?]);
    let pump = |way| Pump { ledger: &shared.ledger, run, way };
    std::thread::scope(|scope| {
        scope.spawn(|| pump(Way::Up).run(&client, &server, &plan));
        pump(Way::Down).run(&server, &client, &plan);
    });
    shared.ledger.close(number);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Instant;

    use super::*;

    /// Starts a server that returns the received bytes in upper case.
    fn echo() -> (Link, JoinHandle<()>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let link = Link::to(listener.local_addr().unwrap().port()).unwrap();
        let served = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut text = Vec::new();
            // A cut connection may end in an error. The server still returns the received bytes.
            let _ = client.read_to_end(&mut text);
            let _ = client.write_all(&text.to_ascii_uppercase());
        });
        (link, served)
    }

    fn talk(link: &Link, text: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    #[test]
    fn counts_bytes_and_requests() {
        let (link, served) = echo();
        let text = "GET /v2/ HTTP/1.1\r\n\r\nhead / HTTP/1.1\r\n\r\n";
        assert_eq!(talk(&link, text), text.to_ascii_uppercase().as_bytes());
        served.join().unwrap();
        let counts = link.counts();
        let length = text.len() as u64;
        assert_eq!((counts.up, counts.down, counts.connections, counts.requests()), (length, length, 1, 2));
    }

    #[test]
    fn cuts_connection_at_exact_byte() {
        let (link, served) = echo();
        link.begin(Plan { cuts: vec![15], ..Plan::default() });
        assert!(talk(&link, "0123456789").len() <= 5);
        served.join().unwrap();
        assert_eq!((link.counts().up, link.counts().down), (10, 5));
    }

    #[test]
    fn limits_bandwidth_of_slow_link() {
        let (link, served) = echo();
        let pace = Pace { round_trip: Duration::from_millis(20), bytes_per_second: 1000 };
        link.begin(Plan { pace: Some(pace), ..Plan::default() });
        let start = Instant::now();
        assert_eq!(talk(&link, "twenty bytes of text"), b"TWENTY BYTES OF TEXT");
        served.join().unwrap();
        // The minimum: one round trip to connect, one for the data, and the rate in both directions. A busy
        // machine takes longer.
        assert!(start.elapsed() >= Duration::from_millis(80));
    }

    #[test]
    fn releases_held_link_at_start_of_next_run() {
        let (link, served) = echo();
        link.begin(Plan { hold: Some(4), ..Plan::default() });
        std::thread::scope(|scope| {
            let client = scope.spawn(|| talk(&link, "text"));
            while !link.held() {
                std::thread::yield_now();
            }
            link.begin(Plan::default());
            assert!(client.join().unwrap().is_empty());
        });
        served.join().unwrap();
    }
}
