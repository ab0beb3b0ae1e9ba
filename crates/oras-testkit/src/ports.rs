//! Reserved ports for programs that cannot choose a free port themselves.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// The first port. The range is below the ephemeral ports, so that the system assigns none of them to another socket.
const FIRST: u16 = 20_000;
/// The number of ports.
const COUNT: u16 = 12_000;

/// A local port that is reserved for one test among all test processes, until it is dropped.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    /// Reserves a free port.
    pub fn take() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let directory = std::env::temp_dir().join("oras-testkit-ports");
        std::fs::create_dir_all(&directory).expect("a directory for the locks of ports");
        // Processes start at different ports, so that they rarely compete.
        let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap_or_default();
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + start.wrapping_mul(31).wrapping_add(step) % COUNT;
            let path = directory.join(number.to_string());
            let Ok(lock) = File::options().create(true).append(true).open(path) else { continue };
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no port is free from {FIRST} on");
    }

    /// Returns the port.
    pub fn number(&self) -> u16 {
        self.number
    }
}
