//! Reading a repository through the mirrors that `registries.conf` lists.

pub(crate) mod mirror_stream;
pub(crate) mod mirrored;
