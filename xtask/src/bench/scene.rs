//! Where the bench takes place: a directory in memory with the data, two registries, and the tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cases::Tool;
use super::data::{self, Sizes};
use super::options::Options;
use super::registry::Registry;
use crate::env;
use crate::files::{ScratchDir, files_below, write};
use crate::peers;
use crate::process::{Result, capture};

const PREFIX: &str = "oras-bench";
/// A file system in memory, on Linux.
const MEMORY: &str = "/dev/shm";

/// Everything the cases need. The registries are stopped before the directory is removed.
pub(super) struct Scene {
    /// Holds the artifacts that are read.
    source: Registry,
    /// Receives what is written, and is emptied between runs.
    sink: Registry,
    ours: PathBuf,
    sizes: Sizes,
    scratch: ScratchDir,
}

impl Scene {
    /// Makes the data, starts the registries and fills the one that is read from.
    pub(super) fn set_up(options: &Options, ours: PathBuf) -> Result<Self> {
        let program = peers::find("registry").ok_or("needs the registry: run cargo xtask peers first")?;
        let scratch = ScratchDir::new(&place()?, PREFIX)?;
        let dir = scratch.path();
        println!("data and registries in {}", dir.display());
        for name in ["data", "out", "home", "tmp"] {
            std::fs::create_dir(dir.join(name))?;
        }
        let sizes = data::create(&dir.join("data"), options.size_mib)?;
        let source = Registry::start(&program, &dir.join("source"))?;
        let sink = Registry::start(&program, &dir.join("sink"))?;
        let scene = Self { source, sink, ours, sizes, scratch };
        scene.configure_regctl()?;
        scene.fill_source()?;
        Ok(scene)
    }

    /// The artifacts that are read come from the Go tool where it is installed: the same for all.
    fn fill_source(&self) -> Result {
        let program = self.program(Tool::GoOras).unwrap_or(self.ours.clone());
        let push = |name: &str, files: &[String]| {
            let mut command = Command::new(&program);
            command.arg("push").arg(format!("{}/bench/{name}:v1", self.source_host())).args(files);
            self.furnish(command.stdin(Stdio::null()));
            capture(&mut command).map(|_| ())
        };
        push("file", &["big.bin".into()])?;
        push("tree", &["tree".into()])?;
        push("small", &data::small_names())
    }

    /// regctl is told in its configuration which hosts speak plain HTTP; the others know it from the name.
    fn configure_regctl(&self) -> Result {
        let plain = serde_json::json!({"tls": "disabled"});
        let config = serde_json::json!({"hosts": {self.source_host(): plain, self.sink_host(): plain}});
        write(&self.dir("home").join(".regctl/config.json"), config.to_string())
    }

    /// A tool's program, when it is installed.
    pub(super) fn program(&self, tool: Tool) -> Option<PathBuf> {
        if tool == Tool::Ours { Some(self.ours.clone()) } else { peers::find(tool.name()) }
    }

    /// Gives a command the directory of the data and an environment without the user's settings.
    pub(super) fn furnish(&self, command: &mut Command) {
        command.current_dir(self.dir("data")).env_clear().env("PATH", env::search_path());
        command.env("HOME", self.dir("home")).env("TMPDIR", self.dir("tmp"));
    }

    pub(super) fn source_host(&self) -> &str {
        self.source.host()
    }

    pub(super) fn sink_host(&self) -> &str {
        self.sink.host()
    }

    pub(super) fn small_names(&self) -> Vec<String> {
        data::small_names()
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Where the output of the last run is.
    pub(super) fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    /// Removes what the last run left, so that memory holds one result at most.
    pub(super) fn clear_results(&self) -> Result {
        for dir in self.results() {
            for entry in std::fs::read_dir(&dir)? {
                let path = entry?.path();
                if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
            }
        }
        Ok(())
    }

    /// How many bytes the last run left.
    pub(super) fn result_bytes(&self) -> Result<u64> {
        let mut total = 0;
        for dir in self.results().iter().filter(|dir| **dir != self.dir("tmp")) {
            for file in files_below(dir)? {
                total += std::fs::symlink_metadata(file)?.len();
            }
        }
        Ok(total)
    }

    fn results(&self) -> [PathBuf; 3] {
        [self.dir("out"), self.dir("tmp"), self.sink.storage().to_path_buf()]
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

/// A directory in memory when there is one, cleared of what interrupted runs left there.
fn place() -> Result<PathBuf> {
    let memory = Path::new(MEMORY);
    if !memory.is_dir() {
        let dir = std::env::temp_dir();
        println!("note: no {MEMORY} here, so the disk of {} is measured, too", dir.display());
        return Ok(dir);
    }
    for entry in std::fs::read_dir(memory)? {
        let entry = entry?;
        if owner(&entry.file_name().to_string_lossy()).is_some_and(|id| !Path::new("/proc").join(id).exists())
        {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(memory.to_path_buf())
}

/// The process that made a directory of the bench, from its name.
fn owner(name: &str) -> Option<&str> {
    let (id, _) = name.strip_prefix(PREFIX)?.strip_prefix('-')?.split_once('-')?;
    id.chars().all(|c| c.is_ascii_digit()).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_own_directories() {
        assert_eq!(owner("oras-bench-12-0"), Some("12"));
        assert_eq!(owner("oras-bench-x-0"), None);
        assert_eq!(owner("someone-else"), None);
    }
}
