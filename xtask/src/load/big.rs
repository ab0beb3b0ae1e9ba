//! One large blob, pushed and pulled: how fast, and for how much CPU time of the server.

use std::time::{Duration, Instant};

use super::client::{Client, Request};
use super::server::Loaded;
use super::transfer::{Blob, digest, pull, push};
use crate::process::Result;
use crate::random::Random;

/// Bytes that are repeated.
const PIECE: usize = 16 << 20;

/// What one transfer took.
#[derive(Clone, Copy)]
pub(super) struct Cost {
    pub(super) wall: Duration,
    /// Of the server.
    pub(super) cpu: Duration,
}

/// Medians of one server.
pub(super) struct Big {
    pub(super) push: Cost,
    pub(super) pull: Cost,
}

/// The servers take turns, after one round to warm up; who goes first changes with each round. The disk is at rest before
/// each transfer, so that nobody waits for what another one left to be written.
///
/// # Errors
/// Any transfer that fails, or gives other bytes.
pub(super) fn run(servers: &[Loaded], mib: u64, runs: usize) -> Result<Vec<Big>> {
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
            // Hashing costs more than the transfer: once is enough.
            let pulled = timed(server, || pull(&mut client, &target, &digest, round > 0, None))?;
            if round > 0 {
                pushes.push(pushed);
                pulls.push(pulled);
            }
            // Room for the next one; not every registry deletes at once, or at all.
            let _ = client.send(&Request::new("DELETE", &target), |_| ());
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

/// Each figure by itself.
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
    fn medians_are_of_each_figure() {
        let cost = |wall, cpu| Cost { wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu) };
        let found = median(vec![cost(1, 9), cost(5, 2), cost(3, 3)]);
        assert_eq!((found.wall.as_secs(), found.cpu.as_secs()), (3, 3));
    }
}
