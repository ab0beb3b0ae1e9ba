//! Limits that keep one client from exhausting the resources that all clients share: connections, time and memory.

pub(crate) mod client_id;
pub(crate) mod connection_activity;
pub(crate) mod connection_limits;
pub(crate) mod manifest_memory;
pub(crate) mod request_body;
pub(crate) mod write_timeout;
