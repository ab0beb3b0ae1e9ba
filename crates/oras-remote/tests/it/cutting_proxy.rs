//! A proxy that cuts the connection to a registry where a test says, and counts what was sent.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use socket2::{Domain, Socket, Type};

/// The proxy; dropped, it takes no more connections.
pub(crate) struct Cutting {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    /// Bytes that clients have sent, all together.
    sent: AtomicU64,
    /// Counts of bytes at which the connection is cut, the last one first.
    cuts: Mutex<Vec<u64>>,
    over: AtomicBool,
}

impl Cutting {
    /// Stands before the registry at `server`; cuts the connection by which the given number of bytes has come.
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

    /// Bytes that were sent by clients, heads included.
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

/// A listener whose connections hold little: what has arrived there when one is cut is lost, as on a slow line.
///
/// The system's own choice may be 32 MiB, more than a client can keep in memory to send it again.
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
