//! Connections: pools, TLS, proxies, and the guard of the addresses that a registry may name.

pub(crate) mod address_class;
pub(crate) mod address_guard;
pub(crate) mod certificate_verifier;
pub(crate) mod connection_budget;
pub(crate) mod connection_pool;
pub(crate) mod name_resolution;
pub(crate) mod no_proxy;
pub(crate) mod proxy;
pub(crate) mod root_certificates;
pub(crate) mod route;
pub(crate) mod tls_config;
