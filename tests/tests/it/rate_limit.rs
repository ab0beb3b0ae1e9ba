//! `--limit-rate` slows transfers down to the rate, and slow transfers do not count as stalled.

use std::time::{Duration, Instant};

use oras_testkit::registry::Process;

use crate::sandbox::Sandbox;

/// Returns the duration of a command that transfers 2 MiB at 1 MiB a second.
fn timed(sandbox: &Sandbox, words: &[&str]) -> Duration {
    let begun = Instant::now();
    sandbox.oras(words);
    begun.elapsed()
}

/// Returns true for a duration of two seconds, less the initial burst. A busy machine takes longer.
fn is_limited(took: Duration) -> bool {
    (Duration::from_millis(1800)..Duration::from_secs(20)).contains(&took)
}

#[test]
fn limits_rate_of_push_pull_and_copy() {
    let (registry, sandbox) = (Process::ours(&[]), Sandbox::new());
    let name = format!("{}/limited:v1", registry.host());
    // Two concurrent transfers share the limit.
    for (file, seed) in [("one", 7), ("two", 11)] {
        sandbox.file(file, (0..1_u32 << 20).map(|at| (at * seed % 251) as u8).collect::<Vec<_>>());
    }
    let limit = ["--limit-rate", "1M", "--idle-timeout", "700ms"];
    let took = timed(&sandbox, &[&["push", &name, "one", "two"], &limit[..]].concat());
    assert!(is_limited(took), "push: {took:?}");
    let took = timed(&sandbox, &[&["pull", &name, "-o", "out"], &limit[..]].concat());
    assert!(is_limited(took), "pull: {took:?}");
    assert_eq!(std::fs::read(sandbox.path("out/two")).unwrap(), std::fs::read(sandbox.path("two")).unwrap());
    let copy = ["cp", &name, "--to-oci-layout", "layout:v1", "--from-limit-rate", "1M"];
    let took = timed(&sandbox, &copy);
    assert!(is_limited(took), "cp: {took:?}");
}

#[test]
fn rejects_invalid_rate() {
    for rate in ["0", "fast", "-1"] {
        let error = Sandbox::new().fails(&["pull", "localhost:1/a:v1", "--limit-rate", rate]);
        assert!(error.contains("invalid size"), "{error}");
    }
}
