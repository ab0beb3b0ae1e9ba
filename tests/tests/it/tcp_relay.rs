//! A TCP relay with a stable address, while servers behind it restart. It counts bytes and can hold them
//! back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Forwards connections to the current server. Its threads end with the process.
pub(crate) struct Relay {
    address: String,
    way: Arc<Way>,
}

struct Way {
    /// The address of the current server. If it is empty, there is no server.
    to: Mutex<String>,
    /// The number of bytes that clients have sent to servers.
    sent: AtomicU64,
    /// The relay stops forwarding at this number of bytes, until the number is raised.
    limit: Mutex<u64>,
    changed: Condvar,
}

impl Relay {
    pub(crate) fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let way = Arc::new(Way {
            to: Mutex::new(to.to_owned()),
            sent: AtomicU64::new(0),
            limit: Mutex::new(u64::MAX),
            changed: Condvar::new(),
        });
        let shared = Arc::clone(&way);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let to = shared.to.lock().unwrap().clone();
                // Without a server, the relay closes the connection of the client.
                let Ok(server) = TcpStream::connect(&to) else { continue };
                pass(client, server, &shared);
            }
        });
        Self { address, way }
    }

    /// Returns the host and port for references. The host is `localhost`, for which all clients use plain
    /// HTTP.
    pub(crate) fn host(&self) -> String {
        self.address.replace("127.0.0.1", "localhost")
    }

    /// Forwards new connections to another server.
    pub(crate) fn leads_to(&self, to: &str) {
        to.clone_into(&mut self.way.to.lock().unwrap());
    }

    /// Returns the number of bytes that clients have sent to servers.
    pub(crate) fn sent(&self) -> u64 {
        self.way.sent.load(Ordering::SeqCst)
    }

    /// Stops forwarding to servers after `bytes` more bytes.
    pub(crate) fn hold_after(&self, bytes: u64) {
        *self.way.limit.lock().unwrap() = self.sent() + bytes;
    }

    /// Forwards everything again.
    pub(crate) fn release(&self) {
        *self.way.limit.lock().unwrap() = u64::MAX;
        self.way.changed.notify_all();
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, way: &Arc<Way>) {
    let (mut back, mut forth) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let way = Arc::clone(way);
    std::thread::spawn(move || {
        let mut buffer = [0; 1 << 14];
        while let Ok(count @ 1..) = client.read(&mut buffer) {
            let mut limit = way.limit.lock().unwrap();
            while way.sent.load(Ordering::SeqCst) >= *limit {
                limit = way.changed.wait(limit).unwrap();
            }
            drop(limit);
            way.sent.fetch_add(count as u64, Ordering::SeqCst);
            if server.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        // Either end may be closed already, so errors are ignored.
        drop((client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Write)));
    });
    std::thread::spawn(move || {
        drop(std::io::copy(&mut back, &mut forth));
        drop(forth.shutdown(Shutdown::Both));
    });
}
