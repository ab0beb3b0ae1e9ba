//! A proxy that cuts the connection to a registry at given byte counts, and counts the bytes.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use socket2::{Domain, Socket, Type};

/// The proxy. Dropping it stops accepting connections.
pub(crate) struct Cutting {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    /// Bytes sent by all clients.
    sent: AtomicU64,
    /// Byte counts at which to cut the connection, the last one first.
    cuts: Mutex<Vec<u64>>,
    over: AtomicBool,
}

impl Cutting {
    /// Forwards to the registry at `server`, and cuts the connection when a count is reached.
    pub(crate) fn start(server: u16, cuts: &[u64]) -> Self {
        let listener = listen();
        let port = listener.local_addr().unwrap().port();
        let cuts = Mutex::new(cuts.iter().rev().copied().collect());
        let shared = Arc::new(Shared { server, sent: AtomicU64::new(0), cuts, over: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if serving.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || carry(&client, &shared));
            }
        });
        Self { port, shared }
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// Returns the bytes sent by clients, including headers.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Cutting {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// Listens with small socket buffers: bytes that have arrived are lost when a connection is cut, as on a slow line.
///
/// The system's default may be 32 MiB, more than a client can buffer for a retry.
fn listen() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(256 << 10).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    socket.listen(128).unwrap();
    socket.into()
}

fn carry(client: &TcpStream, shared: &Shared) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, shared.server)) else { return };
    let (Ok(mut from_server), Ok(mut to_client)) = (server.try_clone(), client.try_clone()) else { return };
    let answering = std::thread::spawn(move || {
        drop(std::io::copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    let mut buffer = [0; 64 << 10];
    while let Ok(count @ 1..) = (&*client).read(&mut buffer) {
        let sent = shared.sent.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        let cut = shared.cuts.lock().unwrap().pop_if(|cut| *cut <= sent).is_some();
        if (&server).write_all(&buffer[..count]).is_err() || cut {
            break;
        }
    }
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
    drop(answering.join());
}
