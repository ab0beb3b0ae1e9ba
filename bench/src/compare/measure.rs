//! Measures the time, CPU time and peak memory of one command.
//!
//! For the ended children of a process, the kernel reports the sum of their CPU times and the largest
//! resident set among them. So each command is the only child of a separate small process, which is this
//! program under a hidden verb. The reported peak is at least the memory of that process at its start, about
//! 3 MiB.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::environment::Scene;
use super::link::Link;
use xtask::process::Result;

/// The hidden verb with which this program starts a measured command: `LOG SECONDS PROGRAM ARGS...`. It kills
/// a command that runs longer than `SECONDS`.
pub(crate) const MEASURE_VERB: &str = "bench-measure";

/// The resource usage of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) wall: Duration,
    /// User and system time of all threads.
    pub(super) cpu: Duration,
    pub(super) peak_kib: u64,
}

/// Starts a tool and kills it when the link stops forwarding. Returns false if the tool exited before.
pub(super) fn kill_when_held(scene: &Scene, program: &Path, args: &[String], link: &Link) -> Result<bool> {
    let mut command = Command::new(program);
    let log = File::create(scene.log())?;
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    scene.furnish(&mut command);
    let mut child = command.spawn()?;
    let mut ended = child.try_wait()?.is_some();
    while !ended && !link.held() {
        std::thread::sleep(Duration::from_millis(2));
        ended = child.try_wait()?.is_some();
    }
    if !ended {
        // The tool also needs time to process the bytes that it received.
        std::thread::sleep(Duration::from_millis(200));
        child.kill()?;
    }
    child.wait()?;
    Ok(!ended)
}

/// Runs a tool in the benchmark's directory and environment. Fails if the tool fails or exceeds the limit.
pub(super) fn measure(scene: &Scene, program: &Path, args: &[String], limit: Duration) -> Result<Sample> {
    let log = scene.log();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(MEASURE_VERB).arg(&log).arg(limit.as_secs().to_string()).arg(program).args(args);
    command.stdin(Stdio::null());
    scene.furnish(&mut command);
    // The child's error contains only the path of the program. The output of the program is more useful.
    command.stderr(Stdio::null());
    let output =
        command.output().map_err(|error| format!("cannot measure {}: {error}", program.display()))?;
    let line = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let said = if line.is_empty() { said_at_last(&log) } else { line.trim().to_owned() };
        // The benchmark's directory has a different name in each run.
        let said = said.replace(&*scene.path("").to_string_lossy(), "");
        return Err(format!("{said}{}", arguments(args)).into());
    }
    parse(&line).ok_or_else(|| format!("cannot read the measurement {line:?}").into())
}

fn arguments(args: &[String]) -> String {
    let shown: Vec<&str> = args.iter().take(8).map(String::as_str).collect();
    format!(" ({}{})", shown.join(" "), if args.len() > shown.len() { " ..." } else { "" })
}

/// Returns the end of the output of a failed tool.
fn said_at_last(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it failed silently").to_owned()
}

/// Runs the command of the hidden verb, and prints the sample as one line.
pub(crate) fn measure_child(args: &[String]) -> Result {
    let [log, limit, program, args @ ..] = args else {
        return Err("needs LOG SECONDS PROGRAM ARGS...".into());
    };
    let limit = Duration::from_secs(limit.parse()?);
    let log = File::create(log)?;
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let start = Instant::now();
    let mut child = command.spawn()?;
    end_after(limit, child.id());
    let status = child.wait()?;
    let wall = start.elapsed();
    if !status.success() {
        return Err(format!("{program} failed ({status})").into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds();
    // Linux counts in KiB, macOS in bytes.
    let peak_kib = if cfg!(target_os = "macos") { usage.max_rss() / 1024 } else { usage.max_rss() };
    println!("{} {cpu} {peak_kib}", wall.as_micros());
    Ok(())
}

/// Kills a process that hangs. The thread is detached: this program ends with the process that it watches.
fn end_after(time: Duration, process: u32) {
    std::thread::spawn(move || {
        std::thread::sleep(time);
        println!("it had not ended after {} s", time.as_secs());
        Command::new("kill").args(["-9", &process.to_string()]).status()
    });
}

fn parse(line: &str) -> Option<Sample> {
    let numbers: Vec<u64> =
        line.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    let [wall, cpu, peak_kib] = numbers[..] else { return None };
    Some(Sample { wall: Duration::from_micros(wall), cpu: Duration::from_micros(cpu), peak_kib })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_written_sample() {
        let sample =
            Sample { wall: Duration::from_micros(1500), cpu: Duration::from_millis(2), peak_kib: 4096 };
        assert_eq!(parse("1500 2000 4096\n"), Some(sample));
        assert_eq!(parse("1500 2000\n"), None);
    }
}
