//! How many times a test repeats a scenario whose failures depend on timing.

/// Returns the number in the environment variable `ORAS_TEST_ROUNDS`, or `default` if it is unset or no number.
///
/// The default keeps a normal run short; a large number searches for rare failures.
#[expect(clippy::disallowed_methods, reason = "the environment sets how thorough a test run is")]
pub fn repetitions(default: usize) -> usize {
    std::env::var("ORAS_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
