//! `Link`: no page leads to another server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;

// The parser alone, which is private to its crate, and what it needs.
#[path = "../../crates/oras-remote/src/http/link_header.rs"]
#[allow(dead_code)]
mod link_header;

mod http {
    pub(crate) mod redact {
        /// Returns the address unchanged: nothing is shown here.
        pub(crate) fn redact(url: &url::Url) -> String {
            url.to_string()
        }
    }
}

fuzz_target!(|header: String| {
    let page = Url::parse("http://localhost:5000/v2/a/tags/list?n=1").expect("an address");
    if let Ok(Some(target)) = link_header::next(&[header])
        && let Ok(next) = link_header::resolve(target, &page)
    {
        assert_eq!(next.origin(), page.origin());
    }
});
