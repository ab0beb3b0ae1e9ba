//! Measures push and pull of one large blob: throughput and CPU time of the server.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use super::client::Client;
use super::server_process::Loaded;
use super::transfer::{Blob, digest, pull, push};
use crate::random::Random;
use xtask::process::Result;

/// The length of the random bytes that the blob repeats.
const PIECE: usize = 16 << 20;

/// The cost of one transfer.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    /// The CPU time of the server.
    pub(super) cpu: Duration,
}

/// The median costs of one server.
pub(super) struct Big {
    pub(super) push: Cost,
    pub(super) pull: Cost,
}

/// Measures all servers in each round, after one round to warm up. Their order alternates.
///
/// Before each transfer the disk is idle, so that no server waits for the dirty pages of another one, and memory is full of
/// the page cache of a file in `dir`.
///
/// # Errors
/// Fails if a transfer fails or its bytes do not match the digest.
pub(super) fn run(servers: &[Loaded], dir: &Path, mib: u64, runs: usize) -> Result<Vec<Big>> {
    fill_memory(&dir.join("cached"))?;
    let mut bytes = vec![0; PIECE];
    Random::new(1).fill(&mut bytes);
    let times = (mib << 20).div_ceil(PIECE as u64);
    let digest = digest(&bytes, times);
    let blob = Blob { bytes: &bytes, times, digest: &digest };
    let mut costs: Vec<(Vec<Cost>, Vec<Cost>)> = servers.iter().map(|_| Default::default()).collect();
    for round in 0..=runs {
        let mut turns: Vec<_> = servers.iter().zip(&mut costs).collect();
        if round % 2 == 1 {
            turns.reverse();
        }
        for (server, (pushes, pulls)) in turns {
            let mut client = Client::new(server.address());
            let target = format!("/v2/big/{round}/blobs/{digest}");
            let repository = format!("big/{round}");
            let pushed = timed(server, || push(&mut client, &repository, &blob, None))?;
            // Hashing costs more than the transfer, so only one pull is verified.
            let pulled = timed(server, || pull(&mut client, &target, &digest, round > 0, None))?;
            if round > 0 {
                pushes.push(pushed);
                pulls.push(pulled);
            }
        }
    }
    Ok(costs.into_iter().map(|(push, pull)| Big { push: median(push), pull: median(pull) }).collect())
}

fn timed(server: &Loaded, work: impl FnOnce() -> Result) -> Result<Cost> {
    nix::unistd::sync();
    let (start, cpu) = (Instant::now(), server.cpu());
    work().map_err(|error| format!("{}: {error}", server.name))?;
    Ok(Cost { wall: start.elapsed(), cpu: server.cpu().saturating_sub(cpu) })
}

/// Fills the free memory with the page cache of a file at `path`, as on a machine that has run for a while.
///
/// A virtual machine returns free memory to its host. Allocating that memory again takes longer than the
/// transfer itself.
fn fill_memory(path: &Path) -> Result {
    let told = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = told.lines().find_map(|line| line.strip_prefix("MemFree:")?.strip_suffix("kB"));
    let Some(free) = free.and_then(|kib| kib.trim().parse::<u64>().ok()) else { return Ok(()) };
    // A sparse file uses no disk space.
    let mut file =
        File::create_new(path).and_then(|file| file.set_len(free << 10).and_then(|()| File::open(path)))?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Returns the median of each figure, which may come from different transfers.
fn median(costs: Vec<Cost>) -> Cost {
    let middle = |of: fn(&Cost) -> Duration| {
        let mut sorted: Vec<Duration> = costs.iter().map(of).collect();
        sorted.sort();
        sorted.get(sorted.len() / 2).copied().unwrap_or_default()
    };
    Cost { wall: middle(|cost| cost.wall), cpu: middle(|cost| cost.cpu) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_median_of_each_figure() {
        let cost = |wall, cpu| Cost { wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu) };
        let found = median(vec![cost(1, 9), cost(5, 2), cost(3, 3)]);
        assert_eq!((found.wall.as_secs(), found.cpu.as_secs()), (3, 3));
    }
}
