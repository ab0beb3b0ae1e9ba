//! The sandbox and the registries of one tool.

use std::collections::BTreeMap;
use std::path::Path;

use oras_testkit::recorder::Recorder;
use oras_testkit::registry::{Flavor, Options, Process};

use crate::sandbox::Sandbox;
use crate::{directory_snapshot, registry_state};

/// A sandbox with registries, and the names that scenes use for them.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) registries: BTreeMap<String, Registry>,
    /// The values of names such as `{R}`.
    pub(crate) names: BTreeMap<String, String>,
    /// The state after the last case. `None` if another step has changed it since.
    pub(crate) before: Option<Snapshot>,
}

/// The files and the state of the registries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) state: BTreeMap<String, String>,
}

impl Stage {
    pub(crate) fn new(root: &Path) -> Self {
        let sandbox = Sandbox::new(root);
        let created = "-a org.opencontainers.image.created=2026-01-01T00:00:00Z";
        let names = BTreeMap::from([
            ("W".to_owned(), sandbox.work().display().to_string()),
            ("H".to_owned(), sandbox.home().display().to_string()),
            ("C".to_owned(), created.to_owned()),
            ("EMPTY".to_owned(), oras_spec::Descriptor::empty_json().digest.to_string()),
            ("NONE".to_owned(), format!("sha256:{}", "0".repeat(64))),
            ("HELLO".to_owned(), oras_spec::Digest::sha256(b"hello world\n").to_string()),
        ]);
        Self { sandbox, registries: BTreeMap::new(), names, before: None }
    }

    /// Returns the current state.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = BTreeMap::new();
        for (name, registry) in &self.registries {
            let found = registry_state::of(registry.inner_port());
            state.extend(found.into_iter().map(|(key, value)| (format!("{name}/{key}"), value)));
        }
        Snapshot { files: directory_snapshot::of(self.sandbox.root()), state }
    }

    /// Starts a registry called `name`. The error is the name of a registry that is not installed.
    pub(crate) fn open(&mut self, name: &str, words: &[String]) -> Result<(), String> {
        let registry = Registry::start(words)?;
        self.names.insert(name.to_owned(), registry.host());
        self.names.insert(format!("{name}.port"), registry.port().to_string());
        self.registries.insert(name.to_owned(), registry);
        Ok(())
    }
}

/// A registry behind a proxy that records requests. A registry with TLS has no proxy.
pub(crate) struct Registry {
    server: Process,
    pub(crate) recorder: Option<Recorder>,
}

impl Registry {
    fn start(words: &[String]) -> Result<Self, String> {
        let flavor = words.first().map_or("api", String::as_str);
        let has = |word: &str| words.iter().any(|given| given == word);
        let options = Options { password: has("password"), ..Options::default() };
        let real = |flavor: Flavor| {
            Process::start(flavor, &options, "differential").ok_or_else(|| flavor.name().to_owned())
        };
        let server = match flavor {
            "api" => Process::ours(&[]),
            "tags" => Process::ours(&["--no-referrers"]),
            "sparse" => Process::ours(&["--sparse"]),
            "distribution" => real(Flavor::Distribution)?,
            "docker" => real(Flavor::Debian)?,
            "crane" => real(Flavor::Crane)?,
            other => panic!("{other} is no registry"),
        };
        let recorder = Some(Recorder::new(server.port()));
        Ok(Self { server, recorder })
    }

    pub(crate) fn port(&self) -> u16 {
        self.recorder.as_ref().map_or_else(|| self.server.port(), Recorder::port)
    }

    /// Returns the port behind the proxy.
    pub(crate) fn inner_port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port())
    }
}
