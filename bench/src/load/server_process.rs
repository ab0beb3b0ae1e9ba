//! The measured servers: ours and distribution.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::compare::Door;
use xtask::peers;
use xtask::process::Result;

/// A running server with a separate storage directory.
pub(super) struct Loaded {
    pub(super) name: &'static str,
    door: Door,
}

impl Loaded {
    /// Starts our server, which is `program`, with its layouts below `dir`.
    pub(super) fn ours(program: &Path, dir: &Path) -> Result<Self> {
        Self::ours_over(program, &storage(dir, "ours")?)
    }

    /// Starts our server, which is `program`, with the layouts below `storage`.
    pub(super) fn ours_over(program: &Path, storage: &Path) -> Result<Self> {
        let dir = storage.parent().unwrap_or(storage);
        Ok(Self { name: "oras serve", door: Door::open_ours(program, dir, storage)? })
    }

    /// Starts the registry of the distribution project. Fails if it is not installed.
    pub(super) fn distribution(dir: &Path) -> Result<Self> {
        let program = peers::find("registry").ok_or("needs the registry: run cargo xtask peers first")?;
        let storage = storage(dir, "distribution")?;
        Ok(Self { name: "distribution", door: Door::plain(&program, dir, &storage)? })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Returns the CPU time that the server has used.
    pub(super) fn cpu(&self) -> Duration {
        self.door.cpu()
    }

    /// Returns the peak memory of the server in MiB.
    pub(super) fn peak_mib(&self) -> f64 {
        self.door.peak_kib() as f64 / 1024.0
    }
}

fn storage(dir: &Path, name: &str) -> Result<PathBuf> {
    let storage = dir.join(name);
    std::fs::create_dir_all(&storage)?;
    Ok(storage)
}
