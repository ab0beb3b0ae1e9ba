//! How often a test repeats what may go wrong once in a while.

/// The number in the environment variable `ORAS_TEST_ROUNDS`, else `default`: few in every run, many when it is asked for.
#[expect(clippy::disallowed_methods, reason = "whoever runs the tests says how thorough they are")]
pub fn rounds(default: usize) -> usize {
    std::env::var("ORAS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
