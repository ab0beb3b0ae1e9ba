//! The limit of open files.

use crate::failure::Failure;

/// Fails if the process may not open the files that the runtime needs.
///
/// Tokio panics if it cannot create the sockets by which it receives signals, so this check comes before the runtime is
/// built.
pub(crate) fn check_limit() -> Result<(), Failure> {
    #[cfg(unix)]
    {
        // The runtime of tokio 1.54 opens six files: epoll, its copy, a waker, and three for signals.
        let pairs: Result<Vec<_>, _> = (0..3).map(|_| std::os::unix::net::UnixStream::pair()).collect();
        pairs.map_err(|error| Failure::of_io("failed to start", &error))?;
    }
    Ok(())
}
