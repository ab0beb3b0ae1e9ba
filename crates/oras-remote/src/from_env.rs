//! Options from the environment of the process and from the system's configuration files. The other files of the crate
//! do not read environment variables, so a program that does not call these functions is not affected by them.
#![expect(clippy::disallowed_methods, reason = "reads the environment, only for callers that ask for it")]

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::docker_config::DockerConfig;

/// Returns the value of a variable, unless it is empty.
fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the path in a variable, unless it is empty.
fn path(name: &str) -> Option<PathBuf> {
    value(name).map(PathBuf::from)
}

impl DockerConfig {
    /// Opens the credential files of the user, as the `oras` command does: Docker's `$DOCKER_CONFIG/config.json`, by
    /// default `~/.docker/config.json`, which is also written; and as fallbacks the files of the containers tools
    /// (Podman, Buildah, Skopeo), which are `$REGISTRY_AUTH_FILE`, or `containers/auth.json` in `$XDG_RUNTIME_DIR` and
    /// in `$XDG_CONFIG_HOME`.
    ///
    /// The files are read when a credential is looked up.
    pub fn system() -> Self {
        let directory = path("DOCKER_CONFIG").or_else(|| Some(path("HOME")?.join(".docker")));
        let docker = directory.map(|directory| directory.join("config.json"));
        Self::open(docker.into_iter().collect()).with_fallbacks(containers_auth())
    }
}

/// Returns the credential files of the containers tools, in their order of preference.
fn containers_auth() -> Vec<PathBuf> {
    if let Some(file) = path("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let config = path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")));
    let directories = [path("XDG_RUNTIME_DIR"), config];
    directories.into_iter().flatten().map(|directory| directory.join("containers/auth.json")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn documents_every_variable() {
        let page = include_str!("../../../docs/environment.md");
        let is_name =
            |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        let names: Vec<_> = include_str!("from_env.rs").split('"').filter(is_name).collect();
        assert!(names.len() > 3);
        for name in names {
            assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/environment.md");
        }
    }
}
