//! The workloads.

use super::command_lines::{self, Place};
use super::data_files::{Sizes, small_names};
use super::input::Input;
use super::tool::Tool;

/// The connection between a tool and the registries in counted runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Direct,
    /// A round trip of 50 ms, and 20 MB/s for each connection.
    Slow,
    /// All connections are cut at 30, 60 and 90 % of the big file.
    Cut(Side),
    /// The tool is killed at 60 % of the big file. The next run is measured.
    Kill(Side),
}

/// One of the two registries: the source or the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    From,
    To,
}

/// Returns the command line of a tool, or `None` if the tool does not support the job.
type Line = fn(Tool, &Names) -> Option<String>;

/// A job that the tools are measured with.
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) needs: &'static [Input],
    pub(super) line: Line,
    /// Runs before each run with the same tool, without measurement.
    pub(super) before: Option<Line>,
    /// The minimum size of the results.
    pub(super) leaves: fn(&Sizes) -> u64,
    pub(super) path: Path,
    /// Whether the workload may also run over TLS.
    pub(super) tls: bool,
    /// Whether the workload may also run against a registry with single-`POST` uploads.
    pub(super) single_post: bool,
}

/// The names in the command lines.
pub(super) struct Names {
    /// The host with the artifacts to read.
    pub(super) from: String,
    /// The host of an empty registry.
    pub(super) to: String,
    /// A name that is unique to the run.
    pub(super) run: String,
    pub(super) sizes: Sizes,
    /// Whether our tool supports zstd.
    pub(super) zstd: bool,
}

impl Names {
    fn source(&self, name: &str) -> Place {
        Place::Registry(self.source_name(name))
    }

    fn source_name(&self, name: &str) -> String {
        format!("{}/bench/{name}:v1", self.from)
    }

    fn sink(&self) -> Place {
        Place::Registry(self.sink_name())
    }

    fn sink_name(&self) -> String {
        format!("{}/run/{}:v1", self.to, self.run)
    }

    fn out(&self) -> String {
        format!("../out/{}", self.run)
    }

    fn new_layout(&self) -> Place {
        Place::Layout(format!("{}:v1", self.out()))
    }

    fn small(&self) -> Vec<String> {
        small_names(&self.sizes)
    }
}

fn layout(name: &str) -> Place {
    Place::Layout(format!("../given/{name}:v1"))
}

/// The path of the large layout.
const NODES: &str = "../given/nodes";
const TAR: &str = "../given/file.tar";

fn nothing(_: &Sizes) -> u64 {
    0
}

/// Returns the minimum for a result of unknown size, such as compressed content or links.
fn something(_: &Sizes) -> u64 {
    1
}

const fn workload(
    name: &'static str,
    what: &'static str,
    needs: &'static [Input],
    leaves: fn(&Sizes) -> u64,
    line: Line,
) -> Workload {
    Workload {
        name,
        what,
        needs,
        line,
        before: None,
        leaves,
        path: Path::Direct,
        tls: false,
        single_post: false,
    }
}

impl Workload {
    const fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    const fn single_post(mut self) -> Self {
        self.single_post = true;
        self
    }

    const fn after(mut self, before: Line) -> Self {
        self.before = Some(before);
        self
    }

    const fn over(mut self, path: Path) -> Self {
        self.path = path;
        self
    }

    /// Returns true if `--only` with this word selects the workload: by its whole name, or by the part before
    /// a hyphen.
    pub(super) fn is_meant_by(&self, word: &str) -> bool {
        self.name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

fn push_big(tool: Tool, names: &Names) -> Option<String> {
    command_lines::push(tool, &["big.bin".into()], &names.sink())
}

fn pull_big(tool: Tool, names: &Names) -> Option<String> {
    command_lines::pull(tool, &names.source("file"), &names.out())
}

fn push_small(tool: Tool, names: &Names) -> Option<String> {
    command_lines::push(tool, &names.small(), &names.sink())
}

fn pull_small(tool: Tool, names: &Names) -> Option<String> {
    command_lines::pull(tool, &names.source("small"), &names.out())
}

fn push_tree(tool: Tool, names: &Names) -> Option<String> {
    command_lines::push_dir(tool, "tree", &names.sink())
}

fn push_tree_zstd(tool: Tool, names: &Names) -> Option<String> {
    let line = push_tree(tool, names)?;
    match tool {
        Tool::Ours => names.zstd.then(|| format!("{line} --compression zstd")),
        _ => Some(line),
    }
}

fn pull_tree(tool: Tool, names: &Names) -> Option<String> {
    // The other tools would store the archive as a file.
    tool.is_oras().then(|| command_lines::pull(tool, &names.source("tree"), &names.out())).flatten()
}

fn to_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("file"), &names.new_layout(), false)
}

