//! A TCP relay with a stable address that counts bytes and can hold them back, while servers behind it restart.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};

/// Passes on what comes to its address, whoever is there at the moment. Its threads end with the process.
pub(crate) struct Relay {
    address: String,
    way: Arc<Way>,
}

struct Way {
    /// Where to; nobody is there when it is empty.
    to: Mutex<String>,
    /// Bytes from clients to servers.
    sent: AtomicU64,
    /// No more than so many pass, until the number changes.
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
                // A client that comes when nobody is there finds its connection closed.
                let Ok(server) = TcpStream::connect(&to) else { continue };
                pass(client, server, &shared);
            }
        });
        Self { address, way }
    }

    /// Its name in references, with the scheme that all clients assume for it.
    pub(crate) fn host(&self) -> String {
        self.address.replace("127.0.0.1", "localhost")
    }

    /// Leads to another server from now on.
    pub(crate) fn leads_to(&self, to: &str) {
        to.clone_into(&mut self.way.to.lock().unwrap());
    }

    /// Bytes that clients sent to servers.
    pub(crate) fn sent(&self) -> u64 {
        self.way.sent.load(Ordering::SeqCst)
    }

    /// Lets no more than so many bytes more pass to servers.
    pub(crate) fn hold_after(&self, bytes: u64) {
        *self.way.limit.lock().unwrap() = self.sent() + bytes;
    }

    /// Lets everything pass.
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
        // Either end may be gone already.
        drop((client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Write)));
    });
    std::thread::spawn(move || {
        drop(std::io::copy(&mut back, &mut forth));
        drop(forth.shutdown(Shutdown::Both));
    });
}
