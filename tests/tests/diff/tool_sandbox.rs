//! The sandbox and the registries of one tool.

use std::collections::BTreeMap;
use std::path::Path;

use oras_testkit::recorder::Recorder;
use oras_testkit::registry::{Flavor, Options, Process};

use crate::sandbox::Sandbox;
use crate::{directory_snapshot, registry_state};

/// A sandbox with registries, and the names that stand for them in a scene.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) registries: BTreeMap<String, Registry>,
    /// `{R}` and the like.
    pub(crate) names: BTreeMap<String, String>,
    /// What was there after the last case; `None` when something else has changed it since.
    pub(crate) before: Option<Snapshot>,
}

/// Files and the registries' state.
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

    /// What is there now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut state = BTreeMap::new();
        for (name, registry) in &self.registries {
            let found = registry_state::of(registry.inner_port());
            state.extend(found.into_iter().map(|(key, value)| (format!("{name}/{key}"), value)));
        }
        Snapshot { files: directory_snapshot::of(self.sandbox.root()), state }
    }

    /// Starts a registry called `name`; what it lacks is said by its name.
    pub(crate) fn open(&mut self, name: &str, words: &[String]) -> Result<(), String> {
        let registry = Registry::start(words)?;
        self.names.insert(name.to_owned(), registry.host());
        self.names.insert(format!("{name}.port"), registry.port().to_string());
        self.registries.insert(name.to_owned(), registry);
        Ok(())
    }
}

/// A registry, behind the proxy that writes requests down unless it speaks TLS.
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

    /// The port behind the proxy.
    pub(crate) fn inner_port(&self) -> u16 {
        self.server.port()
    }

    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.port())
    }
}