fn small_to_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("small"), &names.new_layout(), false)
}

fn from_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &layout("file"), &names.sink(), false)
}

fn small_from_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &layout("small"), &names.sink(), false)
}

fn layouts(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &layout("file"), &names.new_layout(), false)
}

/// Copies the source to another directory, which stays beside the measured copy.
fn layouts_before(tool: Tool, names: &Names) -> Option<String> {
    let other = Place::Layout(format!("{}-before:v1", names.out()));
    command_lines::copy(tool, &layout("file"), &other, false)
}

fn small_layouts(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &layout("small"), &names.new_layout(), false)
}

fn registries(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("file"), &names.sink(), false)
}

fn small_registries(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("small"), &names.sink(), false)
}

fn mount(tool: Tool, names: &Names) -> Option<String> {
    let to = Place::Registry(format!("{}/run/{}:v1", names.from, names.run));
    command_lines::copy(tool, &names.source("small"), &to, false)
}

fn referrers(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("referrers"), &names.sink(), true)
}

fn referrers_to_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("referrers"), &names.new_layout(), true)
}

fn backup(tool: Tool, names: &Names) -> Option<String> {
    command_lines::backup(tool, &names.source_name("file"), &format!("{}.tar", names.out()))
}

fn restore(tool: Tool, names: &Names) -> Option<String> {
    command_lines::restore(tool, TAR, &names.sink_name())
}

fn manifests(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &names.source("manifests"), &names.new_layout(), false)
}

fn manifests_of_layout(tool: Tool, names: &Names) -> Option<String> {
    command_lines::copy(tool, &layout("manifests"), &names.new_layout(), false)
}

