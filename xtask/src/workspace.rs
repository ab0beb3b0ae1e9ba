//! The workspace as `cargo metadata` reports it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::{Result, capture, cargo};

/// The packages of the workspace.
pub struct Workspace {
    /// All members.
    pub packages: Vec<Package>,
    /// The directory of build results.
    pub target_dir: PathBuf,
}

/// One package of the workspace.
#[derive(Debug, Default)]
pub struct Package {
    /// Its name in Cargo.toml.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The directory of its manifest.
    pub dir: PathBuf,
    /// False if `publish = false`.
    pub published: bool,
    /// Its one-line description.
    pub description: Option<String>,
    /// Its licence, an SPDX expression.
    pub license: Option<String>,
    /// The oldest Rust version that compiles it.
    pub rust_version: Option<String>,
    /// Its keywords for crates.io.
    pub keywords: Vec<String>,
    /// Its categories of crates.io.
    pub categories: Vec<String>,
    /// The features that a user can enable, except `default`.
    pub features: Vec<String>,
    /// The name of its library in Rust code, if it has one.
    pub library: Option<String>,
    /// The normal and build dependencies, without dev-dependencies.
    pub dependencies: Vec<String>,
    /// The dev-dependencies with a version. Cargo removes the others when it packages the crate.
    pub published_dev_dependencies: Vec<String>,
    /// The first file of each of its targets.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Loads the workspace from `cargo metadata`, without network.
    pub fn load() -> Result<Self> {
        let json = capture(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
        Self::parse(&serde_json::from_str(&json)?)
    }

    /// Returns the packages for crates.io, each after those that it depends on, also for its tests.
    ///
    /// Fails if they depend on each other in a circle.
    pub fn in_publish_order(&self) -> Result<Vec<&Package>> {
        let mut pending: Vec<_> = self.packages.iter().filter(|package| package.published).collect();
        pending.sort_by_key(|package| &package.name);
        let mut ordered: Vec<&Package> = Vec::new();
        while !pending.is_empty() {
            let is_pending = |name: &String| pending.iter().any(|package| package.name == *name);
            let is_ready = |package: &&Package| {
                !package.dependencies.iter().chain(&package.published_dev_dependencies).any(is_pending)
            };
            let (ready, blocked): (Vec<_>, Vec<_>) = pending.iter().copied().partition(is_ready);
            if ready.is_empty() {
                let names: Vec<_> = blocked.iter().map(|package| package.name.as_str()).collect();
                return Err(format!("these packages need each other: {}", names.join(", ")).into());
            }
            ordered.extend(ready);
            pending = blocked;
        }
        Ok(ordered)
    }

    /// Parses the output of `cargo metadata --no-deps`.
    pub fn parse(metadata: &Value) -> Result<Self> {
        let packages = metadata["packages"].as_array().ok_or("cargo metadata lists no packages")?;
        let target_dir =
            text(metadata, "target_directory").ok_or("cargo metadata names no target directory")?;
        Ok(Self {
            packages: packages.iter().map(Package::parse).collect::<Result<_>>()?,
            target_dir: target_dir.into(),
        })
    }
}

impl Package {
    fn parse(package: &Value) -> Result<Self> {
        let manifest = text(package, "manifest_path").ok_or("a package without manifest_path")?;
        let list = |key: &str| package[key].as_array().cloned().unwrap_or_default();
        let strings =
            |key: &str| list(key).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect();
        let features = package["features"].as_object().into_iter().flatten().map(|(name, _)| name);
        let is_library = |target: &Value| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
        };
        Ok(Self {
            name: text(package, "name").ok_or("a package without name")?,
            dir: Path::new(&manifest).parent().unwrap_or(Path::new("/")).to_path_buf(),
            // `publish = false` is an empty list of registries, no `publish` is null.
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            description: text(package, "description"),
            license: text(package, "license"),
            version: text(package, "version").unwrap_or_default(),
            rust_version: text(package, "rust_version"),
            keywords: strings("keywords"),
            categories: strings("categories"),
            features: features.filter(|name| *name != "default").cloned().collect(),
            library: list("targets")
                .iter()
                .find(|target| is_library(target))
                .and_then(|target| text(target, "name")),
            dependencies: list("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
                .filter_map(|dependency| text(dependency, "name"))
                .collect(),
            published_dev_dependencies: list("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] == "dev" && dependency["req"] != "*")
                .filter_map(|dependency| text(dependency, "name"))
                .collect(),
            roots: list("targets")
                .iter()
                .filter_map(|target| text(target, "src_path"))
                .map(PathBuf::from)
                .collect(),
        })
    }

    /// Its manifest file.
    pub fn manifest(&self) -> PathBuf {
        self.dir.join("Cargo.toml")
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_cargo_metadata() {
        let metadata = serde_json::json!({
            "target_directory": "/t",
            "packages": [{
                "name": "oras-layout", "manifest_path": "/w/crates/oras-layout/Cargo.toml", "publish": null,
                "description": "Layouts", "license": null,
                "dependencies": [{"name": "oras-spec", "kind": null}, {"name": "oras-testkit", "kind": "dev", "req": "*"},
                                 {"name": "oras-memory", "kind": "dev", "req": "^0.1"}, {"name": "cc", "kind": "build"}],
                "targets": [{"src_path": "/w/crates/oras-layout/src/lib.rs", "kind": ["lib"], "name": "oras_layout"}],
                "features": {"default": ["a"], "a": []}, "keywords": ["oci"], "rust_version": "1.90",
            }, {"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "publish": []}],
        });
        let workspace = Workspace::parse(&metadata).unwrap();
        let layout = &workspace.packages[0];
        assert_eq!(layout.dependencies, ["oras-spec", "cc"]);
        assert_eq!(layout.manifest(), Path::new("/w/crates/oras-layout/Cargo.toml"));
        assert_eq!((layout.published, layout.license.as_deref()), (true, None));
        assert_eq!(layout.published_dev_dependencies, ["oras-memory"]);
        assert_eq!(
            (&layout.features[..], layout.library.as_deref()),
            (&["a".to_owned()][..], Some("oras_layout"))
        );
        assert!(!workspace.packages[1].published);
    }

    #[test]
    fn orders_packages_by_their_dependencies() {
        let package = |name: &str, dependencies: &[&str]| Package {
            name: name.into(),
            published: true,
            dependencies: dependencies.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        let workspace = |packages| Workspace { packages, target_dir: PathBuf::new() };
        let tree = workspace(vec![package("a", &["c", "serde"]), package("b", &["a"]), package("c", &[])]);
        let names: Vec<_> =
            tree.in_publish_order().unwrap().iter().map(|package| package.name.clone()).collect();
        assert_eq!(names, ["c", "a", "b"]);
        let circle = workspace(vec![package("a", &["b"]), package("b", &["a"]), package("c", &[])]);
        assert!(circle.in_publish_order().unwrap_err().to_string().ends_with("a, b"));
    }
}
