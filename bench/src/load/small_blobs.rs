//! Measures pushes of small blobs from concurrent clients, by wall time and by CPU time of the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::client::Client;
use super::server_process::Loaded;
use super::transfer::{Blob, digest, push, push_at_once};
use crate::random::Random;
use xtask::process::Result;

/// The size of a blob in bytes.
const SIZE: usize = 1024;
const CLIENTS: u64 = 16;

/// How a client uploads a blob.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A POST that opens a session, then a PUT.
    Two,
    /// A single POST.
    One,
}

/// The number of blobs for each second of wall time, and for each second of the server's CPU time.
pub(super) struct Rate {
    pub(super) wall: f64,
    pub(super) core: f64,
}

/// Pushes new blobs until `time` has passed. Each client uses a separate repository.
///
/// # Errors
/// The error of a failed push.
pub(super) fn run(server: &Loaded, way: Way, time: Duration, seed: u64) -> Result<Rate> {
    let pushed = AtomicU64::new(0);
    let (start, cpu) = (Instant::now(), server.cpu());
    std::thread::scope(|scope| {
        let work = |client: u64| {
            let pushed = &pushed;
            scope.spawn(move || {
                let count = client_of(server, way, start + time, seed * CLIENTS + client);
                count
                    .map(|count| pushed.fetch_add(count, Ordering::Relaxed))
                    .map_err(|error| error.to_string())
            })
        };
        let clients: Vec<_> = (0..CLIENTS).map(work).collect();
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    let (wall, cpu) = (start.elapsed(), server.cpu().saturating_sub(cpu));
    let count = pushed.into_inner() as f64;
    Ok(Rate { wall: count / wall.as_secs_f64(), core: count / cpu.as_secs_f64().max(0.01) })
}

fn client_of(server: &Loaded, way: Way, end: Instant, seed: u64) -> Result<u64> {
    let mut client = Client::new(server.address());
    let mut random = Random::new(seed + 1000);
    let repository = format!("small/{seed}");
    let mut bytes = vec![0; SIZE];
    let mut count = 0;
    while Instant::now() < end {
        random.fill(&mut bytes);
        let blob = Blob { bytes: &bytes, times: 1, digest: &digest(&bytes, 1) };
        match way {
            Way::Two => push(&mut client, &repository, &blob, None),
            Way::One => push_at_once(&mut client, &repository, &blob),
        }
        .map_err(|error| format!("{}: {error}", server.name))?;
        count += 1;
    }
    Ok(count)
}
