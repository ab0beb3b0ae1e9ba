//! The compared tools.

/// In the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tool {
    Ours,
    GoOras,
    Crane,
    Regctl,
    Skopeo,
}

impl Tool {
    pub(super) const ALL: [Self; 5] = [Self::Ours, Self::GoOras, Self::Crane, Self::Regctl, Self::Skopeo];

    /// Its name in tables, options and the names of repositories.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::GoOras => "oras",
            Self::Crane => "crane",
            Self::Regctl => "regctl",
            Self::Skopeo => "skopeo",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// Whether it has the command line of `oras`.
    pub(super) fn is_oras(self) -> bool {
        matches!(self, Self::Ours | Self::GoOras)
    }
}
