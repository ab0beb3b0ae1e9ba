//! Counts the results that test harnesses print and the tests that report to be skipped.

use std::collections::{BTreeMap, BTreeSet};

/// The numbers of passed, failed and skipped tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Adds the counts of a summary line of a test harness. Other lines have no effect.
    pub(crate) fn add_line(&mut self, line: &str) {
        let Some(summary) = line.trim().strip_prefix("test result: ") else { return };
        let counts = summary.split_once(". ").map_or(summary, |(_, counts)| counts);
        for part in counts.split("; ") {
            match part.split_once(' ') {
                Some((n, "passed")) => self.passed += n.parse().unwrap_or(0),
                Some((n, "failed")) => self.failed += n.parse().unwrap_or(0),
                Some((n, "ignored")) => self.skipped += n.parse().unwrap_or(0),
                _ => {}
            }
        }
    }

    /// Moves skipped tests from passed to skipped, because the harness counts them as passed.
    pub(crate) fn add_skips(&mut self, log: &SkipLog) {
        let skipped = log.tests();
        self.passed = self.passed.saturating_sub(skipped);
        self.skipped += skipped;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// The lines `skipped: needs X (test name)` that tests append to the file named by `ORAS_SKIPPED_LOG`.
#[derive(Debug, Default)]
pub(crate) struct SkipLog(BTreeMap<String, usize>);

impl SkipLog {
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("skipped: needs ")) {
            *lines.entry(line.trim_end().to_owned()).or_default() += 1;
        }
        Self(lines)
    }

    /// Returns the number of skipped tests. A test that lacks two tools counts once; a line without a name is a test.
    pub(crate) fn tests(&self) -> usize {
        let name = |line: &String| match line.strip_suffix(')').and_then(|line| line.rsplit_once('(')) {
            Some((_, test)) => test.to_owned(),
            None => line.clone(),
        };
        self.0.keys().map(name).collect::<BTreeSet<_>>().len()
    }
}

impl std::fmt::Display for SkipLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (line, times) in &self.0 {
            if *times > 1 {
                writeln!(f, "{line} x{times}")?;
            } else {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_test_summaries_only() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.10s",
            "test test_counts::tests ... ok",
        ] {
            tally.add_line(line);
        }
        assert_eq!(tally, Tally { passed: 5, failed: 1, skipped: 1 });
        assert_eq!(tally.to_string(), "5 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn counts_skipped_tests_apart_from_passed() {
        let log = SkipLog::parse(
            "skipped: needs oras (a)\nnoise\nskipped: needs crane (a)\nskipped: needs oras (b)\nskipped: needs oras (b)\n",
        );
        assert_eq!(log.tests(), 2);
        assert_eq!(
            log.to_string(),
            "skipped: needs crane (a)\nskipped: needs oras (a)\nskipped: needs oras (b) x2\n"
        );
        let mut tally = Tally { passed: 10, failed: 0, skipped: 1 };
        tally.add_skips(&log);
        assert_eq!(tally, Tally { passed: 8, failed: 0, skipped: 3 });
    }
}
