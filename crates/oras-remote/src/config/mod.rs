//! Configuration files of Docker and the containers tools: credentials, mirrors and certificates.

pub(crate) mod certs_d;
pub(crate) mod docker_config;
pub(crate) mod docker_config_file;
pub(crate) mod registries_conf;
