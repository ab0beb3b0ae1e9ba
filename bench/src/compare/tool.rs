//! The compared tools.

/// A compared tool. The order is that of the table.
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

    /// Returns the name in tables, options and repository names.
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

    /// Returns true if the tool has the command line of `oras`.
    pub(super) fn is_oras(self) -> bool {
        matches!(self, Self::Ours | Self::GoOras)
    }
}
