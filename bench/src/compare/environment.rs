//! The environment of the benchmark: a directory in memory with the data, two registries, and the tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::certificate::Certificate;
use super::data_files::Sizes;
use super::options::Options;
use super::registry::{Protocol, Registry};
use super::tool::Tool;
use super::workload::{Names, Side};
use xtask::env;
use xtask::files::{ScratchDir, files_below, write};
use xtask::peers;
use xtask::process::{Result, capture};

const PREFIX: &str = "oras-bench";
/// A directory in memory on Linux.
const MEMORY: &str = "/dev/shm";
/// Directories that a run leaves: results, temporary files, and state of the tools.
const LEFT_BY_RUNS: [&str; 5] = ["out", "tmp", "cache", "state", "share"];

/// The environment of the workloads. The registries stop before the directory is deleted.
pub(super) struct Scene {
    /// The registry with the artifacts that tools read.
    source: Registry,
    /// The registry to which tools write. It is emptied between runs.
    sink: Registry,
    certificate: Option<Certificate>,
    ours: PathBuf,
    zstd: bool,
    sizes: Sizes,
    scratch: ScratchDir,
}

impl Scene {
    /// Creates the directories and starts the registries.
    pub(super) fn set_up(options: &Options, ours: PathBuf) -> Result<Self> {
        let program = peers::find("registry").ok_or("needs the registry: run cargo xtask peers first")?;
        let place = place(options.dir.as_deref())?;
        check_room(&place, options)?;
        let scratch = ScratchDir::new(&place, PREFIX)?;
        let dir = scratch.path();
        println!("data and registries in {}", dir.display());
        for name in ["data", "given", "home"].iter().chain(&LEFT_BY_RUNS) {
            std::fs::create_dir(dir.join(name))?;
        }
        let certificate = if options.may_use_tls() { Some(Certificate::create(dir)?) } else { None };
        let source = Registry::start(&program, &dir.join("source"), certificate.as_ref())?;
        let sink = Registry::start(&program, &dir.join("sink"), certificate.as_ref())?
            .with_single_post(&ours, &dir.join("sink"))?;
        let zstd = can_zstd(&ours);
        let scene = Self { source, sink, certificate, ours, zstd, sizes: options.sizes, scratch };
        scene.configure_regctl()?;
        Ok(scene)
    }

    /// Configures regctl for plain HTTP to these hosts. The other tools use plain HTTP for `localhost` by default.
    fn configure_regctl(&self) -> Result {
        let mut hosts = serde_json::Map::new();
        for registry in [&self.source, &self.sink] {
            for protocol in [Protocol::Plain, Protocol::SinglePost] {
                let door = registry.door(protocol)?;
                for host in [door.host(), door.host_over_link()] {
                    hosts.insert(host, serde_json::json!({"tls": "disabled"}));
                }
            }
        }
        write(&self.path("home/.regctl/config.json"), serde_json::json!({"hosts": hosts}).to_string())
    }

    /// Returns the program of a tool if it is installed.
    pub(super) fn program(&self, tool: Tool) -> Option<PathBuf> {
        if tool == Tool::Ours { Some(self.ours.clone()) } else { peers::find(tool.name()) }
    }

    pub(super) fn ours(&self) -> &Path {
        &self.ours
    }

    /// Sets the working directory of a command to the data directory, and its environment to one without the
    /// user's settings.
    pub(super) fn furnish(&self, command: &mut Command) {
        command.current_dir(self.path("data")).env_clear().env("PATH", env::search_path());
        command.env("HOME", self.path("home")).env("TMPDIR", self.path("tmp"));
        command.env("XDG_CACHE_HOME", self.path("cache")).env("XDG_STATE_HOME", self.path("state"));
        command.env("XDG_DATA_HOME", self.path("share"));
        if let Some(certificate) = &self.certificate {
            command.env("SSL_CERT_FILE", &certificate.file);
        }
    }

    /// Returns the names in the command lines of a run.
    pub(super) fn names(&self, protocol: Protocol, over_link: bool, run: String) -> Result<Names> {
        let host = |registry: &Registry| -> Result<String> {
            let door = registry.door(protocol)?;
            Ok(if over_link { door.host_over_link() } else { door.host() })
        };
        let (from, to) = (host(&self.source)?, host(&self.sink)?);
        Ok(Names { from, to, run, sizes: self.sizes, zstd: self.zstd })
    }

    pub(super) fn source(&self) -> &Registry {
        &self.source
    }

