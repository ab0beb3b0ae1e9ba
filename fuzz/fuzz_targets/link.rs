//! `Link`: no page leads to another server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;

// The parser alone, which is private to its crate, and what it needs.
#[path = "../../crates/oras-remote/src/link.rs"]
#[allow(dead_code)]
mod link;

mod response {
    /// The address as it is: nothing here is shown.
    pub(crate) fn redact(url: &url::Url) -> String {
        url.to_string()
    }
}

fuzz_target!(|header: &str| {
    let page = Url::parse("http://localhost:5000/v2/a/tags/list?n=1").expect("an address");
    if let Some(Ok(next)) = link::next([header].into_iter()).map(|target| link::resolve(target, &page)) {
        assert_eq!(next.origin(), page.origin());
    }
});
