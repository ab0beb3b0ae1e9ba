//! Options from the environment of the process and from the system's configuration files. The other files of the crate
//! do not read environment variables, so a program that does not call these functions is not affected by them.
#![expect(clippy::disallowed_methods, reason = "reads the environment, only for callers that ask for it")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::client::proxy::matcher::Matcher;
use oras_store::Result;

use crate::client_options::ClientOptions;
use crate::config::docker_config::DockerConfig;
use crate::config::registries_conf::RegistriesConf;
use crate::connection::proxy::Proxy;

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

impl ClientOptions {
    /// Returns the options that the `oras` command has without flags: [`ClientOptions::network_from_env`], the
    /// credentials of [`DockerConfig::system`] for registries and mirrors, and [`RegistriesConf::system`].
    ///
    /// # Errors
    /// Those of [`RegistriesConf::system`].
    pub fn from_env() -> Result<Self> {
        let credentials = Arc::new(DockerConfig::system());
        let options = Self::default().network_from_env().registries(RegistriesConf::system()?);
        Ok(options.credentials(Arc::clone(&credentials)).mirror_credentials(credentials))
    }

    /// Sets what a network needs: the proxies ([`Proxy::from_env`]), `NO_PROXY`, and the directories with certificates
    /// for each registry that the containers tools and Docker read, those of the user first. These are `certs.d` in
    /// `~/.config/containers`, `/etc/containers`, `/etc/docker` and `~/.docker`.
    #[must_use]
    pub fn network_from_env(self) -> Self {
        let no_proxy = text("NO_PROXY").or_else(|| text("no_proxy")).unwrap_or_default();
        let of_home = |place: &str| path("HOME").map(|home| home.join(place));
        let system = |place: &str| Some(PathBuf::from(place));
        let directories = [
            of_home(".config/containers/certs.d"),
            system("/etc/containers/certs.d"),
            system("/etc/docker/certs.d"),
            of_home(".docker/certs.d"),
        ];
        let directories = directories.into_iter().flatten().collect();
        self.proxy(Proxy::from_env()).no_proxy(no_proxy).certificate_directories(directories)
    }
}

impl Proxy {
    /// Uses the proxies of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, also in lower case, and on macOS and
    /// Windows those of the system's settings. The variables are read now.
    pub fn from_env() -> Self {
        Self::from_matcher(Matcher::from_system())
    }
}

impl RegistriesConf {
    /// Loads the rules of the machine, as the containers tools do: `$CONTAINERS_REGISTRIES_CONF`; or
    /// `~/.config/containers/registries.conf`, else `/etc/containers/registries.conf`, with the directories
    /// `registries.conf.d` beside both.
    ///
    /// # Errors
    /// Those of [`RegistriesConf::load`].
    pub fn system() -> Result<Self> {
        if let Some(file) = path("CONTAINERS_REGISTRIES_CONF") {
            return Self::load(Some(&file), &[]);
        }
        let system = PathBuf::from("/etc/containers/registries.conf");
        let user = path("HOME").map(|home| home.join(".config/containers/registries.conf"));
        let directories = [Some(&system), user.as_ref()].into_iter().flatten();
        let directories: Vec<_> = directories.map(|file| file.with_extension("conf.d")).collect();
        let file = user.into_iter().chain([system]).find(|file| file.exists());
        Self::load(file.as_deref(), &directories)
    }
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
