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
pub struct Package {
    /// Its name in Cargo.toml.
    pub name: String,
    /// The directory of its manifest.
    pub dir: PathBuf,
    /// False if `publish = false`.
    pub published: bool,
    /// Its one-line description.
    pub description: Option<String>,
    /// Its licence, an SPDX expression.
    pub license: Option<String>,
    /// The normal and build dependencies, without dev-dependencies.
    pub dependencies: Vec<String>,
    /// The first file of each of its targets.
    pub roots: Vec<PathBuf>,
}

impl Workspace {
    /// Loads the workspace from `cargo metadata`, without network.
    pub fn load() -> Result<Self> {
        let json = capture(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
        Self::parse(&serde_json::from_str(&json)?)
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
        Ok(Self {
            name: text(package, "name").ok_or("a package without name")?,
            dir: Path::new(&manifest).parent().unwrap_or(Path::new("/")).to_path_buf(),
            // `publish = false` is an empty list of registries, no `publish` is null.
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            description: text(package, "description"),
            license: text(package, "license"),
            dependencies: list("dependencies")
                .iter()
                .filter(|dependency| dependency["kind"] != "dev")
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
                "dependencies": [{"name": "oras-spec", "kind": null}, {"name": "oras-testkit", "kind": "dev"},
                                 {"name": "cc", "kind": "build"}],
                "targets": [{"src_path": "/w/crates/oras-layout/src/lib.rs"}],
            }, {"name": "xtask", "manifest_path": "/w/xtask/Cargo.toml", "publish": []}],
        });
        let workspace = Workspace::parse(&metadata).unwrap();
        let layout = &workspace.packages[0];
        assert_eq!(layout.dependencies, ["oras-spec", "cc"]);
        assert_eq!(layout.manifest(), Path::new("/w/crates/oras-layout/Cargo.toml"));
        assert_eq!((layout.published, layout.license.as_deref()), (true, None));
        assert!(!workspace.packages[1].published);
    }
}