    pub(super) fn registry(&self, side: Side) -> &Registry {
        match side {
            Side::From => &self.source,
            Side::To => &self.sink,
        }
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Returns a path below the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Returns the directories of results and temporary files.
    pub(super) fn working_dirs(&self) -> [PathBuf; 2] {
        ["out", "tmp"].map(|name| self.path(name))
    }

    /// Returns the directory of the last run's output.
    pub(super) fn log(&self) -> PathBuf {
        self.path("log")
    }

    /// Removes a file or a directory of the data.
    pub(super) fn remove(&self, name: &str) -> Result {
        remove(&self.path(name))
    }

    /// Removes all artifacts that are read.
    pub(super) fn empty_source(&self) -> Result {
        empty(self.source.storage())
    }

    /// Removes everything from the destination registry.
    pub(super) fn empty_sink(&self) -> Result {
        empty(self.sink.storage())
    }

    /// Removes the files of the last run, so that memory holds at most one result and no run uses an earlier
    /// result.
    pub(super) fn clear_results(&self) -> Result {
        for name in LEFT_BY_RUNS {
            empty(&self.path(name))?;
        }
        remove(&self.run_in_source())?;
        for layout in std::fs::read_dir(self.path("given"))? {
            only_layout(&layout?.path())?;
        }
        empty(self.sink.storage())
    }

    /// Returns the size of the last run's results.
    pub(super) fn result_bytes(&self) -> Result<u64> {
        let mut total = 0;
        for dir in [self.path("out"), self.sink.storage().to_path_buf(), self.run_in_source()] {
            for file in files_below(&dir)? {
                total += std::fs::symlink_metadata(file)?.len();
            }
        }
        Ok(total)
    }

    /// Returns the repository for results in the source registry.
    fn run_in_source(&self) -> PathBuf {
        self.source.storage().join("docker/registry/v2/repositories/run")
    }
}

/// Removes the private files of tools from a layout.
fn only_layout(dir: &Path) -> Result {
    if dir.is_dir() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if !["oci-layout", "index.json", "blobs"].iter().any(|name| entry.file_name() == *name) {
                remove(&entry.path())?;
            }
        }
    }
    Ok(())
}

fn empty(dir: &Path) -> Result {
    for entry in std::fs::read_dir(dir)? {
        remove(&entry?.path())?;
    }
    Ok(())
}

/// Deletes a directory. Retries while a registry still writes to it, because a registry detects the end of
/// its client late.
fn remove(path: &Path) -> Result {
    for _ in 0..50 {
        match try_remove(path) {
            Ok(()) => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    try_remove(path).map_err(|error| format!("cannot remove {}: {error}", path.display()).into())
}

fn try_remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        std::fs::remove_dir_all(path)
    } else if path.exists() {
        std::fs::remove_file(path)
    } else {
        Ok(())
    }
}

fn can_zstd(ours: &Path) -> bool {
    let help = capture(Command::new(ours).args(["push", "--help"]).stdin(Stdio::null()));
    help.is_ok_and(|help| help.contains("--compression"))
}

fn check_room(place: &Path, options: &Options) -> Result {
    let mut command = Command::new("df");
    let text = capture(command.args(["--output=avail", "--block-size=1M"]).arg(place).stdin(Stdio::null()));
    let free = text.ok().and_then(|text| text.lines().nth(1)?.trim().parse::<u64>().ok());
    let needed = options.room_mib();
    match free {
        Some(free) if free < needed => Err(format!(
            "{} has {free} MiB left, and {needed} are needed: use --quick, a smaller --size, or another --dir",
            place.display()
        )
        .into()),
        _ => Ok(()),
    }
}

/// Returns the requested directory, or else one in memory. Deletes the directories of interrupted runs.
fn place(wanted: Option<&Path>) -> Result<PathBuf> {
    let memory = wanted.unwrap_or(Path::new(MEMORY));
    if wanted.is_some() {
        std::fs::create_dir_all(memory)?;
    }
    if !memory.is_dir() {
        let dir = std::env::temp_dir();
        println!("note: no {} here, so the disk of {} is measured, too", memory.display(), dir.display());
        return Ok(dir);
    }
    for entry in std::fs::read_dir(memory)? {
        let entry = entry?;
        if owner(&entry.file_name().to_string_lossy()).is_some_and(|id| !Path::new("/proc").join(id).exists())
        {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(memory.canonicalize()?)
}

/// Returns the id of the process that created a benchmark directory, from its name.
fn owner(name: &str) -> Option<&str> {
    let (id, _) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    id.chars().all(|c| c.is_ascii_digit()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_working_directories() {
        assert_eq!(owner("oras-bench-12-0"), Some("12"));
        assert_eq!(owner("oras-bench-x-0"), None);
        assert_eq!(owner("someone-else"), None);
    }

    #[test]
    fn keeps_layout_marker_when_emptied() {
        let scratch = ScratchDir::new(&std::env::temp_dir(), "xtask-scene").unwrap();
        let layout = scratch.path().join("layout");
        for name in ["oci-layout", "index.json", "blobs/sha256/a", "notes", ".cache/b"] {
            write(&layout.join(name), "x").unwrap();
        }
        only_layout(&layout).unwrap();
        let left = files_below(&layout).unwrap();
        assert_eq!(left, ["blobs/sha256/a", "index.json", "oci-layout"].map(|name| layout.join(name)));
    }
}