/// All workloads, in the order of the table.
pub(super) static WORKLOADS: &[Workload] = &[
    workload("version", "start-up alone", &[], nothing, |tool, _| command_lines::version(tool)),
    workload("b1-push", "push one big file", &[Input::BigFile], Sizes::big, push_big).tls(),
    workload("b2-pull", "pull one big file", &[Input::RegistryFile], Sizes::big, pull_big).tls(),
    workload("b3-push-small", "push small files", &[Input::SmallFiles], Sizes::small, push_small)
        .tls()
        .single_post(),
    workload("b4-pull-small", "pull small files", &[Input::RegistrySmall], Sizes::small, pull_small).tls(),
    workload("b5-push-dir", "push a directory, gzip", &[Input::Tree], something, push_tree),
    workload(
        "b5-push-dir-zstd",
        "push a directory, ours with zstd",
        &[Input::Tree],
        something,
        push_tree_zstd,
    ),
    workload("b6-pull-dir", "pull a directory", &[Input::RegistryTree], |sizes| sizes.tree_bytes, pull_tree),
    workload(
        "b7-to-layout",
        "registry to layout, one big blob",
        &[Input::RegistryFile],
        Sizes::big,
        to_layout,
    )
    .tls(),
    workload(
        "b7-to-layout-small",
        "registry to layout, small blobs",
        &[Input::RegistrySmall],
        Sizes::small,
        small_to_layout,
    ),
    workload(
        "b8-from-layout",
        "layout to registry, one big blob",
        &[Input::LayoutFile],
        Sizes::big,
        from_layout,
    )
    .tls(),
    workload(
        "b8-from-layout-small",
        "layout to registry, small blobs",
        &[Input::LayoutSmall],
        Sizes::small,
        small_from_layout,
    ),
    workload(
        "b9-layouts",
        "layout of another tool to layout, one big blob",
        &[Input::LayoutFile],
        Sizes::big,
        layouts,
    ),
    workload(
        "b9-layouts-again",
        "layout to layout, copied once before",
        &[Input::LayoutFile],
        Sizes::big,
        layouts,
    )
    .after(layouts_before),
    workload(
        "b9-layouts-small",
        "layout to layout, small blobs",
        &[Input::LayoutSmall],
        Sizes::small,
        small_layouts,
    ),
    workload(
        "b10-registries",
        "registry to registry, one big blob",
        &[Input::RegistryFile],
        Sizes::big,
        registries,
    )
    .tls(),
    workload(
        "b10-registries-small",
        "registry to registry, small blobs",
        &[Input::RegistrySmall],
        Sizes::small,
        small_registries,
    )
    .tls(),
    workload(
        "b10-mount",
        "repository to repository of one registry, small blobs",
        &[Input::RegistrySmall],
        something,
        mount,
    ),
    workload(
        "b11-referrers",
        "registry to registry with referrers",
        &[Input::RegistryReferrers],
        something,
        referrers,
    ),
    workload(
        "b11-referrers-layout",
        "registry to layout with referrers",
        &[Input::RegistryReferrers],
        something,
        referrers_to_layout,
    ),
    workload("b12-pull-again", "pull what is there", &[Input::RegistryFile], Sizes::big, pull_big)
        .after(pull_big),
    workload("b12-push-again", "push what is there", &[Input::BigFile], Sizes::big, push_big).after(push_big),
    workload("b12-copy-again", "copy what is there", &[Input::RegistryFile], Sizes::big, registries)
        .after(registries),
    workload("b13-backup", "registry to tar archive", &[Input::RegistryFile], Sizes::big, backup),
    workload("b13-restore", "tar archive to registry", &[Input::Tar], Sizes::big, restore),
    workload(
        "b14-manifests",
        "registry to layout, an index of small manifests",
        &[Input::RegistryManifests],
        something,
        manifests,
    ),
    workload(
        "b14-manifests-layout",
        "layout to layout, an index of small manifests",
        &[Input::LayoutManifests],
        something,
        manifests_of_layout,
    ),
    workload("b15-resolve", "a tag of a large layout", &[Input::LayoutNodes], nothing, |tool, _| {
        command_lines::resolve(tool, &format!("{NODES}:v1"))
    }),
    workload("b15-tags", "the tags of a large layout", &[Input::LayoutNodes], nothing, |tool, _| {
        command_lines::tags(tool, NODES)
    }),
    workload("b15-discover", "referrers in a large layout", &[Input::LayoutNodes], nothing, |tool, _| {
        command_lines::discover(tool, &format!("{NODES}:v1"))
    }),
    workload("b16-pull", "pull over a slow link", &[Input::RegistryFile], Sizes::big, pull_big)
        .over(Path::Slow),
    workload(
        "b16-to-layout",
        "registry to layout over a slow link",
        &[Input::RegistryFile],
        Sizes::big,
        to_layout,
    )
    .over(Path::Slow),
    workload("b17-cut-pull", "pull, cut three times", &[Input::RegistryFile], Sizes::big, pull_big)
        .over(Path::Cut(Side::From)),
    workload("b17-cut-push", "push, cut three times", &[Input::BigFile], Sizes::big, push_big)
        .over(Path::Cut(Side::To)),
    workload(
        "b17-cut-copy-from",
        "registry to registry, source cut three times",
        &[Input::RegistryFile],
        Sizes::big,
        registries,
    )
    .over(Path::Cut(Side::From)),
    workload(
        "b17-cut-copy-to",
        "registry to registry, destination cut three times",
        &[Input::RegistryFile],
        Sizes::big,
        registries,
    )
    .over(Path::Cut(Side::To)),
    workload(
        "b17-cut-to-layout",
        "registry to layout, cut three times",
        &[Input::RegistryFile],
        Sizes::big,
        to_layout,
    )
    .over(Path::Cut(Side::From)),
    workload(
        "b17-kill-pull",
        "pull after a pull killed at 60 %",
        &[Input::RegistryFile],
        Sizes::big,
        pull_big,
    )
    .over(Path::Kill(Side::From)),
    workload(
        "b17-kill-to-layout",
        "registry to layout after the same killed at 60 %",
        &[Input::RegistryFile],
        Sizes::big,
        to_layout,
    )
    .over(Path::Kill(Side::From)),
    workload("b17-kill-push", "push after a push killed at 60 %", &[Input::BigFile], Sizes::big, push_big)
        .over(Path::Kill(Side::To)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workload_names_are_unique_and_ours_runs_all() {
        let names =
            Names { from: "a:1".into(), to: "b:2".into(), run: "r".into(), sizes: Sizes::QUICK, zstd: true };
        let mut seen = std::collections::BTreeSet::new();
        for workload in WORKLOADS {
            assert!(seen.insert(workload.name), "{}", workload.name);
            assert!((workload.line)(Tool::Ours, &names).is_some(), "{}", workload.name);
            assert!((workload.line)(Tool::GoOras, &names).is_some(), "{}", workload.name);
        }
    }

    #[test]
    fn filter_matches_whole_parts_of_name() {
        let meant = |word: &str| WORKLOADS.iter().filter(|workload| workload.is_meant_by(word)).count();
        assert_eq!((meant("b1"), meant("b12"), meant("b5-push-dir"), meant("b5-push-d")), (1, 3, 2, 0));
    }
}
