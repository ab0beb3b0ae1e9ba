//! Runs steps one after the other, with a header and a duration each. A failed step does not stop the next one.

use std::time::{Duration, Instant};

use crate::test_counts::Tally;
use xtask::process::Result;

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    failed: Vec<&'static str>,
    /// The counts in the closing line.
    pub(crate) tally: Tally,
}

impl Steps {
    /// Runs a step. A failure adds one to the count, unless the step counted its failures itself.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce(&mut Tally) -> Result) {
        println!("\n==> {name}");
        let start = Instant::now();
        let failed_before = self.tally.failed;
        let outcome = work(&mut self.tally);
        let took = seconds(start.elapsed());
        match outcome {
            Ok(()) => println!("<== {name}: ok in {took}"),
            Err(error) => {
                println!("<== {name}: FAILED in {took}: {error}");
                self.failed.push(name);
                if self.tally.failed == failed_before {
                    self.tally.failed += 1;
                }
            }
        }
    }

    /// Prints the failed steps and the closing line. Fails if any step failed.
    pub(crate) fn close(self) -> Result {
        println!();
        if !self.failed.is_empty() {
            println!("failed steps: {}", self.failed.join(", "));
        }
        println!("{}", self.tally);
        if self.failed.is_empty() { Ok(()) } else { Err(AlreadyTold.into()) }
    }
}

/// The error after all failures were printed, so that nothing follows the closing line.
#[derive(Debug)]
pub(crate) struct AlreadyTold;

impl std::fmt::Display for AlreadyTold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("some steps failed")
    }
}

impl std::error::Error for AlreadyTold {}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_step_counts_once_and_next_step_runs() {
        let mut steps = Steps::default();
        steps.step("first", |_| Err("no".into()));
        steps.step("second", |tally| {
            tally.passed += 2;
            tally.failed += 3;
            Err("tests failed".into())
        });
        assert_eq!(steps.tally, Tally { passed: 2, failed: 4, skipped: 0 });
        assert_eq!(steps.failed, ["first", "second"]);
        assert!(steps.close().unwrap_err().is::<AlreadyTold>());
    }
}
