//! What the workloads read: files, artifacts of a registry, layouts and an archive, made when first needed.
//!
//! Artifacts come from the Go tool where it is installed: the same for all, and written by none of the others.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use super::data::{self, small_names};
use super::layout;
use super::registry::Protocol;
use super::scene::Scene;
use super::tool::Tool;
use xtask::process::{Result, capture};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Given {
    BigFile,
    SmallFiles,
    Tree,
    RegistryFile,
    RegistrySmall,
    RegistryTree,
    RegistryReferrers,
    RegistryManifests,
    LayoutFile,
    LayoutSmall,
    LayoutReferrers,
    LayoutManifests,
    LayoutNodes,
    Tar,
}

impl Given {
    fn needs(self) -> &'static [Self] {
        match self {
            Self::RegistryFile | Self::LayoutFile => &[Self::BigFile],
            Self::RegistrySmall | Self::LayoutSmall => &[Self::SmallFiles],
            Self::RegistryTree => &[Self::Tree],
            Self::RegistryReferrers => &[Self::LayoutReferrers],
            Self::RegistryManifests => &[Self::LayoutManifests],
            Self::Tar => &[Self::BigFile, Self::RegistryFile],
            _ => &[],
        }
    }

    fn is_in_registry(self) -> bool {
        matches!(
            self,
            Self::RegistryFile
                | Self::RegistrySmall
                | Self::RegistryTree
                | Self::RegistryReferrers
                | Self::RegistryManifests
        )
    }

    /// Its name, relative to the directory of the scene, when it is one file or directory.
    fn path(self) -> Option<&'static str> {
        Some(match self {
            Self::BigFile => "data/big.bin",
            Self::SmallFiles => "data/small",
            Self::Tree => "data/tree",
            Self::LayoutFile => "given/file",
            Self::LayoutSmall => "given/small",
            Self::LayoutReferrers => "given/referrers",
            Self::LayoutManifests => "given/manifests",
            Self::LayoutNodes => "given/nodes",
            Self::Tar => "given/file.tar",
            _ => return None,
        })
    }
}

/// What there is at the moment.
#[derive(Default)]
pub(super) struct Shelf(BTreeSet<Given>);

impl Shelf {
    /// Makes what is wanted, in order, and removes what is not, so that memory holds what one workload needs.
    pub(super) fn hold(&mut self, wanted: &[Given], scene: &Scene) -> Result {
        let mut all = Vec::new();
        for given in wanted {
            all.extend_from_slice(given.needs());
            all.push(*given);
        }
        let unwanted: Vec<Given> = self.0.iter().copied().filter(|given| !all.contains(given)).collect();
        if unwanted.iter().any(|given| given.is_in_registry()) {
            scene.empty_source()?;
            self.0.retain(|given| !given.is_in_registry());
        }
        for given in unwanted {
            self.0.remove(&given);
            if let Some(path) = given.path() {
                scene.remove(path)?;
            }
        }
        for given in all {
            if self.0.insert(given) {
                println!("making {given:?}");
                make(given, scene).map_err(|error| format!("cannot make {given:?}: {error}"))?;
            }
        }
        Ok(())
    }
}

fn make(given: Given, scene: &Scene) -> Result {
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
    let path = given.path().map(|path| scene.path(path)).unwrap_or_default();
    let small = small_names(&sizes);
    match given {
        Given::BigFile => data::big_file(&path, sizes.big_mib),
        Given::SmallFiles => data::small_files(&scene.path("data"), &sizes),
        Given::Tree => data::tree(&path, &sizes),
        Given::RegistryFile => oras(&["push", &source("file")?, "big.bin"], &[]),
        Given::RegistrySmall => oras(&["push", &source("small")?], &small),
        Given::RegistryTree => oras(&["push", &source("tree")?, "tree"], &[]),
        Given::RegistryReferrers => {
            oras(&["cp", "-r", "--from-oci-layout", "../given/referrers:v1", &source("referrers")?], &[])
        }
        Given::RegistryManifests => {
            oras(&["cp", "--from-oci-layout", "../given/manifests:v1", &source("manifests")?], &[])
        }
        Given::LayoutFile => oras(&["push", "--oci-layout", "../given/file:v1", "big.bin"], &[]),
        Given::LayoutSmall => oras(&["push", "--oci-layout", "../given/small:v1"], &small),
        Given::LayoutReferrers => layout::referrers(&path, &sizes),
        Given::LayoutManifests => layout::manifests(&path, &sizes),
        Given::LayoutNodes => layout::nodes(&path, &sizes),
        Given::Tar => oras(&["backup", "--output", "../given/file.tar", &source("file")?], &[]),
    }
}
