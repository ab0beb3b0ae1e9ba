//! The environment variables of the command. No other file of the command reads the environment; `from_env.rs` of
//! `oras-remote` reads the variables of connections.
#![expect(
    clippy::disallowed_methods,
    reason = "the libraries take options; the command reads the environment, here"
)]

use std::ffi::OsString;
use std::path::PathBuf;

use crate::args::values::size;

/// Returns the value of a variable, unless it is empty.
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the path in a variable, unless it is empty.
fn path(name: &str) -> Option<PathBuf> {
    value(name).map(PathBuf::from)
}

/// Returns the text in a variable, unless it is empty or not UTF-8.
fn text(name: &str) -> Option<String> {
    value(name)?.into_string().ok()
}

/// Returns true if the user has disabled a feature by the value `0` or `off` of a variable.
fn is_off(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "0" || value == "off")
}

/// Returns the name of the first installed credential helper for the keychain of this system.
pub(crate) fn native_helper() -> Option<&'static str> {
    let directories = std::env::var_os("PATH")?;
    let names = ["osxkeychain", "wincred", "secretservice", "pass"];
    names.into_iter().find(|name| {
        let program = format!("docker-credential-{name}{}", std::env::consts::EXE_SUFFIX);
        std::env::split_paths(&directories).any(|directory| directory.join(&program).is_file())
    })
}

/// Returns true if the exit status shows the kind of failure (`ORAS_EXIT_CODES`).
pub(crate) fn exit_codes() -> bool {
    value("ORAS_EXIT_CODES").is_some_and(|value| value != "0")
}

/// Returns the layout that caches content read from registries (`ORAS_CACHE`).
pub(crate) fn cache() -> Option<PathBuf> {
    path("ORAS_CACHE")
}

/// Returns the size limit of the cache: `ORAS_CACHE_SIZE`, else 10 GiB. `0` means no limit, which is `None`.
pub(crate) fn cache_size() -> Result<Option<u64>, String> {
    match text("ORAS_CACHE_SIZE") {
        None => Ok(Some(10 << 30)),
        Some(text) if text == "0" => Ok(None),
        Some(text) => size(&text).map(Some).map_err(|error| format!("ORAS_CACHE_SIZE: {error}")),
    }
}

/// Returns the directory that stores the state of unfinished uploads: `oras/uploads` in the user's state directory (XDG
/// Base Directory Specification; the local application data on Windows). Returns `None` if `ORAS_STATE` is `0` or `off`.
pub(crate) fn unfinished_uploads() -> Option<PathBuf> {
    // The XDG specification requires programs to ignore relative paths in these variables.
    let absolute = |name: &str| path(name).filter(|path| path.is_absolute());
    let directory = absolute("XDG_STATE_HOME").or_else(|| absolute("LOCALAPPDATA"));
    let directory = directory.or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(directory.join("oras/uploads")).filter(|_| !is_off("ORAS_STATE"))
}

/// Returns the latest modification time that a packed directory may contain, in seconds since 1970
/// (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub(crate) fn source_date() -> Result<Option<i64>, String> {
    let parse = |text: String| match text.parse() {
        Ok(seconds) => Ok(seconds),
        Err(_) => Err(format!("SOURCE_DATE_EPOCH is no number of seconds since 1970: {text:?}")),
    };
    text("SOURCE_DATE_EPOCH").map(parse).transpose()
}

/// Returns the settings for object stores: the variables whose names begin with `AWS_`, `GOOGLE_` or `AZURE_`, as the
/// tools of these clouds read them.
#[cfg(feature = "bucket")]
pub(crate) fn cloud_settings() -> Vec<(String, String)> {
    let is_setting = |name: &str| ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| name.starts_with(prefix));
    let variables = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.into_string().ok().filter(|value| !value.is_empty())?))
    });
    variables.filter(|(name, _)| is_setting(name)).collect()
}

/// Returns the PEM file with the authorities of object stores (`AWS_CA_BUNDLE`).
#[cfg(feature = "bucket")]
pub(crate) fn cloud_authorities() -> Option<PathBuf> {
    path("AWS_CA_BUNDLE")
}

/// Returns true if layouts may share files by hard links. The values `0` and `off` of `ORAS_LINK` forbid it.
pub(crate) fn links() -> bool {
    !is_off("ORAS_LINK")
}

/// Returns the directory for temporary files, in which the client creates lock files.
pub(crate) fn temporary_directory() -> PathBuf {
    std::env::temp_dir()
}

/// Returns true if the terminal can't move its cursor: `TERM=dumb`.
pub(crate) fn is_terminal_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

/// Returns true if the terminal wraps its lines anew when its width changes, as most terminals do except xterm.
pub(crate) fn rewraps_lines() -> bool {
    const NAMES: [&str; 8] = [
        "VTE_VERSION",
        "TERM_PROGRAM",
        "WT_SESSION",
        "KITTY_WINDOW_ID",
        "ALACRITTY_WINDOW_ID",
        "KONSOLE_VERSION",
        "WEZTERM_PANE",
        "TMUX",
    ];
    NAMES.into_iter().any(|name| value(name).is_some())
}

/// Returns true if the user does not want colours (<https://no-color.org>).
pub(crate) fn no_color() -> bool {
    value("NO_COLOR").is_some()
}

#[cfg(test)]
mod tests {
    #[test]
    fn documents_every_variable() {
        let page = include_str!("../../../docs/environment.md");
        let is_name =
            |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let names: Vec<_> = include_str!("env.rs").split('"').filter(is_name).collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/environment.md");
        }
    }
}
