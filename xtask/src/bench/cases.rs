//! What is measured: the cases, and the command line of each tool for them.

use super::scene::Scene;

/// The tools, in the order of the table.
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

    /// Its name in the table and in the names of repositories.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::GoOras => "oras",
            Self::Crane => "crane",
            Self::Regctl => "regctl",
            Self::Skopeo => "skopeo",
        }
    }
}

/// What a case must leave behind, at least.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    BigFile,
    SmallFiles,
    /// As unpacked.
    Tree,
    /// Compressed, so no size is known.
    Something,
}

/// One job that the tools are timed on.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    leaves: Leaves,
    /// The arguments of a tool, separated by spaces, in the directory of the data; `None` when it cannot do it.
    line: fn(Tool, &Refs<'_>) -> Option<String>,
}

/// The names in the command lines.
struct Refs<'a> {
    /// Registry with the artifacts to read.
    from: &'a str,
    /// A new tag in an empty registry.
    to: String,
    /// A new directory.
    out: String,
    small: String,
}

pub(super) const CASES: [Case; 10] = [
    Case { name: "version", what: "start-up alone", leaves: Leaves::Nothing, line: version },
    Case { name: "push-file", what: "one big file to a registry", leaves: Leaves::BigFile, line: push_file },
    Case {
        name: "pull-file",
        what: "one big file from a registry",
        leaves: Leaves::BigFile,
        line: pull_file,
    },
    Case {
        name: "cp-registry",
        what: "one big file from registry to registry",
        leaves: Leaves::BigFile,
        line: cp_registry,
    },
    Case {
        name: "cp-layout",
        what: "one big file from a registry to a layout",
        leaves: Leaves::BigFile,
        line: cp_layout,
    },
    Case {
        name: "push-layout",
        what: "one big file to a layout",
        leaves: Leaves::BigFile,
        line: push_layout,
    },
    Case {
        name: "push-dir",
        what: "a directory of 3000 files to a registry",
        leaves: Leaves::Something,
        line: push_dir,
    },
    Case {
        name: "pull-dir",
        what: "a directory of 3000 files from a registry",
        leaves: Leaves::Tree,
        line: pull_dir,
    },
    Case {
        name: "push-small",
        what: "200 small files to a registry",
        leaves: Leaves::SmallFiles,
        line: push_small,
    },
    Case {
        name: "pull-small",
        what: "200 small files from a registry",
        leaves: Leaves::SmallFiles,
        line: pull_small,
    },
];

impl Case {
    /// The arguments for a tool; `run` makes the names of its results new.
    pub(super) fn args(&self, tool: Tool, scene: &Scene, run: &str) -> Option<Vec<String>> {
        let refs = Refs {
            from: scene.source_host(),
            to: format!("{}/bench/{run}:v1", scene.sink_host()),
            out: format!("../out/{run}"),
            small: scene.small_names().join(" "),
        };
        (self.line)(tool, &refs).map(|line| line.split_whitespace().map(str::to_owned).collect())
    }

    /// How many bytes its results have, at least.
    pub(super) fn expected_bytes(&self, scene: &Scene) -> u64 {
        match self.leaves {
            Leaves::Nothing => 0,
            Leaves::Something => 1,
            Leaves::BigFile => scene.sizes().big,
            Leaves::SmallFiles => scene.sizes().small,
            Leaves::Tree => scene.sizes().tree,
        }
    }
}

fn version(tool: Tool, _: &Refs<'_>) -> Option<String> {
    Some(if tool == Tool::Skopeo { "--version" } else { "version" }.into())
}

fn push_file(tool: Tool, Refs { to, .. }: &Refs<'_>) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("push {to} big.bin")),
        Tool::Regctl => {
            Some(format!("artifact put --artifact-type application/vnd.bench --file-title -f big.bin {to}"))
        }
        Tool::Crane | Tool::Skopeo => None,
    }
}

fn pull_file(tool: Tool, Refs { from, out, .. }: &Refs<'_>) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("pull {from}/bench/file:v1 -o {out}")),
        // It wants a directory that exists.
        Tool::Regctl => Some(format!("artifact get {from}/bench/file:v1 -o ../out")),
        Tool::Crane | Tool::Skopeo => None,
    }
}

fn cp_registry(tool: Tool, Refs { from, to, .. }: &Refs<'_>) -> Option<String> {
    let from = format!("{from}/bench/file:v1");
    Some(match tool {
        Tool::Ours | Tool::GoOras => format!("cp {from} {to}"),
        Tool::Crane => format!("copy {from} {to}"),
        Tool::Regctl => format!("image copy {from} {to}"),
        Tool::Skopeo => format!("{SKOPEO_COPY} --dest-tls-verify=false docker://{from} docker://{to}"),
    })
}

const SKOPEO_COPY: &str = "--insecure-policy copy --src-tls-verify=false";

fn cp_layout(tool: Tool, Refs { from, out, .. }: &Refs<'_>) -> Option<String> {
    let from = format!("{from}/bench/file:v1");
    Some(match tool {
        Tool::Ours | Tool::GoOras => format!("cp {from} --to-oci-layout {out}:v1"),
        Tool::Crane => format!("pull --format=oci {from} {out}"),
        Tool::Regctl => format!("image copy {from} ocidir://{out}:v1"),
        Tool::Skopeo => format!("{SKOPEO_COPY} docker://{from} oci:{out}:v1"),
    })
}

fn push_layout(tool: Tool, Refs { out, .. }: &Refs<'_>) -> Option<String> {
    match tool {
        Tool::Ours | Tool::GoOras => Some(format!("push --oci-layout {out}:v1 big.bin")),
        Tool::Regctl => {
            Some(format!("artifact put --artifact-type application/vnd.bench -f big.bin ocidir://{out}:v1"))
        }
        Tool::Crane | Tool::Skopeo => None,
    }
}

fn push_dir(tool: Tool, Refs { to, .. }: &Refs<'_>) -> Option<String> {
    is_oras(tool).then(|| format!("push {to} tree"))
}

fn pull_dir(tool: Tool, Refs { from, out, .. }: &Refs<'_>) -> Option<String> {
    is_oras(tool).then(|| format!("pull {from}/bench/tree:v1 -o {out}"))
}

fn push_small(tool: Tool, Refs { to, small, .. }: &Refs<'_>) -> Option<String> {
    is_oras(tool).then(|| format!("push {to} {small}"))
}

fn pull_small(tool: Tool, Refs { from, out, .. }: &Refs<'_>) -> Option<String> {
    is_oras(tool).then(|| format!("pull {from}/bench/small:v1 -o {out}"))
}

fn is_oras(tool: Tool) -> bool {
    matches!(tool, Tool::Ours | Tool::GoOras)
}
