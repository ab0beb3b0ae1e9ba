//! The environment variables that the chores read. No other file reads the environment.
#![expect(clippy::disallowed_methods, reason = "the one module of xtask that reads the environment")]

use std::env::{split_paths, var_os, vars_os};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The top of the work tree.
pub fn root() -> PathBuf {
    let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest_dir.parent().unwrap_or(manifest_dir).to_path_buf()
}

/// The cargo that started this program, so that the chores use the same toolchain.
pub fn cargo() -> OsString {
    var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Variables that `cargo run` sets for xtask itself. Build scripts that watch them would run again if a child inherited
/// them.
pub fn set_by_cargo_run() -> Vec<OsString> {
    let ours = |name: &str| {
        name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || matches!(name, "CARGO_BIN_NAME" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
    };
    vars_os().map(|(name, _)| name).filter(|name| name.to_str().is_some_and(ours)).collect()
}

/// The per-user cache of installed tools: `$XDG_CACHE_HOME/oras-peers`, else `$HOME/.cache/oras-peers`.
pub fn peer_cache() -> PathBuf {
    let absolute = |name: &str| var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("oras-peers")
}

/// The search path, for programs that get an otherwise empty environment.
pub fn search_path() -> OsString {
    var_os("PATH").unwrap_or_default()
}

/// The full path of a program found on the search path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    split_paths(&search_path()).map(|dir| dir.join(name)).find(|path| path.is_file())
}
