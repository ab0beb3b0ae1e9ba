//! Ports for programs that can't choose a free one themselves.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system gives to whoever asks for any, so that it can't give one away meanwhile.
const FIRST: u16 = 20_000;
/// How many there are.
const COUNT: u16 = 12_000;

/// A port of this machine that no other test has, in this process or another, until it is dropped.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port that is free.
    pub fn take() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let directory = std::env::temp_dir().join("oras-testkit-ports");
        std::fs::create_dir_all(&directory).expect("a directory for the locks of ports");
        // Processes begin at different places, so that they rarely meet.
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

    /// The port.
    pub fn number(&self) -> u16 {
        self.number
    }
}
