//! Operations: health, metrics, the access log, reloading of configuration files, and shutdown.

pub(crate) mod access_log;
pub(crate) mod config_file;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod reloaded_files;
pub(crate) mod tls_certificate;
pub(crate) mod write_tasks;
