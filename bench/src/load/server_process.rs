//! The measured servers: ours and distribution.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::compare::Door;
use xtask::peers;
use xtask::process::Result;

/// A server with a storage of its own.
pub(super) struct Loaded {
    pub(super) name: &'static str,
    door: Door,
}

impl Loaded {
    /// Our own, which is `program`, with layouts below `dir`.
    pub(super) fn ours(program: &Path, dir: &Path) -> Result<Self> {
        let storage = storage(dir, "ours")?;
        Ok(Self { name: "oras serve", door: Door::open_ours(program, dir, &storage)? })
    }

    /// The registry of the distribution project; an error when it is not installed.
    pub(super) fn distribution(dir: &Path) -> Result<Self> {
        let program = peers::find("registry").ok_or("needs the registry: run cargo xtask peers first")?;
        let storage = storage(dir, "distribution")?;
        Ok(Self { name: "distribution", door: Door::plain(&program, dir, &storage)? })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// CPU time used so far.
    pub(super) fn cpu(&self) -> Duration {
        self.door.cpu()
    }

    /// The most memory it has had so far, in MiB.
    pub(super) fn peak_mib(&self) -> f64 {
        self.door.peak_kib() as f64 / 1024.0
    }
}

fn storage(dir: &Path, name: &str) -> Result<PathBuf> {
    let storage = dir.join(name);
    std::fs::create_dir_all(&storage)?;
    Ok(storage)
}
