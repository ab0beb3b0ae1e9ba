//! The inputs that workloads read, and where they are.

/// A file, directory, artifact, layout or archive that workloads read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Input {
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

impl Input {
    /// Returns the inputs that this one is made from.
    pub(super) fn needs(self) -> &'static [Self] {
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

    pub(super) fn is_in_registry(self) -> bool {
        matches!(
            self,
            Self::RegistryFile
                | Self::RegistrySmall
                | Self::RegistryTree
                | Self::RegistryReferrers
                | Self::RegistryManifests
        )
    }

    /// Returns the path below the benchmark directory if the input is one file or directory.
    pub(super) fn path(self) -> Option<&'static str> {
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
