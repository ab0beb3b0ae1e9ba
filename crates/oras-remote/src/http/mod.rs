//! HTTP with a registry: requests, retries, redirects, limits, bodies and paged lists.

pub(crate) mod bandwidth_limit;
pub(crate) mod concurrency_limit;
pub(crate) mod content_encoding;
pub(crate) mod download_replay;
pub(crate) mod endpoint;
pub(crate) mod link_header;
pub(crate) mod network_error;
pub(crate) mod network_failure;
pub(crate) mod paging;
pub(crate) mod payload;
pub(crate) mod redact;
pub(crate) mod redirect;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod response_body;
pub(crate) mod response_error;
pub(crate) mod retry;
pub(crate) mod retry_after;
pub(crate) mod runtime;
pub(crate) mod trace;
pub(crate) mod transport;
pub(crate) mod upload_watchdog;
pub(crate) mod warning;
