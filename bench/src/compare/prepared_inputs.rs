//! Creates the inputs of a workload when it first needs them, and removes them when no workload needs them any more.
//!
//! The Go tool creates the artifacts if it is installed, so that all compared tools read the same content.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::data_files::{self, small_names};
use super::environment::Scene;
use super::input::Input;
use super::layout;
use super::registry::Protocol;
use super::tool::Tool;
use xtask::process::{Result, capture};

/// The inputs that exist at the moment.
#[derive(Default)]
pub(super) struct PreparedInputs(BTreeSet<Input>);

impl PreparedInputs {
    /// Creates the `wanted` inputs in order and removes all others, so that memory holds the inputs of one workload only.
    pub(super) fn prepare(&mut self, wanted: &[Input], scene: &Scene) -> Result {
        let mut all = Vec::new();
        for input in wanted {
            all.extend_from_slice(input.needs());
            all.push(*input);
        }
        let unwanted: Vec<Input> = self.0.iter().copied().filter(|input| !all.contains(input)).collect();
        if unwanted.iter().any(|input| input.is_in_registry()) {
            scene.empty_source()?;
            self.0.retain(|input| !input.is_in_registry());
        }
        for input in unwanted {
            self.0.remove(&input);
            if let Some(path) = input.path() {
                scene.remove(path)?;
            }
        }
        for input in all {
            if self.0.insert(input) {
                println!("making {input:?}");
                make(input, scene).map_err(|error| format!("cannot make {input:?}: {error}"))?;
            }
        }
        Ok(())
    }
}

fn make(input: Input, scene: &Scene) -> Result {
    let sizes = scene.sizes();
    let source = |name: &str| -> Result<String> {
        Ok(format!("{}/bench/{name}:v1", scene.source().door(Protocol::Plain)?.host()))
    };
    let oras = |words: &[&str], more: &[String]| -> Result {
        let mut command = Command::new(scene.program(Tool::GoOras).unwrap_or(scene.ours().to_path_buf()));
        command.args(words).args(more).stdin(Stdio::null());
        scene.furnish(&mut command);
        capture(&mut command).map(|_| ())
    };
    let path = input.path().map(|path| scene.path(path)).unwrap_or_default();
    let small = small_names(&sizes);
    match input {
        Input::BigFile => data_files::big_file(&path, sizes.big_mib),
        Input::SmallFiles => data_files::small_files(&scene.path("data"), &sizes),
        Input::Tree => data_files::tree(&path, &sizes),
        Input::RegistryFile => oras(&["push", &source("file")?, "big.bin"], &[]),
        Input::RegistrySmall => oras(&["push", &source("small")?], &small),
        Input::RegistryTree => oras(&["push", &source("tree")?, "tree"], &[]),
        Input::RegistryReferrers => {
            oras(&["cp", "-r", "--from-oci-layout", "../given/referrers:v1", &source("referrers")?], &[])
        }
        Input::RegistryManifests => {
            oras(&["cp", "--from-oci-layout", "../given/manifests:v1", &source("manifests")?], &[])
        }
        Input::LayoutFile => oras(&["push", "--oci-layout", "../given/file:v1", "big.bin"], &[]),
        Input::LayoutSmall => oras(&["push", "--oci-layout", "../given/small:v1"], &small),
        Input::LayoutReferrers => layout::referrers(&path, &sizes),
        Input::LayoutManifests => layout::manifests(&path, &sizes),
        Input::LayoutNodes => layout::nodes(&path, &sizes),
        Input::Tar => oras(&["backup", "--output", "../given/file.tar", &source("file")?], &[]),
    }
}
