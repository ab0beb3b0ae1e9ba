//! `WWW-Authenticate`: every header value is either parsed or skipped.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The parser alone, which is private to its crate.
#[path = "../../crates/oras-remote/src/auth/challenge.rs"]
#[allow(dead_code)]
mod challenge;

fuzz_target!(|headers: Vec<String>| {
    let bytes: usize = headers.iter().map(String::len).sum();
    assert!(challenge::parse(headers.iter().map(String::as_str)).len() <= bytes);
});
