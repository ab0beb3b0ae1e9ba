//! What the programs share: the job, its data, and the report of its cost.

use std::error::Error;
use std::time::Instant;

#[expect(dead_code, reason = "these programs use a part of it")]
#[path = "../../src/random.rs"]
mod random;

/// The result of a program.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// The media type of all blobs.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What a program does: pushes or pulls blobs of random bytes.
pub struct Job {
    /// Whether it pushes.
    pub is_push: bool,
    /// The artifact, for example `localhost:5000/a:v1`.
    pub reference: String,
    /// The number of blobs.
    pub count: u64,
    /// The size of each blob in bytes.
    pub size: u64,
    started: Instant,
}

impl Job {
    /// Reads `push|pull REFERENCE COUNT SIZE` from the command line.
    pub fn from_args() -> Result<Self> {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [verb, reference, count, size] = &args[..] else {
            return Err("usage: push|pull <reference> <count> <size>".into());
        };
        let (count, size) = (count.parse()?, size.parse()?);
        Ok(Self { is_push: verb == "push", reference: reference.clone(), count, size, started: Instant::now() })
    }

    /// Makes the blobs, and starts the clock after that.
    pub fn blobs(&mut self) -> Vec<Vec<u8>> {
        let blob = |seed| {
            let mut bytes = vec![0; usize::try_from(self.size).unwrap_or_default()];
            random::Random::new(seed + 1).fill(&mut bytes);
            bytes
        };
        let blobs = (0..self.count).map(blob).collect();
        self.started = Instant::now();
        blobs
    }

    /// Prints the wall time and the CPU time in seconds, and the peak of the resident memory in KiB.
    pub fn report(&self) -> Result {
        let wall = self.started.elapsed().as_secs_f64();
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("stat")?.1.split_whitespace().collect();
        let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("VmHWM")?;
        println!("{wall} {} {}", ticks / 100.0, peak.split_whitespace().next().unwrap_or_default());
        Ok(())
    }
}
