//! The size of one read.

/// The number of bytes in one chunk of a read.
///
/// Several chunks in flight must fit into the L2 cache of one core. Measured with an L2 cache of 1 MiB: a file in
/// memory is read at 5 GB/s in chunks of 128 KiB and at 1.7 GB/s in chunks of 256 KiB. 64 KiB leaves a margin for
/// smaller caches.
pub const CHUNK: usize = 64 * 1024;
