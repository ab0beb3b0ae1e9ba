//! Fixtures of the archive cases: an artifact with one packed directory, and checks that other files stay unchanged.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oras_testkit::memory_registry::MemoryRegistry;
use oras_testkit::scripted::Scripted;
use oras_testkit::tarball::{Tarball, directory_layer, gzip};

use crate::case_sandbox::{Said, Stage, check};

/// Starts a registry with `a:v1`, whose layer is the directory `title`.
pub(crate) fn serve(title: &str, packed: &[u8], tar: &[u8]) -> Scripted {
    let memory = Arc::new(MemoryRegistry::new());
    memory.blob("a", packed);
    memory.artifact("a", "v1", &directory_layer(title, packed, tar));
    Scripted::start(move |asked| memory.reply(asked))
}

/// Pulls from `server` into `out`.
pub(crate) fn pull_from(stage: &Stage, server: &Scripted, flags: &[&str]) -> Said {
    let reference = format!("{}/a:v1", server.host());
    stage.oras(&[&["pull", &reference, "-o", "out"], flags].concat())
}

/// Pulls an archive as the directory `d` into `out`. The file `outside/victim.txt` is beside `out`.
pub(crate) fn pull(stage: &Stage, tar: &[u8], flags: &[&str]) -> Said {
    let victim = stage.file("outside/victim.txt", "untouched");
    std::fs::set_permissions(victim, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(stage.path("outside"), PermissionsExt::from_mode(0o700)).unwrap();
    pull_from(stage, &serve("d", &gzip(tar), tar), flags)
}

/// Returns everything in the stage except `out`, by path: modes, numbers of links, contents or targets.
fn surroundings(stage: &Stage) -> BTreeMap<PathBuf, (u32, u64, String)> {
    let (mut found, mut next) = (BTreeMap::new(), vec![stage.root().to_owned()]);
    while let Some(path) = next.pop() {
        if path == stage.path("out") {
            continue;
        }
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_dir() {
            next.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            String::new()
        } else if metadata.is_symlink() {
            path.read_link().unwrap().display().to_string()
        } else {
            std::fs::read_to_string(&path).unwrap_or_default()
        };
        // The number of links of a directory changes with its subdirectories, so it is ignored.
        let links = if metadata.is_dir() { 0 } else { metadata.nlink() };
        found.insert(path, (metadata.mode(), links, content));
    }
    found
}

/// Checks that nothing outside of `out` was created or changed, that no link in `out` leads out, and that no
/// temporary files are left.
pub(crate) fn contained(stage: &Stage) -> Result<(), String> {
    let found = surroundings(stage);
    let victim = stage.path("outside/victim.txt");
    for (path, (mode, links, content)) in &found {
        let relative = path.strip_prefix(stage.path("")).unwrap_or(Path::new(""));
        let known = match relative.to_str() {
            Some("" | "outside" | "outside/victim.txt") => true,
            _ => path.starts_with(stage.home("")) || path.starts_with(stage.root().join("tmp")),
        };
        check(known, || format!("makes {}", path.display()))?;
        if *path == victim {
            let same = content == "untouched" && *links == 1 && mode & 0o7777 == 0o600;
            check(same, || format!("changes the victim: {content:?}, {links} links, mode {mode:o}"))?;
        }
        if *path == stage.path("outside") {
            check(mode & 0o7777 == 0o700, || format!("changes the mode of a directory outside: {mode:o}"))?;
        }
    }
    check(found.contains_key(&victim), || "removes the victim".to_owned())?;
    links_stay_in(stage)?;
    nothing_left(stage)
}

/// Checks that no link below `out` leads out of it, directly or through other links.
fn links_stay_in(stage: &Stage) -> Result<(), String> {
    let root = stage.path("out");
    for name in stage.files(&root) {
        let path = root.join(&name);
        let Ok(target) = path.read_link() else { continue };
        let inside = match path.canonicalize() {
            Ok(target) => target.starts_with(root.canonicalize().unwrap()),
            Err(_) => !target.is_absolute() || target.starts_with(&root),
        };
        check(inside, || format!("makes a link that leads out: {name} -> {}", target.display()))?;
    }
    Ok(())
}

/// Checks that no staging directory is left in `out`.
fn nothing_left(stage: &Stage) -> Result<(), String> {
    let left = stage.files(&stage.path("out")).into_iter().find(|name| name.contains(".oras-"));
    check(left.is_none(), || format!("leaves {left:?}"))
}

/// Checks that the archive is rejected, and that nothing outside of `out` is changed.
pub(crate) fn refused(stage: &Stage, tar: Tarball) -> Result<(), String> {
    let said = pull(stage, &tar.done(), &[]);
    contained(stage)?;
    said.fails().map(drop)
}

/// Checks that nothing outside of `out` is changed. The archive may be accepted or rejected.
pub(crate) fn harmless(stage: &Stage, tar: Tarball) -> Result<(), String> {
    let said = pull(stage, &tar.done(), &[]);
    contained(stage)?;
    check(said.status == Some(0) || said.fails().is_ok(), || format!("breaks: {}", said.text().trim()))
}

/// Checks that the archive is accepted, and that `files` are all files and links below `out`, in order.
pub(crate) fn taken(stage: &Stage, tar: Tarball, files: &[&str]) -> Result<(), String> {
    pull(stage, &tar.done(), &[]).works()?;
    contained(stage)?;
    holds(stage, files)
}

/// Checks that `files` are all files and links below `out`, in order.
pub(crate) fn holds(stage: &Stage, files: &[&str]) -> Result<(), String> {
    let found = stage.files(&stage.path("out"));
    check(found == files, || format!("leaves {found:?}"))
}

/// Checks the content of a file below `out`.
pub(crate) fn says(stage: &Stage, name: &str, text: &str) -> Result<(), String> {
    let found = std::fs::read_to_string(stage.path("out").join(name));
    check(found.as_deref().ok() == Some(text), || format!("{name} is {found:?}"))
}

/// Returns the mode of a path below `out`.
pub(crate) fn mode(stage: &Stage, name: &str) -> u32 {
    let path = stage.path("out").join(name);
    path.symlink_metadata().map_or(0, |metadata| metadata.mode() & 0o7777)
}
